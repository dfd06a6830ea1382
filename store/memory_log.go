package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
)

// memoryLog is the log of changes of Memory.
type memoryLog struct {
	retention Retention
	entries   []logged // by version
	bytes     int64    // of all records
	start     uint64   // entries holds all changes after this version
	startHash [32]byte // of the change of that version
	version   uint64   // of the last change
	last      [32]byte // its hash

	threads map[Thread][]uint64   // versions in entries, by name, and by owner with Whole
	judged  map[string][]uint64   // versions in entries that set a verdict, by name
	born    map[hexbid.UID]uint64 // the change in entries that made an owner
}

// logged is a change and its record, from which the hash is computed.
type logged struct {
	Change
	record []byte
}

// append sets a change's hashes, stores it, and drops what exceeds the retention. born are the uids of those whom the
// change made. It returns the size of its record.
func (l *memoryLog) append(c *Change, born []hexbid.UID) int {
	c.Previous = l.last
	record := encodeChange(c)
	c.Hash = sha256.Sum256(record)
	l.last, l.version = c.Hash, c.Version
	l.entries = append(l.entries, logged{*c, record})
	l.bytes += int64(len(record))
	l.index(c, born)
	for len(l.entries) > 1 && l.retention.drops(l.bytes, c.At.Sub(l.entries[0].At)) {
		l.start, l.startHash = l.entries[0].Version, l.entries[0].Hash
		l.bytes -= int64(len(l.entries[0].record))
		l.forget(&l.entries[0].Change)
		l.entries[0] = logged{} // release its memory: the array lives on
		l.entries = l.entries[1:]
	}
	return len(record)
}

// drops reports whether a log of so many bytes drops its oldest change, which is so much older than the last.
func (r Retention) drops(bytes int64, older time.Duration) bool {
	return bytes > r.Bytes || older > r.Age
}

// after returns the entries after a version, as many as a turn reads; none at the end.
func (l *memoryLog) after(version uint64) ([]logged, error) {
	if version < l.start || version > l.version {
		return nil, Gap(version, l.start)
	}
	i, _ := slices.BinarySearchFunc(l.entries, version+1, func(e logged, version uint64) int {
		if e.Version < version {
			return -1
		}
		return 1
	})
	previous := l.startHash
	if i > 0 {
		previous = l.entries[i-1].Hash
	}
	turn := l.entries[i:min(i+changesATurn, len(l.entries))]
	for j := range turn {
		if !turn[j].follows(previous) {
			return nil, broken(version)
		}
		previous = turn[j].Hash
	}
	if len(turn) == 0 && previous != l.last {
		return nil, broken(version)
	}
	return turn, nil
}

// follows reports whether an entry is unaltered and follows the one with the given hash.
func (e *logged) follows(previous [32]byte) bool {
	return e.Previous == previous && sha256.Sum256(e.record) == e.Hash
}

func broken(version uint64) error {
	return hexbid.Errorf(hexbid.DataLoss, "data",
		"the log of changes is broken after version %d: restore the catalogue from a copy", version)
}

// changesATurn is the number of changes read from the log while the lock is held.
const changesATurn = 64

// Log implements Store.
func (m *Memory) Log(ctx context.Context, after uint64, visit func(*Change) bool) error {
	for {
		var turn []logged
		err := m.read(func() (err error) {
			turn, err = m.log.after(after)
			turn = slices.Clone(turn) // dropping changes clears its array
			return err
		})
		if err != nil || len(turn) == 0 {
			return err
		}
		for i := range turn {
			if err := ctx.Err(); err != nil {
				return err
			}
			after = turn[i].Version
			if !visit(m.shown(&turn[i])) {
				return nil
			}
		}
	}
}

// shown returns a change as Log shows it, with the present derivations of its records.
func (m *Memory) shown(e *logged) *Change {
	c := e.Change
	c.Puts = slices.Clone(c.Puts)
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i := range c.Puts {
		w := &c.Puts[i]
		w.Derived = nil
		if d, there := m.derived[w.Meta().Name]; there && d.Of(&w.Record) {
			w.Derived = &d
		}
	}
	return &c
}

// changeRecord is what Memory's log stores of a change, as JSON. It has the same content as Pebble's.
type changeRecord struct {
	Version   uint64
	At        time.Time
	Who, From string
	Key       string `json:",omitempty"`
	Undoes    uint64 `json:",omitempty"`
	Entries   []changeEntry
	Previous  [32]byte
}

// changeEntry is the effect of a change on one name.
type changeEntry struct {
	Name                string
	UIDBefore, UIDAfter hexbid.UID
	Before              hexbid.Resource
	VerdictBefore       *Verdict
}

// encodeChange encodes the record of a change without its hash.
func encodeChange(c *Change) []byte {
	r := changeRecord{Version: c.Version, At: c.At, Who: c.Who, From: c.From, Key: c.Key, Undoes: c.Undoes,
		Previous: c.Previous}
	for i := range c.Deletes {
		before := &c.Deletes[i]
		r.Entries = append(r.Entries, changeEntry{Name: before.Meta().Name, UIDBefore: before.uid(), Before: before.Resource})
	}
	for i := range c.Puts {
		w := &c.Puts[i]
		r.Entries = append(r.Entries, changeEntry{Name: w.Meta().Name, UIDBefore: w.Before.uid(), UIDAfter: w.uid(),
			Before: w.Before.Resource})
	}
	for i := range c.Verdicts {
		r.Entries = append(r.Entries, changeEntry{Name: c.Verdicts[i].Name, VerdictBefore: &c.Verdicts[i].Verdict})
	}
	record, _ := json.Marshal(r) // nouns hold finite numbers, texts and times
	return record
}
