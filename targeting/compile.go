package targeting

import (
	"slices"

	"github.com/hexbid/hexbid"
)

// Gate compiles the demands of a program itself: the viewer uses one of its hosts (a request without a host passes),
// runs a system that it supports, and has its minimum age. An unknown age is below every minimum age.
func Gate(p *hexbid.Program) Rule {
	r := newRule()
	r.restrict(Category, setOf(p.Category))
	r.restrict(Host, setOf(append([]hexbid.Host{hexbid.HostUnknown}, p.Hosts...)...))
	if len(p.OS) > 0 {
		r.restrict(OS, setOf(p.OS...))
	}
	if p.MinimumAge > 0 {
		r.restrict(Age, ages(hexbid.AgeRange{Min: p.MinimumAge, Max: hexbid.MaxAge}))
	}
	return r
}

// Compile compiles a campaign's audience and frequency cap. And adds the gate of its program. A campaign with keywords
// does not match a request without words, unless it includes unknown search intent. Matching the words themselves
// belongs to Keywords.
func Compile(c *hexbid.Campaign) Rule {
	r, a := newRule(), &c.Audience
	restrictTo(&r, Host, hexbid.DimHost, a, setOf(a.Hosts...))
	restrictTo(&r, OS, hexbid.DimOS, a, setOf(a.OS...))
	restrictTo(&r, Age, hexbid.DimAge, a, ages(a.Ages...))
	restrictTo(&r, Gender, hexbid.DimGender, a, setOf(a.Genders...))
	restrictTo(&r, Scene, hexbid.DimScene, a, setOf(a.Scenes...))
	restrictTo(&r, Network, hexbid.DimNetwork, a, setOf(a.Networks...))
	restrictTo(&r, Interest, hexbid.DimInterest, a, setOf(a.Interests...))
	restrictTo(&r, CreditBand, hexbid.DimCreditBand, a, setOf(a.Credit...))
	restrictTo(&r, Residence, hexbid.DimResidence, a, setOf(a.Residences...))
	if slices.ContainsFunc(c.Keywords, func(k hexbid.Keyword) bool { return !k.Negative }) {
		var typed Set
		typed.add(1)
		restrictTo(&r, Intent, hexbid.DimKeyword, a, typed)
	}
	if len(a.NotInterests) > 0 {
		avoided := setOf(append([]hexbid.Category{hexbid.CategoryUnknown}, a.NotInterests...)...)
		restrictTo(&r, Avoided, hexbid.DimInterest, a, Set{^avoided[0], ^avoided[1]})
	}
	if len(a.Ages)+len(a.Genders)+len(a.Interests)+len(a.NotInterests)+len(a.Credit)+len(a.Residences) > 0 {
		r.restrict(Personal, setOf(Keyed, Keyless))
	}
	if c.Cap.Impressions > 0 && !c.Cap.ServeUncapped {
		r.restrict(Personal, setOf(Keyed))
	}
	return r
}

// And returns the rule that admits the viewers whom both rules admit.
func (r *Rule) And(other *Rule) Rule {
	both := *r
	both.restricts |= other.restricts
	for d := range both.admits {
		both.admits[d] = both.admits[d].and(other.admits[d])
	}
	return both
}

// restrictTo restricts a dimension that the audience names.
func restrictTo(r *Rule, d Dim, named hexbid.Dimension, a *hexbid.Audience, to Set) {
	if to == (Set{}) {
		return
	}
	if slices.Contains(a.IncludeUnknown, named) {
		to.add(0)
	}
	r.restrict(d, to)
}

func ages(ranges ...hexbid.AgeRange) (s Set) {
	for _, r := range ranges {
		for age := r.Min; age <= r.Max; age++ {
			s.add(age + 1)
		}
	}
	return s
}
