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

// Source says where the keys are.
type Source struct {
	// Path is the path of the key file. OpenKeys makes the file when it is missing and nothing shows that there were
	// keys before.
	Path string
	// Record is the path of the record of the keys in force. It lies in the folder that outlives the process. With ""
	// there is no record, and a lost key file goes unnoticed.
	Record string
	// Served says that this deployment has issued tokens before, as a catalogue with records shows. A missing key file
	// then counts as lost, with or without a record.
	Served bool
	// AcceptLoss lets OpenKeys go on although the key file does not continue the recorded keys. The tokens that the
	// lost keys sealed are then invalid.
	AcceptLoss bool
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Keys holds the keyring of a key file that may be rotated at any time.
type Keys struct {
	source  Source
	counter *counter
	ring    atomic.Pointer[Keyring]
	loss    error

	guard  sync.Mutex // guards the fields below
	text   []byte     // of the file, as last read
	record record     // of the keys in force
}

// OpenKeys reads the key file, or makes it for a new deployment. It returns an *hexbid.Error when the file is missing
// although keys were in force, and when the file does not continue those keys.
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
			if err := k.lost("%s does not continue the keys that were in force here until %s by %s: %v", k.source.Path,
				before.Used.Format(time.RFC3339), k.source.Record, err); err != nil {
				return err
			}
		}
	}
	return k.take(&file, text)
}

// readRecord reads the record of the earlier keys, or returns nil when there is none.
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

// create makes the key file when it is missing and no keys were lost.
func (k *Keys) create(before *record) error {
	if _, err := os.Stat(k.source.Path); !errors.Is(err, fs.ErrNotExist) {
		return nil // readKeyFile reports any other error
	}
	var err error
	switch {
	case before != nil:
		err = k.lost("%s is missing, with the keys that were in force here until %s", k.source.Path,
			before.Used.Format(time.RFC3339))
	case k.source.Served:
		err = k.lost("%s is missing, though the catalogue has been served before", k.source.Path)
	}
	if err != nil {
		return err
	}
	return CreateKeyFile(k.source.Path, k.source.Clock())
}

// lost returns an error about a loss. If the operator accepts losses it notes the loss and returns nil.
func (k *Keys) lost(format string, args ...any) error {
	loss := fmt.Sprintf(format, args...)
	if k.source.AcceptLoss {
		k.loss = errors.Join(k.loss, errors.New(loss))
		return nil
	}
	return hexbid.Invalidf("keys",
		"%s. Restore the files as they were; or go on with --accept-loss: every token that the lost keys sealed is invalid "+
			"then, and viewers may get new pseudonyms", loss)
}

// Loss returns the losses that AcceptLoss let OpenKeys ignore, or nil.
func (k *Keys) Loss() error { return k.loss }

// Ring returns the keyring in force.
func (k *Keys) Ring() *Keyring { return k.ring.Load() }

// Reload reads the key file again and reports whether it put a new keyring in force. It returns an error and keeps the
// present keyring when the file is missing, damaged, or changed in another way than by a rotation.
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
		return false, hexbid.Invalidf("keys",
			"%s has changed, and not by a rotation: %v. Restore the file as it was; or start again with --accept-loss: every "+
				"token that the lost keys sealed is invalid then",
			k.source.Path, err)
	}
	if err := k.take(&file, text); err != nil {
		return false, err
	}
	return true, nil
}

// take puts keys in force, after it has recorded them.
func (k *Keys) take(file *keyFile, text []byte) error {
	next := file.record(k.source.Clock())
	if err := k.write(&next); err != nil {
		return err
	}
	k.text, k.record = text, next
	k.ring.Store(file.keyring(k.counter))
	return nil
}

// recordUse updates the time in the record when that time is too old.
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
