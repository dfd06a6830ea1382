package exchange

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger/journal"
)

// The rows of the pacer, by the second byte of their keys.
const (
	rowCurve = 'c' // the traffic of the week
	rowPaced = 'u' // uid (8): a campaign's output (17) and its state
)

// ticksBetweenRows spaces the rows of a campaign: a minute. After a crash the plan goes on from the last.
const ticksBetweenRows = 60_000 / tickMillis

func pacedKey(uid hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64([]byte{'p', rowPaced}, uint64(uid))
}

func (p *pacer) rows() (rows []journal.Row) {
	if t := &p.traffic; t.unkept && t.observed.Sub(t.kept) >= curveKept {
		t.unkept, t.kept = false, t.observed
		rows = append(rows, journal.Row{Table: journal.Learned, Key: []byte{'p', rowCurve}, Value: t.curve.Encode()})
	}
	for uid := range p.unkept {
		row := journal.Row{Table: journal.Learned, Key: pacedKey(uid)} // without a value: it is deleted
		if c := p.campaigns[uid]; c != nil {
			row.Value = c.encode()
		}
		rows = append(rows, row)
	}
	clear(p.unkept)
	return rows
}

func (c *paced) encode() []byte {
	value := binary.BigEndian.AppendUint64(nil, uint64(c.told.MultiplierPPM))
	value = binary.BigEndian.AppendUint64(value, uint64(c.told.ParticipationPPM))
	atEntry := byte(0)
	if c.told.AtEntry {
		atEntry = 1
	}
	return append(append(value, atEntry), c.state.Encode()...)
}

func decodePaced(value []byte) (*paced, bool) {
	if len(value) < 17 || value[16] > 1 {
		return nil, false
	}
	told := pacing.Output{MultiplierPPM: int64(binary.BigEndian.Uint64(value)),
		ParticipationPPM: int64(binary.BigEndian.Uint64(value[8:])), AtEntry: value[16] == 1}
	state, ok := pacing.DecodeState(value[17:])
	isPPM := func(n int64) bool { return n >= 1 && n <= pacing.PPM }
	if !ok || !isPPM(told.MultiplierPPM) || !isPPM(told.ParticipationPPM) {
		return nil, false
	}
	return &paced{state: state, want: told, told: told, restored: true}, true
}

func (p *pacer) restore(key, value []byte) error {
	switch {
	case len(key) == 2 && key[1] == rowCurve:
		if curve, ok := pacing.DecodeCurve(value); ok {
			p.traffic.curve, p.traffic.shape = curve, curve.Shape()
			return nil
		}
	case len(key) == 10 && key[1] == rowPaced:
		if c, ok := decodePaced(value); ok {
			p.campaigns[hexbid.UID(binary.BigEndian.Uint64(key[2:]))] = c
			return nil
		}
	}
	return fmt.Errorf("a row of %d and %d bytes is none of pacing's", len(key), len(value))
}

// opened tells searches what was told before the stop. Campaigns that were not stepped for long begin anew.
func (p *pacer) opened(now time.Time) (updates []bidder.LiveUpdate) {
	for uid, c := range p.campaigns {
		switch {
		case now.UnixMilli()-c.state.At > forgetAfter.Milliseconds():
			delete(p.campaigns, uid)
			p.unkept[uid] = struct{}{}
		case c.told != pacing.Full:
			p.wheel[slotOf(uid)][uid] = struct{}{}
			updates = append(updates, toldOf(uid, c.told))
		}
	}
	p.ticked = now.UnixMilli() / tickMillis
	return updates
}
