package bidder

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// Explain returns the verdict on one campaign, as Plain's account has it, without
// looking at every other. It tests the rules on this campaign alone; where only the
// bid may stand in the way, the search itself tells who won. Only a campaign that
// competes and whose advertiser won nothing has to be compared with its advertiser's
// other campaigns. Looked is the number of campaigns that this took. At an instant
// that the snapshot does not hold it takes all of them. The error is the context's.
func (s *Snapshot) Explain(ctx context.Context, q *Query, uid hexbid.UID, w *Scratch) (v Verdict, looked int, err error) {
	i, there := s.ordinalOf(uid)
	if !there {
		return Verdict{Rule: RuleNotIndexed}, 0, nil
	}
	var reserves reserveTable
	reserves.fill(s.reserves, q)
	if v = s.judge(i, q, &reserves); v.Rule != Shown && v.Rule != RuleReserve {
		return v, 1, nil
	}
	if !s.Holds(q.Now) {
		return s.explainFully(ctx, q, i)
	}
	a := Account{Awards: s.Search(q, w), Looked: 1}
	best, err := s.bestOfOwner(ctx, &v, q, &a)
	if err != nil {
		return Verdict{}, a.Looked, err
	}
	a.conclude(&v, best, q.Slots)
	return v, a.Looked, nil
}

// explainFully finds the verdict on a campaign that competes in the whole account.
func (s *Snapshot) explainFully(ctx context.Context, q *Query, ordinal uint32) (v Verdict, looked int, err error) {
	a, err := s.PlainWithin(ctx, q)
	if err != nil {
		return Verdict{}, a.Looked, err
	}
	at := slices.IndexFunc(a.Verdicts, func(v Verdict) bool { return v.Ordinal == ordinal })
	return a.Verdicts[at], a.Looked, nil
}

// ordinalOf finds a campaign by its uid.
func (s *Snapshot) ordinalOf(uid hexbid.UID) (uint32, bool) {
	i, there := s.campaignOf.get(uid)
	return i, there && i < s.campaigns.len() && s.campaigns.at(i).uid == uid
}

// bestOfOwner is the entry that the advertiser of a campaign competes with: one that
// won, or the best of all that it owns.
func (s *Snapshot) bestOfOwner(ctx context.Context, v *Verdict, q *Query, a *Account) (auction.Entry, error) {
	if v.Rule == RuleReserve {
		return v.Entry, nil // it does not compete
	}
	for i := range a.Awards {
		if a.Awards[i].Entry.Advertiser == v.Entry.Advertiser {
			return a.Awards[i].Entry, nil
		}
	}
	var reserves reserveTable
	reserves.fill(s.reserves, q)
	best := v.Entry
	err := s.eachOfOwner(v.Ordinal, func(i uint32) error {
		var entry auction.Entry
		if s.enter(&entry, i, q.Host, &reserves) && q.compareEntries(&entry, &best) < 0 && s.judge(i, q, &reserves).Rule == Shown {
			best = entry
		}
		return a.look(ctx)
	})
	return best, err
}

// eachOfOwner visits every campaign of the advertiser that owns one, until an error.
func (s *Snapshot) eachOfOwner(campaign uint32, visit func(uint32) error) error {
	own := s.details.at(campaign).program
	for s.programs.at(own).before != 0 {
		own = s.programs.at(own).before - 1
	}
	for program := own + 1; program != 0; program = s.programs.at(program - 1).next {
		for c := s.programs.at(program - 1).buyers; c != 0; c = s.details.at(c - 1).next {
			if err := visit(c - 1); err != nil {
				return err
			}
		}
	}
	return nil
}
