package targeting

import (
	"math/bits"

	"github.com/hexbid/hexbid"
)

// Mask is a rule in one word, for lists too short for a Block. Most rules fit completely. For the rest the mask rules
// out most campaigns, and its More bit says that the rule must decide.
//
// From the lowest bit: a bit for each value of the operating systems, genders,
// hosts and scenes that the rule admits; whether it admits viewers without a
// key, requests without personalisation, and requests without words; whether
// there is more; the lowest admitted age and how many follow; the category.
type Mask uint64

const (
	maskOS         = 0
	maskGender     = maskOS + uint(hexbid.OSCount)
	maskHost       = maskGender + uint(hexbid.GenderCount)
	maskScene      = maskHost + uint(hexbid.HostCount)
	maskKeyless    = maskScene + uint(hexbid.SceneCount)
	maskImpersonal = maskKeyless + 1
	maskNoWords    = maskKeyless + 2
	maskMore       = maskKeyless + 3
	maskAge        = maskKeyless + 4 // two fields of ageBits
	maskCategory   = maskAge + 2*ageBits

	ageBits      = 7
	ageField     = 1<<ageBits - 1
	categoryBits = 4
	// MaskBits are in use; those above are the caller's.
	MaskBits = maskCategory + categoryBits
)

// The categories of programs, from 1, must fit their field.
const _ = 1<<categoryBits - uint(hexbid.CategoryCount-1)

// toldByMask lists the dimensions that a mask holds completely, except for ages with gaps.
const toldByMask = 1<<OS | 1<<Gender | 1<<Host | 1<<Scene | 1<<Personal | 1<<Intent | 1<<Age | 1<<Category

// Mask packs the rule into one word. The category field is set when the rule admits exactly one, as the gate of every
// program does.
func (r *Rule) Mask() Mask {
	values := func(d Dim) Mask { return Mask(r.admits[d][0]) & (1<<dimValues[d] - 1) }
	m := values(OS)<<maskOS | values(Gender)<<maskGender | values(Host)<<maskHost | values(Scene)<<maskScene
	set := func(bit uint, when bool) {
		if when {
			m |= 1 << bit
		}
	}
	set(maskKeyless, r.admits[Personal].Has(int(Keyless)))
	set(maskImpersonal, r.admits[Personal].Has(int(Impersonal)))
	set(maskNoWords, r.admits[Intent].Has(0))
	lowest, count, gaps := r.ageRun()
	set(maskMore, gaps || r.restricts&^toldByMask != 0)
	m |= Mask(lowest)<<maskAge | Mask(count-1)<<(maskAge+ageBits)
	if r.restricts>>Category&1 == 1 {
		m |= categoryMask(hexbid.Category(bits.TrailingZeros64(r.admits[Category][0])))
	}
	return m
}

// Rule returns the rule of a gated mask that has no More.
func (m Mask) Rule() Rule {
	r := newRule()
	restrict := func(d Dim, shift uint) {
		all := uint64(1)<<dimValues[d] - 1
		if values := uint64(m) >> shift & all; values != all {
			r.restrict(d, Set{values, 0})
		}
	}
	restrict(OS, maskOS)
	restrict(Gender, maskGender)
	restrict(Host, maskHost)
	restrict(Scene, maskScene)
	standings := setOf(Keyed)
	for bit, s := range [...]Personalization{Keyless, Impersonal} {
		if m>>(maskKeyless+uint(bit))&1 == 1 {
			standings.add(int(s))
		}
	}
	if standings != setOf(Keyed, Keyless, Impersonal) {
		r.restrict(Personal, standings)
	}
	if m>>maskNoWords&1 == 0 {
		r.restrict(Intent, Set{1 << 1, 0})
	}
	if lowest, last := m.ages(); last < ageField {
		var run Set
		for age := lowest; age <= last; age++ {
			run.add(age)
		}
		r.restrict(Age, run)
	}
	r.restrict(Category, setOf(m.Category()))
	return r
}

// Audience returns the rule of an audience's own mask, which has no category and no More.
func (m Mask) Audience() Rule {
	r := m.Rule()
	r.restricts &^= 1 << Category
	r.admits[Category] = everyValue
	return r
}

// ages returns the youngest and the oldest age that the mask admits.
func (m Mask) ages() (first, last int) {
	first = int(m >> maskAge & ageField)
	return first, first + int(m>>(maskAge+ageBits)&ageField)
}

// And returns the mask of the viewers that both an audience and a gate admit, or false when a mask cannot hold the
// answer.
func (m Mask) And(gate Mask) (Mask, bool) {
	if (m | gate).More() {
		return 0, false
	}
	const runs = Mask(1<<(2*ageBits)-1) << maskAge
	const categories = Mask(1<<categoryBits-1) << maskCategory
	first, last := m.ages()
	gateFirst, gateLast := gate.ages()
	first, last = max(first, gateFirst), min(last, gateLast)
	if first > last { // nobody's
		return 0, false
	}
	return m&gate&^runs&^categories | gate&categories | Mask(first)<<maskAge | Mask(last-first)<<(maskAge+ageBits), true
}

func categoryMask(c hexbid.Category) Mask {
	return Mask(c-1) & (1<<categoryBits - 1) << maskCategory
}

// ageRun returns the run from the lowest admitted age to the highest and reports whether it has gaps. A rule that
// admits no age counts as one with gaps, so the rule itself decides.
func (r *Rule) ageRun() (lowest, count int, gaps bool) {
	if r.restricts>>Age&1 == 0 {
		return 0, 1 << ageBits, false
	}
	highest, admitted := -1, 0
	for value := dimValues[Age] - 1; value >= 0; value-- {
		if r.admits[Age].Has(value) {
			lowest, highest, admitted = value, max(highest, value), admitted+1
		}
	}
	if admitted == 0 {
		return 0, 1 << ageBits, true
	}
	count = highest - lowest + 1
	return lowest, count, admitted < count
}

// Category returns the category that a gated mask admits.
func (m Mask) Category() hexbid.Category {
	return hexbid.Category(m>>maskCategory&(1<<categoryBits-1) + 1)
}

// AskRule is a mask of which only the rule can tell whom it admits.
const AskRule Mask = 1 << maskMore

// AdmitsNoWords reports whether the rule admits requests without words.
func (m Mask) AdmitsNoWords() bool { return m>>maskNoWords&1 == 1 }

// More reports whether the rule restricts more than its mask holds.
func (m Mask) More() bool { return m>>maskMore&1 == 1 }

// Want is a profile in the form that masks are tested with: a mask's bits under Care must equal Bits, and the age must
// lie in the mask's run.
type Want struct {
	Care, Bits Mask
	age        uint64
}

// Want returns the test that masks must pass to admit the profile.
func (p *Profile) Want() (w Want) {
	w.age = uint64(p.only[Age])
	w.Bits = 1<<(maskOS+uint(p.only[OS])) | 1<<(maskGender+uint(p.only[Gender])) |
		1<<(maskHost+uint(p.only[Host])) | 1<<(maskScene+uint(p.only[Scene]))
	switch Personalization(p.only[Personal]) {
	case Keyless:
		w.Bits |= 1 << maskKeyless
	case Impersonal:
		w.Bits |= 1 << maskImpersonal
	}
	if p.only[Intent] == 0 {
		w.Bits |= 1 << maskNoWords
	}
	w.Care = w.Bits
	if p.any>>Category&1 == 0 {
		w.Bits |= categoryMask(hexbid.Category(p.only[Category]))
		w.Care |= (1<<categoryBits - 1) << maskCategory
	}
	return w
}

// Admits reports whether a mask admits the profile. When the mask has More, the caller must ask its rule too.
func (w *Want) Admits(m Mask) bool { return w.Count(m) == 1 }

// Count returns 1 for a mask that admits the profile and 0 for another, without a branch.
func (w *Want) Count(m Mask) int {
	differs := uint64(m&w.Care ^ w.Bits)
	years := (w.age - uint64(m>>maskAge)) & ageField // above the lowest age, of those that follow it
	older := uint64(m>>(maskAge+ageBits))&ageField - years
	return int((differs|-differs|older)>>63 ^ 1)
}
