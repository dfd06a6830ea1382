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
	// namesADryRun is the most names that a dry run keeps, at some 90 to 150 bytes each.
	namesADryRun = 1_000_000
	// namesOfDryRuns is the most names that all current dry runs keep together: some 300 MB.
	namesOfDryRuns = 2 * namesADryRun
	// namesOfOthers is how many of them are left to callers whose own dry runs keep fewer.
	namesOfOthers = namesOfDryRuns / 8
)

// dryRuns counts the names of all current dry runs, because any caller may start many.
type dryRuns struct {
	mu    sync.Mutex // guards names and of, and ended and names of each dry run
	names int
	of    map[string]int // names in the dry runs of each named caller
}

// dryRun records what an upload that only validates has accepted so far, so that a row is judged against the rows
// before it in any batch. It stores hashes of names and contents under a seed of its own. Two of a million names
// collide once in 40 million uploads.
type dryRun struct {
	all      *dryRuns
	caller   string
	names    int  // kept so far
	ended    bool // it keeps nothing more
	seed     maphash.Seed
	contents map[uint64]uint64             // hash of the content, by hash of the name
	paused   map[uint64]bool               // of advertisers
	reviews  map[uint64]hexbid.ReviewState // of places
	counts   *tally                        // of stored and accepted records together
}

// begin starts a dry run of a caller, who may have no name.
func (a *dryRuns) begin(caller string, counts *tally) *dryRun {
	return &dryRun{all: a, caller: caller, seed: maphash.MakeSeed(), contents: map[uint64]uint64{},
		paused: map[uint64]bool{}, reviews: map[uint64]hexbid.ReviewState{}, counts: counts}
}

// has reports whether the dry run has accepted a name. A nil dry run has accepted none.
func (run *dryRun) has(name string) bool {
	if run == nil {
		return false
	}
	_, ok := run.contents[maphash.String(run.seed, name)]
	return ok
}

// earlier compares a resource with the accepted one of its name, if there is one.
func (run *dryRun) earlier(r hexbid.Resource) earlier {
	if run == nil {
		return earlier{}
	}
	name := maphash.String(run.seed, r.Metadata().Name)
	content, tried := run.contents[name]
	return earlier{there: tried, same: tried && content == run.hash(r), review: run.reviews[name]}
}

// end returns the dry run's names to the common allowance. It may run while the last batch is still being judged, after
// the caller has gone.
func (run *dryRun) end() {
	run.all.mu.Lock()
	defer run.all.mu.Unlock()
	run.take(-run.names)
	run.ended = true
}

// take takes names from the common allowance, or gives them back if n is below 0. The caller holds the lock.
func (run *dryRun) take(n int) {
	run.names, run.all.names = run.names+n, run.all.names+n
	if run.caller == "" {
		return
	}
	if run.all.of == nil {
		run.all.of = map[string]int{}
	}
	if run.all.of[run.caller] += n; run.all.of[run.caller] == 0 {
		delete(run.all.of, run.caller)
	}
}

// makeRoom takes one name from the common allowance for a name that is new to the dry run. The error is Exhausted when
// none is left, and Unavailable once the dry run has ended.
func (run *dryRun) makeRoom(name string) error {
	if run.has(name) {
		return nil
	}
	run.all.mu.Lock()
	defer run.all.mu.Unlock()
	switch {
	case run.ended:
		return hexbid.Errorf(hexbid.Unavailable, "", "the dry run has ended")
	case run.names >= namesADryRun:
		return hexbid.Errorf(hexbid.Exhausted, "name",
			"a dry run checks at most %d resources against each other: split the upload", namesADryRun)
	case run.all.names >= namesOfDryRuns:
		return hexbid.Errorf(hexbid.Exhausted, "name",
			"all dry runs under way keep %d resources, the most at once: try again later", namesOfDryRuns)
	case run.all.names >= namesOfDryRuns-namesOfOthers && run.all.of[run.caller] >= namesOfOthers:
		return hexbid.Errorf(hexbid.Exhausted, "name",
			"all dry runs under way keep nearly %d resources, the most at once, and %d of them are yours: try again later",
			namesOfDryRuns, run.all.of[run.caller])
	}
	run.take(1)
	return nil
}

// giveBack undoes makeRoom for a name that was not put.
func (run *dryRun) giveBack(name string) {
	if run.has(name) {
		return
	}
	run.all.mu.Lock()
	defer run.all.mu.Unlock()
	if !run.ended {
		run.take(-1)
	}
}

// accept records a resource that would replace stored, perhaps the zero Record. It refuses when there is no room for
// the name or a limit is reached.
func (run *dryRun) accept(ctx context.Context, d *draft, stored *store.Record) error {
	name := d.resource.Metadata().Name
	if err := run.makeRoom(name); err != nil {
		return err
	}
	declared := d.record()
	if err := run.counts.replace(ctx, stored, &declared); err != nil {
		run.giveBack(name)
		return err
	}
	run.put(d.resource)
	return nil
}

// put notes a resource.
func (run *dryRun) put(r hexbid.Resource) {
	name := maphash.String(run.seed, r.Metadata().Name)
	run.contents[name] = run.hash(r)
	switch v := r.(type) {
	case *hexbid.Advertiser:
		run.paused[name] = v.State == hexbid.Paused
	case *hexbid.Place:
		run.reviews[name] = v.Review
	}
}

// pauses reports whether the dry run has accepted an advertiser, and whether the accepted state is paused.
func (run *dryRun) pauses(advertiser string) (paused, known bool) {
	if run == nil {
		return false, false
	}
	paused, known = run.paused[maphash.String(run.seed, advertiser)]
	return paused, known
}

// hash returns a fingerprint of what an owner decides of a resource.
func (run *dryRun) hash(r hexbid.Resource) uint64 {
	var h maphash.Hash
	h.SetSeed(run.seed)
	if err := json.NewEncoder(&h).Encode(ownersPart(r)); err != nil {
		panic(fmt.Sprintf("exchange: a valid resource does not encode: %v", err)) // nouns hold numbers, texts and times
	}
	return h.Sum64()
}
