package server

import (
	"context"
	"sync"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// serving holds what health depends on.
type serving struct {
	mu       sync.Mutex // guards the fields below, and the order in which health is told
	ready    bool
	draining bool
	// catalogueFailed says that the catalogue takes no more writes, ledgerFailed that the ledger acknowledges nothing.
	catalogueFailed, ledgerFailed bool
	// callersBehind says that credentials are refused, because some may have been revoked.
	callersBehind bool
}

// tell changes what health depends on, and tells it.
func (s *Server) tell(change func(*serving)) {
	v := &s.serving
	v.mu.Lock()
	defer v.mu.Unlock()
	change(v)
	up := v.ready && !v.draining && !(v.callersBehind && s.config.Auth == AuthRequired)
	for name, serves := range map[string]bool{
		"":                                       up,
		pb.SearchService_ServiceDesc.ServiceName: up,
		pb.CampaignService_ServiceDesc.ServiceName: up && !v.catalogueFailed,
		pb.EventService_ServiceDesc.ServiceName:    up && !v.ledgerFailed,
		pb.LedgerService_ServiceDesc.ServiceName:   up && !v.ledgerFailed,
		pb.AccessService_ServiceDesc.ServiceName:   up && !v.catalogueFailed && !v.callersBehind,
		pb.MarketService_ServiceDesc.ServiceName:   up && !v.catalogueFailed,
		pb.AuditService_ServiceDesc.ServiceName:    up && !v.catalogueFailed,
	} {
		status := healthpb.HealthCheckResponse_NOT_SERVING
		if serves {
			status = healthpb.HealthCheckResponse_SERVING
		}
		s.health.SetServingStatus(name, status)
	}
}

// Follow reports the state of a store: its failure in health and metrics, its losses in metrics. It returns when the
// context ends. Call it once, after Ready.
func (s *Server) Follow(ctx context.Context, d store.Durable) {
	s.metrics.follow(d)
	select {
	case <-ctx.Done():
		return
	case <-d.Failed():
	}
	s.config.Log.Error("the catalogue takes no more writes; searches go on", "error", d.Failure())
	s.tell(func(v *serving) { v.catalogueFailed = true })
}

// FollowCallers reports in health whether the directory of callers lags behind the store. While it does, no credential
// is taken. It returns when the context ends. Call it once, after Ready.
func (s *Server) FollowCallers(ctx context.Context) {
	d := s.exchange.Load().Directory()
	looks := time.NewTicker(betweenCallersLooks)
	defer looks.Stop()
	for was := false; ; {
		if behind := d.Behind(); behind != was {
			was = behind
			s.tell(func(v *serving) { v.callersBehind = behind })
		}
		select {
		case <-ctx.Done():
			return
		case <-looks.C:
		}
	}
}

// betweenCallersLooks is how often the directory of callers is asked whether it lags.
const betweenCallersLooks = 100 * time.Millisecond

// Fallible is a ledger as far as health is concerned.
type Fallible interface {
	// Failure says why nothing can be acknowledged at present, nil when all is well. A failure may go again.
	Failure() error
	// Failed is closed when a failure has come that does not go.
	Failed() <-chan struct{}
}

// betweenLooks is how often the ledger is asked whether its clock is right.
const betweenLooks = time.Second

// FollowLedger reports in health and log whether a ledger acknowledges. It returns when the context ends. Call it once,
// after Ready.
func (s *Server) FollowLedger(ctx context.Context, l Fallible) {
	s.metrics.followLedger(l)
	looks := time.NewTicker(betweenLooks)
	defer looks.Stop()
	failed := l.Failed()
	for was := false; ; {
		if failure := l.Failure(); (failure != nil) != was {
			was = failure != nil
			s.tell(func(v *serving) { v.ledgerFailed = was })
			if was {
				s.config.Log.Error("the ledger acknowledges nothing; searches go on", "error", failure)
			} else {
				s.config.Log.Info("the ledger acknowledges again")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-failed:
			failed = nil // it stays closed
		case <-looks.C:
		}
	}
}
