package overload

import (
	"context"

	"github.com/hexbid/hexbid"
)

// Peak says how to look for a server's capacity: the most calls a second that it answers, whatever it is offered.
// The last rate at which nothing is refused would be a poorer measure of it: one pause of the machine refuses a few
// calls at any rate.
type Peak struct {
	Start, Most float64 // calls a second: the first rate offered, and the highest
	// Probe offers a rate.
	Probe func(ctx context.Context, perSecond float64) (Round, error)
	// Tell is told of each rate and what it brought.
	Tell func(try int, o *Round)
}

const (
	saturated = 0.95 // a server that answers less of what it is offered is at its peak or beyond
	beyond    = 1.1  // times what the server answers at its peak, offered to see that once more
	peakTries = 8    // at the peak
	mostTries = 50
)

// Find doubles the rate until the server answers less than it is offered. From then on it offers a little more than the
// server answers, several times, and returns the median of what it answered while it was offered too much. The best of
// them would be the luckiest moment of the machine.
//
// It returns an error of the probe, or Unavailable when the generator was the bottleneck or the highest rate saturated
// nothing.
func (p *Peak) Find(ctx context.Context) (perSecond float64, err error) {
	var answered []float64 // at the peak
	step := 2.0
	for try, rate := 1, p.Start; len(answered) < peakTries; try++ {
		if try > mostTries {
			return 0, hexbid.Errorf(hexbid.Unavailable, "", "the server had no steady limit in %d tries", mostTries)
		}
		o, err := p.Probe(ctx, rate)
		if err != nil {
			return 0, err
		}
		p.Tell(try, &o)
		switch {
		case o.Goodput < saturated*o.Offered:
			answered = append(answered, o.Goodput)
			rate, step = beyond*median(answered), beyond
		case o.Limited != "":
			return 0, hexbid.Errorf(hexbid.Unavailable, "", "%s at %.0f calls a second, before the server was at its limit",
				o.Limited, rate)
		case rate >= p.Most:
			return 0, hexbid.Errorf(hexbid.Unavailable, "", "the server answers all of %.0f calls a second", p.Most)
		default:
			rate *= step
		}
		rate = min(rate, p.Most)
	}
	return median(answered), nil
}
