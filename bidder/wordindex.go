package bidder

import (
	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid/targeting"
)

// wordIndex finds the campaigns that may compete on words which few of them are
// about. Words which many are about need no index, for lists soon come to a match.
// So the work for words stays bounded however many campaigns lie over the point.
type wordIndex struct {
	anchored tokenLists // campaigns, by the first token of each of their keywords
	named    tokenLists // programs, by the tokens of their texts
}

// tokenLists lead from a token to the ordinals of what has it, ascending, where
// those are few. Where they are many, the token leads to a mark: searches read no
// list that long, so snapshots hold none, and no change copies one.
type tokenLists struct{ table[uint32, many] }

// many marks a token that more have than a list may hold.
type many struct{}

// Bounds of the lists by token: of campaigns that a search takes from the index, and
// of programs whose campaigns it takes; above, it reads the lists of the cells over
// the point.
const (
	fewCampaigns = 512
	fewPrograms  = 256
)

func tokenKey(token string) uint64 { return max(1, xxhash.Sum64String(token)) }

// of lists what has a token, or says that many have it.
func (l *tokenLists) of(token string) (ordinals []uint32, isMany bool) {
	ordinals, mark := l.get(tokenKey(token))
	return ordinals, mark != nil
}

// fewAnchored collects the campaigns with keywords that may compete on words,
// false when they are many. One may stand twice.
func (x *wordIndex) fewAnchored(w *targeting.Words, campaigns []uint32) ([]uint32, bool) {
	for _, token := range w.Tokens() {
		anchored, isMany := x.anchored.of(token)
		if isMany || len(campaigns)+len(anchored) > fewCampaigns {
			return nil, false
		}
		campaigns = append(campaigns, anchored...)
	}
	return campaigns, true
}

// rarestNamed lists the programs that have the rarest of the words, false when
// they are many. Where no program has one of the words, there are none.
func (x *wordIndex) rarestNamed(w *targeting.Words) (rarest []uint32, few bool) {
	for _, token := range w.Tokens() {
		named, isMany := x.named.of(token)
		switch {
		case isMany:
			continue
		case len(named) == 0:
			return nil, true
		case !few || len(named) < len(rarest):
			rarest, few = named, true
		}
	}
	return rarest, few
}

// fewNamed collects the campaigns of the programs that have the rarest of the
// words, false when they are many.
func (s *Snapshot) fewNamed(w *targeting.Words, campaigns []uint32) ([]uint32, bool) {
	rarest, few := s.words.rarestNamed(w)
	if !few {
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
