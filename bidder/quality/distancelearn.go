package quality

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
)

// DistanceBook learns how the chance of a click falls with distance. It compares, by band of distance and category, the
// clicks that came with those that the campaigns' own qualities let expect next door. One goroutine at a time uses it.
//
// A quality is learned net of the factors in force (Show.DistancePPM), so a campaign that is shown far away is not
// thought worse for it. Its quality next door therefore tells what to expect at every distance, and the two do not
// learn the same thing twice. Only their common level is free: where all factors of a category are half of the truth,
// all qualities in it are twice the truth, and the products are right. Factors follow the level of the qualities.
//
// Young impressions count by the share of clicks that come within their age, as Delays assumes it. How soon clicks come
// does not depend on the distance, so an error in it is the same in every band.
type DistanceBook struct {
	prior  Distances
	delays *Delays
	tables Tables                          // shares of slots, without distances
	cells  [][hexbid.CategoryCount]Account // by band from 1, less 1; the last row is of programs without a place
	// changed are the cells that Rows has not returned yet.
	changed map[cellOf]struct{}
}

// cellOf names a band and a category.
type cellOf struct{ band, category uint8 }

// Sighting is an impression, or the click on it, at a distance.
type Sighting struct {
	Setting
	Category hexbid.Category
	Expected float64 // chance of a click if the program were next door and in the first slot
}

const (
	// factorClicks is the worth of a prior factor in clicks: its standard deviation is then some fifth of it.
	factorClicks = 20
	// levelClicks is the worth of the assumption that qualities have the level of the prior.
	levelClicks = 200
)

// NewDistanceBook returns a learner without evidence. The prior has the ends of the bands, and the factors to start
// from. Tokens admit clicks for so long.
func NewDistanceBook(prior Distances, life time.Duration) *DistanceBook {
	b := &DistanceBook{prior: prior, delays: NewDelays(life), tables: evenTables(), changed: map[cellOf]struct{}{}}
	if prior.Count() {
		b.cells = make([][hexbid.CategoryCount]Account, len(prior.FactorPPM)+1)
	}
	return b
}

// From returns a learner that starts from another prior. It has the evidence of b if the bands end where they did.
func (b *DistanceBook) From(prior Distances) *DistanceBook {
	next := &DistanceBook{prior: prior, delays: b.delays, tables: b.tables, changed: map[cellOf]struct{}{}}
	switch {
	case prior.Count() && b.prior.Count() && prior.print() == b.prior.print():
		next.cells, next.changed = b.cells, b.changed
	case prior.Count():
		next.cells = make([][hexbid.CategoryCount]Account, len(prior.FactorPPM)+1)
	}
	return next
}

// SetShares says what impressions count by their slots from now on, those that were seen before too.
func (b *DistanceBook) SetShares(shares *[WayCount][hexbid.MaxSlots]float64) {
	b.tables.Shares = *shares
}

// Seen counts an impression. One at no band counts nothing, here and below.
func (b *DistanceBook) Seen(at int64, s Sighting) {
	if a := b.touch(s.Band, s.Category); a != nil {
		in := s.Setting
		in.Band = 0 // the account is the band's
		share := b.tables.share(in)
		a.seen(at, &impression{in, s.Expected * share, share, 1})
	}
}

// Clicked counts a click on an impression that was counted.
func (b *DistanceBook) Clicked(at int64, s Sighting) {
	if a := b.touch(s.Band, s.Category); a != nil {
		a.Clicked(at)
	}
}

func (b *DistanceBook) touch(band uint8, category hexbid.Category) *Account {
	if a := b.account(band, category); a != nil {
		b.changed[cellOf{band, uint8(category)}] = struct{}{}
		return a
	}
	return nil
}

// account returns the account of a band and a category, nil for a band or category that there is not.
func (b *DistanceBook) account(band uint8, category hexbid.Category) *Account {
	if band < 1 || int(band) > len(b.cells) || category >= hexbid.CategoryCount {
		return nil
	}
	return &b.cells[band-1][category]
}

// Evidence returns the clicks of a band and category, and as their weight those to expect next door.
func (b *DistanceBook) Evidence(now int64, band uint8, category hexbid.Category) Evidence {
	if a := b.account(band, category); a != nil {
		return a.evidence(now, b.delays, &b.tables, category)
	}
	return Evidence{}
}

// Distances returns the factors: the ratios of seen to expected clicks, drawn to the prior, not rising with distance,
// and none above PPM. A program without a place never has a higher factor than one in the farthest band, whatever was
// learned, so whoever hides the places of a program lowers its factor for every viewer.
func (b *DistanceBook) Distances(now int64) Distances {
	d := Distances{EndsM: b.prior.EndsM, FactorPPM: make([]Categories, len(b.prior.FactorPPM)),
		WithoutPlacePPM: b.prior.WithoutPlacePPM}
	for c := range hexbid.CategoryCount {
		if !b.prior.Count() {
			break
		}
		factors := b.factors(now, c)
		for band := range d.FactorPPM {
			d.FactorPPM[band][c] = ppm(factors[band])
		}
		d.WithoutPlacePPM[c] = ppm(factors[len(factors)-1])
	}
	return d
}

// factors returns the factors of a category by band, and that of programs without a place last.
func (b *DistanceBook) factors(now int64, c hexbid.Category) []float64 {
	prior, evidence := b.evidence(now, c)
	level := levelOf(prior[:len(prior)-1], evidence)
	ratios, weights := make([]float64, len(prior)), make([]float64, len(prior))
	for i, e := range evidence {
		weights[i] = e.Weight + factorClicks/(prior[i]*level)
		ratios[i] = (e.Clicks + factorClicks) / weights[i]
	}
	last := len(ratios) - 1
	fall(ratios[:last], weights[:last])
	ratios[last] = min(ratios[last], ratios[last-1])
	scale := max(ratios[0], 1)
	for i := range ratios {
		ratios[i] /= scale
	}
	return ratios
}

// evidence returns the prior factors of a category and what was seen, by band.
func (b *DistanceBook) evidence(now int64, c hexbid.Category) (prior []float64, seen []Evidence) {
	for band := range b.cells {
		of := &b.prior.WithoutPlacePPM
		if band < len(b.prior.FactorPPM) {
			of = &b.prior.FactorPPM[band]
		}
		prior = append(prior, float64(of[c])/PPM)
		seen = append(seen, b.Evidence(now, uint8(band+1), c))
	}
	return prior, seen
}

// levelOf returns how many clicks came at places for each one that qualities and prior factors let expect, drawn to 1.
func levelOf(prior []float64, seen []Evidence) float64 {
	clicks, expected := float64(levelClicks), float64(levelClicks)
	for band := range prior {
		clicks += seen[band].Clicks
		expected += seen[band].Weight * prior[band]
	}
	return clicks / expected
}

// fall makes values not rising: it replaces runs that rise by their weighted means, by which the squares of the changes
// are least (pool adjacent violators: Ayer and others 1955, "An empirical distribution function for sampling with
// incomplete information").
func fall(values, weights []float64) {
	type run struct {
		mean, weight float64
		length       int
	}
	var runs []run
	for i, v := range values {
		next := run{v, weights[i], 1}
		for n := len(runs) - 1; n >= 0 && runs[n].mean < next.mean; n-- {
			both := runs[n].weight + next.weight
			next = run{(runs[n].mean*runs[n].weight + next.mean*next.weight) / both, both, runs[n].length + next.length}
			runs = runs[:n]
		}
		runs = append(runs, next)
	}
	at := 0
	for _, r := range runs {
		for range r.length {
			values[at] = r.mean
			at++
		}
	}
}

// Rows returns the rows that have changed since the last call. Restore makes an equal learner of all of them.
func (b *DistanceBook) Rows() (rows []Row) {
	for cell := range b.changed {
		value := binary.BigEndian.AppendUint64([]byte{rowFormat}, b.prior.print())
		rows = append(rows, Row{[]byte{cell.band, cell.category},
			b.account(cell.band, hexbid.Category(cell.category)).append(value)})
	}
	clear(b.changed)
	return rows
}

// Restore takes a row in that Rows returned. A row that it cannot read, of other bands, or with an instant after the
// latest, in Unix milliseconds, changes nothing.
func (b *DistanceBook) Restore(latest int64, key, value []byte) error {
	const header = 9
	if len(key) != 2 || len(value) < header || !isFormat(value[0]) {
		return fmt.Errorf("a row of %d bytes in no known format", len(value))
	}
	a := b.account(key[0], hexbid.Category(key[1]))
	if a == nil || binary.BigEndian.Uint64(value[1:]) != b.prior.print() {
		return fmt.Errorf("a row of other bands of distance")
	}
	r := reader{rest: value[header:], format: value[0], latest: latest}
	read := r.account()
	if r.broken || len(r.rest) > 0 {
		return fmt.Errorf("a row of band %d does not decode", key[0])
	}
	*a = read
	return nil
}
