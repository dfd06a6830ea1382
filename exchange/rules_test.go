package exchange

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/store"
)

// situation is a campaign, all that it hangs on, and a search: what an explanation may
// name.
type situation struct {
	owner    *hexbid.Advertiser
	program  *hexbid.Program
	place    *hexbid.Place
	better   *hexbid.Campaign // of the same advertiser
	campaign *hexbid.Campaign
	learned  worth
	request  *hexbid.Request
}

// obstacle is one thing that keeps the campaign from showing, and what takes exactly
// that away.
type obstacle struct {
	rule      bidder.Rule
	dimension string
	put, take func(*situation)
}

// obstacles are in the order in which the rules are looked at.
var obstacles = []obstacle{
	{bidder.RuleStatus, "", func(s *situation) { s.campaign.State = hexbid.Paused },
		func(s *situation) { s.campaign.State = hexbid.Active }},
	{bidder.RuleAdvertiser, "", func(s *situation) { s.owner.State = hexbid.Paused },
		func(s *situation) { s.owner.State = hexbid.Active }},
	{bidder.RuleBalance, "", func(s *situation) { s.learned.broke = true },
		func(s *situation) { s.learned.broke = false }},
	{bidder.RuleBudget, "", func(s *situation) { s.learned.spent = true }, func(s *situation) { s.learned.spent = false }},
	{bidder.RuleSchedule, "", func(s *situation) { s.campaign.Start = now.Add(time.Hour) },
		func(s *situation) { s.campaign.Start = now }},
	{bidder.RuleHours, "", func(s *situation) { s.campaign.Hours = []hexbid.WeeklyHours{{Day: 1, Start: 3, End: 4}} },
		func(s *situation) { s.campaign.Hours = nil }},
	{bidder.RulePlaces, "", func(s *situation) { s.place.Review = hexbid.Hidden },
		func(s *situation) { s.place.Review = hexbid.Approved }},
	{bidder.RuleArea, "", func(s *situation) { s.place.Point.Lat += 1 }, func(s *situation) { s.place.Point = hub }},
	{bidder.RuleCategory, "", func(s *situation) { s.request.Category = hexbid.Shopping },
		func(s *situation) { s.request.Category = 0 }},
	{bidder.RuleProgram, "host", func(s *situation) { s.program.Hosts = []hexbid.Host{hexbid.Douyin} },
		func(s *situation) { s.program.Hosts = []hexbid.Host{hexbid.Douyin, hexbid.WeChat} }},
	{bidder.RuleProgram, "operating_system", func(s *situation) { s.program.OS = []hexbid.OS{hexbid.IOS} },
		func(s *situation) { s.program.OS = []hexbid.OS{hexbid.IOS, hexbid.Android} }},
	{bidder.RuleProgram, "age", func(s *situation) { s.program.MinimumAge = 40 },
		func(s *situation) { s.program.MinimumAge = 18 }},
	{bidder.RulePersonal, "", func(s *situation) {
		s.campaign.Cap = hexbid.FrequencyCap{Impressions: 3, Window: time.Hour}
		s.request.Viewer.UserKey = ""
	},
		func(s *situation) { s.campaign.Cap.ServeUncapped = true }},
	{bidder.RuleAudience, "host", func(s *situation) { s.campaign.Audience.Hosts = []hexbid.Host{hexbid.QQ} },
		func(s *situation) { s.campaign.Audience.Hosts = nil }},
	{bidder.RuleAudience, "operating_system",
		func(s *situation) { s.campaign.Audience.OS = []hexbid.OS{hexbid.HarmonyOS} },
		func(s *situation) { s.campaign.Audience.OS = nil }},
	{bidder.RuleAudience, "age", func(s *situation) { s.campaign.Audience.Ages = []hexbid.AgeRange{{Min: 50, Max: 60}} },
		func(s *situation) { s.campaign.Audience.Ages = []hexbid.AgeRange{{Min: 30, Max: 60}} }},
	{bidder.RuleAudience, "gender", func(s *situation) { s.campaign.Audience.Genders = []hexbid.Gender{hexbid.Male} },
		func(s *situation) {
			s.campaign.Audience.IncludeUnknown = append(s.campaign.Audience.IncludeUnknown, hexbid.DimGender)
		}},
	{bidder.RuleAudience, "scene", func(s *situation) { s.campaign.Audience.Scenes = []hexbid.Scene{hexbid.Scan} },
		func(s *situation) { s.request.Scene = hexbid.Scan }},
	{bidder.RuleAudience, "network", func(s *situation) { s.campaign.Audience.Networks = []hexbid.Network{hexbid.WiFi} },
		func(s *situation) { s.request.Viewer.Network = hexbid.WiFi }},
	{bidder.RuleAudience, "interest",
		func(s *situation) { s.campaign.Audience.Interests = []hexbid.Category{hexbid.Travel} },
		func(s *situation) { s.request.Viewer.Interests = []hexbid.Category{hexbid.Travel} }},
	{bidder.RuleAudience, "credit_band",
		func(s *situation) { s.campaign.Audience.Credit = []hexbid.CreditBand{hexbid.Credit700AndAbove} },
		func(s *situation) { s.campaign.Audience.Credit = nil }},
	{bidder.RuleAudience, "residence",
		func(s *situation) { s.campaign.Audience.Residences = []hexbid.Residence{hexbid.Resident} },
		func(s *situation) { s.request.Viewer.HomeRegion = "330100" }},
	{bidder.RuleWords, "", func(s *situation) { s.campaign.Keywords = []hexbid.Keyword{{Text: "火锅"}} },
		func(s *situation) { s.request.Words = "火锅" }},
	{bidder.RuleFrequency, "", func(s *situation) {
		s.owner.Cap = hexbid.FrequencyCap{Impressions: 5}
		s.request.Viewer.UserKey = ""
	},
		func(s *situation) { s.owner.Cap.ServeUncapped = true }},
	{bidder.RuleNoSlots, "", func(s *situation) { s.request.Slots = 0 }, func(s *situation) { s.request.Slots = 1 }},
	{bidder.RuleParticipation, "", func(s *situation) { s.learned.heldOutPPM = auction.PPM },
		func(s *situation) { s.learned.heldOutPPM = 0 }},
	{bidder.RulePacing, "", func(s *situation) { s.learned.pacingPPM = 0 },
		func(s *situation) { s.learned.pacingPPM = auction.PPM }},
	{bidder.RuleReserve, "", func(s *situation) { s.campaign.Bid = 10 }, nil}, // the advice says
	{bidder.RuleOwnBetter, "", func(s *situation) { s.better.State = hexbid.Active },
		func(s *situation) { s.better.State = hexbid.Paused }},
	{bidder.RuleOutbid, "", func(s *situation) { s.campaign.Bid = min(s.campaign.Bid, 900_000) }, nil},
}

func newSituation() *situation {
	better := campaign("better")
	better.Bid, better.State, better.Area = 3_000_000, hexbid.Paused, hexbid.Area{Everywhere: true}
	better.Keywords, better.Audience.IncludeUnknown = []hexbid.Keyword{{Text: "火锅"}}, []hexbid.Dimension{hexbid.DimKeyword}
	c := campaign("c")
	c.Bid, c.DailyBudget = 2_000_000, 1_000_000_000
	r := at(hub)
	r.Slots, r.Viewer.OS = 1, hexbid.Android
	return &situation{
		owner: &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"},
		program: &hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}},
		place: place("l", hub), better: better, campaign: c, learned: worth{pacingPPM: auction.PPM, qualityPPM: 30_000},
		request: r}
}

// write stores the situation.
func (s *situation) write(t rapid.TB, e *Exchange) {
	owner, program, place, better, c := *s.owner, *s.program, *s.place, *s.better, *s.campaign
	for _, o := range e.Import(ctx, []hexbid.Resource{&owner, &program, &place, &better, &c}, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	verdict := max(s.place.Review, hexbid.Approved)
	if _, err := e.Review(ctx, s.place.Name, store.AnyVersion, verdict); err != nil {
		t.Fatal(err)
	}
	record, err := e.store.Get(ctx, s.campaign.Name)
	if err != nil {
		t.Fatal(err)
	}
	s.learned.handIn(t, e, record.Meta().UID)
}

// TestTakingAwayWhatARuleNamesLeadsToALaterRuleOrToASlot puts random obstacles in a
// campaign's way and follows the explanations until it shows: they must name
// exactly those obstacles, in order.
func TestTakingAwayWhatARuleNamesLeadsToALaterRuleOrToASlot(t *testing.T) {
	e := openBesideARival(t)
	rapid.Check(t, func(t *rapid.T) {
		s := newSituation()
		var left []obstacle
		for _, o := range obstacles {
			if rapid.IntRange(0, 3).Draw(t, fmt.Sprint(o.rule, " ", o.dimension)) == 0 {
				o.put(s)
				left = append(left, o)
			}
		}
		s.followRules(t, e, left)
	})
}

// openBesideARival opens an exchange in which another advertiser bids 1.00.
func openBesideARival(t *testing.T) *Exchange {
	e := open(t, func(c *Config) {
		c.AuctionBudget = time.Hour
		c.Market.Reserves = []hexbid.Reserve{{PerThousand: 1000}}
	})
	fill(t, e, &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/b"}, DisplayName: "B"},
		&hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/b/programs/p"}, DisplayName: "火锅", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}},
		&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/b/campaigns/c"}, DisplayName: "c",
			Program: "advertisers/b/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 10_000_000,
			Area: hexbid.Area{Everywhere: true}})
	return e
}

var ruleRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| .* \\| (.*) \\|$")

// TestTheDocsHaveEveryRuleWithAReasonThatItGives compares the table of
// docs/advertisers.md with each obstacle alone.
func TestTheDocsHaveEveryRuleWithAReasonThatItGives(t *testing.T) {
	docs, err := os.ReadFile("../docs/advertisers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(docs), "## Why does my ad not show?")
	var documented []bidder.Rule
	reasons := map[bidder.Rule]string{}
	for _, row := range ruleRow.FindAllStringSubmatch(table, -1) {
		documented = append(documented, bidder.Rule(row[1]))
		reasons[bidder.Rule(row[1])] = row[2]
	}
	if i := slices.Index(documented, bidder.RuleReturning); i < 0 ||
		reasons[bidder.RuleReturning] != (&bidder.Verdict{Rule: bidder.RuleReturning}).Reason(nil) {
		t.Error("the docs do not say why a campaign waits to return")
	} else {
		documented = slices.Delete(documented, i, i+1) // the campaign of a situation waits for nobody
	}
	rules := []bidder.Rule{bidder.RuleNotIndexed}
	e, given := openBesideARival(t), map[bidder.Rule]bool{}
	for _, o := range obstacles {
		if rules[len(rules)-1] != o.rule {
			rules = append(rules, o.rule)
		}
		s := newSituation()
		o.put(s)
		s.write(t, e)
		x, err := e.Explain(ctx, s.campaign.Name, s.request)
		if err != nil || x.Verdict.Rule != o.rule {
			t.Fatalf("%+v, %v\nwant %q", x, err, o.rule)
		}
		if strings.HasPrefix(x.Reason, string(o.rule)+":") {
			t.Errorf("%q says its rule twice", x.Reason)
		}
		given[o.rule] = given[o.rule] || x.Reason == reasons[o.rule]
		t.Logf("| `%s` | | %s |", o.rule, x.Reason)
	}
	if !slices.Equal(documented, rules) {
		t.Errorf("the docs have the rules\n%q, they are\n%q", documented, rules)
	}
	for _, rule := range rules[1:] {
		if !given[rule] {
			t.Errorf("the docs give %q for %q, which it is not", reasons[rule], rule)
		}
	}
}

func (s *situation) followRules(t *rapid.T, e *Exchange, left []obstacle) {
	for {
		s.write(t, e)
		x, err := e.Explain(ctx, s.campaign.Name, s.request)
		if err != nil {
			t.Fatal(err)
		}
		if x.Verdict.Rule == bidder.Shown {
			if len(left) > 0 {
				t.Fatalf("it shows with %q in its way", left[0].rule)
			}
			return
		}
		i := slices.IndexFunc(left, func(o obstacle) bool { return o.rule == x.Verdict.Rule })
		if i != 0 || left[0].dimension != "" && left[0].dimension != x.Verdict.Dimension.String() {
			t.Fatalf("%q (%s): %s\nin its way are %+v", x.Verdict.Rule, x.Verdict.Dimension, x.Reason, left)
		}
		if left[0].take != nil {
			left[0].take(s)
			left = left[1:]
			continue
		}
		s.campaign = followed(s.campaign, s.request.Host, x.Advice)
		left = nil // the advice is for a slot, whoever else is in the way
	}
}
