package token

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
)

// Source says where keys are.
type Source struct {
	// Path is the key file's. It is made when it is not there and nothing tells of
	// keys before.
	Path string
	// Record is the path of the record of the keys in force, in the folder of what
	// outlives the process; "" keeps none, and then nobody knows of keys before.
	Record string
	// Served says that tokens were given out from here before, as a catalogue with
	// records shows: then a key file that is not there was lost, record or not.
	Served bool
	// AcceptLoss opens although the key file does not continue the recorded keys:
	// what they sealed is invalid then.
	AcceptLoss bool
	// Clock tells the time; time.Now when nil.
	Clock func() time.Time
}

// Keys is a keyring read from a file that rotates at any time.
type Keys struct {
	source  Source
	counter *counter
	ring    atomic.Pointer[Keyring]
	loss    error

	guard  sync.Mutex // of what follows
	text   []byte     // of the file, as last taken
	record record     // of the keys in force
}

// OpenKeys reads a key file, or makes one where none was before. A file that is
// missing although keys were in force, or that does not continue them, is
// refused with an *hexbid.Error.
func OpenKeys(source Source) (*Keys, error) {
	if source.Clock == nil {
		source.Clock = time.Now
	}
	k := &Keys{source: source, counter: newCounter()}
	if err := k.open(); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *Keys) open() error {
	before, err := k.readRecord()
	if err != nil {
		return err
	}
	if err := k.create(before); err != nil {
		return err
	}
	file, text, err := readKeyFile(k.source.Path)
	if err != nil {
		return err
	}
	if before != nil {
		if err := before.check(&file, k.source.Clock()); err != nil {
			if err := k.lost("%s does not continue the keys that were in force here until %s by %s: %v", k.source.Path, before.Used.Format(time.RFC3339), k.source.Record, err); err != nil {
				return err
			}
		}
	}
	return k.take(&file, text)
}

// readRecord reads the record of the keys before; nil when there is none.
func (k *Keys) readRecord() (*record, error) {
	if k.source.Record == "" {
		return nil, nil
	}
	before, err := readRecord(k.source.Record)
	if err != nil {
		err = k.lost("%v: it cannot be told whether %s continues the keys that were in force here", err, k.source.Path)
	}
	return before, err
}

// create makes the key file when it is not there.
func (k *Keys) create(before *record) error {
	if _, err := os.Stat(k.source.Path); !errors.Is(err, fs.ErrNotExist) {
		return nil // reading it tells of other errors
	}
	var err error
	switch {
	case before != nil:
		err = k.lost("%s is missing, with the keys that were in force here until %s", k.source.Path, before.Used.Format(time.RFC3339))
	case k.source.Served:
		err = k.lost("%s is missing, though the catalogue has been served before", k.source.Path)
	}
	if err != nil {
		return err
	}
	return CreateKeyFile(k.source.Path, k.source.Clock())
}

// lost refuses to go on after a loss, unless that is accepted: then it is kept.
func (k *Keys) lost(format string, args ...any) error {
	loss := fmt.Sprintf(format, args...)
	if k.source.AcceptLoss {
		k.loss = errors.Join(k.loss, errors.New(loss))
		return nil
	}
	return hexbid.Invalidf("keys", "%s. Restore the files as they were; or go on with --accept-loss: every token that the lost keys sealed is invalid then, and viewers may get new pseudonyms", loss)
}

// Loss is what AcceptLoss went on in spite of; nil for nothing.
func (k *Keys) Loss() error { return k.loss }

// Ring is the keyring in force.
func (k *Keys) Ring() *Keyring { return k.ring.Load() }

// Reload reads the file again if it has changed; it says whether a new ring is in
// force. A file that is missing, damaged or anything but a rotation of the keys in
// force is an error, and these stay in force.
func (k *Keys) Reload() (changed bool, err error) {
	k.guard.Lock()
	defer k.guard.Unlock()
	file, text, err := readKeyFile(k.source.Path)
	if err != nil {
		return false, err
	}
	now := k.source.Clock()
	if bytes.Equal(k.text, text) {
		return false, k.recordUse(now)
	}
	inForce := k.record
	inForce.Used = now
	if err := inForce.check(&file, now); err != nil {
		return false, hexbid.Invalidf("keys", "%s has changed, and not by a rotation: %v. Restore the file as it was; or start again with --accept-loss: every token that the lost keys sealed is invalid then",
			k.source.Path, err)
	}
	if err := k.take(&file, text); err != nil {
		return false, err
	}
	return true, nil
}

// take puts keys in force once they are recorded.
func (k *Keys) take(file *keyFile, text []byte) error {
	next := file.record(k.source.Clock())
	if err := k.write(&next); err != nil {
		return err
	}
	k.text, k.record = text, next
	k.ring.Store(file.keyring(k.counter))
	return nil
}

// recordUse brings the time in the record up to date when it is too old.
func (k *Keys) recordUse(now time.Time) error {
	if now.Sub(k.record.Used) < recordEvery {
		return nil
	}
	next := k.record
	next.Used = now.UTC().Truncate(time.Second)
	if err := k.write(&next); err != nil {
		return err
	}
	k.record = next
	return nil
}

func (k *Keys) write(r *record) error {
	if k.source.Record == "" {
		return nil
	}
	return r.write(k.source.Record)
}
