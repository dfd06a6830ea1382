package pebble

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// clock is written by every round of commits. It says how far the catalogue has come, what the catalogue must hold, and
// where the log of changes begins and ends.
type clock struct {
	version  uint64     // of the last commit
	uid      hexbid.UID // assigned last
	tally    tally      // of all records and verdicts
	counters tally      // of all counters
	log      logBounds
}

// logBounds reveals when the log of changes lacks its first or last records.
type logBounds struct {
	start     uint64 // the log holds every change after this version
	startHash digest // of the change of that version
	lastHash  digest // of the last change
	bytes     uint64 // of all its records
}

type digest = [sha256.Size]byte

// tally counts entries and sums their fingerprints, modulo 2^64. A commit adds what it puts and subtracts what it
// replaces or deletes. A scan computes the sum again. A missing table, a gap in a log of writes, or an older file in
// place of a newer one gives another sum.
type tally struct{ entries, sum uint64 }

func (t *tally) add(fingerprint uint64)    { t.entries++; t.sum += fingerprint }
func (t *tally) remove(fingerprint uint64) { t.entries--; t.sum -= fingerprint }

// join adds another tally.
func (t *tally) join(other tally) { t.entries, t.sum = t.entries+other.entries, t.sum+other.sum }

// fingerprint returns what a record adds to the tally's sum.
func fingerprint(m *hexbid.Meta) uint64 {
	var room [128]byte
	b := binary.BigEndian.AppendUint64(append(room[:0], m.Name...), uint64(m.UID))
	return xxhash.Sum64(binary.BigEndian.AppendUint64(b, m.Version))
}

// fingerprintOfVerdict returns what a verdict adds. It hashes a name that no record can have.
func fingerprintOfVerdict(name string, v *store.Verdict) uint64 {
	return fingerprint(&hexbid.Meta{Name: "v/" + name, Version: v.Version})
}

// fingerprintOfCounter returns what a counter adds.
func fingerprintOfCounter(owner string, c store.Counter, value int64) uint64 {
	var room [128]byte
	return xxhash.Sum64(binary.BigEndian.AppendUint64(append(append(room[:0], owner...), 0, byte(c)), uint64(value)))
}

// clockBytes is the length of an encoded clock; those of older formats are shorter.
const clockBytes = 128

func (c *clock) encode() []byte {
	b := make([]byte, 0, clockBytes)
	for _, n := range []uint64{c.version, uint64(c.uid), c.tally.entries, c.tally.sum, c.counters.entries, c.counters.sum,
		c.log.start, c.log.bytes} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return append(append(b, c.log.startHash[:]...), c.log.lastHash[:]...)
}

// decodeClock decodes a clock. Clocks of the first two formats have no tally; those of the third have no counters and
// no log.
func decodeClock(b []byte) (c clock, ok bool) {
	number := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	switch len(b) {
	case clockBytes:
		c.counters = tally{number(4), number(5)}
		c.log = logBounds{start: number(6), bytes: number(7), startHash: digest(b[64:96]), lastHash: digest(b[96:])}
		fallthrough
	case 32:
		c.tally = tally{number(2), number(3)}
		fallthrough
	case 16:
		c.version, c.uid = number(0), hexbid.UID(number(1))
		return c, true
	}
	return c, false
}
