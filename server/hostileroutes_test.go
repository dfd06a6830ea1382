package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/server"
)

// paths lead to an advertiser, a place of its program and a campaign, written in other ways. %s stands for the id, %x
// for its first byte.
var paths = []string{
	"/v1/advertisers/%[1]s", "/v1/advertisers/%%%[1]x", "/v1/advertisers%%2f%[1]s", "/v1/advertisers/%[1]s/",
	"/v1/advertisers//%[1]s", "/v1//advertisers/%[1]s", "//v1/advertisers/%[1]s", "/v1/./advertisers/%[1]s",
	"/v1/advertisers/a/../%[1]s", "/v1/advertisers/a/%%2e%%2e/%[1]s", "/v1/advertisers/a%%2f..%%2f%[1]s",
	"/v1/advertisers/%[1]s.", "/v1/advertisers/%[1]s%%00", "/v1/advertisers/%[1]s%%20", "/v1/advertisers/%[1]s%%0a",
	"/v1/advertisers/%[1]s;a", "/v1/advertisers/%[1]s:get", "/v1/advertisers/%[1]s?name=advertisers/a",
	"/v1/advertisers/a?name=advertisers/%[1]s", "/v1/advertisers/a#advertisers/%[1]s", "/v1/ADVERTISERS/%[1]s",
	"/v1/advertisers/%[1]s%%2fcampaigns%%2fc", "/v1/advertisers/%[1]s/campaigns/c", "/v1/advertisers/%[1]s/campaigns//c",
	"/v1/advertisers/%[1]s/campaigns/c/", "/v1/advertisers/%[1]s/campaigns", "/v1/advertisers/%[1]s/campaigns?page_size=1",
	"/v1/advertisers/-/campaigns/../../%[1]s/campaigns", "/v1/advertisers/a/campaigns?parent=advertisers/%[1]s",
	"/v1/advertisers/%[1]s/campaigns/c:spend", "/v1/advertisers/%[1]s/campaigns/c%%3aspend",
	"/v1/advertisers/%[1]s/campaigns/c:spend?uid=1", "/v1/advertisers/%[1]s/programs/p/places/l",
	"/v1/advertisers/%[1]s/programs/-/places", "/v1/advertisers/%[1]s/programs/p%%2fplaces%%2fl",
	"/v1/changes?owner=advertisers/%[1]s", "/v1/changes?resource=advertisers/%[1]s/campaigns/c",
	"/v1/changes?owner=advertisers/a&owner=advertisers/%[1]s", "/v1/changes?resource=Advertisers%%2F%[1]s",
	"/v1/advertisers/%%EF%%BD%%82%[1]s", "/v1/advertisers/%[1]s%%CC%%81",
	"/v1/%%61dvertisers/%[1]s", "/V1/advertisers/%[1]s", "/v1/advertisers/%[1]s/../%[1]s",
	"/v1/advertisers/%[1]s%%zz", "/v1/advertisers/%%25%[1]x", "http://127.0.0.1/v1/advertisers/%[1]s",
}

// echoed are the caller's own words in an answer: names in quotes, and paths.
var echoed = regexp.MustCompile(`\\"(\\\\.|[^"\\])*\\"|(there is nothing at|no method of) [^:]*`)

// TestADisguisedPathIsNobodys: however a rival writes a path, the answer about another's resources is as about
// nobody's, and holds nothing of them.
func TestADisguisedPathIsNobodys(t *testing.T) {
	x := server.OpenMatrix(t)
	address := port(t, x)
	key := x.Credential(t, "admin")
	ask := func(verb, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), verb, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = &url.URL{Scheme: "http", Host: r.URL.Host, Opaque: path} // as it is
		r.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s %s: %v", verb, path, err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	found := 0
	for _, template := range paths {
		path := func(id string) string { return fmt.Sprintf(template, id) }
		if !strings.HasPrefix(template, "/") || strings.HasPrefix(template, "//") { // an absolute form needs the host
			path = func(id string) string {
				return address + strings.TrimPrefix(fmt.Sprintf(template, id), "http://127.0.0.1")
			}
		}
		for _, verb := range []string{http.MethodGet, http.MethodDelete} {
			if verb == http.MethodDelete && strings.Contains(template, "s/a") {
				continue // it may be about what is one's own
			}
			status, text := ask(verb, path("b"))
			alike, words := ask(verb, path("z"))
			if status != alike || echoed.ReplaceAllString(text, "") != echoed.ReplaceAllString(words, "") {
				t.Errorf("%s %s: %d %s\nof nobody's: %d %s", verb, template, status, text, alike, words)
			}
			if strings.Contains(text, "advertisers/b/campaigns/c") && status == http.StatusOK ||
				strings.Contains(text, `"display_name"`) && !strings.Contains(text, `"name":"advertisers/a`) {
				t.Errorf("%s %s shows %s", verb, template, text)
			}
			if status >= 500 {
				t.Errorf("%s %s: %d %s", verb, template, status, text)
			}
		}
		if status, _ := ask(http.MethodGet, path("a")); status == http.StatusOK {
			found++
		}
	}
	if found < 10 {
		t.Errorf("only %d paths find what is one's own", found)
	}
}
