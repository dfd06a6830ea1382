package benchmarks

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/token"
)

// programsAnOwner is the number of programs of one advertiser. It keeps the number of advertisers to that of a large
// market.
const programsAnOwner = 100

// FillPrograms writes programs, each with one place and texts of common length, straight into a data folder. It also
// writes the key file: a server takes a folder that has records and no keys for one that has lost them.
func FillPrograms(data string, w *Workload, programs int) error {
	s, err := pebble.Open(pebble.Options{Dir: filepath.Join(data, "catalogue"), Currency: "CNY",
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer s.Close()
	const batch = 10_000
	var steps []store.Step
	commit := func() error {
		outcomes, err := s.Commit(context.Background(), []store.Group{{Steps: steps, At: time.Now()}})
		if steps = nil; err != nil {
			return err
		}
		return outcomes[0].Err
	}
	put := func(r hexbid.Resource) error {
		declared := store.Declare(r, 0)
		if steps = append(steps, store.Step{Put: &declared}); len(steps) < batch {
			return nil
		}
		return commit()
	}
	for i := range programs {
		_, program, place := w.Owner(i)
		owner := ownerName(i / programsAnOwner)
		if i%programsAnOwner == 0 {
			if err := put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}, DisplayName: owner}); err != nil {
				return err
			}
		}
		program.Name = fmt.Sprintf("%s/programs/p%d", owner, i)
		program.Path, program.IconURI = "pages/index/index", fmt.Sprintf("https://icons.example.com/%d.png", i)
		place.Name, place.Address, place.OpeningHours = program.Name+"/places/l",
			fmt.Sprintf("人民路 %d 号", i%1000), "10:00-22:00"
		if err := put(program); err != nil {
			return err
		}
		if err := put(place); err != nil {
			return err
		}
	}
	if err := commit(); err != nil {
		return err
	}
	return token.CreateKeyFile(filepath.Join(data, "keys"), time.Now())
}

// Skewed measures nearby lists from a cache that cannot hold all cards. It draws the viewers by Zipf's law (exponent
// 1.1) from the given number of viewers, whose places follow the population. The first half of the searches fills the
// cache and is not counted.
func Skewed(p *Process, w *Workload, viewers, searches int, perSecond float64) (Figures, error) {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 3)), 1.1, 1, uint64(viewers-1))
	requests := make([]*pb.SearchNearbyRequest, searches)
	for i := range requests {
		requests[i] = w.SearchRequest(int(zipf.Uint64()), 0, 20)
	}
	half := searches / 2
	lasts := time.Duration(float64(half) / perSecond * float64(time.Second))
	if _, err := openLoop(p.Conn, requests[:half], offer{perSecond, lasts, unbounded}, load.NewHistogram()); err != nil {
		return nil, err
	}
	own := load.NewHistogram()
	report, err := openLoop(p.Conn, requests[half:], offer{perSecond, lasts, unbounded}, own)
	if err != nil {
		return nil, err
	}
	hits, err := p.Metric("hexbid_display_cache_hit_ratio")
	if err != nil {
		return nil, err
	}
	resident, err := p.ResidentBytes()
	return Figures{"cache_hit_ratio_7m": hits, "cache_rps_7m": report.ReachedPerSecond(),
		"cache_response_p50_us_7m": micros(report.Response, 50), "cache_response_p99_us_7m": micros(report.Response, 99),
		"cache_server_p50_us_7m": micros(own, 50), "cache_server_p99_us_7m": micros(own, 99),
		"cache_server_p999_us_7m": micros(own, 99.9), "cache_resident_bytes_7m": resident}, err
}
