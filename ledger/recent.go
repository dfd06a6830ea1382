package ledger

import (
	"github.com/hexbid/hexbid/ledger/journal"
)

// Judging some requests needs to know what the journal says of a key: when a conversion's click was recorded, whether a
// viewer has a coupon, which record answered a request id. The caller looks it up in the last synced state before it
// queues, so that the owner waits for no disk. What was judged since that state stands in recent.

// lookup is what the journal said of a key when a caller looked.
type lookup struct {
	key   string
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

// recent holds what lookups find, of records judged lately. It has two parts. When the newer is full and the older
// one's records are synced, the older part goes, and the newer takes its place.
type recent struct {
	older, newer         map[string]uint64
	olderFrom, newerFrom uint64 // the sequence that each part starts above
}

// recentKeys is how many keys fill a part.
const recentKeys = 1 << 16

func newRecent(synced uint64) recent {
	return recent{older: map[string]uint64{}, newer: map[string]uint64{}, olderFrom: synced, newerFrom: synced}
}

// put notes what a record says of a key. Records up to synced are on disk.
func (r *recent) put(key string, value, record, synced uint64) {
	if len(r.newer) >= recentKeys && r.newerFrom <= synced {
		r.older, r.olderFrom = r.newer, r.newerFrom
		r.newer, r.newerFrom = map[string]uint64{}, record-1
	}
	r.newer[key] = value
}

// get returns what a record above olderFrom says of a key, 0 if none does.
func (r *recent) get(key string) uint64 {
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
