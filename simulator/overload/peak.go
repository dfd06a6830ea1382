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
	beyond    = 1.1  // times the best so far, offered to see whether there is more
	rise      = 1.02 // times the best so far that count as more
	plateau   = 4    // tries in a row without more that end the search
	mostTries = 40
)

// Find doubles the rate until the server answers less than it is offered. Then it offers a little more than the server
// has answered at best, until that brings no more several times in a row.
//
// It returns an error of the probe, or Unavailable when the generator was the bottleneck or the highest rate saturated
// nothing.
func (p *Peak) Find(ctx context.Context) (perSecond float64, err error) {
	best, seen, flat := 0.0, false, 0
	for try, rate := 1, p.Start; flat < plateau; try++ {
		if try > mostTries {
			return 0, hexbid.Errorf(hexbid.Unavailable, "", "what the server answers still rose after %d tries", mostTries)
		}
		o, err := p.Probe(ctx, rate)
		if err != nil {
			return 0, err
		}
		p.Tell(try, &o)
		full := o.Goodput < saturated*o.Offered
		switch {
		case !seen && !full && o.Limited != "":
			return 0, hexbid.Errorf(hexbid.Unavailable, "", "%s at %.0f calls a second, before the server was at its limit",
				o.Limited, rate)
		case !seen && !full && rate >= p.Most:
			return 0, hexbid.Errorf(hexbid.Unavailable, "", "the server answers all of %.0f calls a second", p.Most)
		case seen && o.Goodput <= rise*best:
			flat++
		default:
			flat = 0
		}
		seen, best = seen || full, max(best, o.Goodput)
		if rate = 2 * rate; seen {
			rate = beyond * best
		}
		rate = min(rate, p.Most)
	}
	return best, nil
}
