package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// marketWriter updates the market of a real process again and again. Each update has a number, which its increment, a
// reserve and two priors all follow, so a market of two updates shows.
type marketWriter struct {
	t            *testing.T
	sent         int64                 // number of the last update that was sent
	acknowledged []int64               // numbers of updates, in order
	last         *pb.Market            // the last that was acknowledged
	versions     map[uint64]*pb.Market // that were in force, by number, each with the rules it came with
}

const updateIncrement, updateReserve, updatePrior = 10_000, 3_000_000, 20_000

// rules returns the market of an update.
func (w *marketWriter) rules(n int64) *pb.Market {
	return &pb.Market{Name: hexbid.MarketName, IncrementMicros: updateIncrement + n, Distance: &pb.DistanceTable{},
		Reserves: []*pb.Reserve{{PerThousandMicros: updateReserve + 1000*n}},
		Priors: []*pb.CategoryPrior{{Category: pb.Category_CATEGORY_CATERING, PriorPpm: updatePrior + 10*n},
			{Category: pb.Category_CATEGORY_GAMES, PriorPpm: updatePrior + 20*n}}}
}

// update sends the next update.
func (w *marketWriter) update(ctx context.Context, conn grpc.ClientConnInterface) error {
	w.sent++
	m, err := pb.NewMarketServiceClient(conn).UpdateMarket(ctx, &pb.UpdateMarketRequest{Market: w.rules(w.sent),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"increment_micros", "reserves", "priors", "distance"}}})
	if err != nil {
		return err
	}
	w.acknowledged, w.last = append(w.acknowledged, w.sent), m
	w.wantWhole(m, w.sent)
	return nil
}

// get reads the market.
func (w *marketWriter) get(ctx context.Context, conn grpc.ClientConnInterface) *pb.Market {
	w.t.Helper()
	m, err := pb.NewMarketServiceClient(conn).GetMarket(ctx, &pb.GetMarketRequest{Name: hexbid.MarketName})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// wantWhole fails unless a market is that of one update, under a version that no other rules have had.
func (w *marketWriter) wantWhole(m *pb.Market, n int64) {
	w.t.Helper()
	want := w.rules(n)
	if m.GetIncrementMicros() != want.GetIncrementMicros() || len(m.GetReserves()) != 1 ||
		!proto.Equal(m.GetReserves()[0], want.GetReserves()[0]) {
		w.t.Errorf("update %d is stored as %v", n, m)
	}
	for _, prior := range want.GetPriors() {
		if !slices.ContainsFunc(m.GetPriors(), func(p *pb.CategoryPrior) bool { return proto.Equal(p, prior) }) {
			w.t.Errorf("update %d lacks the prior %v", n, prior)
		}
	}
	version := m.GetInForce().GetVersion()
	if before := w.versions[version]; before != nil && before.GetIncrementMicros() != m.GetIncrementMicros() {
		w.t.Errorf("version %d is of the increments %d and %d", version, before.GetIncrementMicros(), m.GetIncrementMicros())
	}
	for earlier, before := range w.versions {
		if before.GetIncrementMicros() < m.GetIncrementMicros() && earlier >= version {
			w.t.Errorf("version %d comes after version %d", version, earlier)
		}
	}
	w.versions[version] = m
}

// wantInForce fails unless a search's price follows the rules of an update: the reserve, which stands above the only
// campaign, divided by the prior and rounded up, and the increment.
func (w *marketWriter) wantInForce(ctx context.Context, conn grpc.ClientConnInterface, n int64) {
	w.t.Helper()
	found, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx, &pb.SearchNearbyRequest{Host: pb.Host_HOST_WECHAT,
		Location: &pb.Location{Latitude: demo.Center.Lat, Longitude: demo.Center.Lng}})
	if err != nil {
		w.t.Fatal(err)
	}
	prior := updatePrior + 10*n
	want := ((updateReserve+1000*n)*1000+prior-1)/prior + updateIncrement + n
	if ads := found.GetSponsored(); len(ads) != 1 || ads[0].GetPriceMicros() != want {
		w.t.Errorf("after update %d a click costs %v, want %d", n, ads, want)
	}
}

// history returns the increments that the market's history tells of, oldest first.
func (w *marketWriter) history(ctx context.Context, conn grpc.ClientConnInterface) (increments []int64) {
	w.t.Helper()
	request := &pb.ListChangesRequest{Resource: hexbid.MarketName}
	for {
		page, err := pb.NewAuditServiceClient(conn).ListChanges(ctx, request)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, change := range page.GetChanges() {
			if change.GetDamaged() || len(change.GetResources()) != 1 {
				w.t.Errorf("a change of the market is %v", change)
				continue
			}
			for _, field := range change.GetResources()[0].GetFields() {
				if field.GetField() == "increment_micros" {
					n, err := strconv.ParseInt(fmt.Sprint(field.GetAfter().AsInterface()), 10, 64)
					if err != nil {
						w.t.Fatal(err)
					}
					increments = append(increments, n)
				}
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			slices.Reverse(increments)
			return increments
		}
	}
}

// found returns the number of the update that a process started again has stored. It is the last that was acknowledged,
// or the one that was on its way when the process was killed. It is whole, in force and in the history.
func (w *marketWriter) found(ctx context.Context, conn grpc.ClientConnInterface) int64 {
	w.t.Helper()
	m := w.get(ctx, conn)
	n := m.GetIncrementMicros() - updateIncrement
	if last := w.acknowledged[len(w.acknowledged)-1]; n != last && n != w.sent {
		w.t.Fatalf("update %d was acknowledged and %d was sent: %d is there", last, w.sent, n)
	} else if n == last && m.GetEtag() != w.last.GetEtag() {
		w.t.Errorf("the etag of update %d was %q and is %q", n, w.last.GetEtag(), m.GetEtag())
	}
	w.wantWhole(m, n)
	w.wantInForce(ctx, conn, n)
	w.wantHistory(w.history(ctx, conn), n)
	return n
}

// wantHistory fails unless a history ends with an update, and names each update that was acknowledged once, in order,
// and no other but those that a kill cut off.
func (w *marketWriter) wantHistory(increments []int64, last int64) {
	w.t.Helper()
	var told []int64
	for _, increment := range increments {
		told = append(told, increment-updateIncrement)
	}
	if !slices.IsSorted(told) || len(slices.Compact(slices.Clone(told))) != len(told) || told[len(told)-1] != last {
		w.t.Errorf("the market is of update %d and its history tells of %v", last, told)
	}
	for _, n := range w.acknowledged {
		if _, there := slices.BinarySearch(told, n); !there {
			w.t.Errorf("the history lacks update %d, which was acknowledged: %v", n, told)
		}
	}
}

// killIn kills a process while updates run. reads is how many reads of another caller pass between an acknowledged
// update and the kill, so that it comes at another point of the next updates each time.
func (w *marketWriter) killIn(ctx context.Context, p *process, reads int) {
	w.t.Helper()
	const before = 4 // acknowledged updates
	conn, reader, ready := p.dial(w.t), p.dial(w.t), make(chan struct{})
	go func() {
		<-ready
		for range reads {
			_, _ = pb.NewMarketServiceClient(reader).GetMarket(ctx, &pb.GetMarketRequest{Name: hexbid.MarketName})
		}
		_ = p.command.Process.Kill()
	}()
	for i := 0; ; i++ {
		if i == before {
			close(ready)
		}
		if err := w.update(ctx, conn); err != nil {
			if code := status.Code(err); i < before || code != codes.Unavailable && code != codes.Canceled {
				w.t.Errorf("update %d: %v", w.sent, err)
			}
			break
		}
	}
	<-p.ended
}

// TestTheMarketSurvivesKillsAndARestore kills the program while updates of the market run one after another. After each
// start the market is that of the last acknowledged update or of the one on its way. It is whole, in force and in the
// history, and versions never repeat. A folder that is restored from a backup has the same market, etag and history,
// and its later versions have none of the numbers of the time that it lacks.
func TestTheMarketSurvivesKillsAndARestore(t *testing.T) {
	ctx, root, c := testContext(t), t.TempDir(), &console{t: t}
	data, copied, restored := filepath.Join(root, "data"), filepath.Join(root, "backup"), filepath.Join(root, "restored")
	w := &marketWriter{t: t, versions: map[uint64]*pb.Market{}}
	p := startProcess(t, "--data", data, "--auction-budget", "10s")
	t.Setenv("HEXBID_SERVER", p.address)
	c.must("kind: advertiser\nname: advertisers/acme\ndisplay_name: Acme\n", "apply", "-f", "-")
	c.must(strings.Replace(acmesCampaign, "NAME", "c", 1), "apply", "-f", "-")
	lost := 0
	for kill := range 6 {
		w.killIn(ctx, p, 3*kill)
		p = startProcess(t, "--data", data, "--auction-budget", "10s")
		if n := w.found(ctx, p.dial(t)); n != w.sent {
			lost++
		}
	}
	t.Logf("%d updates were acknowledged; of the 6 on their way %d came to nothing", len(w.acknowledged), lost)
	conn := p.dial(t)
	if err := w.update(ctx, conn); err != nil {
		t.Fatal(err)
	}
	before, told := w.get(ctx, conn), w.history(ctx, conn)
	t.Setenv("HEXBID_SERVER", p.address)
	c.must("", "backup", copied)
	for range 3 { // which the backup lacks
		if err := w.update(ctx, conn); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.stopped(t); err != nil {
		t.Fatal(err)
	}
	if code, out, notes := offline("restore", copied, "--data", restored); code != 0 {
		t.Fatalf("restore: exit %d, %s%s", code, out, notes)
	}
	conn = startProcess(t, "--data", restored, "--auction-budget", "10s").dial(t)
	after := w.get(ctx, conn)
	w.wantInForce(ctx, conn, before.GetIncrementMicros()-updateIncrement)
	if got := w.history(ctx, conn); !slices.Equal(got, told) {
		t.Errorf("the history tells of %v, and of %v when the backup was made", got, told)
	}
	if before.InForce, after.InForce = nil, nil; !proto.Equal(before, after) {
		t.Errorf("restored: %v\nbefore:   %v", after, before)
	}
	for range 4 {
		if err := w.update(ctx, conn); err != nil {
			t.Fatal(err)
		}
	}
}
