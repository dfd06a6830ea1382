// Package targeting decides whether a campaign's audience holds a viewer. It
// compiles an audience into a Rule, a set of admitted values a dimension, and
// 64 rules into a Block, one 64-bit row a value, so that a match of all 64 is
// a handful of ANDs; a rule alone is a Mask of one word. It also reads schedules
// and words.
//
// Everything is immutable once compiled. Rule.Matches is the plain form and
// the oracle of Block.Match and of Want.Admits.
package targeting

import (
	"math/bits"

	"github.com/hexbid/hexbid"
)

// Dim is a dimension of a compiled rule: one of an audience's, or one of three that follow from the program and the
// request.
type Dim uint8

// The dimensions, in the order that a miss is reported.
const (
	Personal Dim = iota // what personalisation leaves: see Personalization
	Category            // the request's filter against the program's category
	Host
	OS
	Age
	Gender
	Scene
	Network
	Interest // any of
	Avoided  // none of: every interest of the viewer must be admitted
	CreditBand
	Residence
	Intent // whether there are words, for a campaign with keywords
	DimCount
)

// String names the dimension as Explain reports it.
func (d Dim) String() string {
	return [...]string{"personalization", "category", "host", "operating_system", "age", "gender", "scene", "network",
		"interest", "interest", "credit_band", "residence", "keyword", "none"}[min(d, DimCount)]
}

// Personalization tells how personal a request is.
type Personalization uint8

// The three cases: a viewer with a user key, a viewer without one, and personalisation switched off.
const (
	Keyed Personalization = iota
	Keyless
	Impersonal
	personalizationCount
)

// dimValues is the number of values of each dimension, the unknown one
// included.
var dimValues = [DimCount]int{
	Personal: int(personalizationCount),
	Category: int(hexbid.CategoryCount),
	Host:     int(hexbid.HostCount),
	OS:       int(hexbid.OSCount),
	Age:      hexbid.MaxAge + 2, // unknown, then age + 1
	Gender:   int(hexbid.GenderCount),
	Scene:    int(hexbid.SceneCount),
	Network:  int(hexbid.NetworkCount),
	Interest: int(hexbid.CategoryCount),
	Avoided:  int(hexbid.CategoryCount),

	CreditBand: int(hexbid.CreditBandCount),
	Residence:  int(hexbid.ResidenceCount),
	Intent:     2, // without words and with
}

// Set is a set of values of one dimension; value 0 is the unknown one.
type Set [2]uint64

func setOf[T ~uint8](values ...T) (s Set) {
	for _, v := range values {
		s.add(int(v))
	}
	return s
}

func (s *Set) add(v int) { s[v>>6] |= 1 << (v & 63) }

// Has says whether the set has a value.
func (s Set) Has(v int) bool { return s[v>>6]>>(v&63)&1 == 1 }

func (s Set) meets(t Set) bool { return s[0]&t[0]|s[1]&t[1] != 0 }

func (s Set) holds(t Set) bool { return t[0]&^s[0]|t[1]&^s[1] == 0 }

func (s Set) and(t Set) Set { return Set{s[0] & t[0], s[1] & t[1]} }

var everyValue = Set{^uint64(0), ^uint64(0)}

// wantsAll reports whether a dimension must admit every value of a viewer. The others need to admit one.
func wantsAll(d Dim) bool { return d == Avoided }

// Rule is a compiled audience: a viewer matches when every restricted
// dimension admits one of the viewer's values, or all where it wants all.
type Rule struct {
	restricts uint16 // bit a Dim
	admits    [DimCount]Set
}

func newRule() Rule {
	var r Rule
	for d := range r.admits {
		r.admits[d] = everyValue
	}
	return r
}

func (r *Rule) restrict(d Dim, to Set) {
	r.restricts |= 1 << d
	r.admits[d] = r.admits[d].and(to)
}

// Matches reports whether every dimension admits the viewer. It is the plain form, the oracle of the fast ones.
func (r *Rule) Matches(p *Profile) bool {
	_, missed := r.FirstMiss(p)
	return !missed
}

// FirstMiss returns the first dimension that does not admit the viewer.
func (r *Rule) FirstMiss(p *Profile) (Dim, bool) {
	for left := r.restricts; left != 0; left &= left - 1 {
		d := Dim(bits.TrailingZeros16(left))
		if wantsAll(d) && !r.admits[d].holds(p.values[d]) || !r.admits[d].meets(p.values[d]) {
			return d, true
		}
	}
	return DimCount, false
}

// Profile is a request as rules see it: its set of values in each dimension.
type Profile struct {
	values [DimCount]Set
	only   [DimCount]uint8 // the one value, where there is one
	any    uint16          // dimensions where every value will do
	many   uint16          // dimensions with several values
}

// ProfileOf makes the profile of a request from a visitor or a resident. Without personalisation every
// personal value is unknown.
func ProfileOf(r *hexbid.Request, residence hexbid.Residence, words *Words) Profile {
	var p Profile
	p.set(Intent, 0)
	if !words.None() {
		p.set(Intent, 1)
	}
	v := &r.Viewer
	p.set(Host, int(r.Host))
	p.set(OS, int(v.OS))
	p.set(Scene, int(r.Scene))
	p.set(Network, int(v.Network))
	p.set(Category, int(r.Category))
	if r.Category == hexbid.CategoryUnknown {
		p.values[Category] = everyValue
		p.any |= 1 << Category
	}
	if !r.Personalized() {
		p.set(Personal, int(Impersonal))
		p.set(Age, 0)
		p.set(Gender, 0)
		p.set(Interest, 0)
		p.set(Avoided, 0)
		p.set(CreditBand, 0)
		p.set(Residence, 0)
		return p
	}
	p.set(Personal, int(Keyless))
	if v.UserKey != "" {
		p.set(Personal, int(Keyed))
	}
	p.set(Age, v.Age+1) // AgeUnknown becomes 0
	p.set(Gender, int(v.Gender))
	p.set(CreditBand, int(v.Credit))
	p.set(Residence, int(residence))
	p.set(Interest, 0)
	p.set(Avoided, 0)
	if len(v.Interests) > 0 {
		p.values[Interest] = setOf(v.Interests...)
		p.values[Avoided] = p.values[Interest]
		p.many |= 1<<Interest | 1<<Avoided
	}
	return p
}

func (p *Profile) set(d Dim, value int) {
	p.values[d], p.only[d] = Set{}, uint8(value)
	p.values[d].add(value)
}
