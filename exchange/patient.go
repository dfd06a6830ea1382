package exchange

import (
	"context"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/await"
	"github.com/hexbid/hexbid/store"
)

// patientStore is a store whose reads for callers end with their contexts, although a disk that stalls does not answer.
// The reads that it leaves behind end when the disk does. Everything else is the store's own.
type patientStore struct {
	store.Store
	left await.LeftBehind
}

// readFrom has a store read for a caller.
func readFrom[T any](ctx context.Context, s *patientStore, read func() (T, error)) (T, error) {
	var none, found T
	if err := s.left.Refusal("catalogue"); err != nil {
		return none, err
	}
	if err := s.left.Within(ctx, func() (err error) {
		found, err = read()
		return err
	}); err != nil {
		return none, err
	}
	return found, nil
}

// Get implements store.Store.
func (s *patientStore) Get(ctx context.Context, name string) (store.Record, error) {
	return readFrom(ctx, s, func() (store.Record, error) { return s.Store.Get(ctx, name) })
}

// ByUID implements store.Store.
func (s *patientStore) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	return readFrom(ctx, s, func() (store.Record, error) { return s.Store.ByUID(ctx, uid) })
}

// Verdict implements store.Store.
func (s *patientStore) Verdict(ctx context.Context, name string) (store.Verdict, error) {
	return readFrom(ctx, s, func() (store.Verdict, error) { return s.Store.Verdict(ctx, name) })
}

// Counted implements store.Store.
func (s *patientStore) Counted(ctx context.Context, owner string, c store.Counter) (int64, error) {
	return readFrom(ctx, s, func() (int64, error) { return s.Store.Counted(ctx, owner, c) })
}

// Judge implements store.Store.
func (s *patientStore) Judge(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	return readFrom(ctx, s, func() ([]store.Outcome, error) { return s.Store.Judge(ctx, groups) })
}

// List implements store.Store. When it has returned, visit runs no more.
func (s *patientStore) List(ctx context.Context, q store.ListQuery,
	visit func(store.Record) (more bool)) (next string, err error) {
	return visiting(ctx, s, visit, func(visit func(store.Record) bool) (string, error) {
		return s.Store.List(ctx, q, visit)
	})
}

// History implements store.Store. When it has returned, visit runs no more.
func (s *patientStore) History(ctx context.Context, q store.HistoryQuery,
	visit func(*store.Past) (more bool)) (next uint64, err error) {
	return visiting(ctx, s, visit, func(visit func(*store.Past) bool) (uint64, error) {
		return s.Store.History(ctx, q, visit)
	})
}

// Born implements store.Store.
func (s *patientStore) Born(ctx context.Context, uid hexbid.UID) (uint64, error) {
	return readFrom(ctx, s, func() (uint64, error) { return s.Store.Born(ctx, uid) })
}

// visiting has a store read for a caller, who visits what it finds. Once visiting has returned, visit runs no more.
func visiting[V, N any](ctx context.Context, s *patientStore, visit func(V) bool,
	read func(visit func(V) bool) (N, error)) (next N, err error) {
	var mu sync.Mutex // guards returned, and is held while visit runs
	returned := false
	next, err = readFrom(ctx, s, func() (N, error) {
		return read(func(v V) bool {
			mu.Lock()
			defer mu.Unlock()
			return !returned && visit(v)
		})
	})
	mu.Lock()
	defer mu.Unlock()
	returned = true
	return next, err
}
