package pebble

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Derived data stands in the order of its records. It is written in the batch of its
// record, when that brings it, or later by KeepDerived, and replaced or deleted in the
// batch that replaces or deletes the record. So it never outlives it.

// keptDerived is what KeepDerived brings, encoded, and the record that it belongs to.
type keptDerived struct {
	name    string
	numbers numbers
	value   []byte
}

// KeepDerived implements store.Store. It causes no sync, and may have to wait for one
// that is under way, for it is judged by the versions of the records in its turn.
func (s *Store) KeepDerived(ctx context.Context, derived []store.Derived) error {
	r := &request{done: make(chan struct{})}
	if err := s.nameDerived(r, derived); err != nil {
		return err
	}
	if len(r.derived) == 0 {
		return ctx.Err()
	}
	return s.ask(ctx, r)
}

// nameDerived finds the records of derived data, and passes over what is of a record
// that has gone already.
func (s *Store) nameDerived(r *request, derived []store.Derived) error {
	v := s.look()
	if v == nil {
		return errClosed
	}
	defer v.release()
	for i := range derived {
		d := &derived[i]
		name, err := v.NameOf(d.UID)
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		value := encodeDerived(d)
		r.derived = append(r.derived, keptDerived{name, numbers{d.UID, d.Version}, value})
		r.bytes += len(value)
	}
	return nil
}

// keepDerived writes what is of the version of its record that the stage has.
func (r *round) keepDerived(d *keptDerived) error {
	is, err := r.isVersion(d)
	if err != nil || !is {
		return err
	}
	r.setDerived(kindIn(d.name), d.name, d.value)
	return nil
}

// isVersion looks at the disk, decoding no record, unless a round that is not synced
// yet changes the record.
func (r *round) isVersion(d *keptDerived) (bool, error) {
	if !r.changes(d.name) && (r.before == nil || !r.before.changes(d.name)) {
		return r.base.isVersion(d.name, d.numbers)
	}
	record, there, err := r.stage.Record(d.name)
	if err != nil || !there {
		return false, err
	}
	return numbersOf(record.Meta()) == d.numbers, nil
}

func (r *round) changes(name string) bool {
	_, changed := r.changed[name]
	return changed
}

func (r *round) setDerived(kind hexbid.ResourceKind, name string, value []byte) {
	r.room = appendDerivedKey(r.room[:0], kind, name)
	_ = r.batch.Set(r.room, value, nil)
}

func (r *round) dropDerived(kind hexbid.ResourceKind, name string) {
	r.room = appendDerivedKey(r.room[:0], kind, name)
	_ = r.batch.Delete(r.room, nil)
}
