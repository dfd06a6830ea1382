package gateway

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
)

// A quota's refusal says when another try is worth while, in seconds and exactly. Who waits that long is let in.
func TestARefusalByQuotaSaysWhenToTryAgain(t *testing.T) {
	var now atomic.Int64
	now.Store(1e18 + 7e8)
	p := open(t, func(_ *Config, s *server.Config) {
		s.Clock = func() time.Time { return time.Unix(0, now.Load()) }
		s.Quotas.Client = hexbid.CallQuota{CallsPerSecond: 3}
		s.Quotas.User = hexbid.CallQuota{RowsPerDay: 2}
	})
	ctx := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.System, ID: "test", Origin: hexbid.InProcess})
	key := func(owner hexbid.Resource) string {
		if _, err := p.market.Create(ctx, owner, false); err != nil {
			t.Fatal(err)
		}
		_, text, err := p.market.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: owner.Metadata().Name + "/keys/k"}})
		if err != nil {
			t.Fatal(err)
		}
		return "Authorization: Bearer " + text
	}
	app := key(&hexbid.Client{Meta: hexbid.Meta{Name: "clients/app"}})
	mia := key(&hexbid.User{Meta: hexbid.Meta{Name: "users/mia"}, Role: hexbid.Member})
	search := func() answered {
		return p.ask("POST", "/v1/nearby:search", `{"location": {"latitude": 1, "longitude": 2}}`, app)
	}
	write := func() answered { // whether or not the rights suffice, a write counts
		return p.ask("PATCH", "/v1/advertisers/one", `{"display_name": "Two"}`, mia)
	}
	for _, c := range []struct {
		call  func() answered
		most  int
		words string
	}{{search, 3, "3 calls a second"}, {write, 2, "2 rows a day"}} {
		for range c.most {
			if a := c.call(); a.StatusCode == http.StatusTooManyRequests {
				t.Fatalf("within the quota: %s %s", a.Status, a.text)
			}
		}
		a := c.call()
		delay, _ := a.field(t, "details.0.retry_delay").(string)
		exact, err := time.ParseDuration(delay)
		seconds, _ := strconv.Atoi(a.Header.Get("Retry-After"))
		if a.StatusCode != http.StatusTooManyRequests || !strings.Contains(a.text, c.words) || err != nil ||
			time.Duration(seconds)*time.Second < exact || time.Duration(seconds-1)*time.Second >= exact {
			t.Fatalf("%s, Retry-After %d, retry_delay %q: %s", a.Status, seconds, delay, a.text)
		}
		now.Add(int64(exact) - int64(time.Millisecond))
		if a := c.call(); a.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s: a millisecond early: %s", c.words, a.Status)
		}
		now.Add(int64(time.Millisecond))
		if a := c.call(); a.StatusCode == http.StatusTooManyRequests {
			t.Errorf("%s: after %s: %s %s", c.words, exact, a.Status, a.text)
		}
	}
}

// A watch that is refused before its request is read says why, like any other call.
func TestAWatchBeyondAQuotaSaysSo(t *testing.T) {
	p := open(t, func(_ *Config, s *server.Config) { s.Quotas.User = hexbid.CallQuota{InFlight: 1} })
	ctx := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.System, ID: "test", Origin: hexbid.InProcess})
	if _, err := p.market.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/ann"}, Role: hexbid.Auditor},
		false); err != nil {
		t.Fatal(err)
	}
	_, key, err := p.market.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: "users/ann/keys/k"}})
	if err != nil {
		t.Fatal(err)
	}
	const watch = "/v1/alerts:watch?parent=advertisers/-"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+watch, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	first, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Body.Close()
	if _, err := bufio.NewReader(first.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		a := p.ask("GET", watch, "", "Authorization: Bearer "+key)
		if a.StatusCode != http.StatusTooManyRequests || !strings.Contains(a.text, "at once") {
			t.Fatalf("%s: %s", a.Status, a.text)
		}
	}
}
