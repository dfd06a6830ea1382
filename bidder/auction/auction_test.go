package auction

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// alike holds equal factors: every slot is seen as often as the first.
var alike = slices.Repeat([]int64{1}, hexbid.MaxSlots)

func entered(c Candidate) (Entry, bool) {
	e := Entry{Candidate: c}
	enters := e.Enter()
	return e, enters
}

// plainAuction is the oracle. It sorts all entries, then keeps the first of each advertiser.
func plainAuction(candidates []Candidate, ties TieBreak) []Entry {
	var entries []Entry
	for i := range candidates {
		if e, ok := entered(candidates[i]); ok {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(ties.Hash(b.CampaignUID), ties.Hash(a.CampaignUID)),
			cmp.Compare(a.CampaignUID, b.CampaignUID))
	})
	seen := map[uint32]bool{}
	return slices.DeleteFunc(entries, func(e Entry) bool {
		again := seen[e.Advertiser]
		seen[e.Advertiser] = true
		return again
	})
}

func drawCandidates(t *rapid.T) []Candidate {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Candidate {
		c := Candidate{
			Advertiser:    uint32(rapid.IntRange(1, 12).Draw(t, "advertiser")),
			Pricing:       rapid.SampledFrom([]hexbid.PricingModel{hexbid.CPC, hexbid.CPM}).Draw(t, "pricing"),
			MultiplierPPM: rapid.SampledFrom([]int64{0, 1, 300_000, 999_999, PPM}).Draw(t, "m"),
			QualityPPM:    rapid.SampledFrom([]int64{1, 20_000, 30_000, PPM}).Draw(t, "q"),
			Reserve:       rapid.SampledFrom([]int64{0, 1, 5_000_000, 20_000_000_000}).Draw(t, "reserve"),
		}
		top := int64(hexbid.MaxBidCPC)
		if c.Pricing == hexbid.CPM {
			top = int64(hexbid.MaxBidCPM)
		}
		c.Bid = hexbid.Money(rapid.OneOf(rapid.Int64Range(1, 50), rapid.Int64Range(1, 5_000_000), rapid.Int64Range(1, top),
			rapid.Just(top)).Draw(t, "bid"))
		return c
	}), 0, 60).Draw(t, "candidates")
}

func numbered(candidates []Candidate) []Candidate {
	for i := range candidates {
		candidates[i].CampaignUID, candidates[i].Ordinal = hexbid.UID(i+1), uint32(i)
	}
	return candidates
}

// boardOf numbers the candidates, offers them to a board in random order, and returns the entries that the board keeps.
func boardOf(candidates []Candidate, slots int, ties TieBreak) (entries []Entry) {
	var b Board
	b.Reset(slots, ties)
	offered, best := map[uint32]Entry{}, map[uint32]int64{} // by ordinal, and by advertiser
	for i := range candidates {
		e, ok := entered(candidates[i])
		if !ok {
			continue
		}
		offered[e.Ordinal], best[e.Advertiser] = e, max(best[e.Advertiser], e.Score)
		score, again := b.Offer(Standing{e.Score, e.CampaignUID, e.Ordinal, e.Advertiser})
		if again && score != best[e.Advertiser] {
			panic(fmt.Sprintf("the board says %d of advertiser %d, whose best is %d", score, e.Advertiser, best[e.Advertiser]))
		}
	}
	for _, s := range b.Standings() {
		entries = append(entries, offered[s.Ordinal])
	}
	return entries
}

func TestTheBoardKeepsTheBestOfASort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates := numbered(drawCandidates(t))
		slots := rapid.IntRange(0, hexbid.MaxSlots).Draw(t, "slots")
		ties := NewTieBreak(rapid.StringN(0, 32, 64).Draw(t, "request"))
		want := plainAuction(candidates, ties)
		want = want[:min(len(want), slots+1)]
		if got := boardOf(candidates, slots, ties); !slices.Equal(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		shuffled := slices.Clone(candidates)
		rand.New(rand.NewPCG(1, uint64(len(candidates)))).Shuffle(len(shuffled),
			func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := boardOf(shuffled, slots, ties); !slices.Equal(got, want) {
			t.Fatalf("another order of arrival gives %+v, want %+v", got, want)
		}
	})
}

func TestPricesKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates := numbered(drawCandidates(t))
		slots := rapid.IntRange(0, hexbid.MaxSlots).Draw(t, "slots")
		increment := hexbid.Money(rapid.IntRange(0, 20_000).Draw(t, "increment"))
		entries := boardOf(candidates, slots, NewTieBreak("r"))
		for i, a := range Price(entries, Pricing{Mechanism: hexbid.MechanismGSP,
			Slots: slots, Increment: increment, Factors: alike}, nil) {
			e := a.Entry
			if a.Price > e.PacedBid || a.Price > candidates[e.Ordinal].Bid || a.Price < 0 {
				t.Fatalf("price %d above the paced bid of %+v", a.Price, e)
			}
			if e.Score < e.Reserve || e.Score < 1 {
				t.Fatalf("%+v won below its reserve", e)
			}
			if e.Pricing == hexbid.CPM && a.Price%1000 != 0 {
				t.Fatalf("one impression of %+v costs a fraction of a micro", a)
			}
			if paid := Score(e.Pricing, a.Price, e.QualityPPM); a.SetBy != SetByBid && paid < e.Reserve {
				t.Fatalf("%+v pays %d, below its reserve", e, paid)
			}
			if i+1 < len(entries) {
				if entries[i+1].Advertiser == e.Advertiser {
					t.Fatalf("%+v is priced by its own advertiser", e)
				}
				if paid := Score(e.Pricing, a.Price, e.QualityPPM); paid < entries[i+1].Score {
					t.Fatalf("%+v pays %d, less than the entry below offers", e, paid)
				}
			}
		}
	})
}

func TestRaisingABidNeverLowersItsSlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		candidates := numbered(drawCandidates(t))
		if len(candidates) == 0 {
			return
		}
		ties := NewTieBreak("one request")
		i := rapid.IntRange(0, len(candidates)-1).Draw(t, "who")
		rank := func() int {
			return slices.IndexFunc(plainAuction(candidates, ties),
				func(e Entry) bool { return e.CampaignUID == candidates[i].CampaignUID })
		}
		before := rank()
		candidates[i].Bid += hexbid.Money(rapid.Int64Range(1, 1_000_000).Draw(t, "more"))
		if after := rank(); before >= 0 && (after < 0 || after > before) {
			t.Fatalf("from rank %d to %d with a higher bid", before, after)
		}
	})
}

func TestOneSlotIsVickrey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bids := rapid.SliceOfN(rapid.Int64Range(1, 1_000_000), 2, 10).Draw(t, "bids")
		reserve := rapid.Int64Range(0, 1_000_000).Draw(t, "reserve")
		var candidates []Candidate
		for i, bid := range bids {
			candidates = append(candidates, Candidate{Advertiser: uint32(i), Pricing: hexbid.CPC, Bid: hexbid.Money(bid),
				MultiplierPPM: PPM, QualityPPM: 1000, Reserve: reserve * 1000})
		}
		awards := Price(boardOf(numbered(candidates), 1, NewTieBreak("r")), Pricing{Mechanism: hexbid.MechanismGSP,
			Slots: 1, Factors: alike}, nil)
		slices.Sort(bids)
		highest, second := bids[len(bids)-1], bids[len(bids)-2]
		if highest < reserve {
			if len(awards) != 0 {
				t.Fatalf("sold below the reserve: %+v", awards)
			}
			return
		}
		if want := max(second, reserve); len(awards) != 1 || int64(awards[0].Price) != want {
			t.Fatalf("awards %+v, want one at the second price %d", awards, want)
		}
	})
}

func TestBidToScoreIsTheLeastThatReaches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Candidate{Pricing: rapid.SampledFrom([]hexbid.PricingModel{hexbid.CPC, hexbid.CPM}).Draw(t, "pricing"),
			QualityPPM: rapid.Int64Range(1, PPM).Draw(t, "q"), MultiplierPPM: rapid.Int64Range(1, PPM).Draw(t, "m")}
		target := int64(1) << rapid.IntRange(0, 49).Draw(t, "magnitude")
		target += rapid.Int64Range(0, target).Draw(t, "target")
		_, most := c.Pricing.BidLimits()
		bid, legal := BidToScore(c.Pricing, target, c.QualityPPM, c.MultiplierPPM)
		if c.Bid = most; !legal {
			if e, _ := entered(c); e.Score >= target {
				t.Fatalf("no bid is said to reach %d, %d does", target, most)
			}
			return
		}
		c.Bid = bid
		if e, _ := entered(c); e.Score < target || bid > most {
			t.Fatalf("a bid of %d scores %d, short of %d", c.Bid, e.Score, target)
		}
		c.Bid--
		if e, _ := entered(c); e.Score >= target {
			t.Fatalf("a bid of %d would do for %d", c.Bid, target)
		}
	})
	if bid, legal := BidToScore(hexbid.CPC, 1, PPM, 0); legal {
		t.Errorf("pacing lets nothing through, a bid of %d is said to", bid)
	}
}

// TestNarratedCases reads testdata: cases for people.
func TestNarratedCases(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, narrated)
	})
}

func narrated(t *testing.T, d *datadriven.TestData) string {
	var slots, increment int
	mechanism := "gsp"
	factors := slices.Clone(alike)
	d.ScanArgs(t, "slots", &slots)
	d.MaybeScanArgs(t, "increment", &increment)
	d.MaybeScanArgs(t, "mechanism", &mechanism)
	d.MaybeScanArgs(t, "factors", &factors)
	m, err := hexbid.ParseMechanism(mechanism)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	var candidates []Candidate
	names := map[uint32]string{}
	for i, line := range strings.Split(d.Input, "\n") {
		var name, model string
		c := Candidate{Ordinal: uint32(i), CampaignUID: hexbid.UID(i + 1), Pricing: hexbid.CPC, MultiplierPPM: PPM}
		if _, err := fmt.Sscanf(line, "%s advertiser=%d %s bid=%d q=%d m=%d reserve=%d", &name, &c.Advertiser, &model,
			&c.Bid, &c.QualityPPM, &c.MultiplierPPM, &c.Reserve); err != nil {
			d.Fatalf(t, "%q: %v", line, err)
		}
		if model == "cpm" {
			c.Pricing = hexbid.CPM
		}
		c.Reserve *= 1000
		names[c.Ordinal] = name
		candidates = append(candidates, c)
	}
	var out strings.Builder
	pricing := Pricing{Mechanism: m, Slots: slots, Increment: hexbid.Money(increment), Factors: factors}
	for _, a := range Price(boardOf(candidates, slots, NewTieBreak("golden")), pricing, nil) {
		fmt.Fprintf(&out, "slot %d: %s scores %d and pays %d, set by %s\n", a.Slot, names[a.Entry.Ordinal], a.Entry.Score,
			a.Price, a.SetBy)
	}
	if out.Len() == 0 {
		return "no award\n"
	}
	return out.String()
}

// TestAShareOfRequestsExplores: as many as it says, and the same for equal ids.
func TestAShareOfRequestsExplores(t *testing.T) {
	for _, share := range []int64{0, 20_000, 50_000, PPM} {
		n := 0
		for i := range 100_000 {
			ties := NewTieBreak(fmt.Sprintf("request %d", i))
			if ties.Explores(share) {
				n++
			}
			if again := NewTieBreak(fmt.Sprintf("request %d", i)); again.Explores(share) != ties.Explores(share) {
				t.Fatal("equal ids differ")
			}
		}
		if expected := float64(share) / 10; math.Abs(float64(n)-expected) > 4*math.Sqrt(expected) {
			t.Errorf("%d of 100,000 requests explore, and the share is %d", n, share)
		}
	}
	ties := NewTieBreak("")
	if n := xxhash.Sum64([]byte("e")) >> 44; ties.Explores(int64(n*PPM>>20)) || !ties.Explores(int64((n+1)*PPM>>20)+1) {
		t.Error("the hash is not the documented one")
	}
}

func TestTheTieHashIsTheDocumentedOne(t *testing.T) {
	ties := NewTieBreak("")
	// XXH64 of eight zero bytes, seed 0, from the reference implementation.
	if got := ties.Hash(0); got != 0x34c96acdcadb1bbb {
		t.Errorf("got %#x", got)
	}
}

func TestACampaignTakesPartInItsShareOfTheRequests(t *testing.T) {
	const requests = 20_000
	for _, ppm := range []int64{0, 1000, 250_000, 999_000, PPM} {
		n := 0
		for i := range requests {
			ties := NewTieBreak(fmt.Sprintf("r%d", i))
			before := ties.Hash(7)
			part := ties.TakesPart(7, ppm)
			if ties.Hash(7) != before || ties.TakesPart(7, ppm) != part {
				t.Fatal("one request gives two answers")
			}
			if part {
				n++
			}
		}
		share := float64(ppm) / PPM
		if off := math.Abs(float64(n) - share*requests); off > 4*math.Sqrt(share*(1-share)*requests) {
			t.Errorf("of %d requests it takes part in %d, want a share of %g", requests, n, share)
		}
	}
}

// TestParticipationDoesNotFavourThoseWhoWinTies counts the requests in which a campaign takes part, among those where
// its tie-breaking hash is in the upper half.
func TestParticipationDoesNotFavourThoseWhoWinTies(t *testing.T) {
	const requests = 20_000
	upper, both := 0, 0
	for i := range requests {
		ties := NewTieBreak(fmt.Sprintf("r%d", i))
		if ties.Hash(9) >= 1<<63 {
			upper++
			if ties.TakesPart(9, PPM/2) {
				both++
			}
		}
	}
	if off := math.Abs(float64(both) - float64(upper)/2); off > 4*math.Sqrt(float64(upper)/4) {
		t.Errorf("of %d requests whose ties it wins it takes part in %d, want half", upper, both)
	}
}

// TestTheDrawOfAParticipationIsTheDocumentedHash computes it from the documented bytes.
func TestTheDrawOfAParticipationIsTheDocumentedHash(t *testing.T) {
	input := append([]byte("request"), 0x39, 0x30, 0, 0, 0, 0, 0, 0, 'p') // uid 12345
	drawn := new(big.Int).Mul(new(big.Int).SetUint64(xxhash.Sum64(input)), big.NewInt(PPM))
	least := drawn.Rsh(drawn, 64).Int64() + 1
	ties := NewTieBreak("request")
	if ties.TakesPart(12345, least-1) || !ties.TakesPart(12345, least) {
		t.Errorf("it does not begin to take part at %d", least)
	}
}

func TestTrialsAreAsManyAsStatedAndSpreadOverPairsAndArms(t *testing.T) {
	const requests, share, slots = 200_000, 10_000, 5
	var counts [slots - 1][2]int
	for i := range requests {
		ties := NewTieBreak(fmt.Sprintf("%016x", uint64(i)*0x9e3779b97f4a7c15))
		before := ties.Hash(7)
		trial := ties.Trial(slots, share)
		if ties.Hash(7) != before || ties.Trial(slots, share) != trial {
			t.Fatal("a trial changes ties, or is another the second time")
		}
		if trial.Pair > 0 {
			counts[trial.Pair-1][map[bool]int{true: 1}[trial.Swapped]]++
		} else if trial.Swapped {
			t.Fatal("no pair is swapped")
		}
	}
	want := float64(requests*share) / PPM / (slots - 1)
	for pair := range counts {
		for arm, n := range counts[pair] {
			if math.Abs(float64(n)-want) > 4*math.Sqrt(want) {
				t.Errorf("pair %d has %d requests in arm %d, expected %.0f", pair+1, n, arm, want)
			}
		}
	}
	for _, none := range []Trial{ofOne(0, share), ofOne(1, share), ofOne(5, 0)} {
		if none != (Trial{}) {
			t.Errorf("a trial %+v where none can be", none)
		}
	}
}

func ofOne(slots int, share int64) Trial {
	ties := NewTieBreak("r")
	return ties.Trial(slots, share)
}
