package bidder

import (
	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid/targeting"
)

// wordIndex finds the campaigns that may compete on rare words. Common words need no index, because a walk of the lists
// soon meets a match. The work for words thus stays bounded however many campaigns lie over the point.
type wordIndex struct {
	anchored tokenLists // campaigns by the first token of each of their keywords
	named    tokenLists // programs by the tokens of their texts
}

// tokenLists maps a token to the ascending ordinals of whatever has it, if those are few. A common token maps to a mark
// instead: searches read no list that long, so snapshots hold none and changes copy none.
type tokenLists struct{ table[uint32, many] }

// many marks a token that more ordinals have than a list may hold.
type many struct{}

// These constants bound the lists by token: the campaigns that a search takes from the index, and the programs whose
// campaigns it takes. Beyond them a search reads the lists of the cells over the point.
const (
	fewCampaigns = 512
	fewPrograms  = 256
)

func tokenKey(token string) uint64 { return max(1, xxhash.Sum64String(token)) }

// of returns the ordinals that have a token, or reports that many have it.
func (l *tokenLists) of(token string) (ordinals []uint32, isMany bool) {
	ordinals, mark := l.get(tokenKey(token))
	return ordinals, mark != nil
}

// fewAnchored appends the campaigns with keywords that may compete on words. It returns false when they are many. A
// campaign may appear twice.
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

// rarestNamed returns the programs that have the rarest of the words, or false when they are many. If some word is in
// no program, the result is empty.
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

// fewNamed appends the campaigns of the programs that have the rarest of the words. It returns false when they are
// many.
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
