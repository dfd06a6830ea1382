package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
	"github.com/hexbid/hexbid/wire"
)

// port is a gateway on a port of its own, over the demo market with a ledger.
type port struct {
	*Gateway
	t       testing.TB
	address string
	market  *exchange.Exchange
	stop    func()     // drains; may be called twice
	ended   chan error // Serve's end
}

// open opens a gateway over a market of one ad with a ledger.
func open(t testing.TB, change func(*Config, *server.Config)) *port {
	t.Helper()
	money, err := ledger.Open(t.Context(), ledger.Options{Journal: journal.NewMemory(),
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = money.Close() })
	return openOver(t, oneAd(), change, func(c *exchange.Config) { c.Ledger, c.Currency = money, "CNY" })
}

// openStill opens a gateway over the demo market without a ledger, at one instant. Everything in an answer but
// durations and what is sealed then follows from the request.
func openStill(t testing.TB) *port {
	t.Helper()
	now := time.Date(2026, 11, 20, 4, 7, 30, 0, time.UTC)
	resources, err := demo.Resources()
	if err != nil {
		t.Fatal(err)
	}
	return openOver(t, resources, nil, func(c *exchange.Config) {
		c.Clock, c.RequestID = func() time.Time { return now }, func() string { return "a request" }
	})
}

func openOver(t testing.TB, resources []hexbid.Resource, change func(*Config, *server.Config),
	of func(*exchange.Config)) *port {
	t.Helper()
	market := openMarket(t, resources, of)
	base, quiet := server.DefaultConfig(), slog.New(slog.DiscardHandler)
	c := Config{Limits: DefaultLimits(), Registry: base.Registry, Log: quiet}
	base.Log, base.AllowTrace = quiet, true
	if change != nil {
		change(&c, &base)
	}
	s, err := server.New(base)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(c, s)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &port{Gateway: g, t: t, address: l.Addr().String(), market: market, ended: make(chan error, 1)}
	s.Ready(market)
	go func() { p.ended <- g.Serve(ctx, l) }()
	stopped := false
	p.stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-p.ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(p.stop)
	return p
}

// openMarket opens a market with resources in it.
func openMarket(t testing.TB, resources []hexbid.Resource, change func(*exchange.Config)) *exchange.Exchange {
	t.Helper()
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	market := exchange.DefaultConfig()
	market.Log, market.Cards = slog.New(slog.DiscardHandler), wire.Cards{}
	market.AuctionBudget, market.NearbyBudget = time.Hour, time.Hour // the machine may be busy
	market.SwapPPM, market.ExploreShare = 0, 0
	change(&market)
	catalogue := store.NewMemory()
	if _, err := exchange.FirstMarket(t.Context(), catalogue, &hexbid.Market{}, market.Clock()); err != nil {
		t.Fatal(err)
	}
	e, err := exchange.Open(t.Context(), market, catalogue, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	ctx := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.System, ID: "test", Origin: hexbid.InProcess})
	for _, o := range e.Import(ctx, resources, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	return e
}

// oneAd is a market of one program with a place at here, and a campaign for it.
func oneAd() []hexbid.Resource {
	return []hexbid.Resource{
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/one"}, DisplayName: "One"},
		&hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/one/programs/p"}, DisplayName: "P",
			Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}},
		&hexbid.Place{Meta: hexbid.Meta{Name: "advertisers/one/programs/p/places/l"}, DisplayName: "L",
			Point: hexbid.Point{Lat: 30.2553, Lng: 120.164}},
		&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/one/campaigns/c"}, DisplayName: "C",
			Program: "advertisers/one/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 1_000_000_000,
			Area: hexbid.Area{Everywhere: true}}}
}

// patience is how long a test waits for what must happen, on a machine that is busy with other work.
const patience = 2 * time.Minute

// answered is an answer, read whole.
type answered struct {
	*http.Response
	text string
}

// field returns a part of a JSON answer by its path, as in "details.0.field_violations.0.field"; nil where there is
// none.
func (a answered) field(t testing.TB, path string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(a.text), &value); err != nil {
		t.Fatalf("%v in %q", err, a.text)
	}
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			if i := int(part[0] - '0'); i < len(v) {
				value = v[i]
			} else {
				value = nil
			}
		default:
			return nil
		}
	}
	return value
}

// ask makes a request with headers, each "Name: value". A body is JSON unless a header says otherwise.
func (p *port) ask(method, path, body string, headers ...string) answered {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", jsonType)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answered{response, string(text)}
}

// must is ask for an answer of status 200.
func (p *port) must(method, path, body string, headers ...string) answered {
	p.t.Helper()
	a := p.ask(method, path, body, headers...)
	if a.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %s %s", method, path, a.Status, a.text)
	}
	return a
}

// raw writes bytes to a new connection and returns what comes until the server closes it or the time is over.
func raw(t testing.TB, address string, text string, patience time.Duration) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, _ = io.Copy(&out, conn) // a reset is an end too
	return out.String()
}
