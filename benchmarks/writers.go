package benchmarks

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	rawpebble "github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
)

// Each write commits one campaign. writersTogether writers make writesTogether writes at once, and then one writer
// makes writesAlone. The store and Pebble itself take turns of writesATurn, so that other work of the machine slows
// both alike.
const (
	writersTogether = 200
	writesATurn     = 10_000
	writesTogether  = 6 * writesATurn
	writesAlone     = 4_000
)

// Writers measures writes through the store's contract, beside writes of the same bytes to Pebble itself.
func Writers(dir string, w *Workload) (map[string]Spread, error) {
	groups := make([]store.Group, writesTogether)
	for i := range groups {
		groups[i] = campaignWrite(w, i)
	}
	model := filepath.Join(dir, "model")
	if err := writeModel(model, w, groups); err != nil {
		return nil, err
	}
	raw, err := readWrites(model)
	if err != nil {
		return nil, err
	}
	round := 0
	return Rounds(3, func() (Figures, error) {
		round++
		return writersOnce(filepath.Join(dir, fmt.Sprint("writers", round)), w, groups, raw)
	})
}

// writeModel writes all campaigns in a few commits, so that readWrites can read which entries each has written.
func writeModel(dir string, w *Workload, groups []store.Group) error {
	s, err := openWithOwners(dir, w)
	if err != nil {
		return err
	}
	for first := 0; first < len(groups) && err == nil; first += writesATurn {
		_, err = s.Commit(context.Background(), groups[first:first+writesATurn])
	}
	return errors.Join(err, s.Close())
}

// writersOnce measures one round, in new folders.
func writersOnce(dir string, w *Workload, groups []store.Group, raw [][]entry) (Figures, error) {
	s, err := openWithOwners(filepath.Join(dir, "many"), w)
	if err != nil {
		return nil, err
	}
	db, err := rawpebble.Open(filepath.Join(dir, "raw"), rawOptions())
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	many, batches, err := inTurns(s, groups, db, raw)
	if err := errors.Join(err, s.Close(), db.Close()); err != nil {
		return nil, err
	}
	if s, err = openWithOwners(filepath.Join(dir, "one"), w); err != nil {
		return nil, err
	}
	one, err := together(0, writesAlone, 1, commitOf(s, groups))
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	perSecond := func(writes int, took time.Duration) float64 { return float64(writes) / took.Seconds() }
	return Figures{"store_writes_per_s_200": perSecond(writesTogether, many),
		"store_writes_per_s_1": perSecond(writesAlone, one), "pebble_writes_per_s_200": perSecond(writesTogether, batches),
		"store_writers_of_pebble": batches.Seconds() / many.Seconds(),
		"store_writers_ratio_200": perSecond(writesTogether, many) / perSecond(writesAlone, one)}, nil
}

// inTurns lets the store and Pebble write one part each, in turns. It returns how long each took in all.
func inTurns(s store.Store, groups []store.Group, db *rawpebble.DB,
	raw [][]entry) (ofStore, ofPebble time.Duration, err error) {
	for first := 0; first < writesTogether; first += writesATurn {
		took, err := together(first, first+writesATurn, writersTogether, commitOf(s, groups))
		if err != nil {
			return 0, 0, err
		}
		ofStore += took
		if took, err = together(first, first+writesATurn, writersTogether, batchOf(db, raw)); err != nil {
			return 0, 0, err
		}
		ofPebble += took
	}
	return ofStore, ofPebble, nil
}

// commitOf returns a function that commits campaign i.
func commitOf(s store.Store, groups []store.Group) func(i int) error {
	return func(i int) error {
		outcomes, err := s.Commit(context.Background(), groups[i:i+1])
		if err == nil {
			err = outcomes[0].Err
		}
		return err
	}
}

// batchOf returns a function that writes the entries of campaign i's commit in one synced batch of Pebble.
func batchOf(db *rawpebble.DB, raw [][]entry) func(i int) error {
	return func(i int) error {
		batch := db.NewBatch()
		for _, e := range raw[i] {
			if err := batch.Set(e.key, e.value, nil); err != nil {
				return err
			}
		}
		return batch.Commit(rawpebble.Sync)
	}
}

// openWithOwners opens a store and fills it with the owners that the campaigns need.
func openWithOwners(dir string, w *Workload) (store.Store, error) {
	s, err := pebble.Open(pebble.Options{Dir: dir, Currency: "CNY", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if err := fillOwners(s, w, writesTogether/w.anOwner); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// campaignWrite returns the group that commits a campaign, as a call brings it to the store. The engine must find the
// campaign's program, and judges a limit on what its advertiser may keep. The covering comes with the record.
func campaignWrite(w *Workload, i int) store.Group {
	const cells, packedBytes = 8, 40 // those of a circle of two kilometres
	at := time.Unix(1_800_000_000, 0).UTC()
	c := w.Campaign(i)
	c.CreatedAt, c.UpdatedAt = at, at
	record := store.Declare(c, cells)
	owner := ownerName(i / w.anOwner)
	return store.Group{
		Steps: []store.Step{{Put: &record, Derived: &store.Derived{By: 1, Inputs: uint64(i),
			Value: make([]byte, packedBytes)}}},
		Limits: []store.Limit{{Owner: owner, Counter: store.Entries, AtMost: million, Field: "campaign.area"}},
		At:     at, Who: "operator", From: "192.0.2.7",
	}
}

const million = 1_000_000

// fillOwners writes the advertisers, programs and places that campaigns need.
func fillOwners(s store.Store, w *Workload, owners int) error {
	for first := 0; first < owners; first += 1000 {
		var groups []store.Group
		for i := first; i < min(first+1000, owners); i++ {
			advertiser, program, place := w.Owner(i)
			for _, r := range []hexbid.Resource{advertiser, program, place} {
				record := store.Declare(r, 0)
				groups = append(groups, store.Group{Steps: []store.Step{{Put: &record}}})
			}
		}
		outcomes, err := s.Commit(context.Background(), groups)
		if err != nil {
			return err
		}
		for i := range outcomes {
			if err := outcomes[i].Err; err != nil {
				return err
			}
		}
	}
	return nil
}

// together shares the calls for the numbers from (included) to to (excluded) among goroutines, and returns how long
// they took.
func together(from, to, goroutines int, call func(i int) error) (time.Duration, error) {
	var next atomic.Int64
	next.Store(int64(from))
	done := make(chan error, goroutines)
	started := time.Now()
	for range goroutines {
		go func() {
			for i := int(next.Add(1)) - 1; i < to; i = int(next.Add(1)) - 1 {
				if err := call(i); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	var failed error
	for range goroutines {
		failed = errors.Join(failed, <-done)
	}
	return time.Since(started), failed
}

// entry is a key and a value of Pebble.
type entry struct{ key, value []byte }

// rawOptions returns the store's options for Pebble, as far as they matter to writes.
func rawOptions() *rawpebble.Options {
	return &rawpebble.Options{FormatMajorVersion: rawpebble.FormatNewest, MemTableSize: 32 << 20, Logger: silent{}}
}

// silent is a logger of Pebble's that logs nothing.
type silent struct{}

// Infof implements pebble.Logger.
func (silent) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (silent) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger. It panics instead of ending the process.
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// readWrites returns, for each campaign, the entries that its commit has written. It finds them by the keys that the
// package comment of store/pebble lists. It leaves out the counters and the clock, which a round of commits writes
// once. This favours Pebble in the comparison.
func readWrites(dir string) ([][]entry, error) {
	options := rawOptions()
	options.ReadOnly = true
	db, err := rawpebble.Open(dir, options)
	if err != nil {
		return nil, err
	}
	iter, err := db.NewIter(nil)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	r := writesReader{iter: iter, byName: map[string]int{}, byVersion: map[uint64]int{}}
	r.read()
	return r.writes, errors.Join(iter.Error(), iter.Close(), db.Close())
}

// writesReader finds which campaign's commit wrote an entry of a folder. It knows the campaign by the name in the
// entry's key or value, or by the version of the change.
type writesReader struct {
	iter      *rawpebble.Iterator
	writes    [][]entry
	byName    map[string]int
	byVersion map[uint64]int
}

func (r *writesReader) read() {
	campaigns := string([]byte{'r', '/', byte(hexbid.KindCampaign)})
	named := func(name []byte) int {
		if i, is := r.byName[string(name)]; is {
			return i
		}
		return -1
	}
	r.each(campaigns, func(rest, _ []byte) int {
		r.byName[string(rest)] = len(r.writes)
		r.writes = append(r.writes, nil)
		return len(r.writes) - 1
	})
	r.each("d"+campaigns[1:], func(rest, _ []byte) int { return named(rest) })
	r.each("u/", func(_, value []byte) int { return named(value) })
	r.each("x/", func(rest, _ []byte) int {
		_, referrer, _ := bytes.Cut(rest, []byte{0})
		return named(referrer)
	})
	r.each("h/", func(rest, _ []byte) int {
		name, version, _ := bytes.Cut(rest, []byte{0})
		i := named(name)
		r.byVersion[binary.BigEndian.Uint64(version)] = i
		return i
	})
	r.each("c/", func(rest, _ []byte) int { return r.byVersion[binary.BigEndian.Uint64(rest)] })
}

// each visits the entries under a prefix and adds each to the writes of its campaign. Function of returns the
// campaign's number, from the rest of the key and the value, or a negative number for an entry of no campaign.
func (r *writesReader) each(prefix string, of func(rest, value []byte) int) {
	for ok := r.iter.SeekGE([]byte(prefix)); ok && bytes.HasPrefix(r.iter.Key(), []byte(prefix)); ok = r.iter.Next() {
		key, value := bytes.Clone(r.iter.Key()), bytes.Clone(r.iter.Value())
		if i := of(key[len(prefix):], value); i >= 0 {
			r.writes[i] = append(r.writes[i], entry{key, value})
		}
	}
}
