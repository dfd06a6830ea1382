package pebble

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// round is the groups that one Pebble batch, and one sync, commits.
type round struct {
	store  *Store
	number uint64
	base   *view      // held until the round has ended
	before *round     // the round that is not synced yet; nil if there is none
	under  store.View // what the stage stands on
	stage  *store.Stage
	batch  *pebble.Batch

	clock    clock // once the round is synced
	requests []*request
	groups   int
	bytes    int
	logged   []stagedChange
	changed  map[string]bool // names: whether the round leaves a record
	counters map[store.CounterKey]int64

	// Memory that is used again for what is on its way into the batch.
	room, value []byte
	entries     []entry
}

// stagedChange is a change and the length of its record in the log.
type stagedChange struct {
	store.Change
	bytes int
}

// full reports whether the round takes no further request.
func (r *round) full() bool { return r.groups >= groupsARound || r.bytes >= bytesARound }

// add judges what a request asks, and adds what holds to the batch.
func (r *round) add(q *request) error {
	r.bytes += q.bytes
	r.stage.BeginCommit()
	for i := range q.groups {
		r.groups++
		if err := q.refused[i]; err != nil {
			q.outcomes[i].Err = err
			continue
		}
		got, err := r.stage.Take(&q.groups[i])
		if err != nil {
			q.outcomes[i].Err = err
			continue
		}
		if err := r.write(&got, q.bodies[i]); err != nil {
			return err
		}
		q.outcomes[i].Change = got.Change
	}
	for i := range q.derived {
		if err := r.keepDerived(&q.derived[i]); err != nil {
			return err
		}
	}
	if q.prune != nil {
		r.prune(q.prune)
	}
	return nil
}

// A batch in memory takes every Set and Delete, so their errors are left out below.

// write adds a group that holds to the batch.
func (r *round) write(got *store.Taken, bodies [][]byte) error {
	for i := range got.Change.Deletes {
		r.delete(got.Change.Deletes[i].Meta())
	}
	for i := range got.Change.Puts {
		if err := r.put(&got.Change.Puts[i], bodies[got.Steps[i]]); err != nil {
			return err
		}
	}
	for i := range got.References {
		reference := &got.References[i]
		r.room = appendReferenceKey(r.room[:0], reference.Name, reference.Referrer)
		if reference.Gone {
			_ = r.batch.Delete(r.room, nil)
		} else {
			_ = r.batch.Set(r.room, nil, nil)
		}
	}
	for i := range got.Verdicts {
		if err := r.setVerdict(&got.Verdicts[i]); err != nil {
			return err
		}
	}
	return r.log(got)
}

func (r *round) delete(m *hexbid.Meta) {
	r.changed[m.Name] = false
	r.clock.tally.remove(fingerprint(m))
	kind := kindIn(m.Name)
	r.room = appendRecordKey(r.room[:0], kind, m.Name)
	_ = r.batch.Delete(r.room, nil)
	r.room = appendUIDKey(r.room[:0], m.UID)
	_ = r.batch.Delete(r.room, nil)
	r.dropDerived(kind, m.Name)
}

func (r *round) put(w *store.Written, body []byte) error {
	m := w.Meta()
	kind := kindIn(m.Name)
	r.changed[m.Name] = true
	if w.Before.Resource != nil {
		r.clock.tally.remove(fingerprint(w.Before.Meta()))
	} else {
		r.room = appendUIDKey(r.room[:0], m.UID)
		_ = r.batch.Set(r.room, []byte(m.Name), nil)
	}
	r.clock.tally.add(fingerprint(m))
	r.room = appendRecordKey(r.room[:0], kind, m.Name)
	key := len(r.room)
	r.room = appendRecord(r.room, m, body)
	_ = r.batch.Set(r.room[:key], r.room[key:], nil)
	switch {
	case w.Derived != nil:
		r.setDerived(kind, m.Name, encodeDerived(w.Derived))
	case w.Before.Resource != nil:
		r.dropDerived(kind, m.Name)
	}
	return nil
}

func (r *round) setVerdict(v *store.SetVerdict) error {
	if v.Before.Version > 0 {
		r.clock.tally.remove(fingerprintOfVerdict(v.Name, &v.Before))
	}
	r.clock.tally.add(fingerprintOfVerdict(v.Name, &v.After))
	value, err := encodeVerdict(&v.After)
	if err != nil {
		return err
	}
	return r.batch.Set(appendVerdictKey(r.room[:0], v.Name), value, nil)
}

// finish adds what a round writes once: counters, clock, and the numbers' lease.
func (r *round) finish() error {
	r.counters = r.stage.Counters()
	for key, value := range r.counters {
		before, err := r.under.Counted(key.Owner, key.Counter)
		if err != nil {
			return err
		}
		r.setCounter(key, before, value)
	}
	if len(r.logged) > 0 {
		r.clock.version, r.clock.uid = r.stage.Version, r.stage.LastUID
	}
	if r.batch.Empty() {
		return nil
	}
	_ = r.batch.Set(keyClock, r.clock.encode(), nil)
	if err := r.store.witness.lease(r.stage.Version, r.stage.LastUID); err != nil {
		r.store.folder.WitnessFailed(err)
		return r.store.Failure()
	}
	return nil
}

// setCounter writes a counter and replaces its former value in the tally. A counter of zero has no key.
func (r *round) setCounter(key store.CounterKey, before, value int64) {
	if before == value {
		return
	}
	if before != 0 {
		r.clock.counters.remove(fingerprintOfCounter(key.Owner, key.Counter, before))
	}
	r.room = appendCounterKey(r.room[:0], key.Owner, key.Counter)
	if value == 0 {
		_ = r.batch.Delete(r.room, nil)
		return
	}
	r.clock.counters.add(fingerprintOfCounter(key.Owner, key.Counter, value))
	n := len(r.room)
	r.room = binary.AppendVarint(r.room, value)
	_ = r.batch.Set(r.room[:n], r.room[n:], nil)
}

// end answers all that the round has served.
func (r *round) end(err error) {
	for _, q := range r.requests {
		q.answer(err)
	}
	r.base.release()
}
