package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Advertisers and callers of the attack. The mark has a balance, a program, a place and a campaign. The rival is
// another advertiser, and its member its admin. The onlooker may read what is the mark's, and change nothing.
const (
	mark, rival                   = "mark", "rival"
	rivalUser, onlooker, overseer = "rival", "onlooker", "overseer"
	weakClient, leaver            = "weak", "leaver"
)

// rivals has callers with weak credentials try to change what is not theirs, on a server of its own that demands
// credentials. Each such call must be refused, and so must each read by those who may not read. Their own they may
// change. What belongs to others must be to the last byte as it was, and bystanders must be served meanwhile.
func rivals(ctx context.Context, r *round) error {
	dir, err := os.MkdirTemp("", "hexbid-hostile-rivals-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := r.options
	o.credentials = true
	s, err := newServer(o, r.tally, dir)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	a := &rivalAttack{round: r, server: s}
	return errors.Join(a.run(ctx), s.Kill())
}

type rivalAttack struct {
	*round
	server *victim.Server
	change string // name of a change that others made

	mu      sync.Mutex // guards what follows
	refused map[string]int
	taken   map[string]int // calls that must be answered, by caller
}

func (a *rivalAttack) run(ctx context.Context) error {
	operator, err := a.server.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer operator.Close()
	beside, err := newBystanders(ctx, a.server, a.tally)
	if err != nil {
		return err
	}
	defer beside.stop()
	if err := a.fill(ctx, operator); err != nil {
		return err
	}
	before, err := othersOf(ctx, operator)
	if err != nil {
		return err
	}
	if err := a.attackAs(ctx); err != nil {
		return err
	}
	after, err := othersOf(ctx, operator)
	if err != nil {
		return err
	}
	compareOthers(before, after, a.tally)
	if err := beside.recovered(ctx); err != nil {
		a.tally.fall("the service did not answer as before: %v", err)
	}
	a.server.JudgeLog()
	return nil
}

// fill makes the advertisers, and callers with credentials.
func (a *rivalAttack) fill(ctx context.Context, operator *grpc.ClientConn) error {
	var rows []*pb.ImportRow
	for _, advertiser := range []string{mark, rival} {
		rows = append(append(rows, programRows(advertiser)...), placeRow(advertiser, 0, 1, -150),
			campaignRow(advertiser, 0, &pb.Area{Circles: []*pb.Circle{{Latitude: 1, Longitude: -150, RadiusM: 500}}}))
	}
	if err := importRows(ctx, operator, rows); err != nil {
		return err
	}
	if _, err := pb.NewLedgerServiceClient(operator).CreateTopUp(ctx, &pb.CreateTopUpRequest{
		Parent: "advertisers/" + mark, RequestId: "first", AmountMicros: 100 * yuan}); err != nil {
		return err
	}
	s := a.server
	err := errors.Join(s.IntroduceClients(ctx, weakClient), s.IntroduceUser(ctx, rivalUser, memberOf(rival, adminLevel)),
		s.IntroduceUser(ctx, onlooker, memberOf(mark, viewerLevel)),
		s.IntroduceUser(ctx, overseer, &pb.User{Role: pb.Role_ROLE_AUDITOR}),
		s.IntroduceUser(ctx, leaver, &pb.User{Role: pb.Role_ROLE_OPERATOR}))
	if err != nil {
		return err
	}
	if _, err := pb.NewAccessServiceClient(operator).DeleteKey(ctx,
		&pb.DeleteKeyRequest{Name: "users/" + leaver + "/keys/k"}); err != nil {
		return err
	}
	changes, err := pb.NewAuditServiceClient(operator).ListChanges(ctx,
		&pb.ListChangesRequest{Resource: "advertisers/" + mark + "/campaigns/c0"})
	if err == nil && len(changes.GetChanges()) == 0 {
		err = errors.New("the mark's campaign has no history")
	}
	if err == nil {
		a.change = changes.GetChanges()[0].GetName()
	}
	return err
}

// weakCaller is a caller without rights to what others have.
type weakCaller struct {
	name, credential string
	known            bool // the server knows who it is
	reads            bool // it may read what is the mark's
	does             func(context.Context, *grpc.ClientConn) error
}

func (a *rivalAttack) weakCallers() []weakCaller {
	s := a.server
	return []weakCaller{
		{"a rival's admin", s.Key("users/" + rivalUser), true, false, editsItsOwn},
		{"the mark's viewer", s.Key("users/" + onlooker), true, true, readsTheMark},
		{"an auditor", s.Key("users/" + overseer), true, true, readsTheMark},
		{"a search client", s.Key("clients/" + weakClient), true, false, searches},
		{"who left", s.Key("users/" + leaver), false, false, nil},
		{"who forges keys", alteredKey(s.Key("")), false, false, nil},
		{"nobody", "", false, false, nil},
	}
}

// attackAs has all weak callers call at once until the attack's share of the time is over, each method at least once.
func (a *rivalAttack) attackAs(ctx context.Context) error {
	stop, cancel := a.until(ctx)
	defer cancel()
	a.refused, a.taken = map[string]int{}, map[string]int{}
	tries := append(changesOfOthers(a.change), readsOfOthers()...)
	var group sync.WaitGroup
	for i, who := range a.weakCallers() {
		conn, err := a.server.DialWith(who.credential, victim.Patient())
		if err != nil {
			return err
		}
		defer conn.Close()
		random := rand.New(rand.NewPCG(a.seed, uint64(5000+i)))
		group.Go(func() {
			for n := 0; ctx.Err() == nil && (n < len(tries) || stop.Err() == nil); n++ {
				a.try(ctx, conn, who, tries[n%len(tries)], random)
			}
		})
	}
	group.Wait()
	for _, who := range a.weakCallers() {
		if a.refused[who.name] == 0 || who.does != nil && a.taken[who.name] == 0 {
			a.tally.fall("%s had %d calls refused and %d answered", who.name, a.refused[who.name], a.taken[who.name])
		}
	}
	return ctx.Err()
}

// try makes one call that must be refused, and now and then one that must be answered.
func (a *rivalAttack) try(ctx context.Context, conn *grpc.ClientConn, who weakCaller, t attempt, random *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	err := t.call(ctx, conn)
	a.tally.called(t.name, err)
	if !t.reads || !who.reads {
		a.judge(who, t, err)
	}
	if who.does == nil || random.IntN(8) > 0 && a.takenOf(who) > 0 {
		return
	}
	if err := who.does(ctx, conn); err != nil {
		a.tally.fall("what %s may do ended with %v", who.name, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken[who.name]++
}

func (a *rivalAttack) takenOf(who weakCaller) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken[who.name]
}

// judge judges how a call ended that must be refused. Whom the server does not know learns nothing else.
func (a *rivalAttack) judge(who weakCaller, t attempt, err error) {
	code := status.Code(err)
	right := code == codes.Unauthenticated
	if who.known {
		right = code == codes.PermissionDenied || code == codes.NotFound
	}
	if !right {
		a.tally.fall("%s: %s ended with %s: %v", who.name, t.name, code, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[who.name]++
}

// editsItsOwn changes the rival's own campaign, and asks for its own lists, which name nothing of others.
func editsItsOwn(ctx context.Context, conn *grpc.ClientConn) error {
	client := pb.NewCampaignServiceClient(conn)
	area := &pb.Area{Circles: []*pb.Circle{{Latitude: 1, Longitude: -150, RadiusM: 500}}}
	if _, err := client.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: campaignOf(rival, 0, area)}); err != nil {
		return err
	}
	list, err := client.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/-"})
	if err == nil && (len(list.GetCampaigns()) != 1 ||
		list.GetCampaigns()[0].GetName() != "advertisers/rival/campaigns/c0") {
		err = fmt.Errorf("its list names %d campaigns, of them %v", len(list.GetCampaigns()), list.GetCampaigns()[:1])
	}
	return err
}

func readsTheMark(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := pb.NewCampaignServiceClient(conn).GetCampaign(ctx,
		&pb.GetCampaignRequest{Name: "advertisers/" + mark + "/campaigns/c0"})
	return err
}

func searches(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx,
		&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 1, Longitude: -150}, Host: attackersHost})
	return err
}
