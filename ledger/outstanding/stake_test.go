package outstanding

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// taken returns how often campaigns and advertisers have been noticed since the last call.
func (c *clocked) taken() (campaigns, advertisers int) {
	n := c.TakeNoticed()
	return len(n.Campaigns), len(n.Advertisers)
}

// rich opens a book in which campaign 1 and its advertiser have won once and are known to have so much left.
func rich(left hexbid.Money) *clocked {
	c := opened()
	c.Add(click(1))
	c.Knows(1, false, left)
	c.Knows(100, true, left)
	c.TakeNoticed()
	return c
}

func TestAwardsFarFromTheEndOfABudgetAreNotNoticed(t *testing.T) {
	const left = 1_000_000_000 // a thousand yuan; an award is worth 0.02
	b := rich(left)
	for range 3000 { // 60 yuan: less than a sixteenth
		b.Add(click(1))
	}
	if campaigns, advertisers := b.taken(); campaigns+advertisers != 0 {
		t.Fatalf("%d campaigns and %d advertisers are noticed, with less than a sixteenth out", campaigns, advertisers)
	}
	for range 200 {
		b.Add(click(1))
	}
	if campaigns, advertisers := b.taken(); campaigns != 1 || advertisers != 1 {
		t.Fatalf("%d campaigns and %d advertisers are noticed, with more than a sixteenth out", campaigns, advertisers)
	}
	b.pass(time.Hour)
	b.Campaign(1) // budgets look: nothing is out any more
	b.Advertiser(100)
	b.Add(click(1))
	if campaigns, advertisers := b.taken(); campaigns+advertisers != 0 {
		t.Errorf("%d campaigns and %d advertisers are noticed after an hour", campaigns, advertisers)
	}
}

func TestWhatMayMatterIsNoticed(t *testing.T) {
	dear := *click(1)
	dear.Price *= 40
	for what, happens := range map[string]func(*clocked){
		"an event":                      func(b *clocked) { b.Happen(click(1), start, true) },
		"an event that nobody pays for": func(b *clocked) { b.Happen(click(1), start, false) },
		"a price of a thirtieth":        func(b *clocked) { b.Add(&dear) },
		"a budget that is not known":    func(b *clocked) { b.Knows(1, false, 0); b.Add(click(1)) },
		"a low budget":                  func(b *clocked) { b.Knows(1, false, 10_000_000); b.Add(click(1)) },
		"awards that found no room":     func(b *clocked) { b.AddSpilled(7, 1000, 1000); b.Add(click(1)) },
		"a campaign's first award":      func(b *clocked) { b.Add(click(2)) },
	} {
		b := rich(1_000_000_000)
		happens(b)
		if campaigns, _ := b.taken(); campaigns != 1 {
			t.Errorf("%s: %d campaigns are noticed", what, campaigns)
		}
	}
}

// TestWhatBudgetsDoNotSeeIsLittle draws awards until an account is noticed. Before, its estimate and margin stay below
// the part of what is left that the package names.
func TestWhatBudgetsDoNotSeeIsLittle(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 7))
		const left = 1_000_000_000
		b := rich(left)
		b.Happen(click(1), start, true)
		b.Campaign(1)
		b.TakeNoticed()
		for dearest := random.Int64N(left / 32); !b.HasNoticed(); {
			b.pass(time.Duration(random.Int64N(100)) * time.Millisecond)
			a := click(1)
			a.Price, a.Chance = hexbid.Money(1+random.Int64N(dearest)), float32(0.2*random.Float64())
			unseen := b.out(1, false).rounded()
			if float64(unseen.Expected+unseen.Margin) > 0.21*left {
				t.Fatalf("seed %d: %+v is out and not noticed; %s is left", seed, unseen, hexbid.Money(left))
			}
			b.Add(a)
		}
	}
}

func TestRowsOfAccountsFarFromTheirEndAreKeptSeldom(t *testing.T) {
	b := rich(1_000_000_000)
	made := func() (accounts int) {
		for _, r := range b.Rows(false) {
			if r.Key[0] == rowAccount && !(r.Key[1] == 0 && r.Key[9] == 0) { // without the market's
				accounts++
			}
		}
		return accounts
	}
	rows := 0
	for range 3600 {
		b.pass(time.Second)
		b.Add(click(1))
		rows += made()
	}
	if rows < 2*5 || rows > 2*6 {
		t.Errorf("%d rows of a campaign and its advertiser in an hour", rows)
	}
	b.Knows(1, false, 1_000_000) // the budget ends
	b.Add(click(1))
	if n := made(); n != 1 {
		t.Errorf("%d rows of a campaign whose awards matter", n)
	}
	b.Add(click(1))
	if stopping := b.Rows(true); len(stopping) != 3+3 {
		t.Errorf("%d rows of a book, two delays, a campaign, its advertiser and the market", len(stopping))
	}
}

// TestACrashTakesLittleOfWhatIsFar restores what was kept of campaigns with all kinds of budgets.
func TestACrashTakesLittleOfWhatIsFar(t *testing.T) {
	b, rows := opened(), map[string][]byte{}
	left := func(uid hexbid.UID) hexbid.Money { return 1_000_000 << uid }
	for range 120 {
		b.pass(time.Second)
		for uid := hexbid.UID(1); uid < 20; uid++ {
			b.Add(click(uid))
			b.Knows(uid, false, left(uid))
		}
		keepIn(rows, b.Rows(false))
	}
	after, forgotten := restored(t, b.unixMillis, rows), 0
	for uid := hexbid.UID(1); uid < 20; uid++ {
		was, is := b.Campaign(uid).Expected, after.Campaign(uid).Expected
		if is == 0 {
			forgotten++
		}
		if float64(was-is) > 0.15*float64(was) && float64(was-is) > float64(left(uid))/256 {
			t.Errorf("%s was out of campaign %d, %s is after the crash; it has %s left", was, uid, is, left(uid))
		}
	}
	if forgotten == 0 || forgotten == 19 {
		t.Errorf("%d of 19 campaigns are forgotten", forgotten)
	}
}

func TestAnAdvertiserThatBeginsToPayAheadHasItsCampaignsAwardsOut(t *testing.T) {
	b := opened()
	want := hexbid.Money(0)
	for second := range 60 {
		b.pass(time.Second)
		a := *click(hexbid.UID(1 + second%3))
		a.Advertiser = 101
		b.Add(&a)
	}
	for uid := hexbid.UID(1); uid <= 3; uid++ {
		want += b.Campaign(uid).Expected
	}
	if out := b.Advertiser(101); out != (Out{}) {
		t.Errorf("%+v is out of an advertiser that pays later", out)
	}
	b.Follow([]hexbid.UID{101, 102})
	if out := b.Advertiser(101); !close2(out.Expected, want, 0.2) || out.Highest != click(1).Price {
		t.Errorf("%+v is out of the advertiser, and %s of its campaigns", out, want)
	}
	b.Follow([]hexbid.UID{101})
	if out := b.Advertiser(101); !close2(out.Expected, want, 0.2) {
		t.Errorf("%+v is out of the advertiser once it is followed twice", out)
	}
}

func TestSlicesOfManyCampaignsBecomeFewThatDoNotOverlap(t *testing.T) {
	b := opened()
	for second := range 400 {
		b.pass(time.Second)
		a := *click(hexbid.UID(1 + second%50))
		a.Advertiser = 101
		b.Add(&a)
		b.Knows(a.Campaign, false, 1_000_000_000)
	}
	b.Follow([]hexbid.UID{101})
	of := b.of(party{101, true, hexbid.CPC}).slices
	for i := range of[1:] {
		if of[i+1].from <= of[i].to {
			t.Errorf("a slice of %d to %d is followed by one of %d to %d", of[i].from, of[i].to, of[i+1].from, of[i+1].to)
		}
	}
	if len(of) > 30 {
		t.Errorf("%d slices", len(of))
	}
}

func TestACampaignWhoseAwardsAreWorthMoreIsNoticedEarlier(t *testing.T) {
	b := rich(1_000_000_000)
	for range 40 {
		b.Happen(click(1), start, true)
	}
	b.Campaign(1) // budgets look: events come five times as often as the prior says
	b.TakeNoticed()
	for range 650 { // 13 yuan by the prior
		b.Add(click(1))
	}
	if campaigns, _ := b.taken(); campaigns != 1 {
		t.Errorf("%d campaigns are noticed, with 65 of 1000 yuan out", campaigns)
	}
}
