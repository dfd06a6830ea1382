package bidder

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// Explain returns the verdict on one campaign, the same as in Plain's account, without evaluating every other campaign.
// It tests the rules on this campaign alone. Where only the bid can decide, it runs the search to learn who won. It
// compares a campaign with its advertiser's other campaigns only if the campaign competes and the advertiser won
// nothing. looked counts the campaigns evaluated; at an instant that the snapshot does not hold, those are all. The
// error is the context's.
func (s *Snapshot) Explain(ctx context.Context, q *Query, uid hexbid.UID,
	w *Scratch) (v Verdict, looked int, err error) {
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

// explainFully takes the verdict on a campaign that competes from the whole account.
func (s *Snapshot) explainFully(ctx context.Context, q *Query, ordinal uint32) (v Verdict, looked int, err error) {
	a, err := s.PlainWithin(ctx, q)
	if err != nil {
		return Verdict{}, a.Looked, err
	}
	at := slices.IndexFunc(a.Verdicts, func(v Verdict) bool { return v.Ordinal == ordinal })
	return a.Verdicts[at], a.Looked, nil
}

// ordinalOf returns the ordinal of a campaign's uid.
func (s *Snapshot) ordinalOf(uid hexbid.UID) (uint32, bool) {
	i, there := s.campaignOf.get(uid)
	return i, there && i < s.campaigns.len() && s.campaigns.at(i).uid == uid
}

// bestOfOwner returns the entry that the campaign's advertiser competes with: the one that won, or else the best of all
// its campaigns.
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
		entry, enters := s.plainEntry(i, q, &reserves)
		if enters && q.compareEntries(&entry, &best) < 0 && s.judge(i, q, &reserves).Rule == Shown {
			best = entry
		}
		return a.look(ctx)
	})
	return best, err
}

// eachOfOwner visits every campaign of the advertiser that owns the given one. It stops at the first error.
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
