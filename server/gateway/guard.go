package gateway

import (
	"cmp"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
)

// A browser sends requests for any page that is open in it, from behind the firewall and to loopback too. The guard
// therefore refuses what only a page sends:
//
//	Host           a name that is not ours: a page's name that was pointed at this address (DNS rebinding)
//	Origin         of a page that the operator has not named, whatever the method
//	Sec-Fetch-Site another site's page, where browsers send no Origin, as with an image
//	Content-Type   of a body that a form can send without asking first: a body is JSON, and says so
//
// It also refuses bodies that are compressed, because they would grow, and bodies of methods that have none, because
// servers in front of this one might take them for another request.
type guard struct {
	hosts   map[string]bool
	origins map[string]bool
	refused *prometheus.CounterVec
}

const (
	jsonType  = "application/json"
	linesType = "application/x-ndjson"
)

func newGuard(c *Config) (*guard, error) {
	g := &guard{hosts: map[string]bool{"localhost": true}, origins: map[string]bool{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hexbid_http_refused_total",
			Help: "Requests refused at the HTTP port's door, by reason."}, []string{"reason"})}
	for _, host := range c.Hosts {
		if host == "" || strings.ContainsAny(host, "/:*@ ") {
			return nil, hexbid.Invalidf("http-hosts", "%q is no host name: give names without scheme and port, "+
				"as in api.example.com", host)
		}
		g.hosts[strings.ToLower(host)] = true
	}
	for _, origin := range c.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			return nil, hexbid.Invalidf("http-origins", "%q is no origin: give scheme and host, "+
				"as in https://console.example.com", origin)
		}
		g.origins[strings.ToLower(origin)] = true
	}
	return g, c.Registry.Register(g.refused)
}

// RefusePages returns a handler for a port that loopback protects and nothing else. It refuses what only a page in a
// browser sends, as the guard of the gateway does, and passes all else on.
func RefusePages(next http.Handler) http.Handler {
	g := &guard{hosts: map[string]bool{"localhost": true}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := cmp.Or(g.host(r), g.origin(r)); err != nil {
			refused := err.(*runtime.HTTPStatusError) // as both make it
			http.Error(w, status.Convert(refused.Err).Message(), refused.HTTPStatus)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// admit refuses a request that only a browser's page would send, or whose body is no JSON. It answers a browser that
// asks what a page may send, and reports that it has.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) (answered bool, err error) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	for _, check := range []struct {
		reason string
		of     func(*http.Request) error
	}{{"host", g.host}, {"origin", g.origin}, {"body", body}} {
		if err := check.of(r); err != nil {
			g.refused.WithLabelValues(check.reason).Inc()
			return false, err
		}
	}
	return g.permit(h, w, r), nil
}

// host admits the names that the operator has given, loopback's, and addresses: nobody can point an address elsewhere.
func (g *guard) host(r *http.Request) error {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	if inner, opened := strings.CutPrefix(name, "["); opened && strings.HasSuffix(inner, "]") {
		name = strings.TrimSuffix(inner, "]")
	}
	if name = strings.ToLower(name); g.hosts[name] || net.ParseIP(name) != nil {
		return nil
	}
	return refusal(http.StatusMisdirectedRequest, codes.PermissionDenied, "",
		"Host %q is not a name of this server: the operator names its hosts (--http-hosts)", hexbid.Shorten(r.Host))
}

// origin admits callers that are no page, and the pages that the operator has named.
func (g *guard) origin(r *http.Request) error {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		switch site := r.Header.Get("Sec-Fetch-Site"); site {
		case "", "none", "same-origin":
			return nil
		default:
			return refusal(http.StatusForbidden, codes.PermissionDenied, "",
				"a page of another site may not call this server (Sec-Fetch-Site %q)", hexbid.Shorten(site))
		}
	}
	if len(origins) == 1 && g.origins[strings.ToLower(origins[0])] {
		return nil
	}
	return refusal(http.StatusForbidden, codes.PermissionDenied, "",
		"pages of %q may not call this server: the operator names origins (--http-origins)", hexbid.Shorten(origins[0]))
}

// body admits bodies that say that they are JSON, and none where a method has none.
func body(r *http.Request) error {
	if r.ContentLength == 0 && len(r.TransferEncoding) == 0 {
		return nil
	}
	if !slices.Contains([]string{http.MethodPost, http.MethodPatch, http.MethodPut}, r.Method) {
		return refusal(http.StatusBadRequest, codes.InvalidArgument, "", "a %s has no body here: leave it out", r.Method)
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return refusal(http.StatusUnsupportedMediaType, codes.InvalidArgument, "",
			"the body is encoded as %q: send it as it is", hexbid.Shorten(encoding))
	}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != jsonType && kind != linesType || !utf8Or(parameters["charset"]) {
		return refusal(http.StatusUnsupportedMediaType, codes.InvalidArgument, "",
			"the body's type is %q: send JSON in UTF-8, with Content-Type: %s", hexbid.Shorten(r.Header.Get("Content-Type")),
			jsonType)
	}
	return nil
}

// mediaType returns the type of a body, without parameters.
func mediaType(r *http.Request) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // guard has refused what does not parse
	return kind
}

func utf8Or(charset string) bool { return charset == "" || strings.EqualFold(charset, "utf-8") }

// permit tells the browser of a named page what the page may do, and answers the browser's question before a request.
func (g *guard) permit(h http.Header, w http.ResponseWriter, r *http.Request) (answered bool) {
	if len(g.origins) > 0 {
		h.Set("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Grpc-Timeout, X-Hexbid-Client")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
