package bidder

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid"
)

// handIn is one call of HandIn on its way to the indexer.
type handIn struct {
	owner   Owner
	updates []LiveUpdate
	inForce chan struct{} // closed when searches use them
}

// HandIn sets an owner's field of some campaigns' live states and returns when searches
// use it: with the next publication, however many changes of the catalogue are in line.
// A field stays as it was handed in, through edits of its campaign, until its owner hands
// in another or withdraws it. What is handed in about a uid that the index has no campaign
// of is in force as soon as it has; at most mostUnindexed such states are kept, and they
// are lost when the process ends: an owner hands in all again when a market opens.
//
// The error is of an update that the owner may not hand in, and then nothing is changed;
// the context's, and then the updates may be in force a moment later; or Unavailable, when
// the indexer has ended.
func (x *Indexer) HandIn(ctx context.Context, owner Owner, updates []LiveUpdate) error {
	if err := checkUpdates(owner, updates); err != nil {
		return err
	}
	call := handIn{owner, slices.Clone(updates), make(chan struct{})}
	select {
	case x.handIns <- call:
	case <-x.ended:
		return errEnded()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-call.inForce:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-x.ended:
	}
	select {
	case <-call.inForce: // before it ended
		return nil
	default:
		return errEnded()
	}
}

func errEnded() error {
	return hexbid.Errorf(hexbid.Unavailable, "", "the market is closed: hand in again when it is open")
}

// HandInFirst is HandIn before Load, by the goroutine that will call Load: so the first
// snapshot of the catalogue is of the states that are handed in.
func (x *Indexer) HandInFirst(owner Owner, updates []LiveUpdate) error {
	if err := checkUpdates(owner, updates); err != nil {
		return err
	}
	x.take(owner, updates)
	return nil
}

// mostUpdatesAPublication bounds how long the hand-ins of one publication hold it up. Calls
// that come after so many updates wait for the next, in order: an owner that hands in a
// whole market lets others through.
const mostUpdatesAPublication = MaxLiveUpdates

// takeWaiting takes the hand-ins that wait at the door, so that none waits for a further
// publication.
func (x *Indexer) takeWaiting(taken []handIn) []handIn {
	for n := 0; n < mostUpdatesAPublication; {
		select {
		case call := <-x.handIns:
			taken = append(taken, x.takeCall(call))
			n += 1 + len(call.updates)
		default:
			return taken
		}
	}
	return taken
}

func (x *Indexer) takeCall(call handIn) handIn {
	x.take(call.owner, call.updates)
	return call
}
