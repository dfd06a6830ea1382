package exchange

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// auctionHouse is a random market of campaigns that all compete at one point: only
// their bids, and what scores are made of, decide.
type auctionHouse struct {
	e         *Exchange
	requests  int
	campaigns []*hexbid.Campaign
	factors   map[string]worth
}

func newAuctionHouse(t *rapid.T, keys *token.Keys) *auctionHouse {
	h := &auctionHouse{factors: map[string]worth{}}
	config := DefaultConfig()
	config.Clock, config.Log, config.Cards, config.CacheBytes = func() time.Time { return now },
		slog.New(slog.DiscardHandler), plainCards{}, 1<<20
	config.AuctionBudget = time.Hour
	config.RequestID = func() string { h.requests++; return fmt.Sprint("request ", h.requests) }
	config.Market.Mechanism = rapid.SampledFrom([]hexbid.Mechanism{hexbid.MechanismGSP, hexbid.MechanismVCG,
		hexbid.MechanismFirstPrice}).Draw(t, "mechanism")
	config.Market.Increment = rapid.SampledFrom([]hexbid.Money{0, 7}).Draw(t, "increment")
	config.Market.Reserves = []hexbid.Reserve{
		{PerThousand: rapid.SampledFrom([]hexbid.Money{0, 1, 3_000_001, 30_000_000}).Draw(t, "reserve")},
		{Host: hexbid.Alipay, PerThousand: rapid.SampledFrom([]hexbid.Money{0, 45_000_000, 1_000_000_000_000}).Draw(t,
			"reserve of alipay")},
		{Category: hexbid.Finance, PerThousand: rapid.SampledFrom([]hexbid.Money{0, 12_345_678}).Draw(t,
			"reserve of finance")},
	}
	e, err := Open(ctx, config, store.NewMemory(), keys)
	if err != nil {
		t.Fatal(err)
	}
	h.e = e
	alike := rapid.Bool().Draw(t, "all alike")
	for i := range rapid.IntRange(1, 4).Draw(t, "advertisers") {
		h.addAdvertiser(t, fmt.Sprintf("advertisers/a%d", i), alike)
	}
	// A minimum that came after the campaigns: it holds for what is written now.
	h.setMinimum([hexbid.PricingCount]hexbid.Money{
		hexbid.CPC: rapid.SampledFrom([]hexbid.Money{0, 0, 150_000}).Draw(t, "minimum")})
	return h
}

// setMinimum has campaigns that are written from now on checked against other least bids.
func (h *auctionHouse) setMinimum(minimum [hexbid.PricingCount]hexbid.Money) {
	m := *h.e.market.operator.Load()
	m.MinimumBid = minimum
	h.e.market.operator.Store(&m)
}

func (h *auctionHouse) addAdvertiser(t *rapid.T, name string, alike bool) {
	program := name + "/programs/p"
	h.put(t, &hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P",
			Hosts:    []hexbid.Host{hexbid.WeChat, hexbid.Alipay},
			Category: rapid.SampledFrom([]hexbid.Category{hexbid.Catering, hexbid.Finance}).Draw(t, "category")})
	for i := range rapid.IntRange(1, 3).Draw(t, "campaigns") {
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", name, i)}, DisplayName: "C",
			Program: program, Area: hexbid.Area{Everywhere: true}}
		c.Pricing, c.Bid, c.DailyBudget = hexbid.CPC, 200_000, 200_000
		h.factors[c.Name] = worth{pacingPPM: auction.PPM, qualityPPM: 30_000}
		if !alike {
			drawBids(t, c)
			h.factors[c.Name] = worth{
				pacingPPM:  rapid.SampledFrom([]int64{auction.PPM, auction.PPM, 333_333, 500_000, 1}).Draw(t, "pacing"),
				qualityPPM: rapid.SampledFrom([]int64{30_000, 30_000, 777, auction.PPM, 1}).Draw(t, "quality")}
		}
		h.campaigns = append(h.campaigns, c)
		h.set(t, c)
	}
}

// drawBids draws few amounts, so that scores are often equal, some at the limits.
func drawBids(t *rapid.T, c *hexbid.Campaign) {
	c.Pricing = rapid.SampledFrom([]hexbid.PricingModel{hexbid.CPC, hexbid.CPC, hexbid.CPM}).Draw(t, "pricing")
	least, most := c.Pricing.BidLimits()
	c.Bid = rapid.SampledFrom([]hexbid.Money{1, 10, 100_000, 200_000, 200_000, 1_000_000, 99_999_999,
		1_000_000_000}).Draw(t, "bid")
	if c.Pricing == hexbid.CPM {
		c.Bid *= rapid.SampledFrom([]hexbid.Money{1000, 30, 999}).Draw(t, "a thousand")
	}
	c.Bid = max(c.Bid, least)
	for _, host := range []hexbid.Host{hexbid.WeChat, hexbid.Alipay} {
		ppm := rapid.SampledFrom([]int64{0, 0, 1, 100_000, 333_333, 1_200_000,
			hexbid.MaxHostMultiplierPPM}).Draw(t, host.String())
		if bid := hexbid.Money(int64(c.Bid) * ppm / 1_000_000); bid >= least && bid <= most {
			c.HostBids = append(c.HostBids, hexbid.HostBid{Host: host, MultiplierPPM: ppm})
		}
	}
	c.DailyBudget = c.DearestEvent() * rapid.SampledFrom([]hexbid.Money{1, 1000}).Draw(t, "days")
	c.TotalBudget = c.DailyBudget * rapid.SampledFrom([]hexbid.Money{0, 1}).Draw(t, "total")
}

func (h *auctionHouse) put(t *rapid.T, all ...hexbid.Resource) {
	for _, o := range h.e.Import(ctx, all, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

// set writes a campaign as an owner would, and keeps what is learned of it.
func (h *auctionHouse) set(t *rapid.T, c *hexbid.Campaign) {
	if err := h.trySet(t, c); err != nil {
		t.Fatalf("%+v: %v", c, err)
	}
}

func (h *auctionHouse) trySet(t *rapid.T, c *hexbid.Campaign) error {
	next := *c
	o := h.e.Import(ctx, []hexbid.Resource{&next}, false)[0]
	if o.Err != nil {
		return o.Err
	}
	record, err := h.e.store.Get(ctx, c.Name)
	if err != nil {
		t.Fatal(err)
	}
	h.factors[c.Name].handIn(t, h.e, record.Meta().UID)
	return nil
}

// slot is what a campaign wins in the next search, 0 for none.
func (h *auctionHouse) slot(t *rapid.T, c *hexbid.Campaign, r *hexbid.Request) int {
	response, err := h.e.Search(ctx, r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range response.Sponsored {
		if strings.HasPrefix(string(s.Cards.Campaign), c.Name+" for ") {
			return s.Slot
		}
	}
	return 0
}

// followed is a campaign with everything set that the advice names.
func followed(c *hexbid.Campaign, host hexbid.Host, a Advice) *hexbid.Campaign {
	next := *c
	if a.Bid > 0 {
		next.Bid = a.Bid
	}
	if a.HostPPM > 0 {
		next.HostBids = append(withoutHost(c.HostBids, host), hexbid.HostBid{Host: host, MultiplierPPM: a.HostPPM})
	}
	next.DailyBudget, next.TotalBudget = max(next.DailyBudget, a.DailyBudget), max(next.TotalBudget, a.TotalBudget)
	return &next
}

// oneLess is the advice with the least taken off.
func oneLess(a Advice) Advice {
	if a.HostPPM > 0 {
		a.HostPPM--
	} else {
		a.Bid--
	}
	return a
}

func TestAdviceThatIsFollowedWinsThePromisedSlotAndOneMicroLessDoesNot(t *testing.T) {
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		h := newAuctionHouse(t, keys)
		defer h.e.Close()
		r := at(hub)
		r.Slots = rapid.IntRange(1, 3).Draw(t, "slots")
		r.Host = rapid.SampledFrom([]hexbid.Host{hexbid.HostUnknown, hexbid.WeChat, hexbid.Alipay}).Draw(t, "host")
		for _, c := range h.campaigns {
			h.followAdvice(t, c, r)
		}
	})
}

func (h *auctionHouse) followAdvice(t *rapid.T, c *hexbid.Campaign, r *hexbid.Request) {
	explained, err := h.e.Explain(ctx, c.Name, r)
	if err != nil {
		t.Fatal(err)
	}
	v, a := &explained.Verdict, explained.Advice
	switch v.Rule {
	case bidder.Shown:
		if a != (Advice{}) || explained.AdviceText != "" {
			t.Fatalf("advice to a winner: %+v", explained)
		}
		return
	case bidder.RuleReserve, bidder.RuleOutbid, bidder.RuleOwnBetter:
	default:
		t.Fatalf("%s: %q", c.Name, v.Rule)
	}
	if a == (Advice{}) {
		h.expectNoBidWins(t, c, r.Host, explained)
		return
	}
	h.set(t, followed(c, r.Host, a))
	for range 8 {
		if slot := h.slot(t, c, r); slot == 0 || slot > a.Slot {
			t.Fatalf("%+v\n%s: %s; %+v gave slot %d", c, v.Rule, explained.AdviceText, a, slot)
		}
	}
	if h.trySet(t, followed(c, r.Host, oneLess(a))) == nil { // else a minimum refuses it
		wins := 0
		for wins < 200 && h.slot(t, c, r) > 0 { // an equal score wins some requests
			wins++
		}
		if wins == 200 {
			t.Fatalf("%+v\n%s: %s; %+v would do", c, v.Rule, explained.AdviceText, oneLess(a))
		}
	}
	minimum := h.e.market.operator.Load().MinimumBid
	h.setMinimum([hexbid.PricingCount]hexbid.Money{})
	h.set(t, c) // as it was, from before there was a minimum
	h.setMinimum(minimum)
}

// expectNoBidWins checks that even the highest bid scores too little, or that it takes
// the bid on some other host over the highest or leaves it below the minimum.
func (h *auctionHouse) expectNoBidWins(t *rapid.T, c *hexbid.Campaign, host hexbid.Host, x *Explanation) {
	_, most := c.Pricing.BidLimits()
	if strings.HasPrefix(x.AdviceText, "No bid wins a slot here while host_bids of other hosts stay") {
		highest := *c
		highest.Bid = most
		for _, b := range c.HostBids {
			if bid := highest.BidOn(b.Host); b.Host != host && (bid < h.e.market.operator.Load().MinimumBid[c.Pricing] ||
				bid > most && host == hexbid.HostUnknown) {
				return
			}
		}
		t.Fatalf("%+v\nis told that other hosts are in the way", c)
	}
	factors := h.factors[c.Name]
	if _, score := auction.Pace(c.Pricing, most, factors.pacingPPM, factors.qualityPPM); score >= x.Verdict.Needed {
		t.Fatalf("%+v\nis told that no bid wins, %s scores %d of %d", c, most, score, x.Verdict.Needed)
	}
}

func TestAdviceIsWhatTheAdvertiserSets(t *testing.T) {
	const clicks, impressions = hexbid.CPC, hexbid.CPM
	on := func(host hexbid.Host, ppm int64) []hexbid.HostBid {
		return []hexbid.HostBid{{Host: host, MultiplierPPM: ppm}}
	}
	for name, test := range map[string]struct {
		pricing hexbid.PricingModel
		bid     hexbid.Money
		hosts   []hexbid.HostBid
		want    Advice
	}{
		"a plain bid": {clicks, 100, nil, Advice{Bid: 2_000_001}},
		"at a tie":    {clicks, 2_000_000, nil, Advice{Bid: 2_000_001}},
		// 2,000,000 × 0.03 × 1,000, and one more
		"whole micros an impression":   {impressions, 1000, nil, Advice{Bid: 60_001_000}},
		"a host that gets a tenth":     {clicks, 1_500_000, on(hexbid.WeChat, 100_000), Advice{Bid: 20_000_010}},
		"a host that gets tenfold":     {clicks, 100, on(hexbid.WeChat, 10_000_000), Advice{Bid: 200_001}},
		"another host's part":          {clicks, 100, on(hexbid.Alipay, 100_000), Advice{Bid: 2_000_001}},
		"a part too small for any bid": {clicks, 1_500_000, on(hexbid.WeChat, 1), Advice{HostPPM: 1_333_334}},
		"another host at its limit": {clicks, 100_000_000,
			append(on(hexbid.Alipay, 10_000_000), on(hexbid.WeChat, 10_000)...), Advice{HostPPM: 20_001}},
		"both, for the part goes to a limit": {clicks, 10_000, on(hexbid.WeChat, 100),
			Advice{Bid: 200_001, HostPPM: 9_999_956}},
	} {
		t.Run(name, func(t *testing.T) {
			// The larger hash of this request is the incumbent's.
			e := open(t, func(c *Config) { c.RequestID = func() string { return "request 1" } })
			fill(t, e)
			for _, owner := range []string{"advertisers/b", "advertisers/c"} {
				fill(t, e, &hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}, DisplayName: "A"},
					&hexbid.Program{Meta: hexbid.Meta{Name: owner + "/programs/p"}, DisplayName: "P", Category: hexbid.Catering,
						Hosts: []hexbid.Host{hexbid.WeChat}})
			}
			put := func(owner string, pricing hexbid.PricingModel, bid hexbid.Money, hosts []hexbid.HostBid) *hexbid.Campaign {
				c := campaign("c")
				c.Name, c.Program, c.Area = owner+"/campaigns/c", owner+"/programs/p", hexbid.Area{Everywhere: true}
				c.Pricing, c.Bid, c.HostBids, c.DailyBudget = pricing, bid, hosts, 1_000_000_000_000
				fill(t, e, c)
				return c
			}
			put("advertisers/b", clicks, 2_000_000, nil)
			asking := put("advertisers/c", test.pricing, test.bid, test.hosts)
			r := at(hub)
			r.Slots = 1
			x, err := e.Explain(ctx, asking.Name, r)
			test.want.Slot = 1
			if err != nil || x.Verdict.Rule != bidder.RuleOutbid || x.Advice != test.want {
				t.Errorf("%+v, %v\nwant %+v", x, err, test.want)
			}
		})
	}
}
