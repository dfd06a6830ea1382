package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
)

// TestAnAuthorizationIsTakenInOneFormOverHTTP as over gRPC. HTTP itself drops blanks around a header's value,
// and joins a folded one by a blank.
func TestAnAuthorizationIsTakenInOneFormOverHTTP(t *testing.T) {
	p := open(t, func(_ *Config, s *server.Config) { s.Auth = server.AuthRequired })
	in := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.System, ID: "test", Origin: hexbid.InProcess})
	keys := map[string]string{}
	for _, name := range []string{"users/a", "users/b"} {
		if _, err := p.market.Create(in, &hexbid.User{Meta: hexbid.Meta{Name: name}, Role: hexbid.Operator},
			false); err != nil {
			t.Fatal(err)
		}
		_, text, err := p.market.IssueKey(in, &hexbid.Key{Meta: hexbid.Meta{Name: name + "/keys/k"}})
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = text
	}
	a, b := keys["users/a"], keys["users/b"]
	for what, c := range map[string]struct {
		target, headers string
		want            int
	}{
		"a key":                   {"", "Authorization: Bearer " + a, 200},
		"a name in mixed case":    {"", "aUTHORIZATION: bEARER " + a, 200},
		"blanks around":           {"", "Authorization: \t Bearer " + a + " \t", 200},
		"two lines":               {"", "Authorization: Bearer " + a + "\r\nauthorization: Bearer " + a, 401},
		"two callers":             {"", "Authorization: Bearer " + a + "\r\nAuthorization: Bearer " + b, 401},
		"an empty line beside":    {"", "Authorization: Bearer " + a + "\r\nAuthorization:", 401},
		"a list":                  {"", "Authorization: Bearer " + a + ", Bearer " + b, 401},
		"two spaces":              {"", "Authorization: Bearer  " + a, 401},
		"a fold":                  {"", "Authorization: Bearer\r\n " + a, 200},
		"a space before colon":    {"", "Authorization : Bearer " + a, 400},
		"an underscore":           {"", "Authorization_: Bearer " + a, 401},
		"for a proxy":             {"", "Proxy-Authorization: Bearer " + a, 401},
		"as metadata":             {"", "Grpc-Metadata-Authorization: Bearer " + a, 401},
		"as a cookie":             {"", "Cookie: authorization=Bearer " + a, 401},
		"in the query":            {"?access_token=" + a, "X: x", 401},
		"in the query beside":     {"?access_token=" + b, "Authorization: Bearer " + a, 400},
		"8 KiB":                   {"", "Authorization: Bearer " + strings.Repeat("x", 8<<10), 401},
		"8 KiB of dots":           {"", "Authorization: Bearer " + strings.Repeat(".", 8<<10), 401},
		"1 MiB":                   {"", "Authorization: Bearer " + strings.Repeat("x", 1<<20), 431},
		"a thousand lines":        {"", strings.Repeat("Authorization: Bearer x\r\n", 1000) + "X: x", 431},
		"a hundred lines":         {"", strings.Repeat("Authorization: Bearer x\r\n", 100) + "X: x", 401},
		"an absolute form":        {"http://evil.example/v1/me", "Authorization: Bearer " + a, 421},
		"an absolute form, named": {"http://localhost/v1/users", "Authorization: Bearer " + a, 200},
	} {
		target := c.target
		if !strings.HasPrefix(target, "http") {
			target = "/v1/users" + target
		}
		got := raw(t, p.address, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n\r\n", target,
			c.headers), patience)
		if want := fmt.Sprintf("HTTP/1.1 %d ", c.want); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %.300q, want %d %s", what, got, c.want, http.StatusText(c.want))
		}
	}
}
