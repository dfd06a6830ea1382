package exchange

import (
	"encoding/json"
	"fmt"
	"hash/maphash"

	"github.com/hexbid/hexbid"
)

// maxTrial is the most names that a dry run keeps: some 40 MB.
const maxTrial = 1_000_000

// trial is what an upload that only validates has accepted so far, so that a
// row is judged against the rows before it, whatever batch they came in. It
// keeps hashes of names and contents under a seed of its own; two of a million
// names share one once in 40 million uploads.
type trial struct {
	seed     maphash.Seed
	contents map[uint64]uint64             // by name
	paused   map[uint64]bool               // advertisers: whether they are
	reviews  map[uint64]hexbid.ReviewState // places: their states
	counts   *tally                        // of what is stored and what the trial has accepted
}

func newTrial(counts *tally) *trial {
	return &trial{seed: maphash.MakeSeed(), contents: map[uint64]uint64{}, paused: map[uint64]bool{}, reviews: map[uint64]hexbid.ReviewState{}, counts: counts}
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

// put accepts a resource; Exhausted when the trial is full.
func (t *trial) put(r hexbid.Resource) error {
	name := maphash.String(t.seed, r.Metadata().Name)
	if _, known := t.contents[name]; !known && len(t.contents) >= maxTrial {
		return hexbid.Errorf(hexbid.Exhausted, "name", "a dry run checks at most %d resources against each other: split the upload", maxTrial)
	}
	t.contents[name] = t.hash(r)
	switch v := r.(type) {
	case *hexbid.Advertiser:
		t.paused[name] = v.State == hexbid.Paused
	case *hexbid.Place:
		t.reviews[name] = v.Review
	}
	return nil
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
