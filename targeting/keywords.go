package targeting

import (
	"slices"
	"strings"

	"github.com/hexbid/hexbid"
)

// Keywords are the compiled keywords of a campaign. The anchor of a keyword is its first token. A query without any
// anchor cannot match.
type Keywords struct {
	wanted, unwanted []keyword
}

type keyword struct {
	match hexbid.KeywordMatch
	text  Text
	units []Text
}

// CompileKeywords compiles valid keywords; nil when there are none.
func CompileKeywords(list []hexbid.Keyword) *Keywords {
	if len(list) == 0 {
		return nil
	}
	k := &Keywords{}
	for _, one := range list {
		w := ParseWords(one.Text)
		compiled := keyword{one.Match, w.text, w.units}
		if one.Negative {
			k.unwanted = append(k.unwanted, compiled)
		} else {
			k.wanted = append(k.wanted, compiled)
		}
	}
	return k
}

// HasWanted reports whether some keyword is not negative.
func (k *Keywords) HasWanted() bool { return k != nil && len(k.wanted) > 0 }

// Anchors returns the distinct first tokens of the keywords that are not negative.
func (k *Keywords) Anchors() (anchors []string) {
	for i := range k.wanted {
		first, _, _ := strings.Cut(string(k.wanted[i].text[len(edge):]), edge)
		anchors = append(anchors, first)
	}
	slices.Sort(anchors)
	return slices.Compact(anchors)
}

// matches reports whether a keyword matches a query. An exact keyword equals the query, a phrase stands in it, and of
// a broad keyword every unit does, in any order.
func (k *keyword) matches(w *Words) bool {
	switch k.match {
	case hexbid.MatchExact:
		return k.text == w.text
	case hexbid.MatchPhrase:
		return w.text.has(k.text)
	}
	return !slices.ContainsFunc(k.units, func(unit Text) bool { return !w.text.has(unit) })
}

// Compete reports whether a campaign competes on the words of a request. Without words it always does, for its rule
// has judged that case. With words, no negative keyword may match and one of the others must. A campaign with only
// negative keywords competes when the texts of its program have the words.
func (k *Keywords) Compete(w *Words, text Text) bool {
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
