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
	// namesATrial is the most names that a dry run keeps, at some 90 to 150 bytes each.
	namesATrial = 1_000_000
	// namesOfTrials is the most names that all current dry runs keep together: some 300 MB.
	namesOfTrials = 2 * namesATrial
)

// trials counts the names of all current dry runs, because any caller may start many.
type trials struct {
	mu    sync.Mutex // guards names, and ended and names of each trial
	names int
}

// trial records what an upload that only validates has accepted so far, so that a row is judged against the rows before
// it in any batch. It stores hashes of names and contents under a seed of its own. Two of a million names collide once
// in 40 million uploads.
type trial struct {
	all      *trials
	names    int  // kept so far
	ended    bool // it keeps nothing more
	seed     maphash.Seed
	contents map[uint64]uint64             // hash of the content, by hash of the name
	paused   map[uint64]bool               // of advertisers
	reviews  map[uint64]hexbid.ReviewState // of places
	counts   *tally                        // of stored and accepted records together
}

func (a *trials) begin(counts *tally) *trial {
	return &trial{all: a, seed: maphash.MakeSeed(), contents: map[uint64]uint64{}, paused: map[uint64]bool{},
		reviews: map[uint64]hexbid.ReviewState{}, counts: counts}
}

// has reports whether the trial has accepted a name. A nil trial has accepted none.
func (t *trial) has(name string) bool {
	if t == nil {
		return false
	}
	_, ok := t.contents[maphash.String(t.seed, name)]
	return ok
}

// earlier compares a resource with the accepted one of its name, if there is one.
func (t *trial) earlier(r hexbid.Resource) earlier {
	if t == nil {
		return earlier{}
	}
	name := maphash.String(t.seed, r.Metadata().Name)
	content, tried := t.contents[name]
	return earlier{there: tried, same: tried && content == t.hash(r), review: t.reviews[name]}
}

// end returns the trial's names to the common allowance. It may run while the last batch is still being judged, after
// the caller has gone.
func (t *trial) end() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.all.names -= t.names
	t.names, t.ended = 0, true
}

// makeRoom takes one name from the common allowance for a name that is new to the trial. The error is Exhausted when
// none is left, and Unavailable once the trial has ended.
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

// giveBack undoes makeRoom for a name that was not put.
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

// accept records a resource that would replace stored, perhaps the zero Record. It refuses when there is no room for
// the name or a limit is reached.
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

// pauses reports whether the trial has accepted an advertiser, and whether the accepted state is paused.
func (t *trial) pauses(advertiser string) (paused, known bool) {
	if t == nil {
		return false, false
	}
	paused, known = t.paused[maphash.String(t.seed, advertiser)]
	return paused, known
}

// hash returns a fingerprint of what an owner decides of a resource.
func (t *trial) hash(r hexbid.Resource) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	if err := json.NewEncoder(&h).Encode(ownersPart(r)); err != nil {
		panic(fmt.Sprintf("exchange: a valid resource does not encode: %v", err)) // nouns hold numbers, texts and times
	}
	return h.Sum64()
}
