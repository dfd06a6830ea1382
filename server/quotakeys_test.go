package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// keyOf makes a search client and returns a key of it.
func (s *served) keyOf(t *testing.T, client string) string {
	t.Helper()
	e := s.exchange.Load()
	if _, err := e.Create(ctx, &hexbid.Client{Meta: hexbid.Meta{Name: client}}, false); err != nil {
		t.Fatal(err)
	}
	_, text, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: client + "/keys/k"}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAClientsOwnQuotaHoldsFromItsNextCallOn(t *testing.T) {
	s, operator, app := serveKeys(t, nil)
	conn := s.dial(t)
	mine, other := bearing(t.Context(), "Bearer "+app), bearing(t.Context(), "Bearer "+s.keyOf(t, "clients/other"))
	stream, err := pb.NewEventServiceClient(conn).StreamEvents(mine)
	if err != nil {
		t.Fatal(err)
	}
	if me, err := whoAmI(mine, conn); err != nil || me.GetQuota() != nil {
		t.Fatalf("without a quota: %v, %v", me, err)
	}
	set := func(key string, quota *pb.CallQuota) error {
		_, err := pb.NewAccessServiceClient(conn).UpdateClient(bearing(t.Context(), "Bearer "+key),
			&pb.UpdateClientRequest{Client: &pb.Client{Name: "clients/app", Quota: quota},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"quota"}}})
		return err
	}
	if err := set(app, &pb.CallQuota{InFlight: 100}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a client sets its own quota: %v", err)
	}
	if err := set(operator, &pb.CallQuota{InFlight: 2, CallsPerSecond: 1_000_000}); err != nil {
		t.Fatal(err)
	}
	// The stream was opened before there was a quota, so it does not count.
	counted, err := pb.NewEventServiceClient(conn).StreamEvents(mine)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the stream is open", func() bool {
		s.quotas.mu.Lock()
		defer s.quotas.mu.Unlock()
		a := s.quotas.accounts.of["clients/app"]
		return a != nil && a.inFlight == 1
	})
	me, err := whoAmI(mine, conn)
	if err != nil || me.GetQuota().GetInFlight() != 2 || me.GetUsed().GetInFlight() != 2 {
		t.Errorf("%v, %v", me, err)
	}
	if err := set(operator, &pb.CallQuota{InFlight: 1}); err != nil {
		t.Fatal(err)
	}
	_, err = pb.NewSearchServiceClient(conn).SearchNearby(mine, anywhere)
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "1 calls are open") ||
		len(status.Convert(err).Details()) == 0 {
		t.Errorf("a call beyond the quota: %v", err)
	}
	if _, err := pb.NewSearchServiceClient(conn).SearchNearby(other, anywhere); err != nil {
		t.Errorf("another client: %v", err)
	}
	for _, open := range []pb.EventService_StreamEventsClient{stream, counted} {
		_ = open.CloseSend()
		_, _ = open.Recv()
	}
	waitUntil(t, "no call counts", func() bool {
		s.quotas.mu.Lock()
		defer s.quotas.mu.Unlock()
		return s.quotas.accounts.of["clients/app"].inFlight == 0
	})
}

func TestAnAdvertiserShowsWhatItHas(t *testing.T) {
	s, operator, _ := serveKeys(t, nil)
	conn, mine := s.dial(t), bearing(t.Context(), "Bearer "+operator)
	campaigns := pb.NewCampaignServiceClient(conn)
	made, err := campaigns.CreateAdvertiser(mine, &pb.CreateAdvertiserRequest{AdvertiserId: "quoted",
		Advertiser: &pb.Advertiser{DisplayName: "A", Quota: &pb.Holdings{Campaigns: 7}}})
	if err != nil || made.GetQuota().GetCampaigns() != 7 {
		t.Fatal(made, err)
	}
	if _, err := campaigns.CreateProgram(mine, &pb.CreateProgramRequest{Parent: made.GetName(), ProgramId: "p",
		Program: &pb.Program{DisplayName: "P", Category: pb.Category_CATEGORY_CATERING,
			Hosts: []pb.Host{pb.Host_HOST_WECHAT}, Keywords: []string{"tea", "milk"}}}); err != nil {
		t.Fatal(err)
	}
	a, err := campaigns.GetAdvertiser(mine, &pb.GetAdvertiserRequest{Name: made.GetName()})
	if err != nil || a.GetHoldings().GetKeywords() != 2 || a.GetHoldings().GetBytes() == 0 ||
		a.GetLimits().GetCampaigns() != 7 || a.GetLimits().GetPlaces() == 0 {
		t.Errorf("%v, %v", a, err)
	}
}

// TestClientsShareABusyServerByTheirKeys fills the server with the calls of one client, which has two connections.
func TestClientsShareABusyServerByTheirKeys(t *testing.T) {
	s, _, app := serveKeys(t, func(c *Config) { c.Limits.Wait = time.Hour }) // the limit does not move
	greedy, modest := bearing(t.Context(), "Bearer "+app), bearing(t.Context(), "Bearer "+s.keyOf(t, "clients/modest"))
	first, second, other := s.dial(t), s.dial(t), s.dial(t)
	search := func(n int) error {
		conn, who := first, greedy
		switch n {
		case 1:
			conn = second
		case 2:
			conn, who = other, modest
		}
		_, err := pb.NewSearchServiceClient(conn).SearchNearby(who, anywhere)
		return err
	}
	for n := range 3 { // each connection's caller is known from now on
		if err := search(n); err != nil {
			t.Fatal(err)
		}
	}
	party := s.parties.party("clients/app")
	for range s.pressure.most {
		s.pressure.enter(party)
	}
	for n, want := range []codes.Code{codes.ResourceExhausted, codes.ResourceExhausted, codes.OK} {
		if err := search(n); status.Code(err) != want {
			t.Errorf("connection %d: %v, want %s", n, err, want)
		}
	}
}

// TestWritersOverTheWireDoNotPassAnAdvertisersQuota fills a quota by single writes and by uploads at once.
func TestWritersOverTheWireDoNotPassAnAdvertisersQuota(t *testing.T) {
	s, operator, _ := serveKeys(t, nil)
	mine := bearing(t.Context(), "Bearer "+operator)
	const most, writers = 5, 12
	first := pb.NewCampaignServiceClient(s.dial(t))
	a, err := first.CreateAdvertiser(mine, &pb.CreateAdvertiserRequest{AdvertiserId: "quoted",
		Advertiser: &pb.Advertiser{DisplayName: "A", Quota: &pb.Holdings{Keywords: most}}})
	if err != nil {
		t.Fatal(err)
	}
	program := func(i int) *pb.Program {
		return &pb.Program{Name: fmt.Sprintf("%s/programs/p%d", a.GetName(), i), DisplayName: "P",
			Category: pb.Category_CATEGORY_CATERING, Hosts: []pb.Host{pb.Host_HOST_WECHAT}, Keywords: []string{"tea"}}
	}
	create := func(c pb.CampaignServiceClient, i int) error {
		_, err := c.CreateProgram(mine, &pb.CreateProgramRequest{Parent: a.GetName(), ProgramId: fmt.Sprint("p", i),
			Program: program(i)})
		return err
	}
	upload := func(c pb.CampaignServiceClient, i int) error { return uploadProgram(mine, c, program(i)) }
	var stored, refused atomic.Int32
	var all sync.WaitGroup
	for i := range writers {
		conn := pb.NewCampaignServiceClient(s.dial(t))
		all.Go(func() {
			write := create
			if i%2 == 0 {
				write = upload
			}
			switch err := write(conn, i); status.Code(err) {
			case codes.OK:
				stored.Add(1)
			case codes.ResourceExhausted:
				refused.Add(1)
				if !strings.Contains(err.Error(), "at most 5") {
					t.Errorf("%v", err)
				}
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := first.GetAdvertiser(mine, &pb.GetAdvertiserRequest{Name: a.GetName()})
	if err != nil || stored.Load() != most || refused.Load() != writers-most || got.GetHoldings().GetKeywords() != most {
		t.Errorf("%d are stored and %d refused: %v, %v", stored.Load(), refused.Load(), got.GetHoldings(), err)
	}
}

// uploadProgram uploads one program, and returns what is wrong with its row.
func uploadProgram(ctx context.Context, c pb.CampaignServiceClient, p *pb.Program) error {
	stream, err := c.Import(ctx)
	if err != nil {
		return err
	}
	rows := []*pb.ImportRow{{Resource: &pb.ImportRow_Program{Program: p}}}
	if err := stream.Send(&pb.ImportRequest{Rows: rows}); err != nil {
		return err
	}
	r, err := stream.Recv()
	if err != nil {
		return err
	}
	_ = stream.CloseSend()
	if refusal := r.GetOutcomes()[0].GetError(); refusal != nil {
		var code codes.Code
		_ = code.UnmarshalJSON([]byte(`"` + refusal.GetCode() + `"`))
		return status.Error(code, refusal.GetMessage())
	}
	return nil
}
