package bidder

import (
	"context"
	"slices"

	"github.com/hexbid/hexbid"
)

// handIn is one call of HandIn, HandInAdvertisers or HandInPrograms on its way to the indexer.
type handIn struct {
	owner       Owner
	updates     []LiveUpdate
	advertisers []AdvertiserUpdate
	market      *Market // with what was learned anew; nil for none
	programs    []ProgramUpdate
	inForce     chan struct{} // closed when searches use them
}

// HandIn sets an owner's field in the live states of some campaigns. It returns once searches use the new values: with
// the next publication, however many changes of the catalogue wait. A field keeps its value through edits of its
// campaign until its owner hands in another or withdraws it. An update may name a uid that the index does not have: the
// index keeps at most mostUnindexed such states and uses each when its campaign arrives. All states are lost when the
// process ends, so an owner hands in everything again when a market opens.
//
// An error names an update that the owner may not hand in; nothing has changed then. The context's error leaves open
// whether the updates come into force a moment later. Unavailable says that the indexer has ended.
func (x *Indexer) HandIn(ctx context.Context, owner Owner, updates []LiveUpdate) error {
	if err := checkUpdates(owner, updates); err != nil {
		return err
	}
	return x.hand(ctx, handIn{owner: owner, updates: slices.Clone(updates)})
}

// HandInAdvertisers sets what some advertisers can pay, until another hand-in changes it. It passes changes of the
// catalogue as HandIn does, and returns when no campaign of an advertiser with NoBalance wins any more. Campaigns
// follow Left in slices. An update may name a uid that the index does not have, as for HandIn. Its errors are those
// of HandIn.
func (x *Indexer) HandInAdvertisers(ctx context.Context, updates []AdvertiserUpdate) error {
	if err := checkAdvertisers(updates); err != nil {
		return err
	}
	return x.hand(ctx, handIn{advertisers: slices.Clone(updates)})
}

// hand takes a call to the door and waits until it is in force.
func (x *Indexer) hand(ctx context.Context, call handIn) error {
	call.inForce = make(chan struct{})
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

// HandInFirst is HandIn for use before Load, by the goroutine that will call Load. The first snapshot of the catalogue
// then already has these states.
func (x *Indexer) HandInFirst(owner Owner, updates []LiveUpdate) error {
	if err := checkUpdates(owner, updates); err != nil {
		return err
	}
	x.take(owner, updates)
	return nil
}

// HandInAdvertisersFirst is HandInAdvertisers for use before Load, as HandInFirst is.
func (x *Indexer) HandInAdvertisersFirst(updates []AdvertiserUpdate) error {
	if err := checkAdvertisers(updates); err != nil {
		return err
	}
	x.takeAdvertisers(updates)
	return nil
}

// mostUpdatesAPublication bounds how long the hand-ins of one publication delay it. Calls beyond so many updates wait
// for the next publication, in order, so an owner that hands in a whole market lets others through.
const mostUpdatesAPublication = MaxLiveUpdates

// takeWaiting adds all hand-ins that wait at the door, so that none waits for a further publication.
func (x *Indexer) takeWaiting(taken []handIn) []handIn {
	for n := 0; n < mostUpdatesAPublication; {
		select {
		case call := <-x.handIns:
			taken = append(taken, x.takeCall(call))
			n += 1 + len(call.updates) + len(call.advertisers) + len(call.programs)
		default:
			return taken
		}
	}
	return taken
}

func (x *Indexer) takeCall(call handIn) handIn {
	for _, index := range [...]*index{x.index, x.next} {
		if index != nil {
			index.take(call.owner, call.updates)
			index.takeAdvertisers(call.advertisers)
			if call.market != nil {
				index.setMarket(call.market)
			}
			index.takePrograms(call.programs)
		}
	}
	return call
}
