package exchange

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/outstanding"
	"github.com/hexbid/hexbid/targeting"
)

// countedMoney says of every campaign that it has a budget, and counts how many it was asked for.
type countedMoney struct {
	asked int
	date  int32
}

func (m *countedMoney) Standings(_ context.Context, uids []hexbid.UID) (all []ledger.Standing, err error) {
	m.asked += len(uids)
	for _, uid := range uids {
		s := ledger.Standing{LocalDate: m.date}
		s.Campaign, s.Zone = uid, "UTC"
		s.Left = fold.Left{Daily: 100_000_000, Total: fold.NoLimit, Balance: fold.NoLimit, Min: 100_000_000}
		all = append(all, s)
	}
	return all, nil
}

// TestAwardsOfManyCampaignsInTurnCostFewSteps has thirty thousand awards a second win for a hundred thousand campaigns
// in turn, so that each is one of a campaign that was not heard of for seconds. After the first steps of all of them, a
// step is taken for one award in a hundred.
func TestAwardsOfManyCampaignsInTurnCostFewSteps(t *testing.T) {
	const campaigns, awardsAStep = 100_000, 3000
	money := &countedMoney{date: 20_000}
	p := lined()
	p.money, p.searched = money, new(atomic.Int64)
	p.out = func(hexbid.UID, hexbid.PricingModel) (outstanding.Out, float64) { return outstanding.Out{}, 1 }
	always := targeting.AlwaysOn
	p.terms = func(hexbid.UID) (bidder.Paced, bool) {
		return bidder.Paced{Pricing: hexbid.CPC, Bid: 1_000_000, Schedule: &always}, true
	}
	at, next := time.Unix(20_000*24*3600+8*3600, 0), 0
	p.opened(at)
	goOn := func(steps int) {
		for range steps {
			for range awardsAStep {
				p.awarded(&outstanding.Award{Campaign: hexbid.UID(next%campaigns + 1), Pricing: hexbid.CPC, Price: 1_000_000,
					Chance: 0.02}, at.UnixMilli())
				next++
			}
			at = at.Add(stepEvery)
			p.searched.Add(awardsAStep / 3)
			if _, err := p.value(context.Background(), at, updatesASecond/10); err != nil {
				t.Fatal(err)
			}
		}
	}
	goOn(campaigns/mostNewcomers + 400)
	if n := p.waiting(); n > 0 {
		t.Fatalf("%d campaigns still wait for their first step", n)
	}
	before := money.asked
	const steps = 600
	goOn(steps)
	if asked := money.asked - before; asked > steps*awardsAStep/100 {
		t.Errorf("%d awards took %d steps of controllers", steps*awardsAStep, asked)
	}
}

func TestPacingKeepsLittleOfACampaign(t *testing.T) {
	if n := unsafe.Sizeof(seen{}) + unsafe.Sizeof(paced{}); n > 264 {
		t.Errorf("%d bytes a campaign", n)
	}
	if n := unsafe.Sizeof(pacing.Reserves{}); n != 64 {
		t.Errorf("%d bytes of reserves", n)
	}
}

// lined is a pacer of which nobody asks how campaigns stand.
func lined() *pacer {
	return &pacer{book: newPaceBook(), balances: balances{}, traffic: newTraffic(time.UTC)}
}

// waiting returns how many newcomers stand in lines.
func (p *pacer) waiting() (n int) {
	for _, line := range p.newcomers {
		n += len(line)
	}
	return n
}

// TestNewcomersSpendLittleBeforeTheyAreMet: a hundred thousand campaigns have won for the first time, as after an
// import. Then a hundred more win a hundred and fifty times as much as the others. They are met within a
// tenth of a second of their first tenths of a click, and then keep to their plans, although it takes twenty seconds
// to meet all.
func TestNewcomersSpendLittleBeforeTheyAreMet(t *testing.T) {
	const campaigns, hot, budget, click = 100_000, 100, 100_000_000, 1_000_000
	p := lined()
	p.money, p.searched = &countedMoney{date: 20_000}, new(atomic.Int64)
	p.out = func(hexbid.UID, hexbid.PricingModel) (outstanding.Out, float64) { return outstanding.Out{}, 1 }
	always := targeting.AlwaysOn
	p.terms = func(hexbid.UID) (bidder.Paced, bool) {
		return bidder.Paced{Pricing: hexbid.CPC, Bid: click, Schedule: &always}, true
	}
	at := time.Unix(20_000*24*3600+8*3600, 0)
	p.opened(at)
	random := rand.New(rand.NewPCG(1, 1))
	won, unmet := make([]float64, hot+1), make([]float64, hot+1)
	award := func(uid hexbid.UID) {
		p.awarded(&outstanding.Award{Campaign: uid, Pricing: hexbid.CPC, Price: click, Chance: 0.02}, at.UnixMilli())
	}
	for n := range campaigns {
		award(hexbid.UID(campaigns + n))
	}
	for tick := range 1800 { // three minutes
		for n := range campaigns / 100 { // each of the others wins once in ten seconds
			award(hexbid.UID(campaigns + (tick*campaigns/100+n)%campaigns))
		}
		for uid := hexbid.UID(1); uid <= hot; uid++ { // three clicks a second at full bid
			out := pacing.Full
			if c := p.entryOf(uid); c != nil {
				out = c.told.output()
			}
			for range 15 {
				if random.Float64() < float64(out.MultiplierPPM)/pacing.PPM*float64(out.ParticipationPPM)/pacing.PPM {
					award(uid)
					won[uid] += 0.02
				}
			}
			if c := p.entryOf(uid); c != nil && !c.isMet() {
				unmet[uid] = won[uid]
			}
		}
		at = at.Add(stepEvery)
		p.searched.Add(1000)
		if _, err := p.value(context.Background(), at, updatesASecond/10); err != nil {
			t.Fatal(err)
		}
	}
	for uid := 1; uid <= hot; uid++ {
		of, _ := p.progressOf(hexbid.UID(uid))
		over := won[uid]*click - float64(of.planned)
		if unmet[uid] > 1 || over > of.tolerance*budget {
			t.Errorf("campaign %d won %.1f clicks before it was met, and is %.0f beyond its plan of %d", uid, unmet[uid], over,
				of.planned)
		}
	}
	if n := p.waiting(); n > campaigns/10 {
		t.Errorf("%d newcomers still stand in line", n)
	}
}

func TestNewcomersAreMetAFewAtATime(t *testing.T) {
	p := lined()
	p.wheel.turned = 1000
	old, _ := p.book.see(1)
	p.book.paced.at(old).stepped = 5
	for uid := range hexbid.UID(2*mostNewcomers + 50) {
		p.awarded(&outstanding.Award{Campaign: uid + 1}, 0)
	}
	met := map[uint32]bool{}
	for i, want := range []int{mostNewcomers + 1, mostNewcomers, 49, 0} {
		p.collect(1001 + int64(i))
		fresh := p.next(10 * mostNewcomers)
		for _, n := range fresh {
			if met[n] {
				t.Errorf("campaign %d is met twice", n)
			}
			met[n] = true
		}
		if len(fresh) != want {
			t.Fatalf("%d campaigns are met, want %d", len(fresh), want)
		}
	}
	if p.waiting() != 0 || len(p.ready) != 0 || len(met) != 2*mostNewcomers+50 {
		t.Errorf("%d newcomers and %d others still wait, %d were met", p.waiting(), len(p.ready), len(met))
	}
}

func TestACampaignThatComesToEnoughIsSteppedBeforeItsPause(t *testing.T) {
	p := lined()
	p.wheel.turned = 1000
	n, s := p.book.see(7)
	c := paced{uid: 7, want: fullPacked, told: fullPacked, stepped: 1000}
	p.settle(n, &c, 500, 4000)
	at := func(tick int64) int {
		p.collect(tick)
		return len(p.next(10))
	}
	won := func(micros int) {
		p.awarded(&outstanding.Award{Campaign: 7, Price: hexbid.Money(micros), Chance: 1}, 0)
	}
	if s.waits {
		t.Error("it saw nothing, and waits")
	}
	won(400)
	if at(1001) != 0 || !s.waits {
		t.Fatal("a little makes it due at once")
	}
	won(100)
	for tick := int64(1002); tick < 1000+everyTicks; tick++ {
		if at(tick) != 0 {
			t.Fatalf("it is stepped %d ticks after a step", tick-1000)
		}
	}
	if at(1000+everyTicks) != 1 {
		t.Fatal("it is not stepped although it came to enough")
	}
	c.stepped = 1000 + everyTicks
	p.book.take(n, 0)
	p.settle(n, &c, 500, 3000)
	won(1)
	if at(2999) != 0 || at(3000) != 1 || at(4000) != 0 {
		t.Error("a little should wait for the pause, and what was planned before should be forgotten")
	}
}

func TestADroppedCampaignLeavesItsNumber(t *testing.T) {
	p := lined()
	p.wheel.turned = 1000
	p.awarded(&outstanding.Award{Campaign: 7, EntryPPM: 5}, now.UnixMilli())
	n := p.book.numbers[7]
	p.drop(n)
	p.collect(1001)
	if len(p.next(10)) != 0 || len(p.unkept)+len(p.gone) > 0 {
		t.Error("a campaign that was dropped before its first step is stepped, or has something to take back")
	}
	p.awarded(&outstanding.Award{Campaign: 8, EntryPPM: 6}, now.UnixMilli())
	if again := p.book.numbers[8]; again != n || p.book.reserves.size != 1 || p.book.paced.at(n).uid != 8 {
		t.Errorf("campaign 8 has number %d, %d reserves are there", again, p.book.reserves.size)
	}
	if _, entry := p.book.take(n, now.UnixMilli()); entry != 6 {
		t.Errorf("campaign 8 has met a reserve at %d", entry)
	}
}

func TestTheWheelTurnsOverEveryTickOnce(t *testing.T) {
	var w wheel
	w.turned = 10
	all := func(uint32) bool { return true }
	if at := w.put(1, 5); at != 11 {
		t.Errorf("what is late is planned at %d", at)
	}
	if at := w.put(2, 10+2*wheelTicks); at != 10+wheelTicks-1 {
		t.Errorf("what is far is planned at %d", at)
	}
	if got := w.turn(11, nil, all); len(got) != 1 || got[0] != 1 {
		t.Errorf("%v", got)
	}
	if got := w.turn(10+3*wheelTicks, nil, all); len(got) != 1 || got[0] != 2 {
		t.Errorf("%v after the process stood still", got)
	}
	if got := w.turn(5, nil, all); len(got) != 0 || w.turned != 10+3*wheelTicks {
		t.Errorf("%v after the clock went back", got)
	}
}
