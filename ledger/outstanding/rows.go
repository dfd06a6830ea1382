package outstanding

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// The rows of a book in journal.Outstanding, by the first byte of their keys. A row of an account changes only when its
// awards or events do, because its slices have instants and not ages.
const (
	rowBook    = 'b' // the instant of the last rows, and whether they were the last of an orderly stop
	rowDelays  = 'd' // pricing: what was learned of a delay
	rowAccount = 'p' // advertiser or campaign (1), uid (8), pricing: an account
)

// rowFormat is the first byte of each value.
const rowFormat = 1

// Rows returns the rows that changed since the last call, those of accounts far from their end seldom. Keep them each
// second. The rows of an orderly stop are those of all accounts, and say that no award was given out after them.
func (b *Book) Rows(stopping bool) []journal.Row {
	rows := []journal.Row{{Table: journal.Outstanding, Key: []byte{rowBook}, Value: b.encode(stopping)}}
	for _, pricing := range pricings {
		rows = append(rows, journal.Row{Table: journal.Outstanding, Key: []byte{rowDelays, byte(pricing)},
			Value: b.delays[pricing].encode()})
	}
	if stopping {
		b.staleAll()
	}
	for i, a := range b.stale {
		a.stale, b.stale[i] = false, nil
		if row, due := b.row(a, stopping); due {
			rows = append(rows, row)
		}
	}
	b.stale = b.stale[:0]
	return rows
}

// staleAll marks the rows of all accounts as to be made.
func (b *Book) staleAll() {
	for _, a := range b.round {
		if !a.stale {
			a.stale = true
			b.stale = append(b.stale, a)
		}
	}
}

// row returns an account's row, and whether it is due. That of an account which is far from its end waits. A row
// without a value is deleted.
func (b *Book) row(a *account, stopping bool) (row journal.Row, due bool) {
	row = journal.Row{Table: journal.Outstanding, Key: a.of.key()}
	if a.isForgotten {
		return row, a.hasRow
	}
	if isOld := b.now-a.written >= farEvery; !stopping && !isOld {
		a.out(b.now, b.delays[a.of.pricing]) // brings its stake up to date
		if a.stake.isFar() {
			return row, false
		}
	}
	a.hasRow, a.written = true, b.now
	row.Value = a.encode(b.now)
	return row, true
}

// Restore makes a book from the rows that were kept, as of an instant. After a crash it adds, for each account, what it
// may have won since its last rows at the rate of its last seconds. Restore leaves out rows that it cannot read, and
// counts them: they are estimates, and a market can do without one.
func Restore(life time.Duration, unixMillis int64, scan func(journal.Visit) error) (b *Book, unread int, err error) {
	b = New(life)
	now := tickOf(unixMillis)
	kept, stopped := now, true
	err = scan(func(key, value []byte) (bool, error) {
		r := reader{rest: value}
		if r.byte() != rowFormat || len(key) == 0 {
			unread++
			return true, nil
		}
		switch key[0] {
		case rowBook:
			kept, stopped = tick(r.varint()), r.byte() != 0
		case rowDelays:
			r.delays(b, key)
		case rowAccount:
			r.account(b, key)
		default:
			r.broken = true
		}
		if r.broken {
			unread++
		}
		return true, nil
	})
	if err != nil {
		return nil, unread, err
	}
	b.resume(now, min(kept, now), stopped)
	return b, unread, nil
}

// resume starts at an instant with what was kept at an earlier one.
func (b *Book) resume(now, kept tick, stopped bool) {
	b.now, b.second = now, now
	for _, a := range b.round {
		for i := range a.slices { // a clock that went back must not leave awards to come
			a.slices[i].from, a.slices[i].to = min(a.slices[i].from, now), min(a.slices[i].to, now)
		}
	}
	for pricing, d := range b.delays {
		if d == nil {
			continue
		}
		d.now = kept
		for _, a := range b.round {
			if !a.of.advertiser && int(a.of.pricing) == pricing {
				a.reissue(d)
			}
		}
	}
	if !stopped {
		for _, a := range b.round {
			a.bridge(kept, min(now, kept+ticksIn(b.life)))
		}
	}
	for _, d := range b.delays[hexbid.CPC:] {
		d.advance(now)
		d.learn(now)
	}
	for _, a := range b.round {
		a.out(now, b.delays[a.of.pricing]) // its stake follows from its slices
	}
	b.tidy()
}

// reissue tells the delays of an account's awards.
func (a *account) reissue(d *delays) {
	for i := range a.slices {
		d.issue(a.slices[i].middle(), float32(a.slices[i].issued))
	}
}

// bridge adds the awards that an account may have won from the instant of its last rows until now, at its last rate:
// the higher one of those over two spans, for a burst that had just begun and for awards that are rare.
func (a *account) bridge(kept, now tick) {
	gap := slice{from: kept + 1, to: now}
	if gap.from > gap.to {
		return
	}
	for _, span := range [...]tick{2 * ticksASecond, 30 * ticksASecond} {
		rate, part := a.since(kept-span), float64(now-kept)/float64(span)
		if rate.issued*part > gap.issued {
			gap.highest, gap.issued, gap.awards = rate.highest, rate.issued*part, rate.awards*part
			gap.chance, gap.value = gap.issued, gap.issued*float64(rate.highest)
			if rate.chance > 0 { // the mean price of those that are still out
				gap.value = gap.issued * rate.value / rate.chance
			}
		}
	}
	if gap.issued > 0 {
		gap.awards = max(gap.awards, gap.chance/most)
		a.slices = append(a.slices, gap)
	}
}

// since sums the slices after an instant.
func (a *account) since(instant tick) (sum slice) {
	for i := range a.slices {
		if a.slices[i].from > instant {
			sum.join(&a.slices[i])
		}
	}
	return sum
}

func (p party) key() []byte {
	key := make([]byte, 1, 11)
	key[0] = rowAccount
	side := byte(0)
	if p.advertiser {
		side = 1
	}
	return append(binary.BigEndian.AppendUint64(append(key, side), uint64(p.uid)), byte(p.pricing))
}

func (b *Book) encode(stopping bool) []byte {
	value := binary.AppendVarint([]byte{rowFormat}, int64(b.now))
	if stopping {
		return append(value, 1)
	}
	return append(value, 0)
}

func (d *delays) encode() []byte {
	value := binary.AppendVarint([]byte{rowFormat}, int64(d.learned))
	for bin := range bins {
		value = appendFloats(value, d.came[bin], d.grown[bin])
	}
	return value
}

// encode writes an account, its slices joined until they are as long as they are old.
func (a *account) encode(now tick) []byte {
	value := binary.AppendVarint([]byte{rowFormat}, int64(a.aged))
	value = appendFloats(value, a.closed.issued, a.closed.happened)
	slices := joined(make([]slice, 0, len(a.slices)), a.slices, now, 1)
	value = binary.AppendUvarint(value, uint64(len(slices)))
	for i := range slices {
		s := &slices[i]
		value = binary.AppendVarint(value, int64(s.from))
		value = binary.AppendUvarint(value, uint64(s.to-s.from))
		value = appendFloats(value, float64(s.highest), float64(s.happened), s.issued, s.awards, s.chance, s.value)
	}
	return value
}

func appendFloats(value []byte, of ...float64) []byte {
	for _, f := range of {
		value = binary.BigEndian.AppendUint32(value, math.Float32bits(float32(f)))
	}
	return value
}

// reader reads the value of a row. After its end, and after a number that none of these rows holds, broken is set.
type reader struct {
	rest   []byte
	broken bool
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.broken = true
		return 0
	}
	first := r.rest[0]
	r.rest = r.rest[1:]
	return first
}

// varint reads an instant.
func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 || v > math.MaxInt32 || v < -math.MaxInt32 {
		r.broken, n, v = true, len(r.rest), 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads a number up to a bound.
func (r *reader) count(most int) int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > uint64(most) {
		r.broken, n, v = true, len(r.rest), 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

// float reads a sum, which is finite and not negative.
func (r *reader) float() float64 {
	if len(r.rest) < 4 {
		r.broken, r.rest = true, nil
		return 0
	}
	f := float64(math.Float32frombits(binary.BigEndian.Uint32(r.rest)))
	r.rest = r.rest[4:]
	if !(f >= 0 && f <= math.MaxFloat32) {
		r.broken = true
		return 0
	}
	return f
}

func (r *reader) delays(b *Book, key []byte) {
	learned := delays{learned: tick(r.varint())}
	for bin := range bins {
		learned.came[bin], learned.grown[bin] = r.float(), r.float()
	}
	if r.broken = r.broken || len(key) != 2 || key[1] != byte(hexbid.CPC) && key[1] != byte(hexbid.CPM); r.broken {
		return
	}
	d := b.delays[key[1]]
	d.came, d.grown, d.learned = learned.came, learned.grown, learned.learned
}

// mostSlices is more than an account has: two for each doubling of an age of up to 24 hours.
const mostSlices = 1000

func (r *reader) account(b *Book, key []byte) {
	a := &account{aged: tick(r.varint()), hasRow: true}
	a.written = a.aged
	a.closed.issued, a.closed.happened = r.float(), r.float()
	for range r.count(mostSlices) {
		s := slice{from: tick(r.varint())}
		s.to = s.from + tick(r.count(int(ticksIn(b.life))))
		s.highest, s.happened = float32(r.float()), float32(r.float())
		s.issued, s.awards, s.chance, s.value = r.float(), r.float(), r.float(), r.float()
		a.slices = append(a.slices, s)
	}
	if r.broken = r.broken || len(key) != 11 || key[1] > 1 || key[10] < byte(hexbid.CPC) ||
		key[10] > byte(hexbid.CPM); r.broken {
		return
	}
	a.of = party{hexbid.UID(binary.BigEndian.Uint64(key[2:])), key[1] == 1, hexbid.PricingModel(key[10])}
	b.enter(a)
}
