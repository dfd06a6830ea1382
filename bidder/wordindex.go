package bidder

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid/targeting"
)

// wordIndex finds the campaigns that may compete on words which few do; lists
// find those on words that many do before long. Between the two, the work for
// words stays bounded however many campaigns lie over the point.
type wordIndex struct{ table[struct{}, worded] }

// worded is what a token leads to, by ordinal, ascending: campaigns that it
// anchors a keyword of, and programs whose texts have it.
type worded struct{ anchored, named []uint32 }

// Bounds of the campaigns that a search takes from the index, and of the
// programs that it looks through for them; above, it reads the lists.
const (
	fewCampaigns = 512
	fewPrograms  = 256
)

func tokenKey(token string) uint64 { return max(1, xxhash.Sum64String(token)) }

// fewAnchored collects the campaigns with keywords that may compete on words,
// false when they are many. One may stand twice.
func (x *wordIndex) fewAnchored(w *targeting.Words, campaigns []uint32) ([]uint32, bool) {
	for _, token := range w.Tokens() {
		_, found := x.get(tokenKey(token))
		if found == nil {
			continue
		}
		if len(campaigns)+len(found.anchored) > fewCampaigns {
			return nil, false
		}
		campaigns = append(campaigns, found.anchored...)
	}
	return campaigns, true
}

// fewNamed collects the campaigns of the programs that have the rarest of the
// words, false when they are many.
func (s *Snapshot) fewNamed(w *targeting.Words, campaigns []uint32) ([]uint32, bool) {
	var rarest []uint32
	for i, token := range w.Tokens() {
		_, found := s.words.get(tokenKey(token))
		if found == nil {
			return nil, true // no program has all words
		}
		if i == 0 || len(found.named) < len(rarest) {
			rarest = found.named
		}
	}
	if len(rarest) > fewPrograms {
		return nil, false
	}
	for _, program := range rarest {
		for at := s.programs.at(program).buyers; at != 0; at = s.details.at(at - 1).next {
			if len(campaigns) == fewCampaigns {
				return nil, false
			}
			campaigns = append(campaigns, at-1)
		}
	}
	return campaigns, true
}

// wordEdits collects what a batch does to the index, by key.
type wordEdits map[uint64]*wordEdit

type wordEdit struct{ anchored, named ordinalEdit }

// ordinalEdit puts ordinals in (true) or takes them out.
type ordinalEdit map[uint32]bool

func (e wordEdits) of(token string) *wordEdit {
	key := tokenKey(token)
	if e[key] == nil {
		e[key] = &wordEdit{ordinalEdit{}, ordinalEdit{}}
	}
	return e[key]
}

func (e wordEdits) anchor(tokens []string, campaign uint32, in bool) {
	for _, token := range tokens {
		e.of(token).anchored[campaign] = in
	}
}

func (e wordEdits) name(tokens []string, program uint32, in bool) {
	for _, token := range tokens {
		e.of(token).named[program] = in
	}
}

// applyTo changes the index and empties the edits.
func (e wordEdits) applyTo(x *tableWriter[struct{}, worded]) {
	var changes []change[struct{}, worded]
	for key, edit := range e {
		_, before := x.get(key)
		c := change[struct{}, worded]{entry[struct{}, worded]{key: key}, before == nil}
		if c.isNew {
			before = &worded{}
		}
		after := worded{edit.anchored.applied(before.anchored), edit.named.applied(before.named)}
		if len(after.anchored)+len(after.named) > 0 {
			c.extra = &after
		}
		changes = append(changes, c)
	}
	x.apply(changes)
	clear(e)
}

// applied is a set of ordinals, ascending, after the edit.
func (e ordinalEdit) applied(before []uint32) []uint32 {
	if len(e) == 0 {
		return before
	}
	after := make([]uint32, 0, len(before)+len(e))
	for _, ordinal := range before {
		if _, edited := e[ordinal]; !edited {
			after = append(after, ordinal)
		}
	}
	for ordinal, in := range e {
		if in {
			after = append(after, ordinal)
		}
	}
	slices.Sort(after)
	return slices.Clip(after)
}
