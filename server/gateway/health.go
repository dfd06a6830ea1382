package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"

	"github.com/hexbid/hexbid"
)

// ready says whether each service serves, as gRPC's health does. Its status is 200 when searches are answered.
func (g *Gateway) ready(w http.ResponseWriter, _ *http.Request) error {
	serving, err := g.server.Serving()
	if err != nil {
		return err
	}
	words := map[string]string{}
	for name, serves := range serving {
		words[name] = word(serves)
	}
	text, err := json.Marshal(map[string]any{"status": words[""], "services": words})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)+1))
	if !serving[""] {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(text, '\n'))
	return nil
}

func word(serves bool) string {
	if serves {
		return "SERVING"
	}
	return "NOT_SERVING"
}

// alive answers as long as the process does.
func (g *Gateway) alive(w http.ResponseWriter, _ *http.Request) error {
	send(w, []byte("{\"status\":\"SERVING\"}\n"))
	return nil
}

// metrics serves Prometheus' text to operators and auditors.
func (g *Gateway) metrics(w http.ResponseWriter, r *http.Request) error {
	if p := hexbid.PrincipalOf(r.Context()); p.Role != hexbid.Operator && p.Role != hexbid.Auditor {
		return refusal(http.StatusForbidden, codes.PermissionDenied, "", "metrics are for operators and auditors")
	}
	g.scrape.ServeHTTP(w, r)
	return nil
}
