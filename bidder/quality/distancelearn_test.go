package quality

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/hexbid/hexbid"
)

// decays are true factors by band, and of programs without a place, which the prior does not have.
var decays = map[hexbid.Category][9]float64{
	hexbid.Catering: {1, 0.6, 0.4, 0.2, 0.1, 0.1, 0.05, 0.02, 0.01},
	hexbid.Games:    {1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.4},
}

// walk lets people see and click by a decay, where qualities are the truth times a level.
func walk(b *DistanceBook, r *rand.Rand, impressions int, level float64) {
	const chance = 0.05
	for c, decay := range decays {
		for i := range decay {
			s := Sighting{Setting: Setting{Band: uint8(i + 1)}, Category: c, Expected: chance * level}
			for range impressions / 50 {
				for range 50 {
					b.Seen(testStart, s)
				}
				clicks := distuv.Poisson{Lambda: 50 * chance * decay[i], Src: r}.Rand()
				for range int(clicks) {
					b.Clicked(testStart, s)
				}
			}
		}
	}
}

const (
	testStart = int64(1_760_000_000_000)
	testLater = testStart + int64(time.Hour/time.Millisecond)
)

// TestAKnownDecayIsRecovered within three standard errors, whatever the level of the qualities.
func TestAKnownDecayIsRecovered(t *testing.T) {
	for _, level := range []float64{1, 2, 0.5} {
		r := rand.New(rand.NewPCG(4, 2))
		b := NewDistanceBook(PriorDistances(), 30*time.Minute)
		walk(b, r, 200_000, level)
		d := b.Distances(testLater)
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		for c, decay := range decays {
			nearest := b.Evidence(testLater, 1, c)
			for i, truth := range decay {
				e := b.Evidence(testLater, uint8(i+1), c)
				of := d.WithoutPlacePPM[c]
				if i < len(d.FactorPPM) {
					of = d.FactorPPM[i][c]
				}
				got := float64(of) / float64(d.FactorPPM[0][c])
				deviation := truth * math.Sqrt(1/e.Clicks+1/nearest.Clicks)
				if math.Abs(got-truth) > 3*deviation {
					t.Errorf("level %g: band %d of %s counts %.4f, in truth %.4f (a standard error is %.4f)", level, i+1, c, got,
						truth, deviation)
				}
			}
			if first, want := float64(d.FactorPPM[0][c])/PPM, min(1/level, 1); math.Abs(first-want) > 0.03 {
				t.Errorf("level %g: next door counts %.3f in %s, want %.3f", level, first, c, want)
			}
		}
	}
}

// TestWithoutEvidenceTheFactorsAreThePrior, and little evidence hardly moves them.
func TestWithoutEvidenceTheFactorsAreThePrior(t *testing.T) {
	prior := PriorDistances()
	b := NewDistanceBook(prior, 30*time.Minute)
	if d := b.Distances(testStart); !reflect.DeepEqual(d, prior) {
		t.Errorf("without evidence %v", d)
	}
	far := Sighting{Setting: Setting{Band: 8}, Category: hexbid.Catering, Expected: 0.02}
	for range 100 { // two clicks expected next door, an eighth of one here
		b.Seen(testStart, far)
	}
	b.Clicked(testStart, far)
	was, is := prior.FactorPPM[7][hexbid.Catering], b.Distances(testLater).FactorPPM[7][hexbid.Catering]
	if is <= was || is > was+was/10 {
		t.Errorf("after one click too many the farthest band counts %d, and did %d", is, was)
	}
	none := NewDistanceBook(Distances{}, time.Minute)
	none.Seen(testStart, far)
	if d := none.Distances(testLater); d.Count() || len(none.Rows()) > 0 {
		t.Error("a market where distance does not count learns it")
	}
}

// TestYoungImpressionsSayLittle: the clicks on them are still to come.
func TestYoungImpressionsSayLittle(t *testing.T) {
	b := NewDistanceBook(PriorDistances(), 30*time.Minute)
	far := Sighting{Setting: Setting{Band: 4}, Category: hexbid.Catering, Expected: 0.05}
	for range 100_000 {
		b.Seen(testStart, far)
	}
	prior := PriorDistances().FactorPPM[3][hexbid.Catering]
	if young := b.Distances(testStart + 1).FactorPPM[3][hexbid.Catering]; young < prior*9/10 {
		t.Errorf("impressions of this instant lower %d to %d", prior, young)
	}
	if old := b.Distances(testLater).FactorPPM[3][hexbid.Catering]; old > prior/10 {
		t.Errorf("of 5000 clicks none came, and it counts %d", old)
	}
}

// TestWhateverIsLearnedHidingPlacesLowersEveryFactor: learned tables are valid, and a program without a place counts
// at most as much as one in the farthest band.
func TestWhateverIsLearnedHidingPlacesLowersEveryFactor(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for range 300 {
		b := NewDistanceBook(PriorDistances(), 30*time.Minute)
		for range r.IntN(40) {
			s := Sighting{Setting{Band: uint8(1 + r.IntN(9))},
				hexbid.Category(r.IntN(int(hexbid.CategoryCount))), math.Exp(8 * r.Float64())}
			b.Seen(testStart, s)
			for range r.IntN(200) {
				b.Clicked(testStart, s)
			}
		}
		d := b.Distances(testLater)
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		for c, without := range d.WithoutPlacePPM {
			if last := d.FactorPPM[len(d.FactorPPM)-1][c]; without > last {
				t.Fatalf("%s counts %d without a place and %d in the farthest band", hexbid.Category(c), without, last)
			}
		}
	}
}

// TestBandsThatRiseAreJoined by what each of them says.
func TestBandsThatRiseAreJoined(t *testing.T) {
	values := []float64{0.9, 0.2, 0.5, 0.6, 0.1, 0.1}
	fall(values, []float64{1, 2, 1, 1, 1, 1})
	for i, want := range []float64{0.9, 0.375, 0.375, 0.375, 0.1, 0.1} {
		if math.Abs(values[i]-want) > 1e-12 {
			t.Errorf("value %d is %g, want %g", i, values[i], want)
		}
	}
}

// TestWhatIsLearnedOfDistanceIsRestored from its rows, and rows of other bands or damaged ones are left out.
func TestWhatIsLearnedOfDistanceIsRestored(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 3))
	b := NewDistanceBook(PriorDistances(), 30*time.Minute)
	walk(b, r, 5000, 1)
	rows := b.Rows()
	if len(rows) != 18 || len(b.Rows()) > 0 {
		t.Fatalf("%d rows of 18 cells, and again %d", len(rows), len(b.Rows()))
	}
	again := NewDistanceBook(PriorDistances(), 30*time.Minute)
	others := PriorDistances()
	others.EndsM[3]++
	other := NewDistanceBook(others, 30*time.Minute)
	for _, row := range rows {
		if err := again.Restore(math.MaxInt64, row.Key, row.Value); err != nil {
			t.Fatal(err)
		}
		for n := range row.Value {
			if NewDistanceBook(PriorDistances(), 0).Restore(math.MaxInt64, row.Key, row.Value[:n]) == nil {
				t.Fatalf("a row cut to %d bytes is taken", n)
			}
		}
		if other.Restore(math.MaxInt64, row.Key, row.Value) == nil {
			t.Error("a row of other bands is taken")
		}
	}
	if was, is := b.Distances(testLater), again.Distances(testLater); !reflect.DeepEqual(was, is) {
		t.Errorf("restored %v, was %v", is, was)
	}
	if b.Restore(math.MaxInt64, []byte{200, 1}, rows[0].Value) == nil ||
		b.Restore(math.MaxInt64, []byte{1, 200}, rows[0].Value) == nil {
		t.Error("a row of no cell is taken")
	}
}

// TestQualitiesAndDistancesDoNotLearnTheSameTwice: of two campaigns of equal true quality one is shown nearby and the
// other far away. Their qualities come out equal, and quality times factor is the true chance.
func TestQualitiesAndDistancesDoNotLearnTheSameTwice(t *testing.T) {
	const chance, hours, impressions = 0.05, 72, 1500
	r := rand.New(rand.NewPCG(6, 6))
	qualities, distances := NewBook(30*time.Minute), NewDistanceBook(PriorDistances(), 30*time.Minute)
	inForce, at := PriorDistances(), testStart
	bases := map[hexbid.UID]int64{1: 30_000, 2: 30_000}
	for range hours {
		for campaign := hexbid.UID(1); campaign <= 2; campaign++ {
			for band := uint8(2*campaign - 1); band <= uint8(2*campaign+2); band++ {
				s := of(campaign, campaign)
				s.Band, s.DistancePPM = band, inForce.FactorPPM[band-1][hexbid.Catering]
				g := Sighting{Setting{Band: band}, hexbid.Catering, float64(bases[campaign]) / PPM}
				for range impressions {
					qualities.Seen(at, s)
					distances.Seen(at, g)
					if r.Float64() < chance*decays[hexbid.Catering][band-1] {
						qualities.Clicked(at, s)
						distances.Clicked(at, g)
					}
				}
			}
		}
		at += time.Hour.Milliseconds()
		inForce = distances.Distances(at)
		tables := evenTables()
		tables.Distances = inForce
		qualities.SetTables(&tables)
		for campaign := range bases {
			e, _ := qualities.Estimate(at, campaign)
			bases[campaign] = e.PPM
		}
	}
	if ratio := float64(bases[2]) / float64(bases[1]); math.Abs(ratio-1) > 0.15 {
		t.Errorf("of two equal campaigns the one far away has %.2f of the other's quality: %v", ratio, bases)
	}
	for campaign, band := range map[hexbid.UID]int{1: 0, 2: 3} {
		got := float64(bases[campaign]) / PPM * float64(inForce.FactorPPM[band][hexbid.Catering]) / PPM
		if want := chance * decays[hexbid.Catering][band]; math.Abs(got/want-1) > 0.15 {
			t.Errorf("campaign %d in band %d is thought to be clicked with %.4f, in truth %.4f", campaign, band+1, got, want)
		}
	}
}

// TestTheLevelOfACategoryBiasesNothing: the prior of a category is a third of the truth, right, or three times the
// truth. In the first case next door would count three times, so all factors are scaled down and qualities rise; in
// the last the factors take up the level. On average over histories, quality times factor comes to the same chance in
// all cases, and but for the prior's weight to the true one.
func TestTheLevelOfACategoryBiasesNothing(t *testing.T) {
	const histories, chance = 4, 0.06
	var products [3][6]float64 // by case and band, over the truth
	for i, prior := range []int64{20_000, 60_000, 180_000} {
		for seed := range uint64(histories) {
			factors, qualities := learnTogether(rand.New(rand.NewPCG(seed, 6)), chance, prior)
			for band, factor := range factors {
				quality := qualities[band/4] // beyond the fourth band the second campaign is alone
				products[i][band] += quality * factor / (chance * decays[hexbid.Catering][band]) / histories
			}
		}
		for band, product := range products[i] {
			if right := products[1][band]; i == 2 && math.Abs(products[0][band]/right-1) > 0.03 ||
				i == 2 && math.Abs(product/right-1) > 0.03 || math.Abs(product-1) > 0.12 {
				t.Errorf("prior %d: in band %d the product is %.3f of the truth; all are %.3f", prior, band+1, product, products)
			}
		}
	}
	t.Logf("products over the truth: %.3f", products)
}

// learnTogether lets two campaigns of one true chance be shown in overlapping bands for four days. It returns the
// factors of the bands and both qualities.
func learnTogether(r *rand.Rand, chance float64, prior int64) (factors [6]float64, bases [2]float64) {
	qualities, distances := NewBook(30*time.Minute), NewDistanceBook(PriorDistances(), 30*time.Minute)
	tables, at := evenTables(), testStart
	tables.Distances = PriorDistances()
	qualities.SetTables(&tables)
	bases = [2]float64{float64(prior) / PPM, float64(prior) / PPM}
	for range 96 {
		for campaign := range 2 {
			for band := uint8(2*campaign + 1); band <= uint8(2*campaign+4); band++ {
				s := of(hexbid.UID(campaign+1), hexbid.UID(campaign+1))
				s.PriorPPM, s.Band, s.DistancePPM = prior, band, tables.Distances.FactorPPM[band-1][hexbid.Catering]
				g := Sighting{Setting{Band: band}, hexbid.Catering, bases[campaign]}
				for range 400 {
					qualities.Seen(at, s)
					distances.Seen(at, g)
				}
				clicks := distuv.Poisson{Lambda: 400 * chance * decays[hexbid.Catering][band-1], Src: r}.Rand()
				for range int(clicks) {
					qualities.Clicked(at, s)
					distances.Clicked(at, g)
				}
			}
		}
		at += time.Hour.Milliseconds()
		tables.Distances = distances.Distances(at)
		qualities.SetTables(&tables)
		for campaign := range bases {
			bases[campaign] = qualities.quality(at, hexbid.UID(campaign+1))
		}
	}
	for band := range factors {
		factors[band] = float64(tables.Distances.FactorPPM[band][hexbid.Catering]) / PPM
	}
	return factors, bases
}
