package exchange

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

const (
	// namesATrial is the most names that a dry run keeps, some 90 to 150 bytes
	// each.
	namesATrial = 1_000_000
	// namesOfTrials is the most names that all dry runs under way keep: some 300 MB.
	namesOfTrials = 2 * namesATrial
)

// trials counts the names that the dry runs under way keep, for anyone may start many.
type trials struct {
	mu    sync.Mutex // guards names, and ended and names of each trial
	names int
}

// trial is what an upload that only validates has accepted so far, so that a
// row is judged against the rows before it, whatever batch they came in. It
// keeps hashes of names and contents under a seed of its own; two of a million
// names share one once in 40 million uploads.
type trial struct {
	all      *trials
	names    int  // that it keeps
	ended    bool // it keeps nothing more
	seed     maphash.Seed
	contents map[uint64]uint64             // by name
	paused   map[uint64]bool               // advertisers: whether they are
	reviews  map[uint64]hexbid.ReviewState // places: their states
	counts   *tally                        // of what is stored and what the trial has accepted
}

func (a *trials) begin(counts *tally) *trial {
	return &trial{all: a, seed: maphash.MakeSeed(), contents: map[uint64]uint64{}, paused: map[uint64]bool{},
		reviews: map[uint64]hexbid.ReviewState{}, counts: counts}
}

// has says whether the trial has accepted a name. A nil trial has none.
func (t *trial) has(name string) bool {
	if t == nil {
		return false
	}
	_, ok := t.contents[maphash.String(t.seed, name)]
	return ok
}

// earlier compares a resource with the one of its name that the trial has accepted,
// if it has.
func (t *trial) earlier(r hexbid.Resource) earlier {
	if t == nil {
		return earlier{}
	}
	name := maphash.String(t.seed, r.Metadata().Name)
	content, tried := t.contents[name]
	return earlier{there: tried, same: tried && content == t.hash(r), review: t.reviews[name]}
}

// end gives back what the trial has of the names of all. It may come while the last
// batch is judged, whose caller has gone.
func (t *trial) end() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.all.names -= t.names
	t.names, t.ended = 0, true
}

// makeRoom takes one of the names of all for a name that the trial does not have yet.
// It is Exhausted when there is none left, and Unavailable once the trial has ended.
func (t *trial) makeRoom(name string) error {
	if t.has(name) {
		return nil
	}
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	switch {
	case t.ended:
		return hexbid.Errorf(hexbid.Unavailable, "", "the dry run has ended")
	case t.names >= namesATrial:
		return hexbid.Errorf(hexbid.Exhausted, "name",
			"a dry run checks at most %d resources against each other: split the upload", namesATrial)
	case t.all.names >= namesOfTrials:
		return hexbid.Errorf(hexbid.Exhausted, "name",
			"all dry runs under way keep %d resources, the most at once: try again later", namesOfTrials)
	}
	t.names, t.all.names = t.names+1, t.all.names+1
	return nil
}

// giveBack undoes makeRoom of a name that was not put.
func (t *trial) giveBack(name string) {
	if t.has(name) {
		return
	}
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if !t.ended {
		t.names, t.all.names = t.names-1, t.all.names-1
	}
}

// accept takes a resource that would be stored in the place of what is stored, perhaps
// the zero Record, unless there is no room for its name or a limit is reached.
func (t *trial) accept(ctx context.Context, d *draft, stored *store.Record) error {
	name := d.resource.Metadata().Name
	if err := t.makeRoom(name); err != nil {
		return err
	}
	declared := d.record()
	if err := t.counts.replace(ctx, stored, &declared); err != nil {
		t.giveBack(name)
		return err
	}
	t.put(d.resource)
	return nil
}

// put notes a resource.
func (t *trial) put(r hexbid.Resource) {
	name := maphash.String(t.seed, r.Metadata().Name)
	t.contents[name] = t.hash(r)
	switch v := r.(type) {
	case *hexbid.Advertiser:
		t.paused[name] = v.State == hexbid.Paused
	case *hexbid.Place:
		t.reviews[name] = v.Review
	}
}

// pauses says whether the trial has accepted an advertiser, and whether it is
// paused by it.
func (t *trial) pauses(advertiser string) (paused, known bool) {
	if t == nil {
		return false, false
	}
	paused, known = t.paused[maphash.String(t.seed, advertiser)]
	return paused, known
}

// hash is a fingerprint of what an owner says of a resource.
func (t *trial) hash(r hexbid.Resource) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	if err := json.NewEncoder(&h).Encode(ownersPart(r)); err != nil {
		panic(fmt.Sprintf("exchange: a valid resource does not encode: %v", err)) // nouns hold numbers, texts and times
	}
	return h.Sum64()
}
