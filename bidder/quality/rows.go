package quality

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hexbid/hexbid"
)

// rowOf names a row of what a book has learned.
type rowOf struct {
	kind byte
	of   hexbid.UID // of a campaign or program, or a number
}

// The kinds of rows.
const (
	campaignRow = 'c' // campaign uid: its subject and account
	programRow  = 'p' // program uid: its prior, category and account
	sceneRow    = 's' // number of host and scene: its account
	decileRow   = 'b' // number of a bin of predicted quality: its account
	marketRow   = 'm' // strengths, unit, the factors in force and a fingerprint of the bands' ends
	delaysRow   = 'd' // the delays of clicks
)

// rowFormat is the first byte of each value. Values of earlier formats are read too: in rowFormatUndivided an account
// had no mix, a program no category and a market no bands.
const (
	rowFormat          = 2
	rowFormatUndivided = 1
)

func isFormat(b byte) bool { return b == rowFormat || b == rowFormatUndivided }

// Row is a key with its value; a nil value says that the row goes.
type Row struct{ Key, Value []byte }

func (b *Book) change(r rowOf) {
	if _, is := b.isChanged[r]; !is {
		b.isChanged[r] = struct{}{}
		b.changed = append(b.changed, r)
	}
}

// Rows returns the rows that have changed since the last call. Restore makes an equal book of all of them.
func (b *Book) Rows() (rows []Row) {
	for _, r := range b.changed {
		rows = append(rows, Row{binary.BigEndian.AppendUint64([]byte{r.kind}, uint64(r.of)), b.valueOf(r)})
	}
	b.changed = b.changed[:0]
	clear(b.isChanged)
	return rows
}

// valueOf encodes a row, nil for one that is there no more.
func (b *Book) valueOf(r rowOf) []byte {
	to := []byte{rowFormat}
	switch r.kind {
	case campaignRow:
		c := b.campaigns[r.of]
		if c == nil {
			return nil
		}
		to = binary.AppendUvarint(to, uint64(c.subject.Program))
		return c.append(binary.AppendUvarint(to, uint64(c.subject.PriorPPM)))
	case programRow:
		p := b.programs[r.of]
		if p == nil {
			return nil
		}
		return p.append(append(appendFloat(to, p.prior), byte(p.category)))
	case sceneRow:
		return b.scenes[int(r.of)/int(hexbid.SceneCount)][int(r.of)%int(hexbid.SceneCount)].append(to)
	case decileRow:
		return b.decile[r.of].append(to)
	case delaysRow:
		return b.delays.append(to)
	}
	return b.appendMarket(to)
}

func (b *Book) appendMarket(to []byte) []byte {
	to = appendFloat(appendFloat(appendFloat(to, b.strengths.Programs), b.strengths.Campaigns), b.unit)
	for host := range b.inForce {
		for _, factor := range b.inForce[host] {
			to = binary.AppendUvarint(to, uint64(factor))
		}
	}
	return binary.LittleEndian.AppendUint64(to, b.bands)
}

func (d *Delays) append(to []byte) []byte {
	to = binary.AppendVarint(to, d.at)
	for _, came := range d.came {
		to = appendFloat(to, came)
	}
	return to
}

func (a *Account) append(to []byte) []byte {
	to = appendFloat(appendFloat(binary.AppendVarint(to, a.aged), a.old.Weight), a.old.Clicks)
	to = binary.AppendUvarint(to, uint64(len(a.young)))
	for _, s := range a.young {
		to = appendFloat(binary.AppendVarint(binary.AppendVarint(to, s.from), s.to), s.weight)
	}
	to = binary.AppendUvarint(to, uint64(len(a.mix)))
	for _, p := range a.mix {
		to = binary.LittleEndian.AppendUint64(to, uint64(p))
	}
	return to
}

func appendFloat(to []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(to, math.Float64bits(f))
}

// Restore takes a row in that Rows returned, into a book without evidence of it. A row that it cannot read changes
// nothing, and neither does one with an instant after the latest, in Unix milliseconds: what it counts would not fade.
func (b *Book) Restore(latest int64, key, value []byte) error {
	if len(key) != 9 || len(value) == 0 || !isFormat(value[0]) {
		return fmt.Errorf("a row of %d bytes in no known format", len(value))
	}
	of, r := hexbid.UID(binary.BigEndian.Uint64(key[1:])), reader{rest: value[1:], format: value[0], latest: latest}
	take := b.restored(key[0], of, &r)
	if take == nil || r.broken || len(r.rest) > 0 {
		return fmt.Errorf("a row of kind %q does not decode", key[0])
	}
	take()
	return nil
}

// restored reads a row, and returns what takes it in; nil for a row of no kind.
func (b *Book) restored(kind byte, of hexbid.UID, r *reader) (take func()) {
	switch kind {
	case campaignRow:
		c := &campaign{subject: Subject{Campaign: of, Program: hexbid.UID(r.uvarint()), PriorPPM: r.within(1, PPM)}}
		c.Account = r.account()
		return func() { b.enter(c) }
	case programRow:
		p := &program{uid: of, prior: r.chance(), category: r.category()}
		p.Account = r.account()
		return func() { b.restoreProgram(p) }
	case sceneRow:
		host, scene := int(of)/int(hexbid.SceneCount), int(of)%int(hexbid.SceneCount)
		if of >= hexbid.UID(hexbid.HostCount)*hexbid.UID(hexbid.SceneCount) {
			return nil
		}
		a := r.account()
		return func() { b.scenes[host][scene] = a }
	case decileRow:
		if of >= decileBins {
			return nil
		}
		a := r.account()
		return func() { b.decile[of] = a }
	case delaysRow:
		return r.delays(b.delays)
	case marketRow:
		return r.market(b)
	}
	return nil
}

// restoreProgram takes a program's account over. Its campaigns may have come before.
func (b *Book) restoreProgram(read *program) {
	if p := b.programs[read.uid]; p != nil {
		p.Account, p.prior, p.category = read.Account, read.prior, read.category
		return
	}
	b.programs[read.uid] = read
}

// Restored estimates everything anew, when all rows are restored. A program whose campaigns are all gone goes too.
func (b *Book) Restored(now int64) {
	for uid, p := range b.programs {
		if len(p.campaigns) == 0 {
			delete(b.programs, uid)
			b.change(rowOf{programRow, uid})
		}
	}
	for _, c := range b.round {
		if c.program.campaigns[0] == c {
			e := b.estimateOfProgram(c.program, now)
			e.tell(&c.program.told)
		}
		e := b.estimateOf(c, now)
		e.tell(&c.told)
	}
}

// reader reads an encoded value. After the end of the input, or after a number that cannot be, broken is set and it
// reads zeros.
type reader struct {
	rest   []byte
	format byte
	latest int64 // Unix milliseconds that no instant is after
	broken bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.broken, n = true, len(r.rest)
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.broken, n = true, len(r.rest)
	}
	r.rest = r.rest[n:]
	return v
}

// instant reads Unix milliseconds.
func (r *reader) instant() int64 {
	at := r.varint()
	r.broken = r.broken || at < 0 || at > r.latest
	return at
}

// within reads a number that lies between two others.
func (r *reader) within(least, most int64) int64 {
	v := r.uvarint()
	if v < uint64(least) || v > uint64(most) {
		r.broken = true
		return least
	}
	return int64(v)
}

// number reads eight bytes.
func (r *reader) number() uint64 {
	if len(r.rest) < 8 {
		r.rest, r.broken = nil, true
		return 0
	}
	n := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return n
}

// float reads a number that is finite and not negative.
func (r *reader) float() float64 {
	f := math.Float64frombits(r.number())
	if !(f >= 0 && f <= math.MaxFloat32) {
		r.broken = true
		return 0
	}
	return f
}

// chance reads a number above 0 and at most 1.
func (r *reader) chance() float64 {
	f := r.float()
	r.broken = r.broken || f == 0 || f > 1
	return f
}

// mostSlices bounds the young slices of a row that is not damaged.
const mostSlices = 200

func (r *reader) account() (a Account) {
	a.aged = r.instant()
	a.old = Evidence{r.float(), r.float()}
	for n := r.within(0, mostSlices); n > 0 && !r.broken; n-- {
		s := slice{from: r.instant(), to: r.instant()}
		s.weight = r.float()
		r.broken = r.broken || s.from > s.to
		a.young = append(a.young, s)
	}
	a.swept = len(a.young)
	a.mix = r.mix()
	return a
}

// mix reads how a weight is divided.
func (r *reader) mix() (m mix) {
	if r.format == rowFormatUndivided {
		return nil
	}
	for n := r.within(0, int64(keyCount)); n > 0 && !r.broken; n-- {
		m = append(m, part(r.number()))
	}
	r.broken = r.broken || !m.isSound()
	return m
}

func (r *reader) category() hexbid.Category {
	if r.format == rowFormatUndivided {
		return hexbid.CategoryUnknown // without a mix it does not matter
	}
	return hexbid.Category(r.within(0, int64(hexbid.CategoryCount)-1))
}

func (r *reader) delays(d *Delays) func() {
	read := Delays{at: r.instant(), life: d.life}
	for i := range read.came {
		read.came[i] = r.float()
	}
	return func() {
		*d = read
		d.learn()
	}
}

func (r *reader) market(b *Book) func() {
	s, unit := Strengths{r.float(), r.float()}, r.float()
	r.broken = r.broken || s.Programs < leastStrength || s.Campaigns < leastStrength || unit == 0
	var f SceneFactors
	for host := range f {
		for scene := range f[host] {
			f[host][scene] = r.within(1, PPM)
		}
	}
	bands := uint64(0)
	if r.format != rowFormatUndivided {
		bands = r.number()
	}
	return func() { b.strengths, b.unit, b.inForce, b.bands = s, unit, f, bands }
}
