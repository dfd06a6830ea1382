package quality

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

const (
	life   = 30 * time.Minute
	second = int64(1000)
	day    = 86_400 * second
	begin  = int64(1_795_400_000_000) // Unix milliseconds
)

// of is a result of a campaign in a program, on one host and scene, in the first slot.
func of(campaign, program hexbid.UID) *Show {
	return &Show{Subject: Subject{campaign, program, 20_000, hexbid.Catering}, Setting: Setting{Slot: 1},
		Host: hexbid.WeChat, Scene: hexbid.NearbyList, PredictedPPM: 20_000, ScenePPM: PPM, DistancePPM: PPM}
}

// show counts impressions, and clicks on each with a chance some seconds later. It returns the instant after.
func (b *Book) show(r *rand.Rand, at int64, s *Show, impressions int, chance float64) int64 {
	for range impressions {
		at += second
		b.Seen(at, s)
		if r.Float64() < chance {
			b.Clicked(at+int64(20*r.Float64())*second, s)
		}
	}
	return at
}

// quality is the estimate of a campaign, or the prior.
func (b *Book) quality(at int64, campaign hexbid.UID) float64 {
	e, _ := b.Estimate(at, campaign)
	return float64(e.PPM) / PPM
}

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if math.Abs(got-want) > relative*want {
		t.Errorf("%s is %.6f, want %.6f within %.1f %%", what, got, want, 100*relative)
	}
}

// TestKnownRatesAreRecovered within three standard errors of a rate that so many clicks allow, and each interval holds
// the truth about as often as it says.
func TestKnownRatesAreRecovered(t *testing.T) {
	r, held := rand.New(rand.NewPCG(3, 3)), 0
	const campaigns = 100
	for i := range campaigns {
		b, truth := NewBook(life), 0.002*math.Exp(4*r.Float64())
		n := int(2000 / truth)
		at := b.show(r, begin, of(1, 1), min(n, 20_000), truth)
		e, _ := b.Estimate(at+day, 1)
		if float64(e.LowPPM) <= truth*PPM && truth*PPM <= float64(e.HighPPM) {
			held++
		}
		near(t, fmt.Sprintf("campaign %d", i), float64(e.PPM)/PPM, truth, 4/math.Sqrt(truth*float64(min(n, 20_000))))
	}
	if held < campaigns*90/100 {
		t.Errorf("the 95 %% interval held the truth %d times of %d", held, campaigns)
	}
}

// TestACampaignWithoutEvidenceHasItsProgramsQuality, and a program without any the prior of its category.
func TestACampaignWithoutEvidenceHasItsProgramsQuality(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(5, 5))
	b.Seen(begin, of(1, 1))
	if q := b.quality(begin, 1); q != 0.02 {
		t.Errorf("before its first impression has had time for a click, quality is %f", q)
	}
	at := b.show(r, begin, of(1, 1), 50_000, 0.004) + day
	b.Seen(at, of(2, 1)) // the campaign is made again
	b.Seen(at, of(3, 2)) // in a program of its own
	near(t, "a campaign made again", b.quality(at, 2), b.quality(at, 1), 0.02)
	near(t, "a campaign of another program", b.quality(at, 3), 0.02, 1e-9)
	b.Step(at)
	b.Take(at, 10)
	programs := b.TakePrograms(10)
	if len(programs) != 2 || programs[0].Of != 1 || math.Abs(float64(programs[0].PPM)-4000) > 400 {
		t.Errorf("programs are told %+v", programs)
	}
}

// TestAnImpressionCountsByItsAge: a quality neither falls because clicks are still to come nor jumps when they have.
func TestAnImpressionCountsByItsAge(t *testing.T) {
	b := NewBook(life)
	for range 10_000 {
		b.Seen(begin, of(1, 1))
	}
	if q := b.quality(begin, 1); q < 0.0199 {
		t.Errorf("10,000 impressions of this moment make it %f", q)
	}
	for _, c := range []struct{ after, within float64 }{{10, 0.2835}, {30, 0.6321}, {120, 0.9817}, {1800, 1}} {
		e, _ := b.Estimate(begin+int64(1000*c.after), 1)
		near(t, fmt.Sprintf("the weight after %v s", c.after), e.Evidence.Weight, 10_000*c.within, 0.03)
	}
}

// TestDelaysAreLearned from a sample, whatever was assumed.
func TestDelaysAreLearned(t *testing.T) {
	b, s, r := NewBook(life), NewSample(life), rand.New(rand.NewPCG(9, 9))
	at := begin
	for token := range uint64(20_000) {
		at += second
		s.Seen(token, at)
		if r.IntN(5) == 0 {
			clicked := at + int64(4000*r.ExpFloat64())
			if delay, known := s.Clicked(token, clicked); known {
				b.Delayed(clicked, delay)
			}
		}
	}
	for _, after := range []float64{1, 4, 12} {
		near(t, fmt.Sprintf("the share within %v s", after), b.delays.Within(int64(1000*after)), -math.Expm1(-after/4), 0.06)
	}
	if _, known := s.Clicked(1<<40, at); known {
		t.Error("a click without its impression has a delay")
	}
}

// TestSlotsMakeNobodyWorse: with the share of clicks of each slot, equal campaigns end equal.
func TestSlotsMakeNobodyWorse(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(11, 11))
	above, below := of(1, 1), of(2, 2)
	below.Slot = 2
	tables, at := evenTables(), begin
	tables.Shares[WhenSeen][1] = 0.4
	b.SetTables(&tables)
	for range 200_000 {
		at = b.show(r, at, above, 1, 0.05)
		b.show(r, at, below, 1, 0.05*0.4)
	}
	near(t, "the one that stood below", b.quality(at, 2), b.quality(at, 1), 0.04)
	near(t, "the one that stood above", b.quality(at, 1), 0.05, 0.03)
}

// TestEvidenceFades by half in HalfLife, until a campaign is forgotten and what was told is taken back.
func TestEvidenceFades(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(13, 13))
	at := b.show(r, begin, of(1, 1), 1000, 0.1) + life.Milliseconds()
	before, _ := b.Estimate(at, 1)
	after, _ := b.Estimate(at+HalfLife.Milliseconds(), 1)
	near(t, "the weight after a half-life", after.Evidence.Weight, before.Evidence.Weight/2, 1e-6)
	near(t, "the clicks after a half-life", after.Evidence.Clicks, before.Evidence.Clicks/2, 1e-6)
	b.Step(at)
	if told := b.Take(at, 10); len(told) != 1 || told[0].HasNoneAnyMore {
		t.Fatalf("told %+v", told)
	}
	at += 400 * day
	b.Step(at)
	if told := b.Take(at, 10); len(told) != 1 || !told[0].HasNoneAnyMore {
		t.Errorf("after years told %+v", told)
	}
	if programs := b.TakePrograms(10); len(programs) != 1 || !programs[0].HasNoneAnyMore {
		t.Errorf("of programs %+v", programs)
	}
	if campaigns, programs := b.Size(); campaigns != 0 || programs != 0 {
		t.Errorf("%d campaigns and %d programs are remembered", campaigns, programs)
	}
}

// TestOnlyChangesAreTold: of a hundredth, at most so many at a time, and every one in the end.
func TestOnlyChangesAreTold(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(17, 17))
	at := begin
	for c := range hexbid.UID(100) {
		at = b.show(r, at, of(c+1, c+1), 50, 0.1)
	}
	at += day
	told := map[hexbid.UID]bool{}
	for range 10 {
		b.Step(at)
		for _, e := range b.Take(at, 10) {
			told[e.Of] = true
		}
	}
	if len(told) != 100 {
		t.Errorf("%d of 100 campaigns were told", len(told))
	}
	b.Step(at)
	if again := b.Take(at, 100); len(again) > 0 {
		t.Errorf("without a change, %+v are told", again)
	}
	for range 10 { // ten impressions of many change little
		b.show(r, at, of(1, 1), 1, 0)
	}
	b.Step(at)
	if again := b.Take(at, 100); len(again) > 1 {
		t.Errorf("%d are told", len(again))
	}
}

// TestExploredQualities: at most twice the ordinary one, and none for a campaign that is tried.
func TestExploredQualities(t *testing.T) {
	for _, c := range []struct {
		belief Belief
		want   float64
	}{
		{Believe(0.02, 1), 0.04},                  // twice is the most
		{Believe(0.02, 25), 0.02 * (1 + 0.4*.99)}, // two fifths
		{Believe(0.02, 99), 0.02 * (1 + 0.199)},
		{Believe(0.02, 100), 0.02}, // tried
		{Believe(0.8, 3), 1},
	} {
		near(t, fmt.Sprintf("explored of %+v", c.belief), c.belief.Explored(), c.want, 0.01)
	}
}

// TestStrengthsAreLearned: rates that differ by much make beliefs weak, rates that hardly differ make them strong.
func TestStrengthsAreLearned(t *testing.T) {
	for _, c := range []struct{ spread, least, most float64 }{{0.1, 30, 200}, {0.3, 8, 15}, {0.7, 2, 3.2}} {
		r := rand.New(rand.NewPCG(19, 19))
		b, at := NewBook(life), begin
		for i := range hexbid.UID(200) {
			rate := 0.02 * max(1+c.spread*r.NormFloat64(), 0.05)
			b.show(r, at, of(i+1, i+1), 4000, rate)
		}
		b.learnStrengths(at + day)
		if s := b.strengths.Programs; s < c.least || s > c.most {
			t.Errorf("rates that differ by %v make their prior worth %.1f clicks, want %v to %v", c.spread, s, c.least, c.most)
		}
	}
}

// TestFactorsOfHostsAndScenesAreLearned, and products of base and factor stay when factors come into force.
func TestFactorsOfHostsAndScenesAreLearned(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 23))
	b, at := NewBook(life), begin
	truth := map[hexbid.Host]float64{hexbid.WeChat: 1, hexbid.Alipay: 0.6}
	for turn := range 4 {
		for range 30_000 {
			for c := range hexbid.UID(4) {
				for host, factor := range truth {
					s := of(c+1, c+1)
					s.Host, s.ScenePPM = host, b.inForce[host][hexbid.NearbyList]
					at = b.show(r, at, s, 1, 0.02*float64(c+1)*factor)
				}
			}
		}
		b.Step(at)
		b.Take(at, 100)
		before := b.quality(at, 1) * (float64(b.inForce[hexbid.WeChat][hexbid.NearbyList]) +
			float64(b.inForce[hexbid.Alipay][hexbid.NearbyList]))
		f := b.SceneFactors(at)
		b.SetSceneFactors(at, &f)
		after := b.quality(at, 1) * (float64(f[hexbid.WeChat][hexbid.NearbyList]) +
			float64(f[hexbid.Alipay][hexbid.NearbyList]))
		near(t, fmt.Sprintf("the product after turn %d", turn), after, before, 0.02)
	}
	f := b.SceneFactors(at)
	if most := f[hexbid.WeChat][hexbid.NearbyList]; most != PPM {
		t.Errorf("the greatest factor is %d", most)
	}
	near(t, "the other host", float64(f[hexbid.Alipay][hexbid.NearbyList])/PPM, 0.6, 0.05)
	near(t, "a base", b.quality(at, 2), 0.04, 0.06)
}

// TestOneSceneAloneHasNoFactor, however wrong the priors are: there is nothing to compare it with.
func TestOneSceneAloneHasNoFactor(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(41, 41))
	at := b.show(r, begin, of(1, 1), 20_000, 0.001) + day
	if f := b.SceneFactors(at); f != evenFactors() {
		t.Errorf("%v", f)
	}
}

// TestCalibrationByDecile: the sums of all deciles are all clicks, and a decile whose predictions are half of the truth
// says so.
func TestCalibrationByDecile(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(29, 29))
	at := begin
	for range 50_000 {
		for k := range 10 {
			s := of(hexbid.UID(k+1), 1)
			s.PredictedPPM = int64(5000 * math.Exp2(float64(k)/2))
			chance := float64(s.PredictedPPM) / PPM
			if k == 9 {
				chance *= 2
			}
			at = b.show(r, at, s, 1, chance)
		}
	}
	trial := of(1, 1)
	trial.Explored, trial.PredictedPPM = true, 900_000
	b.show(r, at, trial, 10_000, 0)
	for k, d := range b.Calibration(at) {
		want := 1.0
		if k == 9 {
			want = 2
		}
		near(t, fmt.Sprintf("decile %d", k+1), d.Observed/d.Predicted, want, 0.12)
	}
}

// TestABookOfItsRowsIsTheSame, and goes on alike.
func TestABookOfItsRowsIsTheSame(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(31, 31))
	at, kept := begin, map[string][]byte{}
	keep := func() {
		for _, row := range b.Rows() {
			if kept[string(row.Key)] = row.Value; row.Value == nil {
				delete(kept, string(row.Key))
			}
		}
	}
	for turn := range 5 {
		for c := range hexbid.UID(20) {
			s := of(c+1, c%7+1)
			s.Host = hexbid.Host(c%2 + 1)
			at = b.show(r, at, s, 30, 0.05)
			b.Delayed(at, int64(c)*second)
		}
		b.Step(at + int64(turn)*2*3_600_000)
		f := b.SceneFactors(at)
		b.SetSceneFactors(at, &f)
		b.Take(at, 100)
		keep()
	}
	again := NewBook(life)
	for key, value := range kept {
		if err := again.Restore(math.MaxInt64, []byte(key), value); err != nil {
			t.Fatal(err)
		}
	}
	again.Restored(at)
	for c := range hexbid.UID(20) {
		was, _ := b.Estimate(at+second, c+1)
		is, _ := again.Estimate(at+second, c+1)
		if was != is {
			t.Errorf("campaign %d is %+v, before %+v", c+1, is, was)
		}
	}
	if b.SceneFactors(at) != again.SceneFactors(at) || b.Calibration(at) != again.Calibration(at) {
		t.Error("factors or deciles differ")
	}
	if fresh := again.Rows(); len(fresh) > 0 {
		t.Errorf("%d rows are to be written again", len(fresh))
	}
}

// TestDamagedRowsChangeNothing.
func TestDamagedRowsChangeNothing(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(37, 37))
	at := b.show(r, begin, of(1, 1), 100, 0.1)
	b.Delayed(at, second)
	b.change(rowOf{kind: marketRow})
	for _, row := range b.Rows() {
		for cut := range row.Value {
			fresh := NewBook(life)
			if err := fresh.Restore(math.MaxInt64, row.Key, row.Value[:cut]); err == nil {
				t.Fatalf("a row of kind %q is read from %d of %d bytes", row.Key[0], cut, len(row.Value))
			}
			if campaigns, programs := fresh.Size(); campaigns+programs > 0 {
				t.Fatalf("a damaged row makes %d campaigns", campaigns)
			}
		}
		if NewBook(life).Restore(math.MaxInt64, row.Key, append(slices.Clone(row.Value), 0)) == nil {
			t.Errorf("a row of kind %q is read though it is too long", row.Key[0])
		}
	}
}

// TestAFlippedBitLeavesASoundBook: a row that is read all the same says nothing of later than now, and qualities stay
// chances. (The exchange seals rows, so such a row is of before there were seals.)
func TestAFlippedBitLeavesASoundBook(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(41, 41))
	at := begin
	for c := range hexbid.UID(3) {
		at = b.show(r, at, of(c+1, c/2+1), 60, 0.2)
		b.Delayed(at, second)
	}
	at += second
	b.change(rowOf{kind: marketRow})
	rows := b.Rows()
	for i, row := range rows {
		for bit := range 8 * len(row.Value) {
			damaged := slices.Clone(row.Value)
			damaged[bit/8] ^= 1 << (bit % 8)
			fresh := NewBook(life)
			for j := range rows {
				value := rows[j].Value
				if j == i {
					value = damaged
				}
				_ = fresh.Restore(at, rows[j].Key, value)
			}
			fresh.Restored(at)
			for _, c := range fresh.campaigns {
				if c.aged > at {
					t.Fatalf("row %q, bit %d: an account of %d ms from now", row.Key, bit, c.aged-at)
				}
			}
			for c := range hexbid.UID(3) {
				e, known := fresh.Estimate(at+second, c+1)
				if known && (e.PPM < 1 || e.PPM > PPM || e.ExploredPPM < e.PPM) {
					t.Fatalf("row %q, bit %d: campaign %d has %+v", row.Key, bit, c+1, e)
				}
			}
		}
	}
}

// TestAnAccountHasFewSlices however many impressions there are, and hours later none.
func TestAnAccountHasFewSlices(t *testing.T) {
	var a Account
	d, at := NewDelays(life), begin
	for range 100_000 {
		at += 300
		a.seen(at, &impression{weight: 1, share: 1, near: 1})
		if len(a.young) > 60 {
			t.Fatalf("%d slices", len(a.young))
		}
		a.mature(at, d)
	}
	if a.asWeighed(at+life.Milliseconds()*2, d); a.IsYoung() {
		t.Errorf("%d slices are young after an hour", len(a.young))
	}
}
