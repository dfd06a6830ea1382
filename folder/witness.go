package folder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
)

// A witness is a small file beside a folder. It says how far the folder had come, so that a folder that lost its last
// writes does not pass for a whole one.
//
//	offset 0, 512   a copy each: the newer of those that are whole counts
//	                 0  magic
//	                 8  sequence: the newer copy has the larger one
//	                16  position of the last acknowledged batch
//	                24  what else the owner says, of a fixed length
//	               end  XXH64 of the above
//
// All numbers are little-endian. A batch writes one copy and does not wait for the disk: a killed process leaves the
// witness exact, a power cut leaves it as it was at the last sync, at most syncEvery before.
const (
	witnessCopyAt = 512
	witnessBytes  = 2 * witnessCopyAt
	positionAt    = 16
	restAt        = 24
)

// Testimony is the content of a witness.
type Testimony struct {
	Position uint64 // of the last acknowledged batch
	Rest     []byte // what else the owner says
}

// witnessForm is how the witness of an owner is written.
type witnessForm struct {
	magic     string
	restBytes int
}

func (w *witnessForm) encode(t *Testimony, sequence uint64) []byte {
	b := append(make([]byte, 0, restAt+w.restBytes+8), w.magic...)
	b = binary.LittleEndian.AppendUint64(b, sequence)
	b = binary.LittleEndian.AppendUint64(b, t.Position)
	b = append(b, t.Rest...)
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

func (w *witnessForm) decode(b []byte) (t Testimony, sequence uint64, ok bool) {
	end := restAt + w.restBytes
	if len(b) < end+8 || string(b[:len(w.magic)]) != w.magic ||
		binary.LittleEndian.Uint64(b[end:]) != xxhash.Sum64(b[:end]) {
		return t, 0, false
	}
	t = Testimony{binary.LittleEndian.Uint64(b[positionAt:]), bytes.Clone(b[restAt:end])}
	return t, binary.LittleEndian.Uint64(b[len(w.magic):]), true
}

// WitnessPath returns the path of a folder's witness. It lies beside the folder, so that it survives when the folder is
// deleted.
func WitnessPath(dir string) string { return dir + ".witness" }

var errWitnessDamaged = errors.New("both copies in it are damaged")

// read reads a witness. Its error is errWitnessDamaged, or the file system's.
func (w *witnessForm) read(fs vfs.FS, path string) (t Testimony, err error) {
	file, err := fs.Open(path)
	if err != nil {
		return t, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, witnessBytes))
	if err != nil {
		return t, err
	}
	var newest uint64
	for at := 0; at < len(b); at += witnessCopyAt {
		if read, sequence, ok := w.decode(b[at:]); ok && sequence > newest {
			t, newest = read, sequence
		}
	}
	if newest == 0 {
		return t, errWitnessDamaged
	}
	return t, nil
}

// ReadWitness returns what the witness of the folder of the options says. It returns false when there is none, or none
// that can be read.
func ReadWitness(o *Options) (said Testimony, ok bool) {
	said, err := (&witnessForm{o.Magic, o.RestBytes}).read(o.FS, WitnessPath(o.Dir))
	return said, err == nil
}

// Witness is the open file.
type Witness struct {
	Path  string
	form  witnessForm
	file  vfs.File
	dirty atomic.Bool // something was written since the last sync

	mu       sync.Mutex // guards sequence and orders writes
	sequence uint64
}

// NewWitness replaces the witness of the folder of the options. After a crash either the old one or the new one is
// there.
func NewWitness(o *Options, t Testimony) (*Witness, error) {
	w := &Witness{Path: WitnessPath(o.Dir), form: witnessForm{o.Magic, o.RestBytes}, sequence: 2}
	both := make([]byte, witnessBytes)
	copy(both[witnessCopyAt:], w.form.encode(&t, 1)) // a copy stands at the place of its sequence modulo 2
	copy(both, w.form.encode(&t, 2))
	err := ReplaceFile(o.FS, w.Path, both)
	if err == nil {
		w.file, err = o.FS.OpenReadWrite(w.Path, vfs.WriteCategoryUnspecified)
	}
	if err != nil {
		return nil, hexbid.Errorf(hexbid.Unavailable, "data", "witness %s: %v", w.Path, err)
	}
	return w, nil
}

// Write records that a position is durable. It does not wait for the disk.
func (w *Witness) Write(t Testimony) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty.Store(true)
	return w.write(&t)
}

// Swear writes a testimony into both copies and waits until it is on disk.
func (w *Witness) Swear(t Testimony) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.write(&t), w.write(&t), w.file.Sync())
}

func (w *Witness) write(t *Testimony) error {
	w.sequence++
	_, err := w.file.WriteAt(w.form.encode(t, w.sequence), int64(w.sequence%2)*witnessCopyAt)
	return err
}

// sync waits until everything written is on disk.
func (w *Witness) sync() error {
	if !w.dirty.Swap(false) {
		return nil
	}
	return w.file.Sync()
}

// Close closes the file.
func (w *Witness) Close() error { return w.file.Close() }
