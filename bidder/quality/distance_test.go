package quality

import (
	"math"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestThePriorOfDistanceIsATableThatSearchesCanUse(t *testing.T) {
	d := PriorDistances()
	if err := d.Validate(); err != nil || !d.Count() {
		t.Fatal(err)
	}
	for c := range hexbid.CategoryCount {
		if d.FactorPPM[0][c] != whole || d.WithoutPlacePPM[c] != d.FactorPPM[len(d.FactorPPM)-1][c] {
			t.Errorf("%s has %d next door and %d without a place", c, d.FactorPPM[0][c], d.WithoutPlacePPM[c])
		}
	}
}

func TestATableOfDistancesThatSearchesCannotUseIsRefused(t *testing.T) {
	if err := (&Distances{}).Validate(); err != nil {
		t.Errorf("no table: %v", err)
	}
	const field = "market.distance"
	for name, x := range map[string]struct {
		spoil func(*Distances)
		field string
	}{
		"a factor above a whole": {func(d *Distances) { d.FactorPPM[0][2] = whole + 1 }, field + ".factor_ppm[0]"},
		"a factor of 0":          {func(d *Distances) { d.FactorPPM[7][2] = 0 }, field + ".factor_ppm[7]"},
		"a factor that rises": {func(d *Distances) { d.FactorPPM[3][2] = d.FactorPPM[2][2] + 1 },
			field + ".factor_ppm[3]"},
		"hiding places gains": {func(d *Distances) { d.WithoutPlacePPM[5] = whole + 1 }, field + ".without_place_ppm"},
		"an end of 0":         {func(d *Distances) { d.EndsM[0] = 0 }, field + ".ends_m[0]"},
		"an end twice":        {func(d *Distances) { d.EndsM[2] = d.EndsM[1] }, field + ".ends_m[2]"},
		"an end that is none": {func(d *Distances) { d.EndsM[6] = math.NaN() }, field + ".ends_m[6]"},
		"an end without end":  {func(d *Distances) { d.EndsM[6] = math.Inf(1) }, field + ".ends_m[6]"},
		"an end too few":      {func(d *Distances) { d.EndsM = d.EndsM[1:] }, field + ".ends_m"},
		"too many bands": {func(d *Distances) {
			d.FactorPPM = slices.Repeat(d.FactorPPM, 3)
			d.EndsM = make([]float64, len(d.FactorPPM)-1)
		}, field + ".ends_m"},
		"ends alone": {func(d *Distances) { d.FactorPPM = nil }, field + ".factor_ppm"},
	} {
		d := PriorDistances()
		x.spoil(&d)
		errs, _ := hexbid.ErrorsOf(d.Validate())
		if len(errs) != 1 || errs[0].Field != x.field {
			t.Errorf("%s: %v, want an error about %s", name, d.Validate(), x.field)
		}
	}
}
