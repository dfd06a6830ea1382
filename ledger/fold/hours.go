package fold

import (
	"encoding/binary"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// add adds to a campaign's totals of the present hour, of a date that is not before its last one, and ever.
func (b *Books) add(c *campaign, date int32, delta *Totals, w *journal.Batch) {
	b.rows.touch(c)
	a := c.activity
	if a == nil {
		a = &activity{date: date, hour: b.state.hour}
		c.activity = a
		b.activeThisHour = append(b.activeThisHour, c)
	}
	if a.hour != b.state.hour {
		a.thisHour, a.hour = Totals{}, b.state.hour
		b.activeThisHour = append(b.activeThisHour, c)
	}
	if a.date != date {
		b.settleDay(c, w)
		a.today, a.date = Totals{}, date
	}
	a.thisHour.Add(delta)
	a.today.Add(delta)
	a.ever.Add(delta)
	a.hourUnsettled, a.dayUnsettled = true, true
	if !a.listed {
		a.listed, b.unsettled = true, append(b.unsettled, c)
	}
}

// post adds money to a campaign's totals of a date of statements, which is not before its last one. It comes after add.
func (b *Books) post(c *campaign, posted int32, charged, credited hexbid.Money, w *journal.Batch) {
	a := c.activity
	if a.posted != posted {
		b.settlePosted(c, w)
		a.onPosted, a.posted = AdvertiserTotals{}, posted
	}
	a.onPosted.Charged += charged
	a.onPosted.Credited += credited
	a.postedUnsettled = true
}

// Add adds totals. A sum is MaxInt64 at the most.
func (t *Totals) Add(delta *Totals) {
	t.Impressions = plus(t.Impressions, delta.Impressions)
	t.Clicks = plus(t.Clicks, delta.Clicks)
	t.Conversions = plus(t.Conversions, delta.Conversions)
	t.Claims = plus(t.Claims, delta.Claims)
	t.Charged = plus(t.Charged, delta.Charged)
	t.Credited = plus(t.Credited, delta.Credited)
	t.Free = plus(t.Free, delta.Free)
	t.Exhausted = plus(t.Exhausted, delta.Exhausted)
	t.Filtered = plus(t.Filtered, delta.Filtered)
	t.BeyondCap = plus(t.BeyondCap, delta.BeyondCap)
	t.ConversionValue = plus(t.ConversionValue, delta.ConversionValue)
}

func (t *Totals) encode() []byte {
	c := codec{bytes: make([]byte, 0, 48)}
	t.fields(&c)
	return c.bytes
}

func (t *AdvertiserTotals) encode() []byte {
	c := codec{bytes: make([]byte, 0, 48)}
	t.fields(&c)
	return c.bytes
}

// Settle puts the rows of totals that records have changed since the last call: of hours, days and advertisers' days.
// The rows are behind the records in between. A crash loses nothing by that, because accounts hold the totals of the
// present hour and dates: a replay, and Restore from a checkpoint that came in between, have them put by the next call.
// The totals of an hour or a date that has ended are put by the record or the Advance that begins the next.
func (b *Books) Settle(w *journal.Batch) {
	for _, c := range b.unsettled {
		c.activity.listed = false
		b.settleHour(c, w)
		b.settleDay(c, w)
		b.settlePosted(c, w)
	}
	b.unsettled = b.unsettled[:0]
	for _, a := range b.unsettledDays {
		a.settle(w)
	}
	b.unsettledDays = b.unsettledDays[:0]
	put(w, journal.Meta, []byte(settledKey), key64(b.last.Sequence))
}

func (b *Books) settleHour(c *campaign, w *journal.Batch) {
	if a := c.activity; a.hourUnsettled && w != nil {
		a.hourUnsettled = false
		put(w, journal.Hours, HourKey(a.hour, c.uid), a.thisHour.encode())
	}
}

func (b *Books) settleDay(c *campaign, w *journal.Batch) {
	if a := c.activity; a.dayUnsettled && w != nil {
		a.dayUnsettled = false
		put(w, journal.Days, DayKey(c.uid, a.date), a.today.encode())
	}
}

func (b *Books) settlePosted(c *campaign, w *journal.Batch) {
	if a := c.activity; a.postedUnsettled && w != nil {
		a.postedUnsettled = false
		put(w, journal.AdvertiserDays, PostedKey(c.advertiser.Advertiser, a.posted, c.uid), a.onPosted.encode())
	}
}

func (a *advertiser) settle(w *journal.Batch) {
	if a.unsettled && w != nil {
		a.unsettled = false
		put(w, journal.AdvertiserDays, DayKey(a.Advertiser, a.Date), a.Today.encode())
	}
}

// settleOn prepares an advertiser's account for a change on a date of its statement.
func (b *Books) settleOn(a *advertiser, posted int32, w *journal.Batch) {
	b.rows.touch(a)
	if a.Date != posted {
		listed := a.unsettled
		a.settle(w)
		a.Today, a.Date = AdvertiserTotals{}, posted
		if listed {
			a.unsettled = true // it is listed already
			return
		}
	}
	if !a.unsettled {
		a.unsettled, b.unsettledDays = true, append(b.unsettledDays, a)
	}
}

// endHour makes the totals of the hours before a new one final.
func (b *Books) endHour(hour uint32, w *journal.Batch) {
	b.rows.touch(&b.state)
	for _, c := range b.activeThisHour {
		b.settleHour(c, w)
		a := c.activity
		b.state.hoursDigest.add(printOfRow(journal.Hours, HourKey(a.hour, c.uid), a.thisHour.encode()))
	}
	b.activeThisHour = b.activeThisHour[:0]
	b.state.hour = hour
}

// tree is the tree of charges of the open hour.
type tree struct {
	*merkle.Tree
	hash Hash
	marks
}

func (t *tree) key() stateKey { return stateKey{table: journal.Accounts, kind: 't'} }

func (t *tree) print() *Hash { return &t.hash }

func (t *tree) value(b []byte) []byte {
	c := codec{bytes: b}
	tiles := t.Unfinished()
	repeated(&c, 1, &tiles, tileFields)
	return c.bytes
}

func tileFields(t *merkle.Tile, c *codec) {
	number(c, 1, &t.Level)
	number(c, 2, &t.Index)
	within := c.open(3)
	if c.decoding {
		t.Hashes, c.bytes = c.bytes, nil
	} else {
		c.bytes = append(c.bytes, t.Hashes...)
	}
	c.close(within)
}

// addLeaf adds a charge to the tree of its hour.
func (b *Books) addLeaf(e *Event, now *Point, encoded []byte, w *journal.Batch) error {
	s := &b.state
	if hour := HourOf(now.At); !s.open || s.treeHour != hour {
		return faulty(now.Sequence, "charges something in hour %d, which was not opened", hour)
	}
	b.rows.touch(&b.tree)
	if w != nil {
		key := binary.BigEndian.AppendUint64(b.block.cut(16), uint64(e.Award.Campaign))
		put(w, journal.Charges, binary.BigEndian.AppendUint64(key, now.Sequence),
			binary.BigEndian.AppendUint64(b.block.cut(8), s.leaves))
	}
	if b.salter == nil {
		b.salter = merkle.NewSalter(s.salt)
	}
	full := b.tree.Append(merkle.LeafHash(b.salter.Salt(now.Sequence), Leaf(encoded)))
	b.putTiles(full, w)
	s.leaves, s.charged = s.leaves+1, s.charged+e.Charged
	return nil
}

func (b *Books) putTiles(tiles []merkle.Tile, w *journal.Batch) {
	for _, t := range tiles {
		put(w, journal.Tiles, TileKey(b.state.treeHour, t.Level, t.Index), t.Hashes)
	}
}

// HourToOpen returns the hour of the present instant, and whether an HourOpened of it must come before a record that
// charges something. An hour that is open still must be closed before (HourToClose).
func (b *Books) HourToOpen() (hour uint32, due bool) {
	hour = HourOf(b.at)
	return hour, !b.state.open || b.state.treeHour != hour
}

func (b *Books) takeHourOpened(h *HourOpened, now *Point, w *journal.Batch) error {
	s := &b.state
	if hour, due := b.HourToOpen(); !due || s.open || h.Hour != hour {
		return faulty(now.Sequence, "opens hour %d; the last one is %d", h.Hour, s.treeHour)
	}
	s.open, s.treeHour, s.salt, s.opened, s.leaves, s.charged = true, h.Hour, h.Salt, now.Sequence, 0, 0
	put(w, journal.Roots, RootKey(h.Hour), encodeRoot(now.Sequence, 0))
	return nil
}

// HourToClose returns the body of the record that closes the open hour, once Advance has passed that hour; nil if there
// is none to close.
func (b *Books) HourToClose() *HourClosed {
	s := &b.state
	if !s.open || HourOf(b.at) <= s.treeHour {
		return nil
	}
	return &HourClosed{Hour: s.treeHour, Root: Hash(b.tree.Root()), Charges: s.leaves, Charged: s.charged,
		TotalsDigest: s.hoursDigest, PreviousLink: s.lastLink}
}

func (b *Books) takeHourClosed(h *HourClosed, now *Point, w *journal.Batch) error {
	if due := b.HourToClose(); due == nil || *h != *due {
		return faulty(now.Sequence, "closes hour %d as %+v; the books say %+v", h.Hour, h, due)
	}
	s := &b.state
	b.rows.touch(&b.tree)
	b.putTiles(b.tree.Unfinished(), w)
	put(w, journal.Roots, RootKey(h.Hour), encodeRoot(s.opened, now.Sequence))
	b.tree.Tree = new(merkle.Tree)
	s.lastLink = merkle.Link(h.PreviousLink, h.Hour, h.Charges, merkle.Hash(h.Root))
	b.salter = nil
	s.open, s.salt, s.opened, s.leaves, s.charged = false, [32]byte{}, 0, 0, 0
	return nil
}
