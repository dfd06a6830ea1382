package quality

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/hexbid/hexbid"
)

// whole is a factor that changes nothing, in parts per million.
const whole = 1_000_000

// MaxBands is the most bands of distance that a table may have.
const MaxBands = 16

// Categories holds a factor for each category of programs, in parts per million.
type Categories [hexbid.CategoryCount]int64

// Distances says how the chance of a click falls with the distance from the viewer to the program's nearest approved
// place. The distance is cut into bands. A quality is multiplied by the factor of the band and of the program's
// category. Factors are at most a whole, so a campaign's own quality bounds what it is worth anywhere. The zero
// value has no bands, and distance does not count.
type Distances struct {
	// EndsM are the upper ends of all bands but the last in metres, ascending. An end belongs to the band below it. The
	// last band has no end.
	EndsM []float64
	// FactorPPM are the factors of the bands, one more than there are ends. None is above that of the nearer band.
	FactorPPM []Categories
	// WithoutPlacePPM are the factors of programs that have no approved place. None is above that of the last band, so
	// whoever hides the places of a program lowers its quality for every viewer.
	WithoutPlacePPM Categories
}

// Count reports whether distance counts.
func (d *Distances) Count() bool { return len(d.FactorPPM) > 0 }

// Validate refuses a table that searches cannot use. Its error names the field.
func (d *Distances) Validate() error {
	const field = "market.distance"
	if !d.Count() {
		if len(d.EndsM) > 0 || d.WithoutPlacePPM != (Categories{}) {
			return hexbid.Invalidf(field+".factor_ppm", "is missing: give the factors of every band, or leave all out")
		}
		return nil
	}
	if len(d.FactorPPM) > MaxBands || len(d.EndsM) != len(d.FactorPPM)-1 {
		return hexbid.Invalidf(field+".ends_m", "%d ends for %d bands: use one fewer than bands, of which at most %d",
			len(d.EndsM), len(d.FactorPPM), MaxBands)
	}
	last := 0.0
	for i, end := range d.EndsM {
		if !(end > last) || math.IsInf(end, 1) {
			return hexbid.Invalidf(fmt.Sprintf("%s.ends_m[%d]", field, i),
				"%g is out of order: use metres, ascending from above 0", end)
		}
		last = end
	}
	return d.validateFactors(field)
}

func (d *Distances) validateFactors(field string) error {
	most := Categories{}
	for c := range most {
		most[c] = whole
	}
	for band := range d.FactorPPM {
		if err := d.FactorPPM[band].atMost(&most, fmt.Sprintf("%s.factor_ppm[%d]", field, band)); err != nil {
			return err
		}
		most = d.FactorPPM[band]
	}
	return d.WithoutPlacePPM.atMost(&most, field+".without_place_ppm")
}

// print returns a fingerprint of the bands' ends. What was seen in other bands says nothing about these.
func (d *Distances) print() uint64 {
	h := fnv.New64a()
	for _, end := range d.EndsM {
		h.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(end)))
	}
	return h.Sum64()
}

// atMost refuses factors below 1 or above those of a nearer band.
func (f *Categories) atMost(most *Categories, field string) error {
	for c, ppm := range f {
		if ppm < 1 || ppm > most[c] {
			return hexbid.Invalidf(field, "%d for %s is out of range: use 1 to %d, so that no factor rises with distance", ppm,
				hexbid.Category(c), most[c])
		}
	}
	return nil
}

// habit is how people take the distance to a kind of program.
type habit [8]int64

// The habits of PriorDistances, in parts per million at up to 0.5, 1, 2, 5, 10, 30 and 100 km, and beyond.
var (
	onFoot  = habit{1_000_000, 880_000, 720_000, 500_000, 330_000, 180_000, 100_000, 60_000}
	byCar   = habit{1_000_000, 940_000, 850_000, 700_000, 550_000, 360_000, 220_000, 140_000}
	atHome  = habit{1_000_000, 990_000, 980_000, 960_000, 940_000, 920_000, 910_000, 900_000}
	habitOf = map[hexbid.Category]habit{hexbid.Finance: atHome, hexbid.Games: atHome, hexbid.Travel: byCar,
		hexbid.Transport: byCar, hexbid.Education: byCar, hexbid.Health: byCar, hexbid.Government: byCar,
		hexbid.Shopping: byCar, hexbid.Automotive: byCar, hexbid.HomeLiving: byCar}
)

// PriorDistances is the table until clicks have taught another. It is an assumption: the chance of a click at a shop
// that people walk to halves by five kilometres and falls on with about the square root of the distance. Visits fall
// faster, with the distance itself or its square (Schläpfer and others 2021, "The universal visitation law of human
// mobility"), but a click costs no walk. People drive further for some categories, and use others at home. A program
// without a place counts as in the farthest band, so hiding one's places gains nothing.
func PriorDistances() Distances {
	d := Distances{EndsM: []float64{500, 1000, 2000, 5000, 10_000, 30_000, 100_000},
		FactorPPM: make([]Categories, len(habit{}))}
	for band := range d.FactorPPM {
		for c := range d.FactorPPM[band] {
			of, known := habitOf[hexbid.Category(c)]
			if !known {
				of = onFoot
			}
			d.FactorPPM[band][c] = of[band]
		}
	}
	d.WithoutPlacePPM = d.FactorPPM[len(d.FactorPPM)-1]
	return d
}
