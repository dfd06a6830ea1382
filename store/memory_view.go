package store

import (
	"maps"

	"github.com/tidwall/btree"

	"github.com/hexbid/hexbid"
)

// memoryView is the state of Memory, as a View to judge groups by.
type memoryView struct {
	records   map[string]Record
	names     map[hexbid.UID]string
	verdicts  map[string]Verdict // by name of a place
	counters  map[CounterKey]int64
	referrers map[string]*btree.Set[string] // names of the records that refer to a name
}

var _ View = (*memoryView)(nil)

func newMemoryView() memoryView {
	return memoryView{records: map[string]Record{}, names: map[hexbid.UID]string{}, verdicts: map[string]Verdict{},
		counters: map[CounterKey]int64{}, referrers: map[string]*btree.Set[string]{}}
}

// Record implements View.
func (v *memoryView) Record(name string) (Record, bool, error) {
	r, there := v.records[name]
	return r, there, nil
}

// Exists implements View.
func (v *memoryView) Exists(name string) (bool, error) {
	_, there := v.records[name]
	return there, nil
}

// NameOf implements View.
func (v *memoryView) NameOf(uid hexbid.UID) (string, error) { return v.names[uid], nil }

// Verdict implements View.
func (v *memoryView) Verdict(name string) (Verdict, error) { return v.verdicts[name], nil }

// Counted implements View.
func (v *memoryView) Counted(owner string, c Counter) (int64, error) {
	return v.counters[CounterKey{owner, c}], nil
}

// Referrers implements View.
func (v *memoryView) Referrers(name string, visit func(string) bool) error {
	if referrers := v.referrers[name]; referrers != nil {
		referrers.Scan(visit)
	}
	return nil
}

// refer stores or removes a reference.
func (v *memoryView) refer(r *SetReference) {
	referrers := v.referrers[r.Name]
	switch {
	case !r.Gone && referrers == nil:
		v.referrers[r.Name] = new(btree.Set[string])
		v.referrers[r.Name].Insert(r.Referrer)
	case !r.Gone:
		referrers.Insert(r.Referrer)
	case referrers != nil:
		if referrers.Delete(r.Referrer); referrers.Len() == 0 {
			delete(v.referrers, r.Name)
		}
	}
}

// count stores changed counters. A counter at 0 takes no memory.
func (v *memoryView) count(changed map[CounterKey]int64) {
	maps.Copy(v.counters, changed)
	for key, n := range changed {
		if n == 0 {
			delete(v.counters, key)
		}
	}
}
