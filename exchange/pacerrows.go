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

// stepsBetweenRows spaces the rows of a campaign: forty seconds for one of many events, ten minutes for one of a
// hundred. After a crash the plan goes on from the last.
const stepsBetweenRows = 4

func pacedKey(uid hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64([]byte{'p', rowPaced}, uint64(uid))
}

func (p *pacer) rows() (rows []journal.Row) {
	if t := &p.traffic; t.unkept && t.observed.Sub(t.kept) >= curveKept {
		t.unkept, t.kept = false, t.observed
		rows = append(rows, journal.Row{Table: journal.Learned, Key: []byte{'p', rowCurve}, Value: t.curve.Encode()})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range p.unkept {
		row := journal.Row{Table: journal.Learned, Key: pacedKey(uid)} // without a value: it is deleted
		if n, known := p.book.numbers[uid]; known {
			row.Value = p.book.paced.at(n).encode()
		}
		rows = append(rows, row)
	}
	p.unkept = nil
	return rows
}

func (c *paced) encode() []byte {
	told := c.told.output()
	value := binary.BigEndian.AppendUint64(nil, uint64(told.MultiplierPPM))
	value = binary.BigEndian.AppendUint64(value, uint64(told.ParticipationPPM))
	atEntry := byte(0)
	if told.AtEntry {
		atEntry = 1
	}
	return append(append(value, atEntry), c.state.Encode()...)
}

func decodePaced(value []byte, latest time.Time) (c paced, ok bool) {
	if len(value) < 17 || value[16] > 1 {
		return c, false
	}
	told := pacing.Output{MultiplierPPM: int64(binary.BigEndian.Uint64(value)),
		ParticipationPPM: int64(binary.BigEndian.Uint64(value[8:])), AtEntry: value[16] == 1}
	state, ok := pacing.DecodeState(value[17:], latest)
	isPPM := func(n int64) bool { return n >= 1 && n <= pacing.PPM }
	if !ok || !isPPM(told.MultiplierPPM) || !isPPM(told.ParticipationPPM) {
		return c, false
	}
	return paced{state: state, want: pack(told), told: pack(told), restored: true}, true
}

func (p *pacer) restore(latest time.Time, key, value []byte) error {
	switch {
	case len(key) == 2 && key[1] == rowCurve:
		if curve, ok := pacing.DecodeCurve(value, latest); ok {
			p.traffic.curve, p.traffic.shape = curve, curve.Shape()
			return nil
		}
	case len(key) == 10 && key[1] == rowPaced:
		if c, ok := decodePaced(value, latest); ok {
			n, _ := p.book.see(hexbid.UID(binary.BigEndian.Uint64(key[2:])))
			c.uid = p.book.paced.at(n).uid
			*p.book.paced.at(n) = c
			return nil
		}
	}
	return fmt.Errorf("a row of %d and %d bytes is none of pacing's", len(key), len(value))
}

// opened tells searches what was told before the stop. Campaigns that were not stepped for long begin anew.
func (p *pacer) opened(now time.Time) (updates []bidder.LiveUpdate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wheel.turned = now.UnixMilli() / tickMillis
	for n := range p.book.paced.size {
		switch c, s := p.book.paced.at(n), p.book.seen.at(n); {
		case now.UnixMilli()-c.state.At > forgetAfter.Milliseconds():
			c.told = fullPacked // searches were not told anything yet
			p.drop(n)
		case c.told != fullPacked:
			s.waits, c.planned = true, p.wheel.put(n, p.wheel.turned+1+slotOf(c.uid))
			updates = append(updates, toldOf(c.uid, c.told.output()))
		}
	}
	return updates
}
