package ledger

import (
	"crypto/sha256"
	"maps"

	"github.com/hexbid/hexbid/ledger/journal"
)

// Judging some requests needs to know what the journal says of a key: when a conversion's click was recorded, whether a
// viewer has a coupon, which record answered a request id. The caller looks it up in the last synced state before it
// queues, so that the owner waits for no disk. What was judged since that state stands in recent.

// lookup is what the journal said of a key when a caller looked.
type lookup struct {
	key      recentKey
	read     func(v journal.View) (uint64, error) // 0: nothing
	value    uint64
	asOf     uint64 // the last record of the state that was read
	ofViewer bool   // the row can be erased
	erasures uint64 // of viewers, before that state was read
}

// look reads the value from a view.
func (k *lookup) look(v journal.View) (err error) {
	k.asOf = v.Last()
	k.value, err = k.read(v)
	return err
}

// recentKey is a row's table and key, or the SHA-256 of a key that is longer. It holds no pointers, so that the garbage
// collector skips the maps of these keys, one of which every click adds.
type recentKey struct {
	table journal.Table
	size  uint8 // of the key, hashed for a SHA-256
	key   [sha256.Size]byte
}

const hashed = 255

func recentKeyOf(t journal.Table, key []byte) recentKey {
	k := recentKey{table: t, size: uint8(len(key))}
	if len(key) > len(k.key) {
		return recentKey{t, hashed, sha256.Sum256(key)}
	}
	copy(k.key[:], key)
	return k
}

// recent holds what lookups find, of records judged lately. It has two parts. When the newer is full and the older
// one's records are synced, the older part goes, and the newer takes its place. The zero V is nothing.
type recent[V comparable] struct {
	older, newer         map[recentKey]V
	olderFrom, newerFrom uint64 // the sequence that each part starts above
	keys                 int    // that fill a part
}

// bytes returns the key of a row; it is not hashed.
func (k *recentKey) bytes() []byte { return k.key[:k.size] }

// How many keys fill a part. A row of exposures takes 8 KB at most, and a hundred bytes as a rule.
const (
	recentKeys = 1 << 16
	seenKeys   = 1 << 14
)

func newRecent[V comparable](synced uint64, keys int) recent[V] {
	return recent[V]{older: map[recentKey]V{}, newer: map[recentKey]V{}, olderFrom: synced, newerFrom: synced, keys: keys}
}

// put notes what a record says of a key. Records up to synced are on disk.
func (r *recent[V]) put(key recentKey, value V, record, synced uint64) {
	if len(r.newer) >= r.keys && r.newerFrom <= synced {
		clear(r.older)
		r.older, r.newer = r.newer, r.older
		r.olderFrom, r.newerFrom = r.newerFrom, record-1
	}
	r.newer[key] = value
}

// get returns what a record above olderFrom says of a key, nothing if none does.
func (r *recent[V]) get(key recentKey) V {
	var nothing V
	if value := r.newer[key]; value != nothing {
		return value
	}
	return r.older[key]
}

// forgetViewer drops the rows of a viewer. It looks at all keys.
func (r *recent[V]) forgetViewer(pseudonym [pseudonymBytes]byte) {
	for _, part := range []map[recentKey]V{r.older, r.newer} {
		maps.DeleteFunc(part, func(k recentKey, _ V) bool {
			return k.table == journal.Viewers && [pseudonymBytes]byte(k.key[:pseudonymBytes]) == pseudonym
		})
	}
}

// find returns what the journal and the records above it say of a key.
func (o *owner) find(k *lookup) (uint64, error) {
	value := o.recent.get(k.key)
	if value == 0 && k.value == 0 || o.isErased(k) {
		if err := o.refresh(k, o.recent.olderFrom); err != nil {
			return 0, err
		}
	}
	return max(value, k.value), nil
}

// refresh reads a lookup again if what is at hand, of the records above a sequence, does not reach back to what the
// caller saw, or if viewers were erased since.
func (o *owner) refresh(k *lookup, from uint64) error {
	if k.asOf >= from && !o.isErased(k) {
		return nil
	}
	k.erasures = o.erasures
	return o.ledger.reading(k.look)
}

// isErased reports whether the caller may have seen a row that was erased since.
func (o *owner) isErased(k *lookup) bool { return k.ofViewer && k.erasures != o.erasures }
