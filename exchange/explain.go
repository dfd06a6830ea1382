package exchange

import (
	"context"
	"fmt"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/targeting"
)

// Explanation is the verdict on one campaign in one search.
type Explanation struct {
	Verdict   bidder.Verdict
	Reason    string // for people
	Snapshot  *bidder.Snapshot
	RequestID string
}

// Explain says what becomes of a campaign in a search: the rules are asked of it
// one by one, and the search itself tells its rank. Errors are *hexbid.Error, or
// the context's.
func (e *Exchange) Explain(ctx context.Context, campaign string, r *hexbid.Request) (*Explanation, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if _, err := hexbid.ParseNameOf(hexbid.KindCampaign, "name", campaign); err != nil {
		return nil, err
	}
	record, err := e.store.Get(ctx, campaign)
	if err != nil {
		return nil, err
	}
	c := record.Resource.(*hexbid.Campaign)
	program, err := e.store.Get(ctx, c.Program)
	if err != nil {
		return nil, err
	}
	snapshot, now, err := e.indexer.SnapshotNow(ctx)
	if err != nil {
		return nil, err
	}
	out := &Explanation{Snapshot: snapshot, RequestID: e.config.RequestID()}
	q := bidder.NewQuery(r, out.RequestID, now)
	if out.Verdict, err = e.judge(ctx, snapshot, &q, c.UID); err != nil {
		return nil, err
	}
	out.Reason = out.Verdict.Reason(e.namesIn(ctx, snapshot))
	switch out.Verdict.Rule {
	case bidder.RuleAudience, bidder.RuleCategory:
		out.Reason = missReason(out.Verdict.Dimension, c, program.Resource.(*hexbid.Program), r)
	case bidder.RuleWords:
		out.Reason = wordsReason(c, r.Words)
	case bidder.RuleStatus, bidder.RuleSchedule:
		if serving, why := e.Serving(ctx, c); !serving {
			out.Reason = why
		}
	}
	return out, nil
}

// judge finds the verdict on a campaign when it is its turn.
func (e *Exchange) judge(ctx context.Context, s *bidder.Snapshot, q *bidder.Query, campaign hexbid.UID) (bidder.Verdict, error) {
	done, err := e.exhaustive.take(ctx)
	if err != nil {
		return bidder.Verdict{}, err
	}
	defer done()
	work := e.scratch.Get().(*scratch)
	defer e.scratch.Put(work)
	v, _, err := s.Explain(ctx, q, campaign, &work.bidder)
	return v, err
}

// namesIn tells the names of a snapshot's campaigns.
func (e *Exchange) namesIn(ctx context.Context, s *bidder.Snapshot) func(campaign uint32) string {
	return func(campaign uint32) string {
		if ctx.Err() != nil {
			return "" // nobody waits for it
		}
		ref := s.CampaignRef(campaign)
		r, err := e.store.ByUID(ctx, ref.UID)
		if err != nil {
			return fmt.Sprintf("a campaign deleted since (uid %d)", ref.UID)
		}
		return r.Meta().Name
	}
}

// missReason sets what the viewer has beside what the campaign, or its program,
// asks for.
func missReason(d targeting.Dim, c *hexbid.Campaign, p *hexbid.Program, r *hexbid.Request) string {
	a, v := &c.Audience, &r.Viewer
	switch d {
	case targeting.Category:
		return fmt.Sprintf("the request wants %s, the program is in %s", r.Category, p.Category)
	case targeting.Host:
		return miss(d, r.Host, a.Hosts, p.Hosts)
	case targeting.OS:
		return miss(d, v.OS, a.OS, p.OS)
	case targeting.Gender:
		return miss(d, v.Gender, a.Genders, nil)
	case targeting.Scene:
		return miss(d, r.Scene, a.Scenes, nil)
	case targeting.Network:
		return miss(d, v.Network, a.Networks, nil)
	case targeting.CreditBand:
		return miss(d, v.Credit, a.Credit, nil)
	case targeting.Residence:
		if v.HomeRegion == "" {
			return fmt.Sprintf("the viewer's home region is unknown, its audience is %s", list(a.Residences))
		}
		return fmt.Sprintf("the viewer's home region is %s, its audience is %s", v.HomeRegion, list(a.Residences))
	case targeting.Avoided:
		if len(v.Interests) == 0 {
			return fmt.Sprintf("the viewer's interests are unknown, its audience is without %s", list(a.NotInterests))
		}
		return fmt.Sprintf("the viewer's interests are %s, its audience is without %s", list(v.Interests), list(a.NotInterests))
	case targeting.Age:
		return ageMiss(a.Ages, p.MinimumAge, r)
	case targeting.Interest:
		if len(v.Interests) == 0 {
			return fmt.Sprintf("the viewer's interests are unknown, its audience is %s", list(a.Interests))
		}
		return fmt.Sprintf("the viewer's interests are %s, its audience is %s", list(v.Interests), list(a.Interests))
	}
	return fmt.Sprintf("the viewer's %s is not in its audience", d)
}

// wordsReason sets the campaign's keywords beside what was typed.
func wordsReason(c *hexbid.Campaign, words string) string {
	var wanted, unwanted []string
	for _, k := range c.Keywords {
		if k.Negative {
			unwanted = append(unwanted, k.Text)
		} else {
			wanted = append(wanted, k.Text)
		}
	}
	reason := fmt.Sprintf("its keywords (%s) do not match %q", strings.Join(wanted, ", "), words)
	switch {
	case words == "":
		return fmt.Sprintf("the viewer typed no words, its keywords are %s", strings.Join(wanted, ", "))
	case len(wanted) == 0:
		reason = fmt.Sprintf("the program's names, keywords and category do not have %q", words)
	}
	if len(unwanted) > 0 {
		reason += fmt.Sprintf(", or a negative one (%s) does", strings.Join(unwanted, ", "))
	}
	return reason
}

func miss[T fmt.Stringer](d targeting.Dim, has T, audience, program []T) string {
	wants := "its audience is " + list(audience)
	if len(audience) == 0 {
		wants = "the program supports " + list(program)
	}
	return fmt.Sprintf("the viewer's %s is %s, %s", d, has, wants)
}

func ageMiss(ages []hexbid.AgeRange, minimum int, r *hexbid.Request) string {
	age := "unknown"
	if r.Viewer.Age != hexbid.AgeUnknown && r.Personalized() {
		age = fmt.Sprint(r.Viewer.Age)
	}
	var wants []string
	for _, g := range ages {
		wants = append(wants, fmt.Sprintf("%d-%d", g.Min, g.Max))
	}
	if len(wants) == 0 {
		return fmt.Sprintf("the viewer's age is %s, the program asks for a known age of %d or more", age, minimum)
	}
	return fmt.Sprintf("the viewer's age is %s, its audience is %s", age, strings.Join(wants, ", "))
}

func list[T fmt.Stringer](values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.String()
	}
	return strings.Join(names, ", ")
}
