package exchange

import (
	"context"
	"fmt"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// display reads what people see of a record through a cache. The index holds
// the version it was built from; a key holds (uid, version), so that a late
// fill cannot bring an old record back. The cache is never the truth.
type display struct {
	store store.Store
	cache *ristretto.Cache[uint64, hexbid.Resource]
}

// averageRecordBytes sizes the cache's counters.
const averageRecordBytes = 512

func newDisplay(s store.Store, bytes int64) (*display, error) {
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, hexbid.Resource]{
		NumCounters: max(10*bytes/averageRecordBytes, 1000),
		MaxCost:     bytes,
		BufferItems: 64,
		Metrics:     true,
	})
	if err != nil {
		return nil, fmt.Errorf("display cache: %w", err)
	}
	return &display{s, cache}, nil
}

func (d *display) close() { d.cache.Close() }

// cacheKey mixes uid and version; a collision is seen when the value is checked.
func cacheKey(ref bidder.Ref) uint64 {
	return uint64(ref.UID)*0x9e3779b97f4a7c15 ^ ref.Version
}

// get finds the record of a ref. A record that has been replaced since gives
// the newer one, for a moment; one that is gone gives NotFound.
func (d *display) get(ctx context.Context, ref bidder.Ref) (hexbid.Resource, error) {
	key := cacheKey(ref)
	if r, ok := d.cache.Get(key); ok {
		if m := r.Metadata(); m.UID == ref.UID && m.Version == ref.Version {
			return r, nil
		}
	}
	r, err := d.store.ByUID(ctx, ref.UID)
	if err != nil {
		return nil, err
	}
	if r.Meta().Version == ref.Version {
		d.cache.Set(key, r.Resource, averageRecordBytes)
	}
	return r.Resource, nil
}

func displayAs[T hexbid.Resource](ctx context.Context, d *display, ref bidder.Ref) (T, error) {
	r, err := d.get(ctx, ref)
	if err != nil {
		var none T
		return none, err
	}
	noun, ok := r.(T)
	if !ok {
		return noun, hexbid.Errorf(hexbid.Internal, "uid", "%d is a %T", ref.UID, r)
	}
	return noun, nil
}
