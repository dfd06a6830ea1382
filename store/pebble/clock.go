package pebble

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// clock is what every commit writes beside its records: how far the catalogue
// has come, and what it must hold.
type clock struct {
	version uint64     // of the last commit
	uid     hexbid.UID // last given out
	tally   tally      // of all records
}

// tally counts records and verdicts and sums their fingerprints (name, uid, version),
// modulo 2^64. A commit adds what it puts and takes away what it replaces or deletes.
// A scan sums again: a table or a log of writes that is missing in the middle,
// or an older one in its place, gives another sum.
type tally struct{ records, sum uint64 }

func fingerprint(m *hexbid.Meta) uint64 {
	var room [128]byte
	b := binary.BigEndian.AppendUint64(append(room[:0], m.Name...), uint64(m.UID))
	return xxhash.Sum64(binary.BigEndian.AppendUint64(b, m.Version))
}

func (t *tally) add(r *store.Record)    { t.records++; t.sum += fingerprint(r.Meta()) }
func (t *tally) remove(r *store.Record) { t.records--; t.sum -= fingerprint(r.Meta()) }

// after is the clock once a stage is committed.
func (c clock) after(stage *store.Stage, version uint64) clock {
	c.version, c.uid = version, stage.LastUID
	for name, r := range stage.After {
		if before, existed := stage.Before[name]; existed {
			c.tally.remove(&before)
		}
		if r != nil {
			c.tally.add(r)
		}
	}
	return c
}

func (c clock) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, c.version)
	b = binary.BigEndian.AppendUint64(b, uint64(c.uid))
	b = binary.BigEndian.AppendUint64(b, c.tally.records)
	return binary.BigEndian.AppendUint64(b, c.tally.sum)
}

// decodeClock reads a clock; those of the first two formats have no tally.
func decodeClock(b []byte) (c clock, ok bool) {
	if len(b) != 16 && len(b) != 32 {
		return c, false
	}
	c.version, c.uid = binary.BigEndian.Uint64(b), hexbid.UID(binary.BigEndian.Uint64(b[8:]))
	if len(b) == 32 {
		c.tally = tally{binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])}
	}
	return c, true
}
