package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

const (
	machinesALot      = 3 // machines of each kind
	machineCampaigns  = 3
	machineLatitude   = -45
	machineLongitude  = 90
	machineRepeats    = 5   // clicks of a viewer on a campaign that count, as a rule says
	machineLooks      = 60  // impressions of a viewer in a minute, as a rule says
	mostSeries        = 200 // lines that the metrics may grow by
	machineClient     = "machines"
	theOne            = "secret-person-one"
	secret            = "secret-person-" // begins every user key
	clicksACall       = 40
	machinesMostCalls = 1000 // of one machine, for short rounds and long ones alike
)

// machines attacks what delivery learns and counts, on a server of its own with caps, rules of invalid traffic,
// exploration and trials in force: one viewer who clicks without end, viewers and clients that are never seen again,
// with names of every kind, erasures, and edits of caps and categories meanwhile. Each charge must be one that the
// rules give, the ledger must have what clients were answered, also after a kill, and neither metrics nor the log may
// grow by viewers or name one.
func machines(ctx context.Context, r *round) error {
	dir, err := os.MkdirTemp("", "hexbid-hostile-machines-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(r.options, r.tally, dir)
	if err != nil {
		return err
	}
	metrics, err := freeAddress()
	if err != nil {
		return err
	}
	s.Args = []string{"--metrics-listen", metrics, "--increment", "0.01", "--explore-share=0.05", "--swap-share=0.01",
		"--history-filter-mb=1", fmt.Sprint("--filter-repeat-clicks=", machineRepeats), "--filter-viewer-clicks=10",
		"--filter-implied-percent=30", "--filter-cell-clicks=10", fmt.Sprint("--filter-viewer-impressions=", machineLooks),
		"--filter-cell-impressions=2000"}
	if err := s.Start(ctx); err != nil {
		return err
	}
	if err := s.IntroduceClients(ctx, slices.Concat([]string{machineClient}, manyClients())...); err != nil {
		return err
	}
	a := &machineAttack{round: r, server: s, metrics: metrics, audit: newMachineAudit()}
	return errors.Join(a.run(ctx), s.Kill())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// machineAttack is what all machines share.
type machineAttack struct {
	*round
	server  *victim.Server
	metrics string
	audit   *machineAudit
}

// run attacks, and compares before a kill and after it.
func (a *machineAttack) run(ctx context.Context) error {
	conn, err := a.server.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := importRows(ctx, conn, machineMarket()); err != nil {
		return err
	}
	before, err := a.series(ctx)
	if err != nil {
		return err
	}
	a.all(ctx, conn)
	after, err := a.series(ctx)
	if err != nil {
		return err
	}
	if after > before+mostSeries {
		a.tally.fall("the metrics had %d lines, and have %d", before, after)
	}
	if strings.Contains(a.server.Tail(), secret) {
		a.tally.fall("the log names a viewer")
	}
	a.compare(ctx, conn)
	a.server.JudgeLog()
	if err := a.server.Kill(); err != nil {
		return err
	}
	a.tally.kills.Add(1)
	if err := a.server.Start(ctx); err != nil {
		return fmt.Errorf("after the machines: %w", err)
	}
	again, err := a.server.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer again.Close()
	a.compare(ctx, again)
	a.server.JudgeLog()
	return nil
}

func (a *machineAttack) compare(ctx context.Context, conn *grpc.ClientConn) {
	if err := a.audit.compare(ctx, pb.NewLedgerServiceClient(conn)); err != nil {
		a.tally.fall("%v", err)
	}
}

// series counts the lines of the server's metrics. None may name a viewer.
func (a *machineAttack) series(ctx context.Context) (lines int, err error) {
	text, err := readMetrics(ctx, a.metrics)
	if strings.Contains(text, secret) {
		a.tally.fall("the metrics name a viewer")
	}
	return strings.Count(text, "\n"), err
}

// readMetrics reads what a server tells Prometheus.
func readMetrics(ctx context.Context, address string) (text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	return string(all), err
}

// machineMarket returns campaigns of two advertisers, of which one has a cap over all of its campaigns.
func machineMarket() (rows []*pb.ImportRow) {
	for i, advertiser := range []string{"machines-0", "machines-1"} {
		rows = append(rows, programRows(advertiser)...)
		for j := range machineCampaigns {
			c := campaignOf(advertiser, j, &pb.Area{Everywhere: true})
			c.BidMicros, c.DailyBudgetMicros = int64(1+i+j)*yuan, 1_000_000*yuan
			c.Audience = &pb.Audience{Hosts: []pb.Host{attackersHost}}
			if j == 1 {
				c.PricingModel, c.BidMicros = pb.PricingModel_PRICING_MODEL_CPM, int64(40+i)*yuan
			}
			c.FrequencyCap = &pb.FrequencyCap{Impressions: int32(1000 - j), ServeUncapped: true}
			rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: c}})
		}
	}
	return rows
}

// all lets every kind of machine go until the attack's share of the time is over.
func (a *machineAttack) all(ctx context.Context, conn *grpc.ClientConn) {
	stop, cancel := a.until(ctx)
	defer cancel()
	var group sync.WaitGroup
	for i := range machinesALot {
		for kind, once := range []func(*machine, context.Context) error{(*machine).clickAsOne, (*machine).clickAsMany,
			(*machine).clickAsClients, (*machine).erase, (*machine).edit} {
			m := &machine{a, conn, rand.New(rand.NewPCG(a.seed, uint64(8*i+kind)))}
			group.Go(func() {
				for n := 0; n < machinesMostCalls && (n < 3 || stop.Err() == nil) && ctx.Err() == nil; n++ {
					err := once(m, ctx)
					a.tally.called("a machine's call", err)
				}
			})
		}
	}
	group.Wait()
}

// machine is one caller.
type machine struct {
	*machineAttack
	conn   *grpc.ClientConn
	random *rand.Rand
}

// clickAsOne searches and clicks as the same viewer again and again.
func (m *machine) clickAsOne(ctx context.Context) error {
	return m.click(ctx, theOne, machineClient, true)
}

// clickAsMany is another viewer each time, with a key that no person has.
func (m *machine) clickAsMany(ctx context.Context) error {
	return m.click(ctx, m.userKey(), machineClient, true)
}

// clickAsClients is another client each time, and never reports an impression.
func (m *machine) clickAsClients(ctx context.Context) error {
	client := fmt.Sprintf("%x", m.random.Uint64())
	if m.server.DemandsCredentials() {
		client = oneOf(m.random, manyClients()...) // nobody makes names up
	}
	return m.click(ctx, m.userKey(), client, false)
}

// manyClients are those of clickAsClients where clients have credentials.
func manyClients() (ids []string) {
	for i := range 8 {
		ids = append(ids, fmt.Sprint("machines-", i))
	}
	return ids
}

// userKey returns one of very many user keys.
func (m *machine) userKey() string {
	end := oneOf(m.random, "", "\n", "\x00", "%s", "\u202e", `" or 1=1`, strings.Repeat("键", 20))
	return fmt.Sprint(secret, m.random.Uint64(), end)
}

// click wins awards as a viewer, and reports events of all of them in one call.
func (m *machine) click(ctx context.Context, viewer, client string, shows bool) error {
	var events []*pb.Event
	for len(events) < clicksACall {
		answer, err := pb.NewSearchServiceClient(m.conn).SearchNearby(victim.AsClient(ctx, client), &pb.SearchNearbyRequest{
			Location: &pb.Location{Latitude: machineLatitude, Longitude: machineLongitude}, Host: attackersHost,
			Viewer: &pb.Viewer{UserKey: viewer}, NearbyLimit: proto.Int32(0), SponsoredSlots: proto.Int32(5)})
		if err != nil {
			return err
		}
		if len(answer.GetSponsored()) == 0 {
			break
		}
		m.audit.show(answer, viewer)
		for _, s := range answer.GetSponsored() {
			if shows {
				events = append(events, &pb.Event{Kind: pb.EventKind_EVENT_KIND_IMPRESSION, Token: s.GetToken(), EventId: "e"})
			}
			events = append(events, &pb.Event{Kind: pb.EventKind_EVENT_KIND_CLICK, Token: s.GetToken(), EventId: "e"})
		}
	}
	if len(events) == 0 {
		return nil
	}
	if m.random.IntN(2) == 0 { // as people are, not too soon
		time.Sleep(600 * time.Millisecond)
	}
	return m.report(victim.AsClient(ctx, client), events)
}

// report reports events until they are answered, for the audit compares with all that was recorded.
func (m *machine) report(ctx context.Context, events []*pb.Event) error {
	m.audit.send(events)
	for {
		one, cancel := context.WithTimeout(ctx, victim.Patience)
		answer, err := pb.NewEventServiceClient(m.conn).RecordEvents(one, &pb.RecordEventsRequest{Events: events})
		cancel()
		switch status.Code(err) {
		case codes.OK:
			return m.audit.answered(events, answer.GetResults())
		case codes.ResourceExhausted:
			time.Sleep(time.Millisecond)
		default:
			return err
		}
	}
}

// erase reads and erases a viewer, but never the one whose clicks are counted.
func (m *machine) erase(ctx context.Context) error {
	key := m.userKey()
	client := pb.NewLedgerServiceClient(m.conn)
	if _, err := client.GetViewerHistory(ctx, &pb.GetViewerHistoryRequest{UserKey: key}); err != nil {
		return err
	}
	_, err := client.EraseViewerHistory(ctx, &pb.EraseViewerHistoryRequest{UserKey: key})
	return err
}

// edit changes a cap or the category of a program.
func (m *machine) edit(ctx context.Context) error {
	client := pb.NewCampaignServiceClient(m.conn)
	owner := fmt.Sprint("advertisers/machines-", m.random.IntN(2))
	limit := &pb.FrequencyCap{Impressions: 1 + m.random.Int32N(1000), ServeUncapped: true}
	if m.random.IntN(2) == 0 {
		limit.Window = durationpb.New(time.Hour)
	}
	mask := &fieldmaskpb.FieldMask{Paths: []string{"frequency_cap"}}
	var err error
	switch m.random.IntN(3) {
	case 0:
		_, err = client.UpdateAdvertiser(ctx, &pb.UpdateAdvertiserRequest{UpdateMask: mask,
			Advertiser: &pb.Advertiser{Name: owner, FrequencyCap: limit}})
	case 1:
		name := fmt.Sprintf("%s/campaigns/c%d", owner, m.random.IntN(machineCampaigns))
		_, err = client.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{UpdateMask: mask,
			Campaign: &pb.Campaign{Name: name, FrequencyCap: limit}})
	default:
		_, err = client.UpdateProgram(ctx, &pb.UpdateProgramRequest{
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"category"}}, Program: &pb.Program{
				Name: owner + "/programs/p", Category: oneOf(m.random, pb.Category_CATEGORY_PETS, pb.Category_CATEGORY_GAMES)}})
	}
	return err
}
