package quality

import (
	"encoding/binary"
	"math"

	"github.com/hexbid/hexbid"
)

// What a slot is worth is learned from trials: requests, chosen by a hash, that are about one pair of neighbouring
// slots. In half of them the pair is swapped (auction.Pricing.Swap), in the other half it is not. Both halves show the
// same sort of campaigns in the pair, so what differs between the two slots is the slots' own doing. Averages over all
// requests would mistake the better campaigns in the upper slots for better slots (Joachims, Swaminathan and Schnabel
// 2017, "Unbiased learning-to-rank with biased feedback").

// Way is how a client reports impressions. The chance that an impression of an award is reported depends on it.
type Way uint8

// The ways.
const (
	WhenSeen Way = iota // half of it on the screen for a second: the contract's own rule
	OnRender            // as soon as it is drawn, whether or not anybody saw it
	WayCount
)

// Position is where a trial showed an award.
type Position struct {
	Way     Way
	Pair    int  // k of the pair of slots k and k+1 that the trial is about, 1 to hexbid.MaxSlots-1
	Lower   bool // shown in slot k+1
	Swapped bool
}

func (p Position) valid() bool { return p.Way < WayCount && p.Pair >= 1 && p.Pair < hexbid.MaxSlots }

// Code returns the position as a number from 1 to 255, and 0 for a position that no trial has.
func (p Position) Code() uint8 {
	if !p.valid() {
		return 0
	}
	return uint8(p.Pair)<<3 | uint8(index(p.Lower))<<2 | uint8(index(p.Swapped))<<1 | uint8(p.Way)
}

// PositionOf returns the position of a code.
func PositionOf(code uint8) Position {
	return Position{Way: Way(code & 1), Swapped: code>>1&1 == 1, Lower: code>>2&1 == 1, Pair: int(code >> 3)}
}

// Positions counts the trials, by way, pair, arm and slot of the pair. The zero value has seen nothing.
type Positions struct {
	cells [WayCount][hexbid.MaxSlots - 1][2][2]cell // [way][pair-1][swapped][lower]
}

// cell counts what became of the awards that one arm of a trial showed in one slot. All decay alike.
type cell struct{ awards, seen, clicks float64 }

func (p *Positions) cell(at Position) *cell {
	return &p.cells[at.Way][at.Pair-1][index(at.Swapped)][index(at.Lower)]
}

func index(is bool) int {
	if is {
		return 1
	}
	return 0
}

// Awarded counts an award of a trial. A position that no trial has counts nothing, here and below.
func (p *Positions) Awarded(at Position) {
	if at.valid() {
		p.cell(at).awards++
	}
}

// Seen counts the recorded impression of a trial's award. Implied and filtered impressions are not to be counted.
func (p *Positions) Seen(at Position) {
	if at.valid() {
		p.cell(at).seen++
	}
}

// Clicked counts the recorded click of a trial's award whose impression was counted.
func (p *Positions) Clicked(at Position) {
	if at.valid() {
		p.cell(at).clicks++
	}
}

// Decay multiplies all counts by a factor from 0 to 1, so that what was seen long ago weighs less.
func (p *Positions) Decay(by float64) {
	p.each(func(c *cell) { c.awards, c.seen, c.clicks = c.awards*by, c.seen*by, c.clicks*by })
}

func (p *Positions) each(visit func(*cell)) {
	for way := range p.cells {
		for pair := range p.cells[way] {
			for arm := range p.cells[way][pair] {
				visit(&p.cells[way][pair][arm][0])
				visit(&p.cells[way][pair][arm][1])
			}
		}
	}
}

// Ratio is what a slot is worth beside the one above it: an estimate, and the standard error of its natural logarithm.
type Ratio struct{ Estimate, LogError float64 }

// How many events of each slot an assumption counts as. Position factors are the operator's, and a few hundred
// impressions outweigh them. That slots are clicked alike once seen is known to be wrong on most lists, by a third or
// so: it only keeps the first few clicks from saying too much.
const (
	assumedImpressions = 100
	assumedSlotClicks  = 20
)

// Steps returns, for each pair of a way, impressions an award (v) and clicks a seen impression (c) in the lower slot
// beside the upper one. assumed are position factors that hold until others are learned; for c nothing is assumed but
// that slots differ in being seen alone.
func (p *Positions) Steps(way Way, assumed []int64) (seen, clicked [hexbid.MaxSlots - 1]Ratio) {
	for k := range seen {
		pair := &p.cells[way][k]
		prior := float64(assumed[k+1]) / float64(assumed[k])
		seen[k] = ratio(pair, Ratio{prior, worth(assumedImpressions)},
			func(c *cell) (events, of float64) { return c.seen, c.awards })
		clicked[k] = ratio(pair, Ratio{1, worth(assumedSlotClicks)},
			func(c *cell) (events, of float64) { return c.clicks, c.seen })
	}
	return seen, clicked
}

// worth returns the standard error of the logarithm of a quotient of two counts of so many events.
func worth(events float64) float64 { return math.Sqrt(2 / events) }

// ratio compares the two slots of a pair. The rates of the two arms count alike, because each campaign stands in one
// slot in one arm and in the other slot in the other. The logarithm of the quotient and the assumed one are averaged
// by their precisions.
func ratio(pair *[2][2]cell, assumed Ratio, of func(*cell) (events, of float64)) Ratio {
	var rate, events [2]float64 // of the upper slot, and of the lower
	for slot := range rate {
		for arm := range pair {
			n, base := of(&pair[arm][slot])
			if base > 0 {
				rate[slot] += n / base / 2
			}
			events[slot] += n
		}
	}
	if rate[0] == 0 || rate[1] == 0 {
		return assumed
	}
	precision := 1 / (assumed.LogError * assumed.LogError)
	measured := 1 / (1/events[0] + 1/events[1])
	log := (math.Log(assumed.Estimate)*precision + math.Log(rate[1]/rate[0])*measured) / (precision + measured)
	return Ratio{math.Exp(log), math.Sqrt(1 / (precision + measured))}
}

// Factors returns position factors by the steps of v: whole numbers, none above the one before it, the first a
// million.
func Factors(steps [hexbid.MaxSlots - 1]Ratio) []int64 {
	factors := make([]int64, hexbid.MaxSlots)
	factors[0] = 1_000_000
	worth := 1e6
	for k, step := range steps {
		worth *= step.Estimate
		factors[k+1] = min(max(int64(math.Round(worth)), 1), factors[k])
	}
	return factors
}

// Shares returns c by slot beside the first, from its steps. By it an estimate of quality corrects what impressions in
// a slot are worth.
func Shares(steps [hexbid.MaxSlots - 1]Ratio) (shares [hexbid.MaxSlots]float64) {
	shares[0] = 1
	for k, step := range steps {
		shares[k+1] = shares[k] * step.Estimate
	}
	return shares
}

// Awards returns how many awards of a way have been counted.
func (p *Positions) Awards(way Way) (n float64) {
	for pair := range p.cells[way] {
		for arm := range p.cells[way][pair] {
			n += p.cells[way][pair][arm][0].awards + p.cells[way][pair][arm][1].awards
		}
	}
	return n
}

// positionsRow is how counts lie on disk: awards, impressions and clicks of each cell.
type positionsRow [WayCount][hexbid.MaxSlots - 1][2][2][3]float64

// Encode returns the counts as bytes that DecodePositions reads.
func (p *Positions) Encode() []byte {
	var row positionsRow
	for way := range p.cells {
		for pair := range p.cells[way] {
			for arm := range p.cells[way][pair] {
				for slot, c := range p.cells[way][pair][arm] {
					row[way][pair][arm][slot] = [3]float64{c.awards, c.seen, c.clicks}
				}
			}
		}
	}
	b, err := binary.Append(nil, binary.BigEndian, &row)
	if err != nil {
		panic(err) // a row has numbers alone
	}
	return b
}

// DecodePositions reads counts, and returns false for bytes that are none.
func DecodePositions(b []byte) (*Positions, bool) {
	var row positionsRow
	if n, err := binary.Decode(b, binary.BigEndian, &row); err != nil || n != len(b) {
		return nil, false
	}
	p := new(Positions)
	for way := range row {
		for pair := range row[way] {
			for arm := range row[way][pair] {
				for slot, n := range row[way][pair][arm] {
					if !sound(n[:]) {
						return nil, false
					}
					p.cells[way][pair][arm][slot] = cell{n[0], n[1], n[2]}
				}
			}
		}
	}
	return p, true
}

// sound reports whether counts are numbers that counting can reach.
func sound(counts []float64) bool {
	for _, n := range counts {
		if !(n >= 0 && n < 1e15) {
			return false
		}
	}
	return true
}
