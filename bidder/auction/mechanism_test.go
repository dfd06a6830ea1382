package auction

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

func drawFactors(t *rapid.T) []int64 {
	factors := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, 1_000_000)), hexbid.MaxSlots,
		hexbid.MaxSlots).Draw(t, "factors")
	slices.Sort(factors)
	slices.Reverse(factors)
	return factors
}

// plainVCG computes the formula in big integers.
func plainVCG(entries []Entry, k int, p Pricing) *big.Int {
	e, sum := entries[k], new(big.Int)
	for j := k; j < p.Slots; j++ {
		step := p.Factors[j]
		if j+1 < p.Slots {
			step -= p.Factors[j+1]
		}
		next := int64(0)
		if j+1 < len(entries) {
			next = entries[j+1].Score
		}
		sum.Add(sum, new(big.Int).Mul(big.NewInt(step), big.NewInt(max(next, e.Reserve))))
	}
	unit := e.QualityPPM
	if e.Pricing == hexbid.CPM {
		unit = 1000
	}
	by := new(big.Int).Mul(big.NewInt(p.Factors[k]), big.NewInt(unit))
	price := new(big.Int).Div(sum.Add(sum, new(big.Int).Sub(by, big.NewInt(1))), by)
	if e.Pricing == hexbid.CPM {
		thousand := big.NewInt(1000)
		price.Add(price, big.NewInt(999)).Div(price, thousand).Mul(price, thousand)
	}
	return price
}

func TestVCGIsItsFormulaAndNeverAboveGSPOrTheBid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates := numbered(drawCandidates(t))
		p := Pricing{Mechanism: hexbid.MechanismVCG,
			Slots: rapid.IntRange(0, hexbid.MaxSlots).Draw(t, "slots"), Factors: drawFactors(t)}
		entries := boardOf(candidates, p.Slots, NewTieBreak("r"))
		vcg := Price(entries, p, nil)
		p.Mechanism = hexbid.MechanismGSP
		gsp := Price(entries, p, nil)
		for k, a := range vcg {
			if want := plainVCG(entries, k, p); want.Cmp(big.NewInt(int64(a.Price))) != 0 {
				t.Fatalf("slot %d: %d, the formula says %v", k+1, a.Price, want)
			}
			if a.Price > gsp[k].Price || a.Price > a.Entry.PacedBid {
				t.Fatalf("slot %d: VCG %d, GSP %d, bid %d", k+1, a.Price, gsp[k].Price, a.Entry.PacedBid)
			}
		}
	})
}

// payoff returns what an advertiser gains, times 10¹²: the chance that its slot is seen (and, for CPC, clicked), times
// its value less the price. The value is for a click or for a thousand impressions.
func payoff(candidates []Candidate, p Pricing, who hexbid.UID, value int64) int64 {
	for _, a := range Price(boardOf(candidates, p.Slots, NewTieBreak("r")), p, nil) {
		if a.Entry.CampaignUID == who {
			return p.Factors[a.Slot-1] * divisor(a.Entry.Pricing, a.Entry.QualityPPM) * (value - int64(a.Price))
		}
	}
	return 0
}

// TestTellingTheTruthIsBest tries a grid of bids around the true value. Prices are rounded up to a micro a click or an
// impression, so a truthful bid may lose less than one micro's worth.
func TestTellingTheTruthIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var candidates []Candidate
		for i := range rapid.IntRange(1, 6).Draw(t, "rivals") {
			candidates = append(candidates, Candidate{Advertiser: uint32(i + 1), Pricing: hexbid.CPC, MultiplierPPM: PPM,
				Bid:        hexbid.Money(rapid.Int64Range(1, 60).Draw(t, "bid") * 50_000),
				QualityPPM: rapid.SampledFrom([]int64{10_000, 20_000, 35_000}).Draw(t, "q")})
		}
		reserve := rapid.SampledFrom([]int64{0, 5_000_000_000, 20_000_000_000}).Draw(t, "reserve")
		for i := range candidates {
			candidates[i].Reserve = reserve
		}
		numbered(candidates)
		p := Pricing{Mechanism: hexbid.MechanismVCG, Slots: rapid.IntRange(1, 4).Draw(t, "slots"), Factors: drawFactors(t)}
		if rapid.Bool().Draw(t, "one-slot GSP") {
			p.Mechanism, p.Slots = hexbid.MechanismGSP, 1
		}
		me := &candidates[0]
		step, micro := hexbid.Money(49_999), p.Factors[0]*me.QualityPPM
		if rapid.Bool().Draw(t, "by impressions") { // one micro an impression is 1,000 micros a thousand
			me.Pricing, me.Bid, step, micro = hexbid.CPM, me.Bid*20, 999_000, p.Factors[0]*1000*1000
		}
		value := int64(me.Bid)
		truthful := payoff(candidates, p, me.CampaignUID, value)
		if truthful < -micro {
			t.Fatalf("telling the truth loses %d", truthful)
		}
		for deviation := int64(1); deviation <= 61; deviation++ {
			me.Bid = hexbid.Money(deviation) * step
			if gain := payoff(candidates, p, me.CampaignUID, value); gain > truthful+micro {
				t.Fatalf("bidding %d instead of %d gains %d instead of %d", me.Bid, value, gain, truthful)
			}
		}
	})
}

// TestASwappedPairPaysAsTheLowerSlotOverTheListBelow compares with auctions that never had the other entry of the pair:
// then each of the two stands directly above the list below.
func TestASwappedPairPaysAsTheLowerSlotOverTheListBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates := numbered(drawCandidates(t))
		p := Pricing{Mechanism: hexbid.Mechanism(rapid.IntRange(1, int(hexbid.MechanismCount)-1).Draw(t, "mechanism")),
			Slots: rapid.IntRange(0, hexbid.MaxSlots).Draw(t, "slots"), Factors: drawFactors(t),
			Increment: hexbid.Money(rapid.IntRange(0, 20_000).Draw(t, "increment"))}
		entries := boardOf(candidates, p.Slots, NewTieBreak("r"))
		straight := Price(entries, p, nil)
		pair := rapid.IntRange(1, hexbid.MaxSlots).Draw(t, "pair")
		p.Trial = Trial{uint8(pair), true}
		swapped := Price(entries, p, nil)
		if pair+1 > len(straight) {
			if !slices.EqualFunc(straight, swapped, sameAward) {
				t.Fatalf("there is no pair to swap at %d: got %+v, want %+v", pair, swapped, straight)
			}
			return
		}
		for i := range straight {
			if i != pair-1 && i != pair && !sameAward(straight[i], swapped[i]) {
				t.Fatalf("slot %d is outside the pair: got %+v, want %+v", i+1, swapped[i], straight[i])
			}
		}
		upper, lower := entries[pair-1], entries[pair]
		wantAlone(t, entries, p, upper, swapped[pair])
		wantAlone(t, entries, p, lower, swapped[pair-1])
		if swapped[pair-1].Price != straight[pair].Price || swapped[pair].Price > straight[pair-1].Price {
			t.Fatalf("a trial makes one pay more: %+v, without it %+v", swapped, straight)
		}
	})
}

// wantAlone checks the award of one of a pair: its price is that of the pair's lower slot, without the other.
func wantAlone(t *rapid.T, entries []Entry, p Pricing, one Entry, got Award) {
	pair := int(p.Trial.Pair)
	alone := slices.Concat(entries[:pair], []Entry{one}, entries[pair+1:])
	want := Price(alone, Pricing{Mechanism: p.Mechanism, Slots: p.Slots, Factors: p.Factors, Increment: p.Increment},
		nil)[pair]
	if got.Entry != one || got.PaysAs != want.Slot || got.Price != want.Price || got.SetBy != want.SetBy ||
		got.Next != want.Next || got.Sum != want.Sum {
		t.Fatalf("got %+v\nwant the price of %+v", got, want)
	}
	basis := got.Basis(&p)
	if price, setBy := basis.Price(); price != got.Price || setBy != got.SetBy {
		t.Fatalf("the basis %+v gives %d by %s, not %d by %s", basis, price, setBy, got.Price, got.SetBy)
	}
}

func sameAward(a, b Award) bool { return a == b }
