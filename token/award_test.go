package token

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// drawAuction draws the entries of an auction, best first, and its pricing.
func drawAuction(t *rapid.T) ([]auction.Entry, auction.Pricing) {
	p := auction.Pricing{
		Mechanism: hexbid.Mechanism(rapid.IntRange(1, int(hexbid.MechanismCount)-1).Draw(t, "mechanism")),
		Slots:     rapid.IntRange(1, hexbid.MaxSlots).Draw(t, "slots"),
		Increment: hexbid.Money(rapid.SampledFrom([]int64{0, 1, 10_000, int64(hexbid.MaxBidCPC)}).Draw(t, "increment")),
		Factors: rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, auction.PPM)), hexbid.MaxSlots,
			hexbid.MaxSlots).Draw(t, "factors"),
	}
	slices.Sort(p.Factors)
	slices.Reverse(p.Factors)
	var entries []auction.Entry
	for i := range rapid.IntRange(0, hexbid.MaxSlots+1).Draw(t, "candidates") {
		if e := drawEntry(t, i); e.Enter() {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b auction.Entry) int { return int(b.Score - a.Score) })
	return entries, p
}

func drawEntry(t *rapid.T, i int) auction.Entry {
	pricing := rapid.SampledFrom([]hexbid.PricingModel{hexbid.CPC, hexbid.CPM}).Draw(t, "pricing")
	least, most := pricing.BidLimits()
	bid := rapid.OneOf(rapid.Int64Range(int64(least), 5_000_000), rapid.Int64Range(int64(least), int64(most)),
		rapid.Just(int64(most))).Draw(t, "bid")
	return auction.Entry{Candidate: auction.Candidate{Advertiser: uint32(i),
		CampaignUID: hexbid.UID(rapid.Uint64Range(1, math.MaxInt64).Draw(t, "campaign")), Pricing: pricing,
		Bid: hexbid.Money(bid), MultiplierPPM: rapid.SampledFrom([]int64{1, 333_333, 999_999,
			auction.PPM}).Draw(t, "multiplier"),
		QualityPPM: rapid.SampledFrom([]int64{1, 777, 30_000, auction.PPM}).Draw(t, "quality"),
		Reserve:    rapid.SampledFrom([]int64{0, 1, 12_345_678_000, 20_000_000_000, auction.MaxScore}).Draw(t, "reserve")}}
}

// drawAward draws the fields of an award other than its basis.
func drawAward(t *rapid.T) Award {
	a := Award{
		RequestID:     rapid.StringN(0, 20, auction.MaxRequestIDBytes).Draw(t, "request"),
		Advertiser:    hexbid.UID(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "advertiser")),
		Host:          hexbid.Host(rapid.IntRange(0, 10).Draw(t, "host")),
		Scene:         hexbid.Scene(rapid.IntRange(0, 7).Draw(t, "scene")),
		Cell:          rapid.Uint64Range(0, 1<<60).Draw(t, "cell"),
		MarketVersion: rapid.Uint64Range(1, math.MaxInt64).Draw(t, "market"),
		Explored:      rapid.Bool().Draw(t, "explored"),
		ClientID:      rapid.StringN(0, 20, hexbid.MaxClientIDBytes).Draw(t, "client"),
		ClientUID:     hexbid.UID(rapid.Uint64Range(0, math.MaxInt64).Draw(t, "client's uid")),
		HasViewer:     rapid.Bool().Draw(t, "viewer"),
		IssuedAt:      time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "issued")).UTC(),
	}
	if a.HasViewer {
		a.Viewer = [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "pseudonym"))
	}
	a.ClickExpiry = a.IssuedAt.Add(30 * time.Minute)
	if pair := rapid.IntRange(0, hexbid.MaxSlots-1).Draw(t, "pair"); pair > 0 {
		a.Trial = auction.Trial{Pair: uint8(pair), Swapped: rapid.Bool().Draw(t, "swapped")}
	}
	return a
}

// drawPrediction draws how a quality came about: sometimes a factor has lowered it.
func drawPrediction(t *rapid.T, qualityPPM int64) auction.Prediction {
	p := auction.PredictionOf(qualityPPM)
	factor := rapid.Int64Range(qualityPPM, auction.PPM).Draw(t, "factor")
	p.BasePPM = (qualityPPM*auction.PPM + factor - 1) / factor // the least that the factor lowers to the quality
	switch rapid.IntRange(0, 2).Draw(t, "lowered by") {
	case 0:
		return auction.PredictionOf(qualityPPM)
	case 1:
		p.ScenePPM = factor
	case 2:
		p.DistancePPM, p.Band = factor, rapid.ByteMin(1).Draw(t, "band")
	}
	return p
}

// TestAPriceFollowsFromItsTokenAlone runs random auctions of every mechanism, and seals and opens their awards. It
// computes each price from the token in two ways: by the package, and by the formulas in big integers.
func TestAPriceFollowsFromItsTokenAlone(t *testing.T) {
	ring := openKeys(t).Ring()
	rapid.Check(t, func(t *rapid.T) {
		entries, pricing := drawAuction(t)
		for _, won := range auction.Price(entries, pricing, nil) {
			want := drawAward(t)
			want.Campaign, want.Price, want.Slot, want.Basis = won.Entry.CampaignUID, won.Price, won.Slot, won.Basis(&pricing)
			want.Prediction = drawPrediction(t, want.Basis.QualityPPM)
			text := ring.SealAward(&want)
			if len(text) > MaxAwardBytes {
				t.Fatalf("a token of %d bytes", len(text))
			}
			got, name, err := ring.OpenAward(text)
			if err != nil || name.Issuer != ring.counter.issuer || !reflect.DeepEqual(got, want) {
				t.Fatalf("got  %+v, %v\nwant %+v", got, err, want)
			}
			if price, setBy, err := got.WorkOutPrice(); err != nil || price != won.Price || setBy != won.SetBy {
				t.Fatalf("%+v\nis worked out as %d set by %s, %v; was %d set by %s", got.Basis, price, setBy,
					err, won.Price, won.SetBy)
			}
			if price := priceInBigIntegers(&got.Basis); price.Cmp(big.NewInt(int64(won.Price))) != 0 {
				t.Fatalf("%+v\nis %v by the formula, was %d", got.Basis, price, won.Price)
			}
			factors := pricing.Factors[won.Slot-1 : pricing.Slots]
			if got.Basis.Mechanism == hexbid.MechanismVCG && !slices.Equal(got.Basis.Factors, factors) ||
				got.Basis.Factors[0] != factors[0] {
				t.Fatalf("slot %d of %v has the factors %v", won.Slot, pricing.Factors, got.Basis.Factors)
			}
		}
	})
}

// priceInBigIntegers computes the formulas that docs/search-clients.md and the constants of Mechanism state.
func priceInBigIntegers(b *auction.Basis) *big.Int {
	whole := func(n *big.Int) *big.Int {
		if b.Pricing == hexbid.CPM {
			n.Mul(ceilQuotient(n, big.NewInt(1000)), big.NewInt(1000))
		}
		return n
	}
	unit := big.NewInt(b.QualityPPM)
	if b.Pricing == hexbid.CPM {
		unit.SetInt64(1000)
	}
	if b.Mechanism == hexbid.MechanismVCG {
		sum := new(big.Int).Lsh(new(big.Int).SetUint64(b.Sum.High), 64)
		return whole(ceilQuotient(sum.Add(sum, new(big.Int).SetUint64(b.Sum.Low)), unit.Mul(unit, big.NewInt(b.Factors[0]))))
	}
	paced := new(big.Int).Mul(big.NewInt(int64(b.Bid)), big.NewInt(b.MultiplierPPM))
	paced.Div(paced, big.NewInt(auction.PPM))
	if b.Pricing == hexbid.CPM {
		paced.Sub(paced, new(big.Int).Mod(paced, big.NewInt(1000)))
	}
	if b.Mechanism == hexbid.MechanismFirstPrice {
		return paced
	}
	price := ceilQuotient(big.NewInt(max(b.Next, b.Reserve)), unit)
	if price = whole(price.Add(price, big.NewInt(int64(b.Increment)))); price.Cmp(paced) > 0 {
		return paced
	}
	return price
}

func ceilQuotient(n, d *big.Int) *big.Int {
	quotient, rest := new(big.Int).QuoRem(n, d, new(big.Int))
	if rest.Sign() > 0 {
		quotient.Add(quotient, big.NewInt(1))
	}
	return quotient
}

// greatestAward has the longest texts and the greatest number in every field.
func greatestAward() Award {
	last := time.UnixMilli(1<<47 - 1).UTC() // beyond the year 6400
	return Award{RequestID: strings.Repeat("r", auction.MaxRequestIDBytes), Campaign: math.MaxInt64,
		Advertiser: math.MaxInt64, Price: hexbid.MaxBidCPM, Slot: hexbid.MaxSlots, Cell: math.MaxInt64,
		Prediction:    auction.Prediction{BasePPM: auction.PPM, ScenePPM: auction.PPM, DistancePPM: auction.PPM, Band: 255},
		Trial:         auction.Trial{Pair: hexbid.MaxSlots - 1, Swapped: true},
		MarketVersion: math.MaxInt64, Explored: true, ClientID: strings.Repeat("c", hexbid.MaxClientIDBytes),
		HasViewer: true, ClientUID: math.MaxInt64, IssuedAt: last, ClickExpiry: last,
		Basis: auction.Basis{Mechanism: hexbid.MechanismVCG, Pricing: hexbid.CPM,
			Bid: hexbid.MaxBidCPM, MultiplierPPM: auction.PPM, QualityPPM: auction.PPM, Reserve: auction.MaxScore,
			Factors: slices.Repeat([]int64{auction.PPM}, hexbid.MaxSlots), Sum: auction.Sum{High: 53, Low: math.MaxUint64}}}
}

func TestTheLongestTokenIsAsLongAsTheDocsSay(t *testing.T) {
	ring, longest := openKeys(t).Ring(), greatestAward()
	if err := longest.Basis.Check(); err != nil {
		t.Error(err)
	}
	if got := len(ring.SealAward(&longest)); got != 448 || got > MaxAwardBytes || MaxAwardBytes > MaxBytes {
		t.Errorf("the longest token has %d bytes: docs/search-clients.md and MaxAwardBytes say otherwise", got)
	}
	longest.RequestID += "more"
	if got := len(ring.SealAward(&longest)); got != 448 {
		t.Errorf("a longer request id makes a token of %d bytes", got)
	}
}

func TestATokenOfTheThirdVersionOpens(t *testing.T) {
	want := greatestAward()
	want.ClientUID = 0
	plain := want.append(nil)
	plain[0] = thirdAwardVersion
	if got, err := decodeAward(plain); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestMechanismsKeepTheirNumbers: tokens that are out, and records of them, are read by later programs.
func TestMechanismsKeepTheirNumbers(t *testing.T) {
	for mechanism, number := range map[hexbid.Mechanism]byte{hexbid.MechanismGSP: 0, hexbid.MechanismVCG: 1,
		hexbid.MechanismFirstPrice: 2} {
		a := goldenAwardWithBasis()
		a.Basis.Mechanism = mechanism
		b := a.append(nil)
		if b[6] != number {
			t.Errorf("a token writes %s as %d, want %d", mechanism, b[6], number)
		}
		if got, err := decodeAward(b); err != nil || got.Basis.Mechanism != mechanism {
			t.Errorf("a token of %s is read as %s, %v", mechanism, got.Basis.Mechanism, err)
		}
	}
}

// TestNoBasisMakesItsPriceFail tries bases that no auction produces. Only a holder of the keys could seal one.
func TestNoBasisMakesItsPriceFail(t *testing.T) {
	for what, change := range map[string]func(*auction.Basis){
		"mechanism": func(b *auction.Basis) { b.Mechanism++ }, "pricing model": func(b *auction.Basis) { b.Pricing = 0 },
		"bid": func(b *auction.Basis) { b.Bid++ }, "multiplier": func(b *auction.Basis) { b.MultiplierPPM = -1 },
		"quality": func(b *auction.Basis) { b.QualityPPM = 0 }, "reserve": func(b *auction.Basis) { b.Reserve++ },
		"increment": func(b *auction.Basis) { b.Increment = -1 }, "score": func(b *auction.Basis) { b.Next = -1 },
		"sum":                         func(b *auction.Basis) { b.Sum.High = 55 },
		"there is no position factor": func(b *auction.Basis) { b.Factors = nil },
		"position factor 0":           func(b *auction.Basis) { b.Factors[3] = 0 },
	} {
		a := greatestAward()
		if change(&a.Basis); what == "mechanism" {
			a.Basis.Mechanism = hexbid.MechanismCount
		}
		if _, _, err := a.WorkOutPrice(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if a := goldenAward(); a.MarketVersion != 0 {
		t.Error("the golden award of the first version has a market's")
	}
}

func FuzzDecodeAward(f *testing.F) {
	f.Add((&Award{Campaign: 1, HasViewer: true, ClientID: "x"}).append(nil))
	for _, a := range []Award{goldenAwardWithBasis(), greatestAward()} {
		f.Add(a.append(nil))
	}
	f.Add([]byte{1, 0, 1, 2, 3, 1, 1, 1, 1, 1, 1, 1, 1, 'x'}) // of the first version
	f.Fuzz(func(t *testing.T, plain []byte) {
		a, err := decodeAward(plain)
		if err != nil {
			if !errors.Is(err, ErrNotSealedHere) {
				t.Fatal(err)
			}
			return
		}
		_, _, _ = a.WorkOutPrice()
		if len(a.RequestID) > auction.MaxRequestIDBytes {
			return // a basis that was never sealed
		}
		if plain[0] == firstAwardVersion {
			a.Basis.Factors = []int64{} // the present version decodes an empty list, not nil
		}
		if b, err := decodeAward(a.append(nil)); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v encodes to %+v, %v", a, b, err)
		}
	})
}

func TestAnAwardThatIsCutShortDoesNotDecode(t *testing.T) {
	a := greatestAward()
	whole := a.append(nil)
	for n := range len(whole) - len(a.ClientID) { // the client's id is the rest, so it may have any length
		if got, err := decodeAward(whole[:n]); !errors.Is(err, ErrNotSealedHere) || !reflect.DeepEqual(got, Award{}) {
			t.Fatalf("%d of %d bytes: %+v, %v", n, len(whole), got, err)
		}
	}
}

// benchmarked is an award of the default market.
func benchmarked() Award {
	now := time.Now()
	return Award{RequestID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", Campaign: 1, Advertiser: 2, Price: 1_234_567,
		MarketVersion: 1, HasViewer: true, IssuedAt: now, ClickExpiry: now,
		Basis: auction.Basis{Mechanism: hexbid.MechanismGSP,
			Pricing: hexbid.CPC, Bid: 1_500_000, MultiplierPPM: auction.PPM, QualityPPM: 30_000,
			Next: 37_000_000_000, Factors: []int64{1000}}}
}

func BenchmarkSealAward(b *testing.B) {
	ring, a := openKeys(b).Ring(), benchmarked()
	b.ReportAllocs()
	for b.Loop() {
		ring.SealAward(&a)
	}
}

func BenchmarkOpenAward(b *testing.B) {
	ring, a := openKeys(b).Ring(), benchmarked()
	text := ring.SealAward(&a)
	for b.Loop() {
		if _, _, err := ring.OpenAward(text); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(text)), "bytes/token")
}
