package exchange

import (
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// distances is the part of delivery that learns how the chance of a click falls with the distance to a program's
// nearest place. Auctions use it hourly, with the market's version.
type distances struct {
	indexer   *bidder.Indexer
	positions *positions
	clock     func() time.Time // the ledger's

	mu     sync.Mutex // guards the fields below; no search takes it
	pinned bool       // by the operator
	table  quality.Distances
	book   *quality.DistanceBook
}

func newDistances(e *Exchange) *distances {
	table := e.config.Market.Distance
	return &distances{indexer: e.indexer, positions: e.positions, clock: e.config.Ledger.Now,
		pinned: e.config.Market.DistancePinned, table: table, book: quality.NewDistanceBook(table, e.config.ClickExpiry)}
}

// goOnFrom takes over other rules of the operator. What was seen counts for a table of the same bands.
func (d *distances) goOnFrom(m *bidder.Market) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pinned, d.table, d.book = m.DistancePinned, m.Distance, d.book.From(m.Distance)
}

// learn states the factors of distance, where they differ from the operator's and these are not pinned.
func (d *distances) learn(l *bidder.Learned) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.book.SetShares(d.positions.shares.Load())
	learned := d.book.Distances(d.clock().UnixMilli())
	if !d.pinned && distancesDiffer(&learned, &d.table) {
		l.Distance = &learned
	}
}

// happened counts impressions and clicks. It leaves out events that are not of people, clicks that imply their
// impressions, and what a search that explores has shown: the quality in its token is above what is expected.
func (d *distances) happened(e *happening) {
	a := e.Award
	if a.Explored || e.implied || !teaches(e.outcome) {
		return
	}
	category, there := d.indexer.Snapshot().CategoryOf(a.Campaign)
	if !there {
		return
	}
	s := quality.Sighting{Setting: d.positions.settingOf(a), Category: category, Expected: nextDoor(a)}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.book.SetShares(d.positions.shares.Load())
	switch e.Kind {
	case hexbid.Impression:
		d.book.Seen(e.at.UnixMilli(), s)
	case hexbid.Click:
		d.book.Clicked(e.at.UnixMilli(), s)
	}
}

// nextDoor returns the chance that a seen award is clicked, if its program were next door and it stood in the first
// slot.
func nextDoor(a *token.Award) float64 {
	p := &a.Prediction
	return float64(p.BasePPM) / quality.PPM * float64(p.ScenePPM) / quality.PPM
}

func (d *distances) letter() byte { return 'd' }

func (d *distances) restore(latest time.Time, key, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.book.Restore(latest.UnixMilli(), key[1:], value)
}

func (d *distances) rows() (rows []journal.Row) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.book.Rows() {
		rows = append(rows, journal.Row{Table: journal.Learned, Key: append([]byte{d.letter()}, r.Key...), Value: r.Value})
	}
	return rows
}
