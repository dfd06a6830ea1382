package pebble

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid/store"
)

// List implements store.Store. It decodes one record at a time.
func (s *Store) List(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (next string, err error) {
	err = s.reading(func(v *view) error {
		next, err = v.list(ctx, q, visit)
		return err
	})
	return next, err
}

func (v *view) list(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	course := store.NewCourse(q)
	iter, err := v.snapshot.NewIter(&pebble.IterOptions{LowerBound: recordKey(q.Kind, course.From),
		UpperBound: recordKey(q.Kind, course.To)})
	if err != nil {
		return "", v.store.folder.Unreadable(err)
	}
	defer iter.Close()
	for course.More() {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if !iter.SeekGE(recordKey(q.Kind, course.From)) {
			course.End()
			return course.Next, v.store.folder.Ended(iter)
		}
		if name := nameIn(iter.Key()); course.Finds(name) {
			r, err := v.store.decode(q.Kind, iter.Value())
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
