package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// The market of the bystanders is small and lies where nobody else's does, so the right answer follows from the rules
// alone. Five advertisers bid 1 to 5 for a click in one circle. Their quality is equal, so each winner pays the next
// one's bid. The places stand due north, a hundred metres apart.
const (
	bystandersLatitude, bystandersLongitude = -48.5, -123.25
	bystandersHost, bystandersCategory      = pb.Host_HOST_KUAISHOU, pb.Category_CATEGORY_CATERING

	bystanderClient = "bystander"

	bidders, shops, slots = 5, 12, 3
	yuan                  = 1_000_000 // micros
	earthRadiusM          = 6_371_008.8
)

// bystanders search and write during the attacks, and check every answer.
type bystanders struct {
	server *victim.Server
	tally  *tally
	conn   *grpc.ClientConn
	cancel context.CancelFunc
	group  sync.WaitGroup
	idle   atomic.Bool // the attack is idleness: a call that the door refuses is made until it is answered

	refusedBesideIdle atomic.Int64 // refusals of such calls
}

// bystanderCount is the number of goroutines of each kind. bystanderPause is the pause between two calls. Bystanders
// should notice harm, not load the machine.
const (
	bystanderCount = 2
	bystanderPause = 10 * time.Millisecond
)

func newBystanders(ctx context.Context, s *victim.Server, t *tally) (*bystanders, error) {
	if err := s.IntroduceClients(ctx, bystanderClient); err != nil {
		return nil, err
	}
	conn, err := s.Dial(grpc.WithDefaultCallOptions(grpc.WaitForReady(true))) // also after a kill
	if err != nil {
		return nil, err
	}
	b := &bystanders{server: s, tally: t, conn: conn}
	if err := importRows(ctx, conn, bystandersMarket()); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := b.recovered(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	ctx, b.cancel = context.WithCancel(ctx)
	for i := range bystanderCount {
		b.group.Go(func() { b.repeat(ctx, b.searchOnce) })
		b.group.Go(func() { b.repeat(ctx, func(ctx context.Context) error { return b.writeOnce(ctx, i) }) })
	}
	b.group.Go(func() { b.repeat(ctx, b.searchAnew) })
	for _, anew := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: anew}}
		b.group.Go(func() {
			defer client.CloseIdleConnections()
			b.repeat(ctx, func(ctx context.Context) error { return b.searchOverHTTP(ctx, client) })
		})
	}
	return b, nil
}

func (b *bystanders) stop() {
	b.cancel()
	b.group.Wait()
	b.conn.Close()
}

func bystandersMarket() (rows []*pb.ImportRow) {
	for i := 1; i <= shops; i++ {
		advertiser := fmt.Sprintf("advertisers/bystander-%d", i)
		program := &pb.Program{Name: advertiser + "/programs/p", DisplayName: "p", Category: bystandersCategory,
			Hosts: []pb.Host{bystandersHost}}
		place := &pb.Place{Name: program.Name + "/places/l", Latitude: bystandersLatitude + degreesOf(shopDistanceM(i)),
			Longitude: bystandersLongitude}
		owner := &pb.Advertiser{Name: advertiser, DisplayName: "b"}
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: owner}},
			&pb.ImportRow{Resource: &pb.ImportRow_Program{Program: program}},
			&pb.ImportRow{Resource: &pb.ImportRow_Place{Place: place}})
		if i <= bidders {
			rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: &pb.Campaign{
				Name: advertiser + "/campaigns/c", DisplayName: "c", Program: program.Name,
				PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: int64(i) * yuan, DailyBudgetMicros: 1000 * yuan,
				Pacing: pb.Pacing_PACING_ASAP,
				Area: &pb.Area{Circles: []*pb.Circle{{Latitude: bystandersLatitude, Longitude: bystandersLongitude,
					RadiusM: 2000}}}}}})
		}
	}
	return rows
}

func shopDistanceM(i int) float64         { return 100 * float64(i) }
func degreesOf(distanceM float64) float64 { return distanceM / earthRadiusM * 180 / math.Pi }

// repeat makes calls until the context ends, and judges the result of each.
func (b *bystanders) repeat(ctx context.Context, call func(context.Context) error) {
	for ctx.Err() == nil {
		life := b.server.Life()
		one, cancel := context.WithTimeout(ctx, victim.Patience)
		began := time.Now()
		err := b.once(one, call)
		cancel()
		if ctx.Err() != nil {
			return
		}
		b.tally.beside.Add(1)
		if life%2 == 1 && life == b.server.Life() {
			b.tally.waited(time.Since(began))
			b.judge(err)
		}
		time.Sleep(bystanderPause)
	}
}

// once makes a call. Beside idle callers it asks again while the machine is busy: that they keep nobody out at a limit
// is what the attack reads from the server's metrics.
func (b *bystanders) once(ctx context.Context, call func(context.Context) error) error {
	if !b.idle.Load() {
		return call(ctx)
	}
	return victim.UntilTaken(ctx, func() error {
		err := call(ctx)
		if status.Code(err) == codes.ResourceExhausted {
			b.refusedBesideIdle.Add(1)
		}
		return err
	})
}

// judge judges the error of a bystander's call. The only error allowed is a refusal during a flood.
func (b *bystanders) judge(err error) {
	switch {
	case err == nil:
	case errors.Is(err, errWrong):
		b.tally.wrong.Add(1)
		b.tally.fall("%v", err)
	case status.Code(err) == codes.ResourceExhausted && !b.idle.Load():
		b.tally.refused.Add(1)
	default:
		b.tally.fall("a bystander's call ended with %.300s", err)
	}
}

var errWrong = errors.New("a bystander's answer is wrong")

func (b *bystanders) searchOnce(ctx context.Context) error {
	_, err := searchAndCheck(ctx, b.conn)
	return err
}

// searchAnew searches over a new connection each time.
func (b *bystanders) searchAnew(ctx context.Context) error {
	conn, err := b.server.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = searchAndCheck(ctx, conn)
	return err
}

// searchOverHTTP searches over the HTTP port, as JSON.
func (b *bystanders) searchOverHTTP(ctx context.Context, client *http.Client) error {
	a, err := askWeb(ctx, client, "http://"+b.server.HTTPAddress+searchPath, b.server.Key("clients/"+bystanderClient),
		string(bystandersJSON))
	switch {
	case err != nil:
		return err
	case a.status == http.StatusTooManyRequests:
		return status.Error(codes.ResourceExhausted, a.body)
	case a.status != http.StatusOK:
		return fmt.Errorf("over HTTP: status %d: %s", a.status, a.body)
	}
	answer := new(pb.SearchNearbyResponse)
	if err := protojson.Unmarshal([]byte(a.body), answer); err != nil {
		return fmt.Errorf("%w: over HTTP: %v: %.300s", errWrong, err, a.body)
	}
	return checkAnswer(answer)
}

// bystandersJSON is the bystanders' search as JSON.
var bystandersJSON = func() []byte {
	text, err := protojson.Marshal(bystandersSearch())
	if err != nil {
		panic(err) // cannot happen: the search is fixed
	}
	return text
}()

func bystandersSearch() *pb.SearchNearbyRequest {
	return &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: bystandersLatitude, Longitude: bystandersLongitude},
		Host:     bystandersHost, Category: bystandersCategory, SponsoredSlots: proto.Int32(slots)}
}

// writeOnce changes an advertiser and reads it back.
func (b *bystanders) writeOnce(ctx context.Context, writer int) error {
	client := pb.NewCampaignServiceClient(b.conn)
	a := &pb.Advertiser{Name: fmt.Sprintf("advertisers/writer-%d", writer), DisplayName: fmt.Sprint(time.Now().UnixNano())}
	if _, err := client.UpdateAdvertiser(ctx, &pb.UpdateAdvertiserRequest{Advertiser: a, AllowMissing: true}); err != nil {
		return err
	}
	got, err := client.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: a.Name})
	if err == nil && got.GetDisplayName() != a.DisplayName {
		return fmt.Errorf("%w: %s was written as %q and reads %q", errWrong, a.Name, a.DisplayName, got.GetDisplayName())
	}
	return err
}

// recovered waits for a complete and right answer over a new connection.
func (b *bystanders) recovered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	conn, err := b.server.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		whole, err := searchAndCheck(ctx, conn)
		if whole && err == nil || errors.Is(err, errWrong) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %v: whole %v, %w", victim.Patience, whole, err)
		case <-time.After(bystanderPause):
		}
	}
}

// searchAndCheck searches the bystanders' market. An answer is complete unless the server says that it ran out of time.
// Whatever the answer contains must be right.
func searchAndCheck(ctx context.Context, conn *grpc.ClientConn) (whole bool, err error) {
	r, err := pb.NewSearchServiceClient(conn).SearchNearby(victim.AsClient(ctx, bystanderClient), bystandersSearch())
	if err != nil {
		return false, err
	}
	return !r.GetSponsoredSkipped() && !r.GetNearbyIncomplete(), checkAnswer(r)
}

func checkAnswer(r *pb.SearchNearbyResponse) error {
	won := slots
	if r.GetSponsoredSkipped() {
		won = 0
	}
	if len(r.GetSponsored()) != won {
		return fmt.Errorf("%w: %d sponsored, want %d", errWrong, len(r.GetSponsored()), won)
	}
	for i, s := range r.GetSponsored() {
		bid := bidders - i
		if want := fmt.Sprintf("advertisers/bystander-%d/campaigns/c", bid); s.GetCampaign() != want ||
			s.GetPriceMicros() != int64(bid-1)*yuan {
			return fmt.Errorf("%w: slot %d is %s at %d micros, want %s at %d", errWrong, i+1, s.GetCampaign(),
				s.GetPriceMicros(), want, (bid-1)*yuan)
		}
	}
	return checkNearby(r, won)
}

func checkNearby(r *pb.SearchNearbyResponse, won int) error {
	var want []int // shops without a slot, by distance
	for i := 1; i <= shops; i++ {
		if i > bidders || i <= bidders-won {
			want = append(want, i)
		}
	}
	if len(r.GetNearby()) > len(want) || len(r.GetNearby()) < len(want) && !r.GetNearbyIncomplete() {
		return fmt.Errorf("%w: %d nearby, want %d", errWrong, len(r.GetNearby()), len(want))
	}
	for i, n := range r.GetNearby() {
		name := fmt.Sprintf("advertisers/bystander-%d/programs/p/places/l", want[i])
		if n.GetPlace().GetName() != name || math.Abs(n.GetDistanceM()-shopDistanceM(want[i])) > 1e-3 {
			return fmt.Errorf("%w: nearby %d is %s at %v m, want %s", errWrong, i+1,
				n.GetPlace().GetName(), n.GetDistanceM(), name)
		}
	}
	return nil
}

// importRows stores rows. All of them must be accepted. A batch that the server is too busy for is sent again.
func importRows(ctx context.Context, conn *grpc.ClientConn, rows []*pb.ImportRow) error {
	for batch := range slices.Chunk(rows, 1000) {
		if err := victim.UntilTaken(ctx, func() error { return importBatch(ctx, conn, batch) }); err != nil {
			return err
		}
	}
	return nil
}

func importBatch(ctx context.Context, conn *grpc.ClientConn, rows []*pb.ImportRow) error {
	stream, err := pb.NewCampaignServiceClient(conn).Import(ctx)
	if err != nil {
		return err
	}
	_ = stream.Send(&pb.ImportRequest{Rows: rows}) // Recv says why not
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	for _, o := range answer.GetOutcomes() {
		if o.GetError() != nil {
			return fmt.Errorf("%s: %v", o.GetName(), o.GetError())
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("an import ended with %w", err)
	}
	return nil
}
