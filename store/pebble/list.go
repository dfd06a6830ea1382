package pebble

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// List implements store.Store. It decodes one record at a time.
func (s *Store) List(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	if s.closed.Load() {
		return "", errClosed
	}
	course := store.NewCourse(q)
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: recordKey(q.Kind, course.From), UpperBound: recordKey(q.Kind, course.End)})
	if err != nil {
		return "", s.unreadable(err)
	}
	defer iter.Close()
	for course.More() {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if !iter.SeekGE(recordKey(q.Kind, course.From)) {
			return "", s.ended(iter)
		}
		if name := nameIn(iter.Key()); course.Finds(name) {
			r, err := s.decode(q.Kind, iter.Value())
			if err != nil {
				return "", err
			}
			if !visit(r) {
				return name, nil
			}
		}
	}
	return course.Next, nil
}

// ended is the error of an iterator that has come to its end, if it has one.
func (s *Store) ended(iter *pebble.Iterator) error {
	if err := iter.Error(); err != nil {
		return s.unreadable(err)
	}
	return nil
}

// nameIn is the name in a record's key.
func nameIn(key []byte) string { return string(key[len(recordKey(hexbid.KindAdvertiser, "")):]) }
