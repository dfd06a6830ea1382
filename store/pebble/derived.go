package pebble

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Derived data has keys in the same order as its records. It is written in the batch of its record, if the step brings
// it, or later by KeepDerived. The batch that replaces or deletes a record also replaces or deletes its derived data.
// So derived data never outlives its record.

// keptDerived is derived data passed to KeepDerived, encoded, and the name and numbers of its record.
type keptDerived struct {
	name    string
	numbers numbers
	value   []byte
}

// KeepDerived implements store.Store. It causes no sync of its own. It may wait for a sync under way, because the
// stager compares it with the records' versions in its turn.
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

// nameDerived finds the names of the records that derived data belongs to. It skips the data of records that are gone.
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

// keepDerived writes derived data if the stage holds the same version of its record.
func (r *round) keepDerived(d *keptDerived) error {
	is, err := r.isVersion(d)
	if err != nil || !is {
		return err
	}
	r.setDerived(kindIn(d.name), d.name, d.value)
	return nil
}

// isVersion reports whether derived data belongs to the present version of its record. It compares with the disk, which
// decodes no record, unless an unsynced round changes the record.
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
