package quality

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/hexbid/hexbid"
)

// believed and known are tables before and after much was learned.
func believed() *Tables {
	t := evenTables()
	t.Distances = PriorDistances()
	return &t
}

func known(shares, distances bool) *Tables {
	t := believed()
	for slot := range t.Shares[WhenSeen] {
		if shares {
			t.Shares[WhenSeen][slot] = math.Pow(0.6, float64(slot))
		}
	}
	for band := range t.Distances.FactorPPM {
		if distances {
			t.Distances.FactorPPM[band][hexbid.Catering] = PPM / int64(1+band*band)
		}
	}
	return t
}

// expose counts impressions of a campaign in slots and bands, an hour ago, as searches with the tables' distances show
// them.
func (b *Book) expose(r *rand.Rand, settings []Setting) {
	for range 20_000 {
		s := of(1, 1)
		s.Setting = settings[r.IntN(len(settings))]
		s.DistancePPM = b.tables.Distances.FactorPPM[s.Band-1][hexbid.Catering]
		b.Seen(begin-3_600_000, s)
		if r.IntN(50) == 0 {
			b.Clicked(begin-3_600_000, s)
		}
	}
}

// TestEvidenceCountsByWhatIsKnownNow: as if all impressions had been seen when the market knew it. Where both tables
// change by much at once, and the campaign was always near in the first slot and far in the others, a part of the
// change is left.
func TestEvidenceCountsByWhatIsKnownNow(t *testing.T) {
	together := []Setting{{WhenSeen, 1, 1}, {WhenSeen, 2, 3}, {WhenSeen, 3, 4}}
	var apart []Setting
	for slot := range 3 {
		for band := range uint8(4) {
			apart = append(apart, Setting{WhenSeen, slot + 1, band + 1})
		}
	}
	for _, c := range []struct {
		name     string
		settings []Setting
		now      *Tables
		within   float64
	}{
		{"shares", together, known(true, false), 1e-9},
		{"distances", together, known(false, true), 1e-4},
		{"both, of settings apart", apart, known(true, true), 0.01},
		{"both, of settings that belong together", together, known(true, true), 0.25},
	} {
		early, late := NewBook(life), NewBook(life)
		early.SetTables(believed())
		late.SetTables(c.now)
		early.expose(rand.New(rand.NewPCG(1, 1)), c.settings)
		late.expose(rand.New(rand.NewPCG(1, 1)), c.settings)
		before := early.quality(begin, 1)
		early.SetTables(c.now)
		near(t, c.name, early.quality(begin, 1), late.quality(begin, 1), c.within)
		if math.Abs(before/late.quality(begin, 1)-1) < 0.2 {
			t.Errorf("%s: the change is too small for a proof", c.name)
		}
		if len(early.due)+early.refresh == 0 {
			t.Errorf("%s: nobody is told", c.name)
		}
	}
}

// TestOtherBandsLeaveEvidenceAsItWas weighed: what was seen in bands of other ends is of no band.
func TestOtherBandsLeaveEvidenceAsItWas(t *testing.T) {
	b := NewBook(life)
	b.SetTables(believed())
	b.expose(rand.New(rand.NewPCG(1, 1)), []Setting{{WhenSeen, 1, 1}, {WhenSeen, 1, 5}})
	before := b.quality(begin, 1)
	others := known(false, true)
	others.Distances.EndsM = slices.Clone(others.Distances.EndsM)
	others.Distances.EndsM[0]++
	b.Rows()
	b.SetTables(others)
	near(t, "the quality", b.quality(begin, 1), before, 1e-9)
	if rows := b.Rows(); len(rows) != 3 {
		t.Errorf("%d rows are to be written: want those of the campaign, the program and the market", len(rows))
	}
	b.SetTables(believed()) // back again
	near(t, "the quality", b.quality(begin, 1), before, 1e-9)
}

// TestRowsOfTheEarlierFormatAreRead: their evidence stays as it was weighed, and what comes after it is divided.
func TestRowsOfTheEarlierFormatAreRead(t *testing.T) {
	b := NewBook(life)
	b.SetTables(believed())
	b.expose(rand.New(rand.NewPCG(1, 1)), []Setting{{WhenSeen, 2, 3}})
	b.change(rowOf{kind: marketRow})
	before, again := b.quality(begin, 1), NewBook(life)
	for _, row := range b.Rows() {
		if err := again.Restore(math.MaxInt64, row.Key, undivided(row)); err != nil {
			t.Fatalf("row %q: %v", row.Key, err)
		}
	}
	now := known(true, true)
	again.SetTables(now)
	again.Restored(begin)
	near(t, "the restored quality", again.quality(begin, 1), before, 1e-9)
	for range 3 { // three times as much in the same setting
		again.expose(rand.New(rand.NewPCG(1, 1)), []Setting{{WhenSeen, 2, 3}})
	}
	e, _ := again.Estimate(begin, 1)
	count := 20_000 * (float64(PriorDistances().FactorPPM[2][hexbid.Catering])/PPM + 3*0.6/5)
	near(t, "the weight of all", e.Evidence.Weight, count, 0.01)
}

// undivided returns a row as the earlier format had it.
func undivided(row Row) []byte {
	value := slices.Clone(row.Value)
	value[0] = rowFormatUndivided
	mixed := 1 + 3*8 // a mix of three parts, one byte for their number
	switch row.Key[0] {
	case campaignRow, sceneRow, decileRow:
		value = value[:len(value)-mixed]
	case programRow:
		value = value[:len(value)-mixed]
		value = slices.Delete(value, 9, 10) // the category, behind format and prior
	case marketRow:
		value = value[:len(value)-8]
	}
	return value
}

// TestAMixThatIsDamagedIsRefused.
func TestAMixThatIsDamagedIsRefused(t *testing.T) {
	good := mix{partOf(wholeKey, 2), partOf(slotKeys+1, 2), partOf(bandKeys+1, 4)}
	if !good.isSound() || !(mix{}).isSound() {
		t.Fatal("a good mix is refused")
	}
	for _, bad := range []mix{good[1:], {good[0], good[2], good[1]}, {good[0], good[0]}, {partOf(wholeKey, -1)},
		{partOf(wholeKey, math.Inf(1))}, {partOf(wholeKey, math.NaN())}, {good[0], partOf(keyCount, 1)}} {
		if bad.isSound() {
			t.Errorf("%v is taken", bad)
		}
	}
}

// TestEverySettingHasItsPart: settings that are none are no slot and no band.
func TestEverySettingHasItsPart(t *testing.T) {
	keys := map[uint8]Setting{wholeKey: {}}
	for way := range WayCount {
		for slot := 1; slot <= hexbid.MaxSlots; slot++ {
			keys[slotKey(Setting{Way: way, Slot: slot})] = Setting{}
		}
	}
	for band := range uint8(MaxBands + 2) {
		keys[bandKey(Setting{Band: band})] = Setting{}
	}
	if len(keys) != int(keyCount)-1 { // that of no slot is missing
		t.Errorf("%d keys of %d", len(keys), keyCount-1)
	}
	for _, none := range []Setting{{Way: WayCount, Slot: 1}, {Slot: -1}, {Slot: hexbid.MaxSlots + 1}, {}} {
		if slotKey(none) != slotKeys {
			t.Errorf("%+v is of a slot", none)
		}
	}
	if bandKey(Setting{Band: MaxBands + 2}) != bandKeys {
		t.Error("a band beyond the last is a band")
	}
}

// TestABookStaysSmall: it is in proportion to the campaigns, and each has seven parts of eight bytes.
func TestABookStaysSmall(t *testing.T) {
	b, r := NewBook(life), rand.New(rand.NewPCG(1, 1))
	b.SetTables(believed())
	var settings []Setting
	for slot := range 3 {
		for band := range uint8(3) {
			settings = append(settings, Setting{WhenSeen, slot + 1, band + 1})
		}
	}
	b.expose(r, settings)
	b.Estimate(begin, 1)
	c := b.campaigns[1]
	for _, a := range []*Account{&c.Account, &c.program.Account} {
		if len(a.mix) != 7 || cap(a.mix) > 7 || cap(a.young) > 40 {
			t.Errorf("an account has %d parts in %d places, and %d places for slices", len(a.mix), cap(a.mix), cap(a.young))
		}
	}
	if size := unsafe.Sizeof(*c) + unsafe.Sizeof(*c.program); size > 280 {
		t.Errorf("a campaign and its program take %d bytes", size)
	}
}

// TestTablesThatHardlyDifferAreLeft, or everybody would be estimated anew each minute.
func TestTablesThatHardlyDifferAreLeft(t *testing.T) {
	b := NewBook(life)
	b.SetTables(believed())
	b.expose(rand.New(rand.NewPCG(1, 1)), []Setting{{WhenSeen, 2, 3}})
	b.Step(begin)
	b.refresh = 0
	little := believed()
	little.Shares[WhenSeen][1] = 1 - leastTableChange/2
	b.SetTables(little)
	if !reflect.DeepEqual(b.tables, *believed()) || b.refresh > 0 {
		t.Error("a change that does not matter has everybody estimated anew")
	}
	little.Shares[WhenSeen][1] = 1 - 2*leastTableChange
	if b.SetTables(little); b.refresh != 1 {
		t.Error("a change that matters is left out")
	}
}

// BenchmarkSeen counts an impression of one of many campaigns.
func BenchmarkSeen(b *testing.B) {
	book := NewBook(30 * time.Minute)
	book.SetTables(believed())
	s := of(1, 1)
	for i := range b.N {
		s.Campaign, s.Program = hexbid.UID(1+i%1000), hexbid.UID(1+i%1000)
		s.Slot, s.Band = 1+i%3, uint8(1+i%4)
		book.Seen(begin+int64(i), s)
	}
	_ = fmt.Sprint(book.Size())
}
