package pebble

import (
	"encoding/binary"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
)

// The witness of the catalogue says, beside the version of the last acknowledged commit, which numbers may have been
// given out, so that none is given out twice:
//
//	 0  lease: no version above it has been given out
//	 8  lease: no uid above it has been given out
//	16  1 when the catalogue was closed in order, else 0
//
// All numbers are little-endian. A lease is synced in both copies before the first of its numbers is given out.
const (
	witnessMagic    = "hexbidw1"
	witnessRest     = 24
	leasedAtOnce    = 10_000
	unknownLeaseGap = 1 << 32
)

// testimony is the content of a witness.
type testimony struct {
	acknowledged uint64     // version of the last acknowledged commit
	versions     uint64     // lease
	uids         hexbid.UID // lease
	closed       bool       // in order: beyond the catalogue's clock no number was given out
}

// lease extends the leases beyond a version and a uid.
func (t *testimony) lease(version uint64, uid hexbid.UID) {
	t.versions, t.uids = max(t.versions, version+leasedAtOnce), max(t.uids, uid+leasedAtOnce)
}

func (t *testimony) encode() folder.Testimony {
	rest := binary.LittleEndian.AppendUint64(make([]byte, 0, witnessRest), t.versions)
	rest = binary.LittleEndian.AppendUint64(rest, uint64(t.uids))
	closed := uint64(0)
	if t.closed {
		closed = 1
	}
	return folder.Testimony{Position: t.acknowledged, Rest: binary.LittleEndian.AppendUint64(rest, closed)}
}

// decodeTestimony decodes what a witness said; an absent one said nothing.
func decodeTestimony(said folder.Testimony) (t testimony) {
	if len(said.Rest) != witnessRest {
		return t
	}
	return testimony{said.Position, binary.LittleEndian.Uint64(said.Rest), hexbid.UID(binary.LittleEndian.Uint64(
		said.Rest[8:])), said.Rest[16] == 1}
}

// witness is the open file and what it says.
type witness struct {
	file *folder.Witness

	mu   sync.Mutex // guards said and orders writes
	said testimony

	// unused is the version of a start that gives numbers out above a lease, as long as no commit has used them: the
	// catalogue's clock then says nothing of the lease, which must hold for the next start too. Else it is nil.
	unused *uint64
}

// acknowledge records that a version is durable. It does not wait for the disk.
func (w *witness) acknowledge(version uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said.acknowledged = version
	return w.file.Write(w.said.encode())
}

// lease ensures that a version and a uid may be assigned. It waits for the disk only when a lease runs out.
func (w *witness) lease(version uint64, uid hexbid.UID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if version <= w.said.versions && uid <= w.said.uids {
		return nil
	}
	next := w.said
	next.lease(version, uid)
	if err := w.file.Swear(next.encode()); err != nil {
		return err
	}
	w.said = next
	return nil
}

// last returns what the witness says when the catalogue was closed in order. A lease that no commit has used since the
// start goes on.
func (w *witness) last() folder.Testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.said
	last.closed = w.unused == nil || w.said.acknowledged > *w.unused
	return last.encode()
}
