package ledger

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Events that use up nothing leave no record, or anyone could fill the disk with them. They are counted by the hour and
// the outcome, outside the chain: at most one row for each of the outcomes an hour.

// tallies counts events that were answered without a record.
type tallies [hexbid.EventOutcomeCount]atomic.Uint64

func (t *tallies) add(outcome hexbid.EventOutcome, n int) {
	if outcome > 0 && outcome < hexbid.EventOutcomeCount && n > 0 {
		t[outcome].Add(uint64(n))
	}
}

// hourTally is what an hour has counted so far.
type hourTally struct {
	hour   uint32
	counts [hexbid.EventOutcomeCount]uint64
}

// TallyKey returns the key in journal.Tallies of an outcome's count in an hour since 1970. The value is the count, in
// eight bytes.
func TallyKey(hour uint32, outcome hexbid.EventOutcome) []byte {
	return append(binary.BigEndian.AppendUint32(nil, hour), byte(outcome))
}

// readTally reads what an hour has counted so far, also before a restart.
func readTally(v journal.View, hour uint32) (hourTally, error) {
	t := hourTally{hour: hour}
	for outcome := range t.counts {
		value, err := v.Get(journal.Tallies, TallyKey(hour, hexbid.EventOutcome(outcome)))
		if err != nil {
			return t, err
		}
		if len(value) == 8 {
			t.counts[outcome] = binary.BigEndian.Uint64(value)
		}
	}
	return t, nil
}

// gather adds what was counted since the last call to the hour's rows, and returns those that changed.
func (t *hourTally) gather(from *tallies) (rows []journal.Row) {
	for outcome := range from {
		n := from[outcome].Swap(0)
		if n == 0 {
			continue
		}
		t.counts[outcome] += n
		rows = append(rows, journal.Row{Table: journal.Tallies, Key: TallyKey(t.hour, hexbid.EventOutcome(outcome)),
			Value: binary.BigEndian.AppendUint64(nil, t.counts[outcome])})
	}
	return rows
}
