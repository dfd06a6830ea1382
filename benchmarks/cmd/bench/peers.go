package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/benchmarks"
	"github.com/hexbid/hexbid/benchmarks/peers"
	"github.com/hexbid/hexbid/bidder"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// engineAsPeer is bidder.Search for ten slots, with an advertiser to each
// campaign, so that its winners are the ten highest bids.
type engineAsPeer struct {
	*benchmarks.Market
	scratch sync.Pool
}

// Name implements peers.Peer.
func (*engineAsPeer) Name() string { return "Hexbid" }

// Load implements peers.Peer: the market is there.
func (*engineAsPeer) Load([]peers.Circle) error { return nil }

// Close implements peers.Peer.
func (e *engineAsPeer) Close() error { e.Market.Close(); return nil }

// TopTen implements peers.Peer.
func (e *engineAsPeer) TopTen(q *peers.Query, into []int) ([]int, error) {
	w, _ := e.scratch.Get().(*bidder.Scratch)
	if w == nil {
		w = new(bidder.Scratch)
	}
	defer e.scratch.Put(w)
	query := bidder.NewQuery(requestOf(q), "r", time.Now())
	for _, a := range e.Indexer.Snapshot().Search(&query, w) {
		into = append(into, e.CampaignOf(a.Entry.CampaignUID))
	}
	return into, nil
}

func requestOf(q *peers.Query) *hexbid.Request {
	return &hexbid.Request{Point: q.At, Slots: peers.Ten, Host: hexbid.WeChat, Viewer: hexbid.Viewer{Age: q.Age, Gender: hexbid.Gender(bitOf(q.Gender)), OS: hexbid.OS(bitOf(q.System))}}
}

func bitOf(mask int) (bit int) {
	for mask > 1 {
		mask, bit = mask>>1, bit+1
	}
	return bit
}

// serverAsPeer is the same over gRPC.
type serverAsPeer struct{ conn *grpc.ClientConn }

// Name implements peers.Peer.
func (serverAsPeer) Name() string { return "Hexbid over gRPC" }

// Load implements peers.Peer: the server has been filled.
func (serverAsPeer) Load([]peers.Circle) error { return nil }

// Close implements peers.Peer.
func (serverAsPeer) Close() error { return nil }

// TopTen implements peers.Peer.
func (s serverAsPeer) TopTen(q *peers.Query, into []int) ([]int, error) {
	r, err := pb.NewSearchServiceClient(s.conn).SearchNearby(context.Background(), &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: q.At.Lat, Longitude: q.At.Lng}, Host: pb.Host_HOST_WECHAT, NearbyLimit: proto.Int32(0), SponsoredSlots: proto.Int32(peers.Ten),
		Viewer: &pb.Viewer{Age: proto.Int32(int32(q.Age)), Gender: pb.Gender(bitOf(q.Gender)), OperatingSystem: pb.OperatingSystem(bitOf(q.System))}})
	if err != nil {
		return nil, err
	}
	for _, s := range r.GetSponsored() {
		id, err := strconv.Atoi(s.GetCampaign()[strings.LastIndexByte(s.GetCampaign(), 'c')+1:])
		if err != nil {
			return nil, fmt.Errorf("campaign %q: %w", s.GetCampaign(), err)
		}
		into = append(into, id)
	}
	return into, nil
}

// comparison is the market that all peers hold.
type comparison struct {
	workload *benchmarks.Workload
	circles  []peers.Circle
	queries  []peers.Query
}

func newComparison(campaigns int) (*comparison, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	c := &comparison{workload: w.OneEach(), circles: make([]peers.Circle, campaigns), queries: make([]peers.Query, 20_000)}
	for i := range c.circles {
		c.circles[i] = peers.CircleOf(i, c.workload.Campaign(i))
	}
	for i := range c.queries {
		c.queries[i] = peers.QueryOf(c.workload.Request(i, peers.Ten, 0))
	}
	return c, nil
}

const (
	roundLasts  = 2 * time.Second
	warmUpLasts = 15 * time.Second // for caches of what is distinct in the queries
)

// rate is how many queries a second a peer answers to so many callers, for so
// long.
func (c *comparison) rate(p peers.Peer, callers int, lasts time.Duration) (float64, error) {
	perSecond, err := benchmarks.ClosedLoop(callers, func(_ int64, took time.Duration) bool { return took < lasts }, func(i int) error {
		_, err := p.TopTen(&c.queries[i%len(c.queries)], make([]int, 0, peers.Ten))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.Name(), err)
	}
	return perSecond, nil
}

// beside measures peers in turn with ours: A B A C A D, in rounds. A ratio is of
// one round.
func (c *comparison) beside(prefix string, ours peers.Peer, others []peers.Peer, callers int) (spreads, error) {
	for _, p := range append([]peers.Peer{ours}, others...) {
		if err := peers.Check(p, c.circles, c.queries); err != nil {
			return nil, err
		}
		log.Printf("%s gives the circles of a scan", p.Name())
		if _, err := c.rate(p, callers, warmUpLasts); err != nil {
			return nil, err
		}
	}
	return benchmarks.Rounds(5, func() (benchmarks.Figures, error) {
		figures, best := benchmarks.Figures{}, 0.0
		own, err := c.rate(ours, callers, roundLasts)
		if err != nil {
			return nil, err
		}
		for _, p := range others {
			rate, err := c.rate(p, callers, roundLasts)
			if err != nil {
				return nil, err
			}
			figures[prefix+"_"+figureName(p.Name())+"_per_s"], best = rate, max(best, rate)
		}
		figures[prefix+"_hexbid_per_s"], figures[prefix+"_ratio"] = own, own/best
		return figures, nil
	})
}

func figureName(peer string) string {
	return strings.NewReplacer("/", "_", " ", "_").Replace(strings.ToLower(peer))
}

// besidePeers fills the peers that this machine has, and measures in-process ones
// beside the engine, networked ones beside the server and the engine.
func besidePeers(s *session) (spreads, error) {
	c, err := newComparison(million)
	if err != nil {
		return nil, err
	}
	inProcess, err := c.filled(peers.InProcess)
	if err != nil {
		return nil, err
	}
	networked, err := c.filled(peers.Networked)
	if err != nil {
		return nil, err
	}
	defer closeAll(networked)
	m, err := benchmarks.NewMarket(c.workload, million, 0)
	if err != nil {
		return nil, err
	}
	engine := &engineAsPeer{Market: m}
	defer engine.Close()
	all, err := c.beside("peers_in_process", engine, inProcess, 1)
	if err != nil || len(networked) == 0 {
		return all, err
	}
	server, err := s.serve("peers")
	if err != nil {
		return nil, err
	}
	defer server.Close()
	if _, err := benchmarks.Import(server.Conn, c.workload, million, million/10); err != nil {
		return nil, err
	}
	over, err := c.beside("peers_networked", serverAsPeer{server.Conn}, networked, 32)
	maps.Copy(all, over)
	if err != nil {
		return nil, err
	}
	inside, err := c.beside("peers_networked_beside_engine", engine, networked, 2)
	maps.Copy(all, inside)
	return all, err
}

// filled starts the peers that this machine has and loads them.
func (c *comparison) filled(starts []func() (peers.Peer, error)) (filled []peers.Peer, err error) {
	for _, start := range starts {
		p, err := start()
		if errors.Is(err, peers.ErrNotInstalled) {
			log.Printf("a peer is left out: %v", err)
			continue
		}
		if err == nil {
			filled = append(filled, p)
			started := time.Now()
			if err = p.Load(c.circles); err == nil {
				log.Printf("%s loaded %d circles in %s", p.Name(), len(c.circles), time.Since(started).Round(time.Second))
				continue
			}
		}
		closeAll(filled)
		return nil, err
	}
	return filled, nil
}

func closeAll(some []peers.Peer) {
	for _, p := range some {
		if err := p.Close(); err != nil {
			log.Printf("%s: %v", p.Name(), err)
		}
	}
}
