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

// record identifies the keys in force without containing them. It lies in the folder of the data, apart from the key
// file. So a server notices that the key file was lost or replaced before it seals anything with other keys.
type record struct {
	Used   time.Time `json:"used"` // when the first seal key last sealed, to the hour
	Viewer string    `json:"viewer"`
	Seals  []mark    `json:"seals"` // newest first
}

// mark identifies one seal key by its fingerprint.
type mark struct {
	ID          uint32    `json:"id"`
	Fingerprint string    `json:"fingerprint"`
	Made        time.Time `json:"made"` // zero when the key file does not say
}

// recordEvery is the greatest age of the time Used in a record.
const recordEvery = time.Hour

func (f *keyFile) record(now time.Time) record {
	r := record{Used: now.UTC().Truncate(time.Second), Viewer: fingerprint(f.viewer)}
	for _, s := range f.seals {
		r.Seals = append(r.Seals, mark{s.id, fingerprint(s.key), s.made})
	}
	return r
}

// fingerprint identifies a key by a one-way function, so it does not give the key away.
func fingerprint(key []byte) string { return hex.EncodeToString(expand(key, "hexbid fingerprint", 16)) }

// check returns an error when a key file does not continue the recorded keys. The viewer key must be the same, and so
// must each seal key whose tokens may still be in use. A rotation keeps both.
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

// sealedUntil returns the latest time at which a recorded key may have sealed.
func (r *record) sealedUntil(i int) time.Time {
	if i == 0 || r.Seals[i-1].Made.IsZero() {
		return r.Used
	}
	return r.Seals[i-1].Made
}

// readRecord reads a record, or returns nil when there is none.
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
