package ledger

import (
	"crypto/sha256"

	"github.com/hexbid/hexbid/ledger/journal"
)

// Judging some requests needs to know what the journal says of a key: when a conversion's click was recorded, whether a
// viewer has a coupon, which record answered a request id. The caller looks it up in the last synced state before it
// queues, so that the owner waits for no disk. What was judged since that state stands in recent.

// lookup is what the journal said of a key when a caller looked.
type lookup struct {
	key   recentKey
	read  func(v journal.View) (uint64, error) // 0: nothing
	value uint64
	asOf  uint64 // the last record of the state that was read
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
// one's records are synced, the older part goes, and the newer takes its place.
type recent struct {
	older, newer         map[recentKey]uint64
	olderFrom, newerFrom uint64 // the sequence that each part starts above
}

// recentKeys is how many keys fill a part.
const recentKeys = 1 << 16

func newRecent(synced uint64) recent {
	return recent{older: map[recentKey]uint64{}, newer: map[recentKey]uint64{}, olderFrom: synced, newerFrom: synced}
}

// put notes what a record says of a key. Records up to synced are on disk.
func (r *recent) put(key recentKey, value, record, synced uint64) {
	if len(r.newer) >= recentKeys && r.newerFrom <= synced {
		clear(r.older)
		r.older, r.newer = r.newer, r.older
		r.olderFrom, r.newerFrom = r.newerFrom, record-1
	}
	r.newer[key] = value
}

// get returns what a record above olderFrom says of a key, 0 if none does.
func (r *recent) get(key recentKey) uint64 {
	if value := r.newer[key]; value != 0 {
		return value
	}
	return r.older[key]
}

// find returns what the journal and the records above it say of a key. If recent does not reach back to what the caller
// saw, the journal is read again.
func (o *owner) find(k *lookup) (uint64, error) {
	if value := o.recent.get(k.key); value != 0 || k.value != 0 {
		return max(value, k.value), nil
	}
	if k.asOf >= o.recent.olderFrom {
		return 0, nil
	}
	err := o.ledger.reading(k.look)
	return k.value, err
}
