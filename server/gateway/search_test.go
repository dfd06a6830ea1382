package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
)

// anySearch returns a search as JSON. Some are refused.
func anySearch(random *rand.Rand) string {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	return fmt.Sprintf(`{"location": {"latitude": %v, "longitude": %v, "datum": %q}, "host": %q, "words": %q,
		"nearbyLimit": %d, "sponsored_slots": %d, "trace": %v, "category": %q}`,
		demo.Center.Lat+(random.Float64()-.5)*.2, demo.Center.Lng+(random.Float64()-.5)*.2,
		pick("DATUM_WGS84", "DATUM_GCJ02", "DATUM_BD09"), pick("HOST_UNSPECIFIED", "HOST_WECHAT", "HOST_BAIDU"),
		pick("", "", "咖啡", "hotel"), random.IntN(30)-1, random.IntN(11), random.IntN(5) == 0,
		pick("CATEGORY_UNSPECIFIED", "CATEGORY_CATERING"))
}

// TestASearchIsAnsweredAsItsGeneratedHandlerDoes compares the bytes put together from cards with the message.
func TestASearchIsAnsweredAsItsGeneratedHandlerDoes(t *testing.T) {
	p := openStill(t)
	seed := rand.Uint64()
	random, ads, moved, traced, refused := rand.New(rand.NewPCG(seed, 2)), 0, 0, 0, 0
	for range 300 {
		body := anySearch(random)
		fast, plain := httptest.NewRecorder(), httptest.NewRecorder()
		p.ServeHTTP(fast, searchRequest(body))
		r := searchRequest(body)
		r = r.WithContext(hexbid.WithPrincipal(r.Context(), hexbid.Principal{Role: hexbid.Operator}))
		p.routed.ServeHTTP(plain, r)
		got, want := parsed(t, fast.Body.Bytes()), parsed(t, plain.Body.Bytes())
		forget(got)
		forget(want)
		if fast.Code != plain.Code || !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d, %s: %d %.2000s, want %d %.2000s", seed, body, fast.Code, fast.Body, plain.Code, plain.Body)
		}
		ads += strings.Count(fast.Body.String(), `"token":`)
		moved += strings.Count(fast.Body.String(), `"DATUM_BD09"`)
		traced += strings.Count(fast.Body.String(), `"blocks_read":`)
		if fast.Code != 200 {
			refused++
		}
	}
	if ads < 100 || moved < 100 || traced < 10 || refused < 3 {
		t.Errorf("seed %d: %d ads, %d places in BD-09, %d traces, %d refused", seed, ads, moved, traced, refused)
	}
}

func searchRequest(body string) *http.Request {
	r := httptest.NewRequest("POST", "/v1/nearby:search", strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Content-Type", jsonType)
	return r
}

// forget drops what differs between two answers to one search: what is sealed, and times.
func forget(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"token", "next_page_token", "server_duration", "auction_duration", "evaluate_time"} {
			delete(v, name)
		}
		for _, part := range v {
			forget(part)
		}
	case []any:
		for _, part := range v {
			forget(part)
		}
	}
}

func TestASearchHasTheDeadlineThatItsCallerStates(t *testing.T) {
	p := open(t, nil)
	body := `{"location": {"latitude": 30.25, "longitude": 120.16}}`
	if a := p.ask("POST", "/v1/nearby:search", body, "Grpc-Timeout: 1n"); a.StatusCode != 504 ||
		a.field(t, "code") != 4.0 {
		t.Errorf("%s %s", a.Status, a.text)
	}
	if a := p.ask("POST", "/v1/nearby:search", body, "Grpc-Timeout: soon"); a.StatusCode != 400 {
		t.Errorf("%s %s", a.Status, a.text)
	}
	p.must("POST", "/v1/nearby:search", body, "Grpc-Timeout: 1M")
}

func BenchmarkTranscode(b *testing.B) {
	p := openStill(b)
	encoded := answerOf(b, p)
	text := answerPlan.append(nil, encoded)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		text = answerPlan.append(text[:0], encoded)
	}
}
