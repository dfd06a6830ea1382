package pebble

import (
	"context"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// audit holds the counts of a scan. Records, verdicts and counters must add up to the clock's sums. Names by uid and
// references must add up to what the records say, so they need no sum in the clock. Derived data may be lost and is not
// counted. The log of changes proves itself by its hashes.
type audit struct {
	tally    tally // of records and verdicts
	counters tally
	said     tally // names by uid and references, according to the records
	kept     tally // the same, according to their keys
}

func (a *audit) join(other *audit) {
	a.tally.join(other.tally)
	a.counters.join(other.counters)
	a.said.join(other.said)
	a.kept.join(other.kept)
}

// check compares the counts with those of the commits.
func (a *audit) check(f *folder.Folder, c *clock) error {
	missing := a.missing(c)
	if missing == "" {
		return nil
	}
	return hexbid.Errorf(hexbid.DataLoss, "data",
		"the catalogue in %s does not add up (%s): acknowledged writes are lost: %s", f.Dir, missing, f.OrAcceptLoss())
}

// missing describes what does not agree, empty when everything does.
func (a *audit) missing(c *clock) string {
	const differs = "of %d %s %d are there, or others in their place"
	switch {
	case a.tally != c.tally:
		return fmt.Sprintf(differs, c.tally.entries, "records", a.tally.entries)
	case a.counters != c.counters:
		return fmt.Sprintf(differs, c.counters.entries, "counters", a.counters.entries)
	case a.kept != a.said:
		return fmt.Sprintf(differs, a.said.entries, "names by uid and references", a.kept.entries)
	}
	return ""
}

// addRecord counts a record, its name by uid and its references.
func (a *audit) addRecord(r *store.Record) {
	m := r.Meta()
	a.tally.add(fingerprint(m))
	a.said.add(fingerprintOfUID(appendUIDKey(nil, m.UID), []byte(m.Name)))
	var room [256]byte
	for i := range r.Refers {
		if firstOf(r.Refers, i) {
			a.said.add(xxhash.Sum64(appendReferenceKey(room[:0], r.Refers[i].Name, m.Name)))
		}
	}
}

// firstOf reports whether a reference is the first of its kind in a list.
func firstOf(refers []store.Reference, i int) bool {
	for j := range i {
		if refers[j].Name == refers[i].Name {
			return false
		}
	}
	return true
}

func fingerprintOfUID(key, name []byte) uint64 {
	var room [128]byte
	return xxhash.Sum64(append(append(room[:0], key...), name...))
}

// count counts everything except records.
func (a *audit) count(ctx context.Context, v *view) error {
	for _, part := range []struct {
		space byte
		add   func(*pebble.Iterator) error
	}{
		{verdictSpace, func(iter *pebble.Iterator) error { return a.addVerdict(v, iter) }},
		{counterSpace, func(iter *pebble.Iterator) error { return a.addCounter(v, iter) }},
		{uidSpace, func(iter *pebble.Iterator) error { a.kept.add(fingerprintOfUID(iter.Key(), iter.Value())); return nil }},
		{referenceSpace, func(iter *pebble.Iterator) error { a.kept.add(xxhash.Sum64(iter.Key())); return nil }},
	} {
		if err := v.each(ctx, part.space, part.add); err != nil {
			return err
		}
	}
	return nil
}

// each calls f at each key of a space.
func (v *view) each(ctx context.Context, letter byte, f func(*pebble.Iterator) error) error {
	iter, err := v.iterate(letter)
	if err != nil {
		return err
	}
	defer iter.Close()
	for ok := iter.First(); ok; ok = iter.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(iter); err != nil {
			return err
		}
	}
	return v.store.folder.Ended(iter)
}

func (a *audit) addVerdict(v *view, iter *pebble.Iterator) error {
	verdict, err := v.store.decodeVerdict(iter.Value())
	if err == nil {
		a.tally.add(fingerprintOfVerdict(string(iter.Key()[len("v/"):]), &verdict))
	}
	return err
}

func (a *audit) addCounter(v *view, iter *pebble.Iterator) error {
	value, err := v.store.decodeCounter(iter.Value())
	if err != nil {
		return err
	}
	owner, counter, err := counterIn(iter.Key())
	if err != nil {
		return v.store.folder.Damaged(err)
	}
	a.counters.add(fingerprintOfCounter(owner, counter, value))
	return nil
}

// counterIn parses the key of a counter.
func counterIn(key []byte) (owner string, c store.Counter, err error) {
	end := len(key) - 2
	if end < len("n/") || key[end] != 0 {
		return "", 0, fmt.Errorf("a counter's key %q", key)
	}
	return string(key[len("n/"):end]), store.Counter(key[end+1]), nil
}
