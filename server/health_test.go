package server

import (
	"testing"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// TestHealthTellsOfEveryService asks for the health of each service of the contract.
func TestHealthTellsOfEveryService(t *testing.T) {
	health := healthpb.NewHealthClient(serve(t, nil).dial(t))
	for _, m := range methodsOf() {
		service := string(m.Parent().FullName())
		r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || r.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%s: %s, %v", service, r.GetStatus(), err)
		}
	}
}
