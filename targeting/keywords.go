package targeting

import (
	"slices"

	"github.com/hexbid/hexbid"
)

// Keywords are a campaign's, compiled.
//
// Each keyword has an anchor, its first token. A request whose words lack every
// anchor cannot match, and the buckets of the anchors stand in the campaign's
// rule: so a block of 64 is sifted by a few ANDs, and only what is left is
// compared token by token.
type Keywords struct {
	wanted, unwanted []keyword
}

type keyword struct {
	match  hexbid.KeywordMatch
	tokens []string
	units  [][]string
}

// CompileKeywords compiles valid keywords; nil when there are none.
func CompileKeywords(list []hexbid.Keyword) *Keywords {
	if len(list) == 0 {
		return nil
	}
	k := &Keywords{}
	for _, one := range list {
		compiled := keyword{match: one.Match}
		compiled.tokens, compiled.units = tokenize(one.Text)
		if one.Negative {
			k.unwanted = append(k.unwanted, compiled)
		} else {
			k.wanted = append(k.wanted, compiled)
		}
	}
	return k
}

// HasWanted says whether some keyword is not negative.
func (k *Keywords) HasWanted() bool { return k != nil && len(k.wanted) > 0 }

// anchors are the buckets of the first tokens of the wanted keywords.
func (k *Keywords) anchors() (s Set) {
	for i := range k.wanted {
		s.add(bucket(k.wanted[i].tokens[0]))
	}
	return s
}

// matches: an exact keyword is the whole query, a phrase stands in it, and of a
// broad one every unit does, in any order.
func (k *keyword) matches(w *Words) bool {
	switch k.match {
	case hexbid.MatchExact:
		return slices.Equal(k.tokens, w.tokens)
	case hexbid.MatchPhrase:
		return hasRun(w.tokens, k.tokens)
	}
	return !slices.ContainsFunc(k.units, func(unit []string) bool { return !hasRun(w.tokens, unit) })
}

// Compete says whether a campaign takes part in a request's words: without
// words always (its rule has judged that), with words when no negative keyword
// matches, and a wanted one does; without wanted ones its program's texts must
// have the words.
func (k *Keywords) Compete(w *Words, text []string) bool {
	if w.None() {
		return true
	}
	if k == nil {
		return w.In(text)
	}
	hit := func(one keyword) bool { return one.matches(w) }
	if slices.ContainsFunc(k.unwanted, hit) {
		return false
	}
	if len(k.wanted) > 0 {
		return slices.ContainsFunc(k.wanted, hit)
	}
	return w.In(text)
}
