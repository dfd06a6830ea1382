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

// Concurrent single writes: so many campaigns, each in a commit of its own, by so many
// writers at once; and fewer by one writer.
const (
	writersTogether = 200
	writesTogether  = 60_000
	writesAlone     = 4_000
)

// Writers measures writes at the store's contract, beside Pebble itself with the
// same bytes.
func Writers(dir string, w *Workload) (map[string]Spread, error) {
	round := 0
	return Rounds(3, func() (Figures, error) {
		round++
		return writersOnce(filepath.Join(dir, fmt.Sprint("writers", round)), w)
	})
}

// writersOnce measures all three on disks of their own, one after another.
func writersOnce(dir string, w *Workload) (Figures, error) {
	many, err := storeRate(filepath.Join(dir, "many"), w, writesTogether, writersTogether)
	if err != nil {
		return nil, err
	}
	raw, err := rawRate(filepath.Join(dir, "many"), filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	one, err := storeRate(filepath.Join(dir, "one"), w, writesAlone, 1)
	if err != nil {
		return nil, err
	}
	return Figures{"store_writes_per_s_200": many, "store_writes_per_s_1": one, "pebble_writes_per_s_200": raw,
		"store_writers_of_pebble": many / raw, "store_writers_ratio_200": many / one}, nil
}

// storeRate is how many commits of one campaign a second the store takes.
func storeRate(dir string, w *Workload, writes, writers int) (float64, error) {
	s, err := pebble.Open(pebble.Options{Dir: dir, Currency: "CNY", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	if err := fillOwners(s, w, writes/w.anOwner+1); err != nil {
		return 0, errors.Join(err, s.Close())
	}
	groups := make([][]store.Group, writes)
	for i := range groups {
		groups[i] = []store.Group{campaignWrite(w, i)}
	}
	rate, err := together(writes, writers, func(i int) error {
		outcomes, err := s.Commit(context.Background(), groups[i])
		if err == nil {
			err = outcomes[0].Err
		}
		return err
	})
	return rate, errors.Join(err, s.Close())
}

// campaignWrite is a campaign as a call brings it to the store: it must find its program,
// and is held to what its advertiser may keep; its covering is beside it.
func campaignWrite(w *Workload, i int) store.Group {
	const cells, packedBytes = 8, 40 // as a circle of two kilometres has
	at := time.Unix(1_800_000_000, 0).UTC()
	c := w.Campaign(i)
	c.CreatedAt, c.UpdatedAt = at, at
	record := store.Declare(c, cells)
	owner := ownerName(i / w.anOwner)
	return store.Group{
		Steps:  []store.Step{{Put: &record, Derived: &store.Derived{By: 1, Inputs: uint64(i), Value: make([]byte, packedBytes)}}},
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

// together shares calls among goroutines, and says how many a second were made.
func together(calls, goroutines int, call func(i int) error) (float64, error) {
	var next atomic.Int64
	done := make(chan error, goroutines)
	started := time.Now()
	for range goroutines {
		go func() {
			for i := int(next.Add(1)) - 1; i < calls; i = int(next.Add(1)) - 1 {
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
	return float64(calls) / time.Since(started).Seconds(), failed
}

// entry is a key and a value.
type entry struct{ key, value []byte }

// rawRate writes the campaigns of a folder into another, as the same keys and values, a
// synced batch of Pebble's for each.
func rawRate(from, dir string) (float64, error) {
	writes, err := readWrites(from)
	if err != nil {
		return 0, err
	}
	db, err := rawpebble.Open(dir, rawOptions())
	if err != nil {
		return 0, err
	}
	rate, err := together(len(writes), writersTogether, func(i int) error {
		batch := db.NewBatch()
		for _, e := range writes[i] {
			if err := batch.Set(e.key, e.value, nil); err != nil {
				return err
			}
		}
		return batch.Commit(rawpebble.Sync)
	})
	return rate, errors.Join(err, db.Close())
}

// rawOptions are as the store has them, where they matter to writes.
func rawOptions() *rawpebble.Options {
	return &rawpebble.Options{FormatMajorVersion: rawpebble.FormatNewest, MemTableSize: 32 << 20, Logger: silent{}}
}

type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// readWrites reads what the commits of campaigns have written, a list of entries for
// each, by the keys that the package comment of store/pebble tells. What a round of
// commits writes once, counters and the clock, is left out, in favour of Pebble.
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

// writesReader finds whose an entry of a folder is: by the name of the campaign that its
// key or value tells, or by the version of its change.
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

// each adds the entries under a prefix to the writes that they are of; of tells, by
// the rest of the key and by the value, and a negative number is of none.
func (r *writesReader) each(prefix string, of func(rest, value []byte) int) {
	for ok := r.iter.SeekGE([]byte(prefix)); ok && bytes.HasPrefix(r.iter.Key(), []byte(prefix)); ok = r.iter.Next() {
		key, value := bytes.Clone(r.iter.Key()), bytes.Clone(r.iter.Value())
		if i := of(key[len(prefix):], value); i >= 0 {
			r.writes[i] = append(r.writes[i], entry{key, value})
		}
	}
}
