package quality

import (
	"math"
	"slices"

	"github.com/hexbid/hexbid"
)

// A weight is divided by keys: one for the whole, then one for each way and slot, then one for each band.
const (
	wholeKey = 0
	slotKeys = 1                                              // of no slot; those of slots follow
	bandKeys = slotKeys + 1 + uint8(WayCount)*hexbid.MaxSlots // of no band; those of bands follow
	keyCount = bandKeys + 1 + MaxBands + 1                    // one more band for programs without a place
)

func slotKey(in Setting) uint8 {
	if in.Way >= WayCount || in.Slot < 1 || in.Slot > hexbid.MaxSlots {
		return slotKeys
	}
	return slotKeys + uint8(in.Way)*hexbid.MaxSlots + uint8(in.Slot)
}

func bandKey(in Setting) uint8 {
	if in.Band > MaxBands+1 {
		return bandKeys
	}
	return bandKeys + in.Band
}

// mix says how the weight of an account is divided over slots and over bands of distance. Each impression counted by
// the tables of its moment. When tables have changed, the mix tells how much all impressions weigh by those in force,
// so nobody keeps what was believed of slots and distances long ago.
//
// It has the whole weight, its parts by slot without the shares of the slots, and its parts by band without the factors
// of the bands. By changed shares the whole would be the sum of the first parts, each times its share; by changed
// factors the sum of the others, each times its factor. Where both change, the product of the two ratios holds. It is
// exact if slots and bands of a campaign are independent. Otherwise the error is of the second order, and fades.
//
// It is sorted by keys. A campaign has some three slots and three bands, so seven parts.
type mix []part

// part is a weight whose last eight bits are replaced by its key: 44 bits are left of its mantissa.
type part uint64

const keyBits = 1<<8 - 1

func partOf(key uint8, weight float64) part {
	return part(math.Float64bits(weight)&^keyBits | uint64(key))
}

func (p part) key() uint8      { return uint8(p & keyBits) }
func (p part) weight() float64 { return math.Float64frombits(uint64(p &^ keyBits)) }

// add adds to the part of a key.
func (m *mix) add(key uint8, weight float64) {
	i, known := slices.BinarySearchFunc(*m, key, func(p part, key uint8) int { return int(p.key()) - int(key) })
	if known {
		(*m)[i] = partOf(key, (*m)[i].weight()+weight)
		return
	}
	more := make(mix, len(*m)+1) // without room to spare: it seldom gets another part
	copy(more, (*m)[:i])
	copy(more[i+1:], (*m)[i:])
	more[i] = partOf(key, weight)
	*m = more
}

// scale multiplies all parts.
func (m mix) scale(by float64) {
	for i, p := range m {
		m[i] = partOf(p.key(), p.weight()*by)
	}
}

// ratio returns what the whole weighs by tables, beside what it weighed when its impressions were seen.
func (m mix) ratio(t *Tables, c hexbid.Category) float64 {
	if len(m) == 0 {
		return 1
	}
	slots, bands, whole := 0.0, 0.0, m[0].weight()
	for _, p := range m[1:] {
		if p.key() < bandKeys {
			slots += p.weight() * t.ofSlot(p.key())
		} else {
			bands += p.weight() * t.ofBand(p.key(), c)
		}
	}
	if !(whole > 0 && slots > 0 && bands > 0) {
		return 1
	}
	return asShares(slots/whole) * asShares(bands/whole)
}

// asShares bounds a ratio by what shares and factors can differ by, which are parts per million. A damaged mix has any.
func asShares(ratio float64) float64 { return min(max(ratio, 1.0/PPM), PPM) }

// forgetBands takes the whole as weighed by no band: its bands are no more.
func (m *mix) forgetBands() {
	if len(*m) == 0 {
		return
	}
	*m = slices.DeleteFunc(*m, func(p part) bool { return p.key() >= bandKeys })
	m.add(bandKeys, (*m)[0].weight())
}

// isSound reports whether parts are those of a mix.
func (m mix) isSound() bool {
	for i, p := range m {
		if w := p.weight(); !(w >= 0 && w <= math.MaxFloat32) || p.key() >= keyCount || i == 0 && p.key() != wholeKey ||
			i > 0 && p.key() <= m[i-1].key() {
			return false
		}
	}
	return true
}
