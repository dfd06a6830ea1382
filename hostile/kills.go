package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// ledger records what was acknowledged: the uid and etag that each write returned, by name.
type ledger struct {
	mu    sync.Mutex // guards the fields below
	named map[string]identity
	given map[identity]string // uids and etags, each with its name
}

// identity is what the service gives to one write and to no other: its uid, its etag, or both.
type identity struct {
	uid  uint64
	etag string
}

func newLedger() *ledger {
	return &ledger{named: map[string]identity{}, given: map[identity]string{}}
}

// acknowledge notes a write. It returns an error when the write got a uid or an etag that another has.
func (l *ledger) acknowledge(a *pb.Advertiser) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.named[a.GetName()] = identity{a.GetUid(), a.GetEtag()}
	for _, once := range []identity{{uid: a.GetUid()}, {etag: a.GetEtag()}} {
		if other, twice := l.given[once]; twice {
			return fmt.Errorf("%+v was given to %s and to %s", once, other, a.GetName())
		}
		l.given[once] = a.GetName()
	}
	return nil
}

// lost returns the names whose acknowledged writes are missing or different.
func (l *ledger) lost(ctx context.Context, conn *grpc.ClientConn) (names []string, err error) {
	there, err := listAll(ctx, conn)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, want := range l.named {
		// An import acknowledges names, without uids and etags.
		if got, found := there[name]; !found || want != (identity{}) && got != want {
			names = append(names, name)
		}
	}
	return names, nil
}

// named is a record as lists show it.
type named interface {
	GetName() string
	GetUid() uint64
	GetEtag() string
}

// listed adds the records of all pages.
func listed[T named](there map[string]identity, page func(token string) ([]T, string, error)) error {
	for record, err := range hexbid.Pages(page) {
		if err != nil {
			return err
		}
		there[record.GetName()] = identity{record.GetUid(), record.GetEtag()}
	}
	return nil
}

func listAll(ctx context.Context, conn *grpc.ClientConn) (map[string]identity, error) {
	there, client := map[string]identity{}, pb.NewCampaignServiceClient(conn)
	return there, listed(there, func(token string) ([]*pb.Advertiser, string, error) {
		page, err := client.ListAdvertisers(ctx, &pb.ListAdvertisersRequest{PageSize: hexbid.MaxPageSize, PageToken: token})
		return page.GetAdvertisers(), page.GetNextPageToken(), err
	})
}

// inventory returns everything that advertisers own.
func (r *round) inventory(ctx context.Context) (map[string]identity, error) {
	conn, err := r.server.Dial(victim.Patient())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	there, client := map[string]identity{}, pb.NewCampaignServiceClient(conn)
	return there, errors.Join(
		listed(there, func(token string) ([]*pb.Program, string, error) {
			page, err := client.ListPrograms(ctx, &pb.ListProgramsRequest{Parent: "advertisers/-", PageSize: hexbid.MaxPageSize,
				PageToken: token})
			return page.GetPrograms(), page.GetNextPageToken(), err
		}),
		listed(there, func(token string) ([]*pb.Place, string, error) {
			page, err := client.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: "advertisers/-/programs/-",
				PageSize: hexbid.MaxPageSize, PageToken: token})
			return page.GetPlaces(), page.GetNextPageToken(), err
		}),
		listed(there, func(token string) ([]*pb.Campaign, string, error) {
			page, err := client.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/-",
				PageSize: hexbid.MaxPageSize, PageToken: token})
			return page.GetCampaigns(), page.GetNextPageToken(), err
		}))
}

const (
	leastKills  = 5
	killWriters = 4
)

// kills ends a process without warning while it takes imports and single writes. It starts the process again and looks
// for everything that was acknowledged. It does so once with all that the earlier attacks have stored. Then it repeats
// it with a folder of its own, with which the process starts quickly.
func kills(ctx context.Context, r *round) error {
	stop, cancel := r.until(ctx)
	defer cancel()
	if err := r.killOnce(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hexbid-hostile-kills-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(r.options, r.tally, dir)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	err = r.killOften(ctx, s, func(n int) bool { return n < leastKills || stop.Err() == nil })
	return errors.Join(err, s.Kill())
}

// killOnce kills the process that the other attacks used, and looks for everything that they stored in it.
func (r *round) killOnce(ctx context.Context) error {
	before, err := r.inventory(ctx)
	if err != nil {
		return err
	}
	if err := r.killOften(ctx, r.server, func(n int) bool { return n < 1 }); err != nil {
		return err
	}
	after, err := r.inventory(ctx)
	if err != nil {
		return err
	}
	for name, was := range before {
		if after[name] != was {
			r.tally.lost.Add(1)
			r.tally.fall("%s was %+v before a kill, and is %+v", name, was, after[name])
		}
	}
	return nil
}

// killOften repeats as long as the function on returns true for the number of kills so far.
func (r *round) killOften(ctx context.Context, s *victim.Server, on func(n int) bool) error {
	known := newLedger()
	for n := 0; on(n); n++ {
		if err := r.writeAndKill(ctx, s, known, n); err != nil {
			return err
		}
		if err := s.Start(ctx); err != nil {
			return fmt.Errorf("after kill %d: %w", n+1, err)
		}
		if err := r.judgeLost(ctx, s, known); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) judgeLost(ctx context.Context, s *victim.Server, known *ledger) error {
	conn, err := s.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	names, err := known.lost(ctx, conn)
	if len(names) > 0 {
		r.tally.lost.Add(int64(len(names)))
		r.tally.fall("%d acknowledged writes are lost, of them %s", len(names), names[0])
	}
	return err
}

// writeAndKill writes from many clients. At a random moment after the first acknowledgement it kills the process, and
// then waits for the clients to notice.
func (r *round) writeAndKill(ctx context.Context, s *victim.Server, known *ledger, n int) error {
	conn, err := s.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	var group sync.WaitGroup
	acknowledged := make(chan struct{}, 1)
	for writer := range killWriters {
		write := r.createOne
		if writer%2 == 1 {
			write = r.importSome
		}
		group.Go(func() {
			for i := 0; write(ctx, conn, known, fmt.Sprintf("kill-%d-%d-%d", n, writer, i)); i++ {
				select {
				case acknowledged <- struct{}{}:
				default:
				}
			}
		})
	}
	<-acknowledged
	time.Sleep(time.Duration(r.random.IntN(400)) * time.Millisecond)
	s.JudgeLog()
	err = s.Kill()
	r.tally.kills.Add(1)
	group.Wait()
	return err
}

// createOne writes one advertiser. It returns false when the process has ended.
func (r *round) createOne(ctx context.Context, conn *grpc.ClientConn, known *ledger, id string) bool {
	a, err := pb.NewCampaignServiceClient(conn).CreateAdvertiser(ctx,
		&pb.CreateAdvertiserRequest{AdvertiserId: id, Advertiser: &pb.Advertiser{DisplayName: id}})
	r.tally.called("a write before a kill", err)
	if err == nil {
		if err := known.acknowledge(a); err != nil {
			r.tally.fall("%v", err)
		}
	}
	return err == nil || status.Code(err) == codes.ResourceExhausted
}

// importSome imports a batch. It returns false when the process has ended.
func (r *round) importSome(ctx context.Context, conn *grpc.ClientConn, known *ledger, id string) bool {
	var rows []*pb.ImportRow
	for i := range 200 {
		advertiser := &pb.Advertiser{Name: fmt.Sprintf("advertisers/%s-%d", id, i), DisplayName: id}
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: advertiser}})
	}
	err := exchangeBatch(ctx, conn, rows, func(o *pb.ImportOutcome) {
		if o.GetAction() == pb.ImportAction_IMPORT_ACTION_CREATED {
			known.mu.Lock()
			known.named[o.GetName()] = identity{}
			known.mu.Unlock()
		}
	})
	r.tally.called("an import before a kill", err)
	return err == nil || status.Code(err) == codes.ResourceExhausted && !errors.Is(ctx.Err(), context.DeadlineExceeded)
}
