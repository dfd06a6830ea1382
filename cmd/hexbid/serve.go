package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/demo"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	ledgerpebble "github.com/hexbid/hexbid/ledger/pebble"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/server/gateway"
	"github.com/hexbid/hexbid/spans"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/token"
	"github.com/hexbid/hexbid/wire"
)

// Main is the program that serves. A test boots the real one on port 0 with a clock of its own: NewMain, Open, Run.
type Main struct {
	Config ServeConfig
	Clock  func() time.Time
	Log    *slog.Logger

	store          store.Store
	journal        journal.Journal
	ledger         *ledger.Ledger
	keys           *token.Keys
	pepper         *access.Pepper
	pepperLost     bool        // keys of callers were good by a pepper that is gone
	auth           server.Auth // what callers must prove
	exchange       *exchange.Exchange
	server         *server.Server
	gateway        *gateway.Gateway
	listener       net.Listener
	web            net.Listener // of the HTTP port
	metrics        net.Listener
	metricsHandler http.Handler
	registry       *prometheus.Registry
	spans          *spans.Recorder // nil when nothing is recorded
	keyDir         string          // made for keys when nobody asked to keep them
}

// NewMain returns a Main with the system clock that logs to standard error.
func NewMain(config ServeConfig) *Main {
	var level slog.Level
	_ = level.UnmarshalText([]byte(config.LogLevel)) // kong allows only levels here
	return &Main{Config: config, Clock: time.Now,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
}

// Address returns where the gRPC port listens, after Open.
func (m *Main) Address() string { return m.listener.Addr().String() }

// MetricsAddress returns where /metrics listens, after Open, or "" when it does not listen.
func (m *Main) MetricsAddress() string {
	if m.metrics == nil {
		return ""
	}
	return m.metrics.Addr().String()
}

// Open opens what serving needs: ports, data folder, keys. When it returns an error it has closed everything again.
func (m *Main) Open(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if err := checkDemoTraffic(&m.Config); err != nil {
		return err
	}
	if err := m.openServer(); err != nil {
		return err
	}
	m.watchDisk()
	if m.store, err = m.openStore(ctx); err != nil {
		return err
	}
	if m.keys, err = m.openKeys(ctx); err != nil {
		return err
	}
	if m.pepper, err = m.openPepper(ctx); err != nil {
		return err
	}
	if m.journal, err = m.openJournal(ctx); err != nil {
		return err
	}
	if m.Config.AcceptLoss && !m.lossAccepted() {
		return hexbid.Invalidf("accept-loss",
			"nothing is lost: start without --accept-loss, which is for one start after a loss")
	}
	return ctx.Err()
}

// lossAccepted reports whether there was a loss to accept.
func (m *Main) lossAccepted() bool {
	p, ok := m.store.(*pebble.Store)
	j, has := m.journal.(*ledgerpebble.Journal)
	return ok && p.AcceptedLoss() || has && j.AcceptedLoss() || m.keys.Loss() != nil || m.pepperLost
}

func (m *Main) openServer() (err error) {
	c := server.DefaultConfig()
	c.TLSCert, c.TLSKey = m.Config.TLSCert, m.Config.TLSKey
	c.Insecure = m.Config.Insecure
	c.Limits, c.Quotas = limitsOf(&m.Config), quotasOf(&m.Config)
	c.DrainTimeout, c.Log = m.Config.DrainTimeout, m.Log
	if err := setAccess(&c, &m.Config); err != nil {
		return err
	}
	if m.spans, err = m.openSpans(); err != nil {
		return err
	}
	c.Spans = m.spans
	m.auth = c.Auth
	if m.listener, err = c.Listen("listen", m.Config.Listen); err != nil {
		return err
	}
	if err = m.listenHTTP(&c); err != nil {
		return err
	}
	loopback := onLoopback(m.listener) && onLoopback(m.web)
	c.AllowTrace = m.Config.AllowTrace == "yes" || m.Config.AllowTrace == "auto" && loopback
	m.registry = c.Registry
	if m.server, err = server.New(c); err != nil {
		return err
	}
	if err = m.openGateway(&c); err != nil {
		return err
	}
	if m.Config.MetricsListen == "" {
		return nil
	}
	if m.metrics, err = net.Listen("tcp", m.Config.MetricsListen); err != nil {
		return hexbid.Invalidf("metrics-listen", "%q cannot be listened on: %v", m.Config.MetricsListen, err)
	}
	if !onLoopback(m.metrics) {
		return hexbid.Invalidf("metrics-listen", "%q is not a loopback address: metrics are served to this machine only",
			m.Config.MetricsListen)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(c.Registry, promhttp.HandlerOpts{}))
	m.metricsHandler = gateway.RefusePages(mux)
	return nil
}

// openSpans opens the recorder of spans. It waits for no collector.
func (m *Main) openSpans() (*spans.Recorder, error) {
	return spans.Open(context.Background(), spans.Config{Endpoint: m.Config.TraceEndpoint, Share: m.Config.TraceSample,
		Version: version(), Log: m.Log})
}

// quotasOf returns the quotas that the configuration sets.
func quotasOf(c *ServeConfig) server.Quotas {
	return server.Quotas{
		User: hexbid.CallQuota{CallsPerSecond: c.UserCallsPerSecond, InFlight: c.UserInFlight,
			RowsPerDay: c.UserRowsPerDay},
		Client: hexbid.CallQuota{CallsPerSecond: c.ClientCallsPerSecond, InFlight: c.ClientInFlight},
	}
}

// advertiserQuotaOf returns what an advertiser may have by the configuration.
func advertiserQuotaOf(c *ServeConfig) hexbid.Holdings {
	return hexbid.Holdings{Campaigns: c.AdvertiserCampaigns, Places: c.AdvertiserPlaces, Vertices: c.AdvertiserVertices,
		Entries: c.AdvertiserEntries, Keywords: c.AdvertiserKeywords, Bytes: c.AdvertiserMB.bytes()}
}

// limitsOf returns the limits that the configuration sets, with the defaults for the others.
func limitsOf(c *ServeConfig) server.Limits {
	l := server.DefaultLimits()
	l.Searches, l.Reads, l.Writes, l.Imports = c.MaxSearches, c.MaxReads, c.MaxWrites, c.MaxImports
	l.Wait, l.CallerConnections = c.MaxWait, c.MaxCallerConnections
	l.Events, l.Connections, l.WaitingBytes = c.MaxEvents, c.MaxConnections, c.MaxWaitingMB.bytes()
	return l
}

// retentionOf is how long the log of changes keeps them.
func retentionOf(c *ServeConfig) (store.Retention, error) {
	const mostDays = 36_500 // a hundred years
	if c.ChangeLogDays < 1 || c.ChangeLogDays > mostDays {
		return store.Retention{}, hexbid.Invalidf("change-log-days", "%d is out of range: use 1 to %d",
			c.ChangeLogDays, mostDays)
	}
	if c.ChangeLogMB < 1 || c.ChangeLogMB > mostMebibytes {
		return store.Retention{}, hexbid.Invalidf("change-log-mb", "%d is out of range: use 1 to %d", c.ChangeLogMB,
			mostMebibytes)
	}
	return store.Retention{Age: time.Duration(c.ChangeLogDays) * 24 * time.Hour, Bytes: c.ChangeLogMB.bytes()}, nil
}

func (m *Main) openStore(ctx context.Context) (store.Store, error) {
	retention, err := retentionOf(&m.Config)
	if err != nil {
		return nil, err
	}
	if m.Config.Data == "" {
		return store.NewMemoryKeeping(retention), nil
	}
	s, err := pebble.Open(pebble.Options{Dir: filepath.Join(m.Config.Data, catalogueName), Currency: m.Config.Currency,
		Retention: retention, AcceptLoss: m.Config.AcceptLoss, Log: m.Log, Context: ctx})
	if err != nil {
		return nil, err // not a nil *pebble.Store in an interface
	}
	return s, nil
}

// Run serves until the context ends, then drains and releases everything. It calls ready once searches are answered.
func (m *Main) Run(ctx context.Context, ready func(address string)) (err error) {
	defer func() { err = errors.Join(err, m.close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { m.watchKeys(ctx) })
	m.serveMetrics(ctx, &group)
	m.serveHTTP(ctx, &group)
	answers := make(chan struct{})
	m.tellSupervisor(ctx, &group, answers)
	served := make(chan error, 1)
	go func() { served <- m.server.Serve(ctx, m.listener) }()
	if err := m.start(ctx); err != nil {
		cancel()
		return errors.Join(err, <-served)
	}
	if d, ok := m.store.(store.Durable); ok {
		group.Go(func() { m.server.Follow(ctx, d) })
	}
	group.Go(func() { m.server.FollowLedger(ctx, m.ledger) })
	group.Go(func() { m.server.FollowCallers(ctx) })
	group.Go(func() { m.keepUses(ctx) })
	m.Log.Info("serving", "address", m.Address(), "http", m.HTTPAddress(), "metrics", m.MetricsAddress(),
		"data", m.Config.Data)
	if m.Config.DemoTraffic {
		group.Go(func() { m.playPeople(ctx) })
	}
	close(answers)
	if ready != nil {
		ready(m.Address())
	}
	err = <-served
	m.Log.Info("stopped")
	return err
}

// start indexes the catalogue and lets calls through.
func (m *Main) start(ctx context.Context) (err error) {
	c := exchange.DefaultConfig()
	if err = m.openMarket(ctx, &c); err != nil {
		return err
	}
	if share := m.Config.SwapShare; !(share >= 0 && share <= 0.01) {
		return hexbid.Invalidf("swap-share", "%v is out of range: use 0 to 0.01", share)
	}
	c.SwapPPM = int64(m.Config.SwapShare*1e6 + 0.5)
	c.AuctionBudget, c.ClickExpiry, c.ManualReview = m.Config.AuctionBudget, m.Config.ClickExpiry, m.Config.ManualReview
	c.NearbyBudget, c.AdvertiserQuota = m.Config.NearbyBudget, advertiserQuotaOf(&m.Config)
	c.ExplainsAnHour = m.Config.ExplainsAnHour
	c.Histories = exchange.Histories{Budget: m.Config.HistoryBudget, CacheBytes: m.Config.HistoryCacheMB.bytes(),
		FilterBytes: m.Config.HistoryFilterMB.bytes()}
	c.ExploreShare = m.Config.ExploreShare
	c.Cards, c.CacheBytes, c.Clock, c.Log = wire.Cards{}, m.Config.CacheMB.bytes(), m.Clock, m.Log
	if m.Config.Demo {
		c.Home = &exchange.Home{Name: demo.City, Center: demo.Center, RadiusM: demo.RadiusM}
	}
	if m.ledger, err = m.openLedger(ctx); err != nil {
		return err
	}
	c.Pepper, c.Spans = m.pepper, m.spans
	if m.Config.OIDCIssuer != "" || m.Config.OIDCAudience != "" {
		c.OpenID = &access.Issuer{URL: m.Config.OIDCIssuer, Audience: m.Config.OIDCAudience, Clock: m.Clock}
	}
	c.Ledger, c.Currency, c.Backup = m.ledger, m.Config.Currency, m.backup()
	if c.StatementZone, err = statementZone(&m.Config); err != nil {
		return err
	}
	if m.exchange, err = exchange.Open(ctx, c, m.store, m.keys); err != nil {
		return err
	}
	if m.Config.Data != "" {
		m.exchange.Directory().RememberUses(readUses(filepath.Join(m.Config.Data, usesName)))
	}
	if err := m.openAccess(ctx); err != nil {
		return err
	}
	has, err := hasRecords(ctx, m.store)
	if err == nil && m.Config.Demo && !has {
		err = m.fillDemo(ctx)
	}
	if err != nil {
		return err
	}
	m.server.Ready(m.exchange)
	return nil
}

// demoLoader is the principal that imports the demo market.
var demoLoader = hexbid.Principal{Role: hexbid.System, ID: "demo", Origin: hexbid.InProcess}

// fillDemo imports the demo market.
func (m *Main) fillDemo(ctx context.Context) error {
	ctx = hexbid.WithPrincipal(ctx, demoLoader)
	market, err := demo.Resources()
	if err != nil {
		return err
	}
	const batch = 2000
	for first := 0; first < len(market); first += batch {
		for _, outcome := range m.exchange.Import(ctx, market[first:min(first+batch, len(market))], false) {
			if outcome.Err != nil {
				return fmt.Errorf("demo market: %s: %w", outcome.Resource.Metadata().Name, outcome.Err)
			}
		}
	}
	size := m.exchange.Size()
	m.Log.Info("filled the demo market", "programs", size.Programs, "places", size.Places, "campaigns", size.Campaigns)
	return nil
}

func (m *Main) serveMetrics(ctx context.Context, group *sync.WaitGroup) {
	if m.metrics == nil {
		return
	}
	s := &http.Server{Handler: m.metricsHandler, ReadHeaderTimeout: 5 * time.Second}
	group.Go(func() {
		if err := s.Serve(m.metrics); !errors.Is(err, http.ErrServerClosed) {
			m.Log.Error("metrics are no longer served", "error", err)
		}
	})
	group.Go(func() {
		<-ctx.Done()
		s.Close()
	})
}

// close releases everything that is open: the exchange before its ledger and its store, the ledger before its journal.
func (m *Main) close() error {
	var errs []error
	if m.exchange != nil {
		m.exchange.Close()
	}
	if m.ledger != nil {
		errs = append(errs, m.ledger.Close())
	}
	if m.journal != nil {
		errs = append(errs, m.journal.Close())
	}
	if m.store != nil {
		errs = append(errs, m.store.Close())
	}
	for _, c := range []io.Closer{m.listener, m.web, m.metrics} {
		if l, ok := c.(net.Listener); ok && l != nil {
			l.Close() // serving closes it too
		}
	}
	errs = append(errs, m.spans.Close())
	if m.keyDir != "" {
		errs = append(errs, os.RemoveAll(m.keyDir))
	}
	return errors.Join(errs...)
}
