// Command bench measures Hexbid from the directory of this module. It writes the raw figures under results, and
// RESULTS.md and its picture from them.
package main

import (
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/hexbid/hexbid/benchmarks"
)

type command struct {
	All  bool     `help:"Measure all parts, some fifty minutes, rather than the quick ones, some twelve."`
	Only []string `help:"Measure these parts alone and keep the other figures: ${parts}." placeholder:"PART"`
}

type spreads = map[string]benchmarks.Spread

// session holds what the parts share: a folder of their own and the program to measure.
type session struct {
	dir    string
	binary string
}

type part struct {
	name    string
	quick   bool
	measure func(*session) (spreads, error)
}

var parts = []part{
	{"engine", true, engine}, {"live", true, live}, {"distance", true, distance},
	{"dense", true, dense}, {"nearby", true, nearby},
	{"handins", true, handIns}, {"programs", true, programs}, {"rules", true, rules},
	{"server", true, server}, {"doors", true, doors}, {"writers", true, writers}, {"events", true, events},
	{"budgets", true, budgets},
	{"sizes", false, sizes}, {"country", false, country}, {"nearby7m", false, nearbyMany}, {"cache", false, cache},
	{"peers", false, besidePeers},
}

func main() {
	log.SetFlags(log.Ltime)
	if len(os.Args) == 4 && os.Args[1] == benchmarks.CannedCommand {
		if err := benchmarks.ServeCanned(os.Args[2], os.Args[3]); err != nil {
			log.Fatal(err)
		}
		return
	}
	names := ""
	for _, p := range parts {
		names += " " + p.name
	}
	var c command
	kong.Parse(&c, kong.Description("Measure Hexbid."), kong.Vars{"parts": names[1:]})
	if err := c.run(); err != nil {
		log.Fatal(err)
	}
	log.Print("wrote results, RESULTS.md and latency.svg")
}

// run measures and writes part by part. A part that fails keeps the figures that it already has, and leaves those of
// other parts alone. The error tells of it.
func (c *command) run() error {
	dir, err := os.MkdirTemp("", "hexbid-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := c.forget(); err != nil {
		return err
	}
	s := &session{dir: dir}
	if s.binary, err = benchmarks.Build(dir); err != nil {
		return err
	}
	var failed error
	for _, p := range parts {
		if len(c.Only) > 0 && !slices.Contains(c.Only, p.name) || len(c.Only) == 0 && !p.quick && !c.All {
			continue
		}
		if err := s.measure(&p); err != nil {
			log.Printf("%s: %v", p.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(failed, benchmarks.WriteReport())
}

// measure measures a part and keeps its figures.
func (s *session) measure(p *part) error {
	started := time.Now()
	figures, failed := p.measure(s)
	log.Printf("%s took %s", p.name, time.Since(started).Round(time.Second))
	if len(figures) == 0 {
		return failed
	}
	name, command := "full", "make bench"
	if p.quick {
		name, command = "quick", "make bench-quick"
	}
	return errors.Join(failed, benchmarks.Keep(name, command, figures))
}

// forget removes the raw files of parts that are measured anew as a whole.
func (c *command) forget() error {
	if len(c.Only) > 0 {
		return nil
	}
	err := benchmarks.Forget("quick")
	if c.All {
		err = errors.Join(err, benchmarks.Forget("full"))
	}
	return err
}

const million = 1_000_000

// serve starts the product on a folder of the session.
func (s *session) serve(data string) (*benchmarks.Process, error) {
	return benchmarks.StartHexbid(s.binary,
		benchmarks.Serving{Data: filepath.Join(s.dir, data), MemoryMB: benchmarks.MemoryMB})
}

// with makes a market, measures it and lets it go.
func with(live bool, campaigns, owners int, measure func(*benchmarks.Population) (spreads, error)) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, live)
	if err != nil {
		return nil, err
	}
	return withWorkload(w, campaigns, owners, measure)
}

func withWorkload(w *benchmarks.Workload, campaigns, owners int,
	measure func(*benchmarks.Population) (spreads, error)) (spreads, error) {
	m, err := benchmarks.NewPopulation(w, campaigns, owners)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return measure(m)
}

func engine(*session) (spreads, error) {
	return with(false, million, 0, func(m *benchmarks.Population) (spreads, error) {
		all, err := m.Auctions("engine", "1m")
		if err == nil {
			all["engine_search_bytes_per_campaign_1m"] = benchmarks.Once(float64(m.SearchBytes()) / million)
		}
		return all, err
	})
}

func live(*session) (spreads, error) {
	return with(true, million, 0, func(m *benchmarks.Population) (spreads, error) {
		if err := m.HandIn(); err != nil {
			return nil, err
		}
		time.Sleep(10 * time.Second) // until those without budget have left the lists
		all, err := m.Auctions("live", "1m")
		if err != nil {
			return nil, err
		}
		some, err := m.Changes()
		maps.Copy(all, some)
		return all, err
	})
}

// handIns measures live states that change in a live market.
func handIns(*session) (spreads, error) {
	return with(true, million, 0, func(m *benchmarks.Population) (spreads, error) {
		if err := m.HandIn(); err != nil {
			return nil, err
		}
		time.Sleep(10 * time.Second) // as in live
		return m.HandIns()
	})
}

// distance measures a market of shops with and without the distance to their places.
func distance(*session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	return benchmarks.Distances(w, million/5)
}

func dense(*session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	return benchmarks.Dense(w)
}

func nearby(*session) (spreads, error) { return nearbyOf(million, "1m", benchmarks.NearbyPlaces[:2]) }

// rules measures changes of the market's rules beside a million campaigns.
func rules(*session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, true)
	if err != nil {
		return nil, err
	}
	return withWorkload(w.DefaultPriors(), million, 0,
		func(m *benchmarks.Population) (spreads, error) { return m.Rules("1m") })
}

// programs measures changes of programs beside a million of them, which all share words, and beside a million
// campaigns, five a program.
func programs(*session) (spreads, error) {
	all := spreads{}
	for beside, size := range map[string]struct{ campaigns, owners int }{"programs": {0, million},
		"campaigns": {million, 0}} {
		some, err := with(false, size.campaigns, size.owners,
			func(m *benchmarks.Population) (spreads, error) { return m.ProgramChanges(beside) })
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
	}
	return all, nil
}

func nearbyMany(*session) (spreads, error) {
	return nearbyOf(7*million, "7m", benchmarks.NearbyPlaces)
}

func nearbyOf(places int, suffix string, where []benchmarks.Places) (spreads, error) {
	return with(false, 0, places, func(m *benchmarks.Population) (spreads, error) {
		all := spreads{}
		for _, w := range where {
			some, err := m.Nearby(w, suffix)
			if err != nil {
				return nil, err
			}
			maps.Copy(all, some)
		}
		return all, nil
	})
}

// sizes measures the engine with fewer and with more than a million campaigns.
func sizes(*session) (spreads, error) {
	all := spreads{}
	for suffix, campaigns := range map[string]int{"10k": 10_000, "100k": 100_000, "7m": 7 * million} {
		some, err := with(false, campaigns, 0, func(m *benchmarks.Population) (spreads,
			error) {
			return m.Auctions("engine", suffix)
		})
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
		log.Printf("%d campaigns measured", campaigns)
	}
	return all, nil
}

// country measures campaigns that cover the whole country.
func country(*session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	return withWorkload(w.Everywhere(), million/5, 0,
		func(m *benchmarks.Population) (spreads, error) {
			return m.Auctions("country", "200k")
		})
}

// server imports a million campaigns over gRPC into a data folder, starts again on it, brings the places to a million,
// and searches.
// server measures the program on a market of shops that advertise around their places, among four times as many that do
// not advertise.
func server(s *session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	w = w.Local()
	p, err := s.serve("server")
	if err != nil {
		return nil, err
	}
	defer p.Close()
	all, err := benchmarks.Import(p.Conn, w, million, million/10)
	if err != nil {
		return nil, err
	}
	if err := p.Close(); err != nil {
		return nil, err
	}
	if p, err = s.serve("server"); err != nil {
		return nil, err
	}
	defer p.Close()
	all["start_s_1m"] = benchmarks.Once(p.Took.Seconds())
	cold, err := besideCanned(p, w, "cold", 0, 0)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, cold)
	if err := benchmarks.ImportOwners(p.Conn, w, million/benchmarks.CampaignsAnOwner, million); err != nil {
		return nil, err
	}
	for _, answer := range []struct {
		name  string
		limit int32
	}{{"ads", 0}, {"full", 20}} {
		some, err := besideCanned(p, w, answer.name, answer.limit, benchmarks.WarmUps)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
	}
	all["grpc_rps"], all["grpc_canned_rps"] = all["grpc_rps_full"], all["grpc_canned_rps_full"]
	return all, p.Close()
}

// doors measures searches with keys beside those without, and JSON over HTTP beside gRPC.
func doors(s *session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	d, err := benchmarks.OpenDoors(s.binary, filepath.Join(s.dir, "doors"), w.Local(), million/10)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if err := d.WarmUp(benchmarks.WarmUps); err != nil {
		return nil, err
	}
	all, err := d.Rates()
	return all, errors.Join(err, d.Close())
}

// writers measures many writers at once at the store's contract, on disks of their own.
func writers(s *session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	return benchmarks.Writers(s.dir, w)
}

// events measures durable events of the ledger, on disks of their own.
func events(s *session) (spreads, error) { return benchmarks.Events(s.dir, tell) }

// tell logs what a part has done.
func tell(step string) { log.Print(step) }

// budgets measures how fast budgets come into force in the auction, with ledgers on disks of their own.
func budgets(s *session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	return benchmarks.Budgets(w, s.dir, benchmarks.QuickBudgets, tell)
}

// besideCanned measures capacity, after the given number of passes over the requests. For the default answer it also
// measures latency at 70 % of that capacity.
func besideCanned(p *benchmarks.Process, w *benchmarks.Workload, name string, limit int32, warmUps int) (spreads,
	error) {
	b, err := benchmarks.NewBeside(p.Conn, w, 3, limit, warmUps)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	all, err := b.Capacity(name)
	if err == nil && name == "full" {
		var some spreads
		some, err = atSeventy(b, all["grpc_rps_full"].Median)
		maps.Copy(all, some)
	}
	if err != nil {
		return nil, err
	}
	return all, b.Close()
}

// atSeventy measures latency at 70 % of what an open loop sustains. Argument closed is the rate that a closed loop
// reached.
func atSeventy(b *benchmarks.Beside, closed float64) (spreads, error) {
	all, err := b.OpenCapacity(closed)
	if err != nil {
		return nil, err
	}
	some, err := b.AtRate(0.7 * all["open_capacity_rps_full"].Median)
	maps.Copy(all, some)
	return all, err
}

// cache serves seven million programs from a cache of 512 MiB. Their index takes some six gigabytes, so that the
// collector needs twice of it.
func cache(s *session) (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	if err := benchmarks.FillPrograms(filepath.Join(s.dir, "cache"), w, 7*million); err != nil {
		return nil, err
	}
	log.Print("seven million programs are on disk")
	p, err := benchmarks.StartHexbid(s.binary,
		benchmarks.Serving{Data: filepath.Join(s.dir, "cache"), MemoryMB: 2 * benchmarks.MemoryMB})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	log.Print("and served")
	figures, err := benchmarks.Skewed(p, w, million, 40_000, 500)
	if err != nil {
		return nil, err
	}
	figures["cache_start_s_7m"] = p.Took.Seconds()
	all := spreads{}
	for name, value := range figures {
		all[name] = benchmarks.Once(value)
	}
	return all, p.Close()
}
