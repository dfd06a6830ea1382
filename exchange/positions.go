package exchange

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/outstanding"
	"github.com/hexbid/hexbid/token"
)

// positions learns from trials what slots are worth: the chance that an award is seen, which auctions use hourly as
// position factors, and the chance that a seen one is clicked, by which estimates of quality correct.
type positions struct {
	clients *access.Directory
	shares  atomic.Pointer[clickShares]

	mu      sync.Mutex // guards the fields below
	assumed []int64    // the operator's position factors
	counts  quality.Positions
	changed bool      // since the last rows
	aged    time.Time // up to here the counts have decayed
}

// clickShares is the chance of a click on a seen impression, by way and slot beside the first slot.
type clickShares = [quality.WayCount][hexbid.MaxSlots]float64

const (
	// positionsHalfLife is how long ago what was seen of slots weighs half.
	positionsHalfLife = 28 * 24 * time.Hour
	// positionsEvery spaces the decay of counts and new shares of clicks.
	positionsEvery = time.Minute
)

func newPositions(config *Config, clients *access.Directory) *positions {
	p := &positions{assumed: config.Market.PositionFactors, clients: clients}
	p.share()
	return p
}

// wayOf returns how a client reports impressions.
func (p *positions) wayOf(client string) quality.Way {
	if p.clients.RendersOnly(client) {
		return quality.OnRender
	}
	return quality.WhenSeen
}

// settingOf returns where an award was shown.
func (p *positions) settingOf(a *token.Award) quality.Setting {
	return quality.Setting{Way: p.wayOf(a.ClientID), Slot: a.Slot, Band: a.Prediction.Band}
}

// share computes the shares of clicks anew. The caller holds the lock, or is the only one.
func (p *positions) share() {
	shares := new(clickShares)
	for way := range shares {
		_, clicked := p.counts.Steps(quality.Way(way), p.assumed)
		shares[way] = quality.Shares(clicked)
	}
	p.shares.Store(shares)
}

// goOnFrom takes over other rules of the operator. What was seen counts for them too.
func (p *positions) goOnFrom(m *bidder.Market) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.assumed = m.PositionFactors
	p.share()
}

// learn states the position factors of the ways that have had trials.
func (p *positions) learn(l *bidder.Learned) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for way, factors := range map[quality.Way]*[]int64{quality.WhenSeen: &l.PositionFactors,
		quality.OnRender: &l.FactorsOnRender} {
		if p.counts.Awards(way) > 0 {
			seen, _ := p.counts.Steps(way, p.assumed)
			*factors = quality.Factors(seen)
		}
	}
}

// put sets how a request's client reports impressions, and whether its auction is a trial. A market without a ledger
// learns nothing, so it tries nothing.
func (p *positions) put(q *bidder.Query, r *hexbid.Request, config *Config) {
	q.Way = p.wayOf(r.ClientID)
	if config.Ledger != nil {
		q.Trial = q.Ties.Trial(q.Slots, config.SwapPPM)
	}
}

// positionIn returns where a trial shows an award, by the award's slot.
func positionIn(t auction.Trial, slot int, way quality.Way) quality.Position {
	return quality.Position{Way: way, Pair: int(t.Pair), Lower: slot == int(t.Pair)+1, Swapped: t.Swapped}
}

func (p *positions) awarded(a *outstanding.Award, _ int64) {
	if a.Trial == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Awarded(quality.PositionOf(a.Trial))
	p.changed = true
}

func (p *positions) happened(e *happening) {
	a := e.Award
	at := positionIn(a.Trial, a.Slot, p.wayOf(a.ClientID))
	if !a.Trial.Concerns(a.Slot) || !fold.UsesUp(e.outcome) || e.outcome == hexbid.EventFiltered {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case e.Kind == hexbid.Impression:
		p.counts.Seen(at)
	case e.Kind == hexbid.Click && !e.implied:
		p.counts.Clicked(at)
	}
	p.changed = true
}

func (p *positions) step(_ context.Context, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aged.IsZero() {
		p.aged = now
	}
	if age := now.Sub(p.aged); age >= positionsEvery {
		p.counts.Decay(math.Exp2(-float64(age) / float64(positionsHalfLife)))
		p.aged, p.changed = now, true
		p.share()
	}
	return nil
}

func (p *positions) letter() byte { return 'v' }

// rows keeps the counts in one row, after the instant that they have decayed to, in Unix milliseconds.
func (p *positions) rows() []journal.Row {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.changed || p.aged.IsZero() {
		return nil
	}
	p.changed = false
	value := binary.BigEndian.AppendUint64(nil, uint64(p.aged.UnixMilli()))
	return []journal.Row{{Table: journal.Learned, Key: []byte{p.letter()}, Value: append(value, p.counts.Encode()...)}}
}

func (p *positions) restore(latest time.Time, _, value []byte) error {
	const stamp = 8
	counts, ok := quality.DecodePositions(value[min(stamp, len(value)):])
	if !ok {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "a row of %d bytes is no counts of positions", len(value))
	}
	aged := int64(binary.BigEndian.Uint64(value))
	if aged < 0 || aged > latest.UnixMilli() {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "counts of positions are of %d ms since 1970, after now", aged)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts, p.aged = *counts, time.UnixMilli(aged)
	p.share()
	return nil
}
