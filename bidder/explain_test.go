package bidder

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

func TestExplainSaysWhatTheExhaustiveAccountSays(t *testing.T) {
	m := newTestMarket(t, 11, hangzhou, byDistance)
	m.fill(t, 1500)
	s := m.indexer.Snapshot()
	var w Scratch
	rules := map[Rule]int{}
	for range 12 {
		_, q := m.request()
		judged := map[uint32]Verdict{}
		for _, v := range s.Plain(&q).Verdicts {
			judged[v.Ordinal] = v
		}
		for i := range s.campaigns.len() {
			uid := s.campaigns.at(i).uid
			if uid == 0 {
				continue
			}
			got, looked, err := s.Explain(context.Background(), &q, uid, &w)
			want, inside := judged[i]
			if !inside {
				want = s.judge(i, &q, &reserveTable{})
			}
			if err != nil || got != want {
				t.Fatalf("campaign %d: got %+v, %v\nwant %+v", uid, got, err, want)
			}
			if own := s.owned(i); looked > 1+own {
				t.Fatalf("campaign %d (%s): %d campaigns looked at, its advertiser owns %d", uid, got.Rule, looked, own)
			}
			rules[got.Rule]++
			if want.Rule == Shown || want.Rule == RuleOutbid {
				checkRivals(t, s, &q, i, &w)
			}
		}
	}
	// An instant that the lists do not hold is answered from the whole account.
	later := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 3, Viewer: hexbid.Viewer{Age: 30}}, "r",
		m.now.Add(24*time.Hour))
	for _, want := range s.Plain(&later).Verdicts {
		got, looked, err := s.Explain(context.Background(), &later, s.campaigns.at(want.Ordinal).uid, &w)
		if err != nil || got != want || got.Rule == RuleOutbid && looked < s.Campaigns {
			t.Fatalf("a day later: got %+v, %d looked at, %v\nwant %+v", got, looked, err, want)
		}
	}
	for _, rule := range []Rule{Shown, RuleOutbid, RuleOwnBetter, RuleArea, RuleStatus, RuleAudience} {
		if rules[rule] == 0 {
			t.Errorf("no campaign had the verdict %q: the test proves nothing of it", rule)
		}
	}
}

// checkRivals compares a campaign's rivals, and its rank among them, with the exhaustive account.
func checkRivals(t *testing.T, s *Snapshot, q *Query, campaign uint32, w *Scratch) {
	t.Helper()
	rivals, err := s.Rivals(context.Background(), q, campaign, w)
	if err != nil {
		t.Fatal(err)
	}
	owner, n, rank := s.campaigns.at(campaign).advertiser, 0, 0
	for i, e := range s.Plain(q).Entries {
		switch {
		case e.Advertiser == owner && e.Ordinal == campaign:
			rank = i + 1
			if got := q.RankAmong(&e, rivals); got != min(rank, MostRivals+1) {
				t.Errorf("rank %d, the account says %d", got, rank)
			}
		case e.Advertiser == owner:
		case n < MostRivals:
			if n >= len(rivals) || rivals[n].Ordinal != e.Ordinal || rivals[n].Score != e.Score {
				t.Fatalf("rival %d of %d is not %+v", n, len(rivals), e)
			}
			n++
		}
	}
	if n != len(rivals) {
		t.Errorf("%d rivals, the account has %d", len(rivals), n)
	}
}

// owned counts the campaigns of the advertiser that owns one.
func (s *Snapshot) owned(campaign uint32) (n int) {
	for i := range s.campaigns.len() {
		if c := s.campaigns.at(i); c.uid != 0 && c.advertiser == s.campaigns.at(campaign).advertiser {
			n++
		}
	}
	return n
}

// countedContext ends when it has been looked at so many times.
type countedContext struct {
	context.Context
	left int
}

// Err implements context.Context.
func (c *countedContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestExplainAndTracesEndWithTheirContext(t *testing.T) {
	m := newTestMarket(t, 12, hangzhou)
	add := func(advertiser string, bid hexbid.Money, campaigns int) (first string) {
		program := advertiser + "/programs/p"
		all := []hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: advertiser}},
			&hexbid.Program{Meta: hexbid.Meta{Name: program}, Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}}
		for i := range campaigns {
			all = append(all, &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", advertiser, i)},
				Program: program, Pricing: hexbid.CPC, Bid: bid,
				Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 1000}}}})
		}
		m.commit(t, all...)
		return advertiser + "/campaigns/c0"
	}
	const owned = 10 * looksATurn
	add("advertisers/rich", 9_000_000, 1)
	poor := add("advertisers/poor", 2_000_000, owned)
	record, err := m.store.Get(context.Background(), poor)
	if err != nil {
		t.Fatal(err)
	}
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 1, Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
	s := m.indexer.Snapshot()
	var w Scratch
	if v, looked, err := s.Explain(context.Background(), &q, record.Meta().UID, &w); err != nil || looked != 1+owned ||
		v.Rule != RuleOutbid && v.Rule != RuleOwnBetter {
		t.Fatalf("%+v, %d looked at, %v", v, looked, err)
	}
	for _, looks := range []int{0, 1, 3} {
		_, looked, err := s.Explain(&countedContext{context.Background(), looks}, &q, record.Meta().UID, &w)
		if !errors.Is(err, context.Canceled) || looked > (looks+1)*looksATurn {
			t.Errorf("Explain looked at %d campaigns, its context ended at look %d: %v", looked, looks, err)
		}
		account, err := s.PlainWithin(&countedContext{context.Background(), looks}, &q)
		if !errors.Is(err, context.Canceled) || account.Looked > (looks+1)*looksATurn {
			t.Errorf("a trace looked at %d campaigns, its context ended at look %d: %v", account.Looked, looks, err)
		}
	}
}
