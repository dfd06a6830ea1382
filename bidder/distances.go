package bidder

import (
	"fmt"
	"math"
	"strconv"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/geoindex"
)

// distances is the market's table of distances with its ends as squared chords, so that a search finds a band without
// trigonometry. A nil table says that distance does not count.
type distances struct {
	chord2 []float64            // the ends of all bands but the last
	factor []quality.Categories // by band from 1, less 1; the last row is of programs without a place
	marks  [geoindex.MarkScales]markEnds
	caps   capFactors
}

// markEnds are the ends of all bands but the last for marks of one scale, as the bits of squared chords: numbers that
// sort as these do, and that are compared without a branch. A mark beyond past[i] is surely past the end of band i+1,
// and one nearer than within[i] is surely within it. In between the mark does not say.
type markEnds struct{ past, within []uint64 }

// band returns the nearest band in which a mark at a squared chord may be, and whether it is surely in it.
func (e *markEnds) band(chord2 float64) (band uint8, isSure bool) {
	at, n := math.Float64bits(chord2), 0
	for _, past := range e.past {
		n += int((past - at) >> 63) // 1 if at is larger
	}
	return uint8(n + 1), n == len(e.within) || at < e.within[n]
}

func compileDistances(d *quality.Distances) *distances {
	if !d.Count() {
		return nil
	}
	compiled := &distances{factor: append(append([]quality.Categories{}, d.FactorPPM...), d.WithoutPlacePPM)}
	for _, end := range d.EndsM {
		compiled.chord2 = append(compiled.chord2, geoindex.Chord2OfM(end))
	}
	compiled.caps = newCapFactors(compiled)
	for scale := range compiled.marks {
		of := &compiled.marks[scale]
		for _, chord2 := range compiled.chord2 {
			chord, off := math.Sqrt(chord2), geoindex.MarkError(scale)
			past, within := chord+off, max(chord-off, 0)
			of.past = append(of.past, math.Float64bits(past*past))
			of.within = append(of.within, math.Float64bits(within*within))
		}
	}
	return compiled
}

// bandOf returns the nearest band in which the place of a campaign's program may be, as far as the campaign's record
// tells it, and whether it is surely in that band. It may be farther if the program has several places, or one close to
// where a band ends.
func (d *distances) bandOf(c *campaign, from geoindex.Vec) (band uint8, isSure bool) {
	if c.has&hasNoPlace != 0 {
		return uint8(len(d.factor)), true
	}
	chord2, scale, marked := c.disc.MarkChord2(from)
	if !marked {
		return 1, false
	}
	return d.marks[scale].band(chord2)
}

// band returns the band of a squared chord, from 1. Programs without a place, which are infinitely far, have the band
// after the last.
func (d *distances) band(chord2 float64) uint8 {
	if math.IsInf(chord2, 1) {
		return uint8(len(d.factor))
	}
	band := uint8(1)
	for _, end := range d.chord2 {
		if chord2 <= end {
			break
		}
		band++
	}
	return band
}

// factorPPM returns the factor of a band and a category.
func (d *distances) factorPPM(band uint8, category hexbid.Category) int64 {
	return d.factor[band-1][category]
}

// near is a candidate of a batch that would enter if its program were in the nearest band that its record leaves open.
type near struct {
	ordinal, program uint32
	pacedBid         hexbid.Money
	score            int64 // in that band
}

// knownBand remembers the band of a campaign in the present search.
type knownBand struct {
	ordinal uint32
	band    uint8 // 0 for none
}

// knownBands is a small table by the last bits of a campaign's ordinal. A later campaign takes the place of an earlier
// one, so a search may find a band twice.
type knownBands [64]knownBand

func (k *knownBands) set(ordinal uint32, band uint8) {
	k[ordinal%uint32(len(k))] = knownBand{ordinal, band}
}

// get returns the band of a campaign, 0 when it is not known.
func (k *knownBands) get(ordinal uint32) uint8 {
	if known := &k[ordinal%uint32(len(k))]; known.ordinal == ordinal {
		return known.band
	}
	return 0
}

// offerByDistance tests the matches of a batch and offers those that pass at the distance of their programs. Where the
// record of a campaign leaves open how far it is, this asks for the places only if the campaign would enter in the
// nearest band that is open: the factors of distance fall from band to band.
func (s *Snapshot) offerByDistance(batch []match, q *Query, w *Scratch) {
	n := 0
	for i := range batch {
		x := &batch[i]
		if x.cap < w.floor {
			continue
		}
		paced, score, enters := s.scoreOf(x, q, w)
		if !enters || score < w.board.Floor() {
			continue
		}
		c := s.campaigns.at(x.ordinal)
		if c.pricing == hexbid.CPM { // what an impression costs does not depend on clicks
			s.stand(c, x.ordinal, score, q, w)
			continue
		}
		band, isSure := s.distances.bandOf(c, q.At.Vec)
		if score, enters = s.scoreIn(band, c, paced, w); !enters {
			continue
		}
		if isSure {
			w.bands.set(x.ordinal, band)
			s.stand(c, x.ordinal, score, q, w)
		} else if score >= w.board.Floor() {
			w.near[n] = near{ordinal: x.ordinal, pacedBid: paced, score: score}
			n++
		}
	}
	if n > 0 {
		s.offerNear(w.near[:n], q, w)
	}
}

// scoreIn returns the score of a candidate in a band of distance, and whether it reaches the reserve.
func (s *Snapshot) scoreIn(band uint8, c *campaign, paced hexbid.Money, w *Scratch) (score int64, enters bool) {
	score = auction.Score(c.pricing, paced,
		auction.LowerQuality(w.quality(c.worth), s.distances.factorPPM(band, c.category)))
	return score, auction.Enters(score, w.reserves[c.category])
}

// offerNear asks for the places of candidates and offers them at their distance. It loads the same record of all of
// them before the next record, because loads that do not depend on each other overlap.
func (s *Snapshot) offerNear(candidates []near, q *Query, w *Scratch) {
	s.fetchPlaces(candidates, w)
	for i := range candidates {
		x := &candidates[i]
		if x.score < w.board.Floor() {
			continue
		}
		w.Asked++
		c, band := s.campaigns.at(x.ordinal), s.distances.band(s.placeChord2(x.program, &q.At))
		w.bands.set(x.ordinal, band)
		if score, enters := s.scoreIn(band, c, x.pacedBid, w); enters {
			s.stand(c, x.ordinal, score, q, w)
		}
	}
}

// fetchPlaces loads the programs of candidates and their first places.
func (s *Snapshot) fetchPlaces(candidates []near, w *Scratch) {
	fetched := w.fetched
	for i := range candidates {
		candidates[i].program = s.details.at(candidates[i].ordinal).program
	}
	for i := range candidates {
		fetched ^= s.programs.at(candidates[i].program).uid
	}
	for i := range candidates {
		if first := s.programs.at(candidates[i].program).places; first != 0 {
			fetched ^= hexbid.UID(s.places.at(first - 1).cell) // beside the position
		}
	}
	w.fetched = fetched
}

// bandOf returns the band of a campaign's program, 0 when distance does not count.
func (s *Snapshot) bandOf(ordinal uint32, q *Query, w *Scratch) uint8 {
	if s.distances == nil {
		return 0
	}
	if band := w.bands.get(ordinal); band != 0 {
		return band
	}
	if band, isSure := s.distances.bandOf(s.campaigns.at(ordinal), q.At.Vec); isSure {
		return band
	}
	return s.distances.band(s.placeChord2(s.details.at(ordinal).program, &q.At))
}

// NearestPlaceM returns the metres from a query's point to the nearest approved place of a campaign's program, and
// whether it has one.
func (s *Snapshot) NearestPlaceM(ordinal uint32, q *Query) (metres float64, there bool) {
	chord2 := s.placeChord2(s.details.at(ordinal).program, &q.At)
	if math.IsInf(chord2, 1) {
		return 0, false
	}
	return geoindex.MetresOfChord2(chord2), true
}

// DistanceReason puts into words what the distance does to an entry's chance of a click. It is empty where distance
// does not count, and for an entry that pays for impressions: what these are worth does not depend on clicks.
func (s *Snapshot) DistanceReason(e *auction.Entry, q *Query) string {
	if e.Prediction.Band == 0 || e.Pricing == hexbid.CPM {
		return ""
	}
	counts := "its chance of a click counts " +
		strconv.FormatFloat(float64(e.Prediction.DistancePPM)/10_000, 'g', 3, 64) + " %"
	metres, there := s.NearestPlaceM(e.Ordinal, q)
	if !there {
		return "its program has no approved place: " + counts
	}
	return fmt.Sprintf("the nearest place is %s away: band %d, %s", lengthInWords(metres), e.Prediction.Band, counts)
}

// lengthInWords writes metres as people say them: to the ten metres below a kilometre, to a tenth of a kilometre below
// ten, then to whole ones, with commas between thousands.
func lengthInWords(metres float64) string {
	km := metres / 1000
	switch {
	case metres < 995:
		return fmt.Sprintf("%.0f m", math.Round(metres/10)*10)
	case km < 9.95:
		return fmt.Sprintf("%.1f km", km)
	case km < 999.5:
		return fmt.Sprintf("%.0f km", km)
	}
	whole := int(math.Round(km))
	return fmt.Sprintf("%d,%03d km", whole/1000, whole%1000)
}
