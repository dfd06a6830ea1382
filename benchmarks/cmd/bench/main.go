// Command bench measures Hexbid, and writes results/quick.json and RESULTS.md
// beside the module's go.mod.
package main

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/hexbid/hexbid/benchmarks"
)

func main() {
	log.SetFlags(log.Ltime)
	figures, err := quick()
	if err == nil {
		err = benchmarks.Write(".", figures)
	}
	if err != nil {
		log.Fatal(err)
	}
	log.Print("wrote results/quick.json and RESULTS.md")
}

const million = 1_000_000

type spreads = map[string]benchmarks.Spread

func quick() (spreads, error) {
	all := spreads{}
	for _, part := range []struct {
		name    string
		measure func() (spreads, error)
	}{{"engine", engine}, {"live", live}, {"dense", dense}, {"nearby", nearby}, {"server", server}} {
		started := time.Now()
		some, err := part.measure()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		maps.Copy(all, some)
		log.Printf("%s took %s", part.name, time.Since(started).Round(time.Second))
	}
	return all, nil
}

func engine() (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	m, err := benchmarks.NewMarket(w, million, 0)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.Auctions("engine", "1m")
}

func live() (spreads, error) {
	w, err := benchmarks.NewWorkload(1, true)
	if err != nil {
		return nil, err
	}
	m, err := benchmarks.NewMarket(w, million, 0)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := m.Adjust(); err != nil {
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
}

func dense() (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	return benchmarks.Dense(w)
}

func nearby() (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	m, err := benchmarks.NewMarket(w, 0, million)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	all, err := m.Nearby("nearby", false)
	if err != nil {
		return nil, err
	}
	rare, err := m.Nearby("nearby_rare", true)
	maps.Copy(all, rare)
	return all, err
}

// server imports a million campaigns over gRPC into a data folder, starts again
// on it, and searches.
func server() (spreads, error) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hexbid-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	data, config := filepath.Join(dir, "catalogue"), benchmarks.DefaultServing()
	all, err := benchmarks.Import(data, config, w, million, million/10)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	s, err := benchmarks.Serve(data, config)
	if err != nil {
		return nil, err
	}
	all["start_s_1m"] = benchmarks.Once(time.Since(started).Seconds())
	for name, limit := range map[string]int32{"ads": 0, "full": 20} {
		some, err := benchmarks.BesideCanned(s.Conn, w, name, 3, limit)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, some)
	}
	all["grpc_rps"], all["grpc_canned_rps"] = all["grpc_rps_full"], all["grpc_canned_rps_full"]
	return all, s.Close()
}
