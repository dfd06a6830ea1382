package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
)

// The witness is a small file beside the catalogue's folder. It says how far
// the catalogue had come, so that a catalogue that lost its last writes does not
// pass for a whole one, and which numbers may have been given out, so that none
// is given out twice.
//
//	offset 0, 512   a copy each: the newer of those that are whole counts
//	                 0  magic
//	                 8  sequence: the newer copy has the larger one
//	                16  version of the last acknowledged commit
//	                24  lease: no version above it has been given out
//	                32  lease: no uid above it has been given out
//	                40  1 when the catalogue was closed in order, else 0
//	                48  XXH64 of the above
//
// All numbers are little-endian. A commit writes one copy and does not wait for
// the disk: a killed process leaves the witness exact, a power cut leaves it as
// it was at the last sync, at most syncEvery before. A lease is synced in both
// copies before the first of its numbers is given out.
const (
	witnessMagic    = "hexbidw1"
	witnessCopyAt   = 512
	witnessBytes    = 2 * witnessCopyAt
	testimonyBytes  = 56
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

func (t *testimony) encode(sequence uint64) []byte {
	b := append(make([]byte, 0, testimonyBytes), witnessMagic...)
	for _, n := range []uint64{sequence, t.acknowledged, t.versions, uint64(t.uids), 0} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	if t.closed {
		b[40] = 1
	}
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

func decodeTestimony(b []byte) (t testimony, sequence uint64, ok bool) {
	if len(b) < testimonyBytes || string(b[:8]) != witnessMagic ||
		binary.LittleEndian.Uint64(b[48:]) != xxhash.Sum64(b[:48]) {
		return t, 0, false
	}
	number := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	return testimony{number(16), number(24), hexbid.UID(number(32)), b[40] == 1}, number(8), true
}

// witnessPath returns the path of a folder's witness. It lies beside the folder, so that it survives when the folder is
// deleted.
func witnessPath(dir string) string { return dir + ".witness" }

var errWitnessDamaged = errors.New("both copies in it are damaged")

// readWitness reads a witness. Its error is errWitnessDamaged, or the file
// system's.
func readWitness(fs vfs.FS, path string) (t testimony, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, witnessBytes))
	if err != nil {
		return t, err
	}
	var newest uint64
	for at := 0; at < len(b); at += witnessCopyAt {
		if read, sequence, ok := decodeTestimony(b[at:]); ok && sequence > newest {
			t, newest = read, sequence
		}
	}
	if newest == 0 {
		return t, errWitnessDamaged
	}
	return t, nil
}

// witness is the open file.
type witness struct {
	path  string
	file  vfs.File
	dirty atomic.Bool // something was written since the last sync

	mu       sync.Mutex // guards the fields below and orders writes
	said     testimony
	sequence uint64
}

// newWitness replaces the witness at a path. After a crash either the old one or the new one is there.
func newWitness(fs vfs.FS, path string, t testimony) (*witness, error) {
	both := make([]byte, witnessBytes)
	copy(both[witnessCopyAt:], t.encode(1)) // a copy stands at the place of its sequence modulo 2
	copy(both, t.encode(2))
	if err := replaceFile(fs, path, both); err != nil {
		return nil, fmt.Errorf("witness %s: %w", path, err)
	}
	file, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("witness %s: %w", path, err)
	}
	return &witness{path: path, file: file, said: t, sequence: 2}, nil
}

// acknowledge records that a version is durable. It does not wait for the disk.
func (w *witness) acknowledge(version uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said.acknowledged = version
	w.dirty.Store(true)
	return w.write()
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
	return w.swear(next)
}

// swear writes a testimony into both copies and waits until it is on disk.
func (w *witness) swear(t testimony) error {
	before := w.said
	w.said = t
	if err := errors.Join(w.write(), w.write(), w.file.Sync()); err != nil {
		w.said = before
		return err
	}
	return nil
}

func (w *witness) write() error {
	w.sequence++
	_, err := w.file.WriteAt(w.said.encode(w.sequence), int64(w.sequence%2)*witnessCopyAt)
	return err
}

// sync waits until everything written is on disk.
func (w *witness) sync() error {
	if !w.dirty.Swap(false) {
		return nil
	}
	return w.file.Sync()
}

// close records that the catalogue was closed in order.
func (w *witness) close(inOrder bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if inOrder {
		last := w.said
		last.closed = true
		err = w.swear(last)
	}
	return errors.Join(err, w.file.Close())
}
