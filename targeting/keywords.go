package targeting

import (
	"slices"
	"strings"

	"github.com/hexbid/hexbid"
)

// Keywords are a campaign's, compiled. Each has an anchor, its first token: words
// that lack every anchor cannot match.
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

// HasWanted says whether some keyword is not negative.
func (k *Keywords) HasWanted() bool { return k != nil && len(k.wanted) > 0 }

// Anchors are the distinct first tokens of the wanted keywords.
func (k *Keywords) Anchors() (anchors []string) {
	for i := range k.wanted {
		first, _, _ := strings.Cut(string(k.wanted[i].text[len(edge):]), edge)
		anchors = append(anchors, first)
	}
	slices.Sort(anchors)
	return slices.Compact(anchors)
}

// matches: an exact keyword is the whole query, a phrase stands in it, and of a
// broad one every unit does, in any order.
func (k *keyword) matches(w *Words) bool {
	switch k.match {
	case hexbid.MatchExact:
		return k.text == w.text
	case hexbid.MatchPhrase:
		return w.text.has(k.text)
	}
	return !slices.ContainsFunc(k.units, func(unit Text) bool { return !w.text.has(unit) })
}

// Compete says whether a campaign takes part in a request's words: without
// words always (its rule has judged that), with words when no negative keyword
// matches, and a wanted one does; without wanted ones its program's texts must
// have the words.
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
