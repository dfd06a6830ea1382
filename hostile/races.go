package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

const (
	leastRaces  = 2
	racers      = 16
	raceEntries = "1000" // most index entries of an advertiser in a race, so that limits count too
)

// raceAdvertisers and racePrograms are few, so that most writes meet others of the same names.
var raceAdvertisers, racePrograms = []string{"race-0", "race-1"}, []string{"p", "q", "r"}

// races lets writers create, edit, import and review what others delete at the same time, and then kills the process.
// After the next start nothing may refer to what is gone, everything can be deleted from the leaves upwards, and what
// is left of an advertiser counts against no limit.
func races(ctx context.Context, r *round) error {
	stop, cancel := r.until(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "hexbid-hostile-races-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(r.options, r.tally, dir)
	if err != nil {
		return err
	}
	s.Args = []string{"--manual-review", "--advertiser-entries", raceEntries}
	if err := s.Start(ctx); err != nil {
		return err
	}
	for n := 0; err == nil && (n < leastRaces || stop.Err() == nil); n++ {
		err = r.race(ctx, s)
	}
	return errors.Join(err, s.Kill())
}

func (r *round) race(ctx context.Context, s *victim.Server) error {
	if err := r.raceAndKill(ctx, s); err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return fmt.Errorf("after a race: %w", err)
	}
	conn, err := s.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	err = r.auditReferences(ctx, conn)
	s.JudgeLog()
	return err
}

// raceAndKill writes from many clients until the process is killed.
func (r *round) raceAndKill(ctx context.Context, s *victim.Server) error {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	var group sync.WaitGroup
	for range racers {
		conn, err := s.Dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		one := racer{pb.NewCampaignServiceClient(conn), conn, rand.New(rand.NewPCG(r.random.Uint64(), 0))}
		group.Go(func() {
			for {
				err := one.write(ctx)
				r.tally.called("a write in a race", err)
				if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
					return
				}
			}
		})
	}
	time.Sleep(time.Second + time.Duration(r.random.IntN(1000))*time.Millisecond)
	err := s.Kill()
	r.tally.kills.Add(1)
	group.Wait()
	return err
}

// racer is a client that writes at random.
type racer struct {
	client pb.CampaignServiceClient
	conn   *grpc.ClientConn
	random *rand.Rand
}

func (c *racer) advertiser() string { return "advertisers/" + raceAdvertisers[c.random.IntN(2)] }
func (c *racer) program() string {
	return c.advertiser() + "/programs/" + racePrograms[c.random.IntN(len(racePrograms))]
}
func (c *racer) place() string { return fmt.Sprintf("%s/places/l%d", c.program(), c.random.IntN(3)) }
func (c *racer) campaign() string {
	return fmt.Sprintf("%s/campaigns/c%d", c.advertiser(), c.random.IntN(6))
}

// write makes one write, which may be refused.
func (c *racer) write(ctx context.Context) (err error) {
	switch c.random.IntN(12) {
	case 0, 1, 2:
		rows := make([]*pb.ImportRow, 8)
		for i := range rows {
			rows[i] = c.row()
		}
		return exchangeBatch(ctx, c.conn, rows, func(*pb.ImportOutcome) {})
	case 3:
		_, err = c.client.DeleteAdvertiser(ctx, &pb.DeleteAdvertiserRequest{Name: c.advertiser()})
	case 4, 5:
		_, err = c.client.DeleteProgram(ctx, &pb.DeleteProgramRequest{Name: c.program()})
	case 6, 7:
		_, err = c.client.DeletePlace(ctx, &pb.DeletePlaceRequest{Name: c.place()})
	case 8, 9:
		_, err = c.client.DeleteCampaign(ctx, &pb.DeleteCampaignRequest{Name: c.campaign()})
	case 10:
		verdicts := []pb.ReviewState{pb.ReviewState_REVIEW_STATE_APPROVED, pb.ReviewState_REVIEW_STATE_HIDDEN}
		_, err = c.client.ReviewPlace(ctx, &pb.ReviewPlaceRequest{Name: c.place(), ReviewState: verdicts[c.random.IntN(2)]})
	default:
		_, err = c.client.UpdateCampaign(ctx, &pb.UpdateCampaignRequest{Campaign: c.aCampaign(), AllowMissing: true})
	}
	return err
}

// row is a resource that others may write or delete at the same time.
func (c *racer) row() *pb.ImportRow {
	switch c.random.IntN(4) {
	case 0:
		return &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: c.advertiser(),
			DisplayName: "a"}}}
	case 1:
		return &pb.ImportRow{Resource: &pb.ImportRow_Program{Program: raceProgram(c.program())}}
	case 2:
		return &pb.ImportRow{Resource: &pb.ImportRow_Place{Place: &pb.Place{Name: c.place(),
			Latitude: -60 + c.random.Float64(), Longitude: -150}}}
	default:
		return &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: c.aCampaign()}}
	}
}

// aCampaign buys for a program of its advertiser: around its places, in cells, or both.
func (c *racer) aCampaign() *pb.Campaign {
	name := c.campaign()
	advertiser, _, _ := strings.Cut(name, "/campaigns/")
	area := &pb.Area{}
	if kind := c.random.IntN(3); kind != 0 {
		area.AroundPlacesM = 100 + 900*c.random.Float64()
		if kind == 1 {
			area.Regions = []string{"330100"}
		}
	} else {
		area.Regions = []string{"330100", "110000"}
	}
	return raceCampaign(name, advertiser+"/programs/"+racePrograms[c.random.IntN(len(racePrograms))], area)
}

func raceProgram(name string) *pb.Program {
	return &pb.Program{Name: name, DisplayName: "p", Category: attackersCategory, Hosts: []pb.Host{attackersHost}}
}

func raceCampaign(name, program string, area *pb.Area) *pb.Campaign {
	return &pb.Campaign{Name: name, DisplayName: "c", Program: program, PricingModel: pb.PricingModel_PRICING_MODEL_CPC,
		BidMicros: yuan, DailyBudgetMicros: 1000 * yuan,
		Pacing: pb.Pacing_PACING_ASAP, Area: area}
}
