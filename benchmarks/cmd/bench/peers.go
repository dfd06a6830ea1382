package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
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

// engineAsPeer is bidder.Search for ten slots. Each campaign has an advertiser of its own, so the winners are the ten
// highest bids.
type engineAsPeer struct {
	*benchmarks.Population
	scratch sync.Pool
}

// Name implements peers.Peer.
func (*engineAsPeer) Name() string { return "Hexbid" }

// Load implements peers.Peer: the market is there.
func (*engineAsPeer) Load([]peers.Circle) error { return nil }

// Close implements peers.Peer.
func (e *engineAsPeer) Close() error { e.Population.Close(); return nil }

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
	return &hexbid.Request{Point: q.At, Slots: peers.Ten, Host: hexbid.WeChat,
		Viewer: hexbid.Viewer{Age: q.Age, Gender: hexbid.Gender(bitOf(q.Gender)), OS: hexbid.OS(bitOf(q.System))}}
}

func bitOf(mask int) (bit int) {
	for mask > 1 {
		mask, bit = mask>>1, bit+1
	}
	return bit
}

// serverAsPeer is the same search over gRPC.
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
		Location: &pb.Location{Latitude: q.At.Lat, Longitude: q.At.Lng}, Host: pb.Host_HOST_WECHAT,
		NearbyLimit: proto.Int32(0), SponsoredSlots: proto.Int32(peers.Ten),
		Viewer: &pb.Viewer{Age: proto.Int32(int32(q.Age)), Gender: pb.Gender(bitOf(q.Gender)),
			OperatingSystem: pb.OperatingSystem(bitOf(q.System))}})
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

// comparison holds the market that all peers hold, and how long each of them is measured.
type comparison struct {
	workload *benchmarks.Workload
	circles  []peers.Circle
	queries  []peers.Query

	warmUpLasts time.Duration // for caches of what is distinct in the queries
	roundLasts  time.Duration
}

func newComparison(campaigns int) (*comparison, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	c := &comparison{workload: w.OneEach(), circles: make([]peers.Circle, campaigns), queries: make([]peers.Query, 20_000),
		warmUpLasts: 15 * time.Second, roundLasts: 2 * time.Second}
	for i := range c.circles {
		c.circles[i] = peers.CircleOf(i, c.workload.Campaign(i))
	}
	for i := range c.queries {
		c.queries[i] = peers.QueryOf(c.workload.Request(i, peers.Ten, 0))
	}
	return c, nil
}

// rate returns how many queries a second a peer answers to the given number of callers within a duration of lasts.
func (c *comparison) rate(p peers.Peer, callers int, lasts time.Duration) (float64, error) {
	perSecond, err := benchmarks.ClosedLoop(callers, func(_ int64, took time.Duration) bool { return took < lasts },
		func(i int) error {
			_, err := p.TopTen(&c.queries[i%len(c.queries)], make([]int, 0, peers.Ten))
			return err
		})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.Name(), err)
	}
	return perSecond, nil
}

// beside measures peers in turn with ours: A B A C A D, in rounds. Each ratio is of one round. It leaves out a peer
// that fails. It tells of that peer in the error, which it returns together with the figures of the others. Without
// ours there are no figures.
func (c *comparison) beside(prefix string, ours peers.Peer, others []peers.Peer, callers int) (spreads, error) {
	if err := c.ready(ours, callers); err != nil {
		return nil, err
	}
	sound, failed := c.sound(others, callers)
	for len(sound) > 0 {
		lost := -1
		all, err := benchmarks.Rounds(5, func() (figures benchmarks.Figures, err error) {
			figures, lost, err = c.round(prefix, ours, sound, callers)
			return figures, err
		})
		failed = errors.Join(failed, err)
		if lost < 0 {
			return all, failed
		}
		log.Printf("the rounds begin again without a peer: %v", err)
		sound = slices.Delete(sound, lost, lost+1)
	}
	return nil, failed
}

// ready checks a peer against a scan and warms it up.
func (c *comparison) ready(p peers.Peer, callers int) error {
	if err := peers.Check(p, c.circles, c.queries); err != nil {
		return err
	}
	log.Printf("%s gives the circles of a scan", p.Name())
	_, err := c.rate(p, callers, c.warmUpLasts)
	return err
}

// sound returns the peers that are ready. The error tells of the others.
func (c *comparison) sound(all []peers.Peer, callers int) (sound []peers.Peer, failed error) {
	for _, p := range all {
		if err := c.ready(p, callers); err != nil {
			log.Printf("a peer is left out: %v", err)
			failed = errors.Join(failed, err)
			continue
		}
		sound = append(sound, p)
	}
	return sound, failed
}

// round measures ours and every other peer once. With an error it returns which of the others failed, -1 for ours.
func (c *comparison) round(prefix string, ours peers.Peer, others []peers.Peer,
	callers int) (f benchmarks.Figures, failed int, err error) {
	own, err := c.rate(ours, callers, c.roundLasts)
	if err != nil {
		return nil, -1, err
	}
	figures, best := benchmarks.Figures{prefix + "_hexbid_per_s": own}, 0.0
	for i, p := range others {
		rate, err := c.rate(p, callers, c.roundLasts)
		if err != nil {
			return nil, i, err
		}
		figures[prefix+"_"+figureName(p.Name())+"_per_s"], best = rate, max(best, rate)
	}
	figures[prefix+"_ratio"] = own / best
	return figures, -1, nil
}

func figureName(peer string) string {
	return strings.NewReplacer("/", "_", " ", "_").Replace(strings.ToLower(peer))
}

// besidePeers fills the peers that this machine has. It measures in-process peers beside the engine, and networked ones
// beside the server and the engine. A peer that fails loses only its own figures, and the error tells of it.
func besidePeers(s *session) (spreads, error) {
	c, err := newComparison(million)
	if err != nil {
		return nil, err
	}
	inProcess, failed := c.filled(peers.InProcess)
	networked, err := c.filled(peers.Networked)
	defer closeAll(networked)
	failed = errors.Join(failed, err)
	m, err := benchmarks.NewPopulation(c.workload, million, 0)
	if err != nil {
		return nil, err
	}
	engine := &engineAsPeer{Population: m}
	defer engine.Close()
	all, err := c.beside("peers_in_process", engine, inProcess, 1)
	failed = errors.Join(failed, err)
	if len(networked) == 0 {
		return all, failed
	}
	some, err := c.besideServers(s, engine, networked)
	if all == nil {
		all = spreads{}
	}
	maps.Copy(all, some)
	return all, errors.Join(failed, err)
}

// besideServers measures networked peers beside a server of ours, and beside the engine in this process.
func (c *comparison) besideServers(s *session, engine peers.Peer, networked []peers.Peer) (spreads, error) {
	server, err := s.serve("peers")
	if err != nil {
		return nil, err
	}
	defer server.Close()
	if _, err := benchmarks.Import(server.Conn, c.workload, million, million/10); err != nil {
		return nil, err
	}
	all := spreads{}
	over, failed := c.beside("peers_networked", serverAsPeer{server.Conn}, networked, 32)
	maps.Copy(all, over)
	inside, err := c.beside("peers_networked_beside_engine", engine, networked, 2)
	maps.Copy(all, inside)
	return all, errors.Join(failed, err)
}

// filled starts the peers that this machine has and loads them. The error tells of those that failed.
func (c *comparison) filled(starts []func() (peers.Peer, error)) (filled []peers.Peer, failed error) {
	for _, start := range starts {
		p, err := start()
		if errors.Is(err, peers.ErrNotInstalled) {
			log.Printf("a peer is left out: %v", err)
			continue
		}
		if err == nil {
			started := time.Now()
			if err = p.Load(c.circles); err == nil {
				log.Printf("%s loaded %d circles in %s", p.Name(), len(c.circles), time.Since(started).Round(time.Second))
				filled = append(filled, p)
				continue
			}
			err = fmt.Errorf("%s: loading: %w", p.Name(), err)
			closeAll([]peers.Peer{p})
		}
		log.Printf("a peer is left out: %v", err)
		failed = errors.Join(failed, err)
	}
	return filled, failed
}

func closeAll(some []peers.Peer) {
	for _, p := range some {
		if err := p.Close(); err != nil {
			log.Printf("%s: %v", p.Name(), err)
		}
	}
}
