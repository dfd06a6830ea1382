package pebble

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// BenchmarkCommit is one writer with one record a commit, on the real disk.
func BenchmarkCommit(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir(), Currency: "CNY"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range b.N {
		if _, err := commit(s, []store.Step{advertiser(fmt.Sprintf("advertisers/a%d", i))}); err != nil {
			b.Fatal(err)
		}
	}
}

// owners is how many advertisers, each with a program, the campaigns of benchmarks
// are shared among.
const owners = 100

func program(i int) string { return fmt.Sprintf("advertisers/a%d/programs/p", i%owners) }

// campaign is the i-th campaign, as a write from outside brings it: with its program,
// and with what its advertiser may keep.
func campaign(i int) store.Group {
	owner := fmt.Sprintf("advertisers/a%d", i%owners)
	at := time.Unix(1_800_000_000, 0).UTC()
	record := store.Declare(&hexbid.Campaign{
		Meta:    hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", owner, i), CreatedAt: at, UpdatedAt: at},
		Program: program(i), DisplayName: "咖啡买一送一", Pricing: hexbid.CPC, Bid: 1_200_000, DailyBudget: 50_000_000,
		State: hexbid.Active, Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 30.25, Lng: 120.16},
			RadiusM: 2000}}},
		Audience:  hexbid.Audience{Ages: []hexbid.AgeRange{{Min: 18, Max: 40}}, OS: []hexbid.OS{hexbid.IOS, hexbid.Android}},
		Creatives: []hexbid.Creative{{Title: "第二杯半价", Promotion: "步行三分钟", Path: "pages/shop"}},
	}, 8)
	return store.Group{
		Steps:      []store.Step{{Put: &record, Derived: &store.Derived{By: 1, Inputs: uint64(i), Value: make([]byte, 40)}}},
		Conditions: []store.Condition{{Name: program(i), Is: store.Exists}},
		Limits:     []store.Limit{{Owner: owner, Counter: store.Entries, AtMost: 1 << 40, Field: "campaign.area"}},
		At:         at, Who: "operator", From: "192.0.2.7",
	}
}

// withOwners opens a store with the owners of campaigns.
func withOwners(b *testing.B) *Store {
	s, err := Open(Options{Dir: b.TempDir(), Currency: "CNY"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	for i := range owners {
		a := store.Declare(&hexbid.Advertiser{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a%d", i)}}, 0)
		p := store.Declare(&hexbid.Program{Meta: hexbid.Meta{Name: program(i)}}, 0)
		if _, err := commit(s, []store.Step{{Put: &a}, {Put: &p}}); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkWriters is campaigns written one a commit, by one writer and by many at once.
func BenchmarkWriters(b *testing.B) {
	for _, writers := range []int{1, 200} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := withOwners(b)
			b.ReportAllocs()
			together(b, writers, func(i int) error {
				outcomes, err := s.Commit(context.Background(), []store.Group{campaign(i)})
				return errors.Join(err, outcomes[0].Err)
			})
			b.ReportMetric(float64(s.synced.Load().round)/float64(b.N), "rounds/op")
		})
	}
}

// BenchmarkRaw is as many bytes as a campaign's commit takes, in as many keys, in a
// synced batch of Pebble's for each.
func BenchmarkRaw(b *testing.B) {
	for _, writers := range []int{1, 200} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := withOwners(b)
			b.ReportAllocs()
			value := make([]byte, 700)
			together(b, writers, func(i int) error {
				batch := s.folder.DB.NewBatch()
				for k := range 8 {
					_ = batch.Set(fmt.Appendf(nil, "z/%d/advertisers/a%d/campaigns/c%d", k, i%owners, i), value[:len(value)/8], nil)
				}
				return batch.Commit(pebble.Sync)
			})
		})
	}
}

// together shares b.N calls among writers.
func together(b *testing.B, writers int, write func(i int) error) {
	var next atomic.Int64
	done := make(chan error, writers)
	b.ResetTimer()
	for range writers {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					done <- nil
					return
				}
				if err := write(i); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

// BenchmarkScan reads a hundred thousand campaigns: bare ones, and such as are written
// from outside, with references, counters and what is derived from them.
func BenchmarkScan(b *testing.B) {
	bare := func(i int) store.Group {
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a/campaigns/c%d", i)},
			Program: "advertisers/a/programs/p", Area: hexbid.Area{Circles: []hexbid.Circle{{RadiusM: 300}}}}
		return store.Group{Steps: []store.Step{{Put: &store.Record{Resource: c}}}}
	}
	for name, record := range map[string]func(int) store.Group{"bare": bare, "whole": campaign} {
		b.Run(name, func(b *testing.B) {
			s := withOwners(b)
			for first := 0; first < 100_000; first += 5000 {
				groups := make([]store.Group, 5000)
				for i := range groups {
					groups[i] = record(first + i)
				}
				if _, err := s.Commit(context.Background(), groups); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := scan(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWitness is what a round pays for being noticed when it is lost: the
// look at the log's place and the witness's copy.
func BenchmarkWitness(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir() + "/catalogue", Currency: "CNY"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if err := errors.Join(s.folder.CheckPlace(), s.witness.acknowledge(0)); err != nil {
			b.Fatal(err)
		}
	}
}
