package pebble

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hexbid/hexbid/store"
)

// rewritten returns what a commit takes that replaces a campaign: the change, with the record before.
func rewritten(b *testing.B, s *Store) *store.Taken {
	b.Helper()
	first := campaign(0)
	if outcomes, err := s.Commit(context.Background(), []store.Group{first}); err != nil || outcomes[0].Err != nil {
		b.Fatal(err, outcomes)
	}
	name := first.Steps[0].Name()
	before, err := s.Get(context.Background(), name)
	if err != nil {
		b.Fatal(err)
	}
	m := before.Meta()
	after := store.WithMeta(before, m.UID, m.Version+1)
	return &store.Taken{Names: []string{name}, Change: store.Change{Version: m.Version + 1, At: time.Unix(1, 0),
		Who: "member users/alice", From: "203.0.113.7:51514", Key: "users/alice/keys/laptop",
		Puts: []store.Written{{Record: after, Before: before}}}}
}

// BenchmarkLog is the history's part of a commit that replaces a campaign: the record in the log with the campaign from
// before, its hash, and the indices by name and owner. log-B is what that adds to the batch, and record-B the size of
// the campaign's own record. BenchmarkWriters has the whole commit.
func BenchmarkLog(b *testing.B) {
	s := withOwners(b)
	taken := rewritten(b, s)
	record, err := encode(&taken.Change.Puts[0].Record)
	if err != nil {
		b.Fatal(err)
	}
	r := &round{store: s, batch: s.folder.DB.NewBatch(), clock: s.clock}
	empty := r.batch.Len()
	added := 0
	b.ReportAllocs()
	for b.Loop() {
		r.batch.Reset()
		r.logged = r.logged[:0]
		if err := r.log(taken); err != nil {
			b.Fatal(err)
		}
		added = r.batch.Len() - empty
	}
	b.ReportMetric(float64(added), "log-B/op")
	b.ReportMetric(float64(len(record)), "record-B/op")
}

// BenchmarkHistory reads pages of 100 changes from a log of 100,000: the newest of all, of an owner, of one name, and
// the oldest of all.
func BenchmarkHistory(b *testing.B) {
	const changes, batch = 100_000, 5000
	s := withOwners(b)
	for first := 0; first < changes; first += batch {
		groups := make([]store.Group, batch)
		for i := range groups {
			groups[i] = campaign((first + i) % (changes / 200)) // each name 200 times
			groups[i].Steps[0].IfVersion = store.AnyVersion
		}
		if _, err := s.Commit(context.Background(), groups); err != nil {
			b.Fatal(err)
		}
	}
	name := campaign(7).Steps[0].Name()
	for _, page := range []struct {
		name  string
		query store.HistoryQuery
	}{{"all", store.HistoryQuery{}}, {"oldest", store.HistoryQuery{Before: changes / 100}},
		{"owner", store.HistoryQuery{Of: []store.Thread{{Name: store.OwnerOf(name), Whole: true}}}},
		{"name", store.HistoryQuery{Of: []store.Thread{{Name: name}}}}} {
		b.Run(page.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				told := 0
				if _, err := s.History(context.Background(), page.query, func(*store.Past) bool {
					told++
					return told < 100
				}); err != nil || told < 100 {
					b.Fatal(fmt.Sprint(told, " changes: ", err))
				}
			}
		})
	}
}
