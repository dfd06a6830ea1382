package token

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// record tells which keys were in force, without telling the keys. It lies beside
// the data that outlives the process, apart from the key file, so that a key file
// that is lost or replaced is noticed before anything is sealed with other keys.
type record struct {
	Used   time.Time `json:"used"` // when the first seal key last sealed, to the hour
	Viewer string    `json:"viewer"`
	Seals  []mark    `json:"seals"` // newest first
}

// mark is a seal key's, by fingerprint.
type mark struct {
	ID          uint32    `json:"id"`
	Fingerprint string    `json:"fingerprint"`
	Made        time.Time `json:"made"` // zero when the key file does not say
}

// recordEvery is how old the time of use in a record may be.
const recordEvery = time.Hour

func (f *keyFile) record(now time.Time) record {
	r := record{Used: now.UTC().Truncate(time.Second), Viewer: fingerprint(f.viewer)}
	for _, s := range f.seals {
		r.Seals = append(r.Seals, mark{s.id, fingerprint(s.key), s.made})
	}
	return r
}

// fingerprint tells keys apart and gives none away: it is derived by a one-way
// function.
func fingerprint(key []byte) string { return hex.EncodeToString(expand(key, "hexbid fingerprint", 16)) }

// check says why a key file does not continue the recorded keys: the viewer key
// stays, and so does each seal key whose tokens may still be out. A rotation
// leaves both.
func (r *record) check(f *keyFile, now time.Time) error {
	if fingerprint(f.viewer) != r.Viewer {
		return errors.New("its viewer key is another one")
	}
	for i, m := range r.Seals {
		if now.Sub(r.sealedUntil(i)) > Retention {
			continue
		}
		switch s := f.find(m.ID); {
		case s == nil:
			return fmt.Errorf("it lacks seal %d, whose tokens are out", m.ID)
		case fingerprint(s.key) != m.Fingerprint:
			return fmt.Errorf("its seal %d is another key", m.ID)
		}
	}
	return nil
}

// sealedUntil is when a recorded key may last have sealed.
func (r *record) sealedUntil(i int) time.Time {
	if i == 0 || r.Seals[i-1].Made.IsZero() {
		return r.Used
	}
	return r.Seals[i-1].Made
}

// readRecord reads a record; nil when there is none.
func readRecord(path string) (*record, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("record of keys: %w", err)
	}
	r := new(record)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("record of keys %s: %w", path, err)
	}
	if r.Used.IsZero() || r.Viewer == "" || len(r.Seals) == 0 {
		return nil, fmt.Errorf("record of keys %s: it lacks when, the viewer key or the seal keys", path)
	}
	return r, nil
}

func (r *record) write(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("record of keys: %w", err)
	}
	if err := writeWhole(path, append(text, '\n')); err != nil {
		return fmt.Errorf("record of keys: %w", err)
	}
	return nil
}
