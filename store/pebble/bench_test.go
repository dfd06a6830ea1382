package pebble

import (
	"context"
	"errors"
	"fmt"
	"testing"

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

// BenchmarkScan reads a hundred thousand campaigns.
func BenchmarkScan(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir(), Currency: "CNY"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for first := 0; first < 100_000; first += 5000 {
		var ops []store.Step
		for i := first; i < first+5000; i++ {
			ops = append(ops, store.Step{Put: &store.Record{Resource: &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/a/campaigns/c%d", i)},
				Program: "advertisers/a/programs/p", Area: hexbid.Area{Circles: []hexbid.Circle{{RadiusM: 300}}}}}})
		}
		if _, err := commit(s, ops); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := s.Scan(context.Background(), func(store.Record, *store.Derived) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWitness is what a commit pays for being noticed when it is lost: the
// look at the log's place and the witness's copy.
func BenchmarkWitness(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir() + "/catalogue", Currency: "CNY"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if err := errors.Join(s.checkLog(), s.witness.acknowledge(0)); err != nil {
			b.Fatal(err)
		}
	}
}
