package bidder

import (
	"fmt"
	"slices"

	"github.com/hexbid/hexbid"
)

// AdvertiserUpdate is what the ledger hands in about an advertiser's balance. The zero fields say that the balance pays
// for every event.
type AdvertiserUpdate struct {
	Advertiser hexbid.UID
	// NoBalance keeps all campaigns of the advertiser from winning, from the next publication on.
	NoBalance bool
	// Left is the most that one event of the advertiser's campaigns may cost, 0 for no bound. It lowers bids as
	// LiveUpdate.Left does. The index applies it to mostFollowing campaigns a publication.
	Left hexbid.Money
}

// checkAdvertisers refuses updates that make no sense. Its error names the field.
func checkAdvertisers(updates []AdvertiserUpdate) error {
	if len(updates) > MaxLiveUpdates {
		return hexbid.Invalidf("updates", "has %d entries: hand in at most %d at a time", len(updates), MaxLiveUpdates)
	}
	for i, u := range updates {
		if u.Advertiser == 0 {
			return hexbid.Invalidf(fmt.Sprintf("updates[%d].advertiser", i), "is missing: give the advertiser's uid")
		}
		if u.Left < 0 {
			return hexbid.Invalidf(fmt.Sprintf("updates[%d].left", i),
				"%d is negative: use 0 for no bound, and no_balance where nothing is left", u.Left)
		}
	}
	return nil
}

// funds is what an advertiser can pay. The zero value bounds nothing.
type funds struct {
	none bool
	left eventBound
}

// balances is the room of what advertisers can pay. A search tests one bit an advertiser. So an advertiser of any
// number of campaigns is out with one publication, and back with one.
//
// Their campaigns follow a slice at a time. A campaign that has followed also leaves the lists after a while, where it
// would stand in the way of others, and its bid keeps within what is left of the balance.
type balances struct {
	funds     growing[funds] // by advertiser
	broke     ordinalBitsWriter
	strays    strays[funds]
	turned    map[uint32]struct{} // advertisers whose campaigns have to follow
	following []uint32            // campaigns of one of them that still have to
	followed  int                 // campaigns that have followed so far
}

func newBalances() *balances {
	return &balances{strays: newStrays[funds](), turned: map[uint32]struct{}{}}
}

// of returns what an advertiser of the index can pay.
func (b *balances) of(advertiser uint32) funds { return *b.funds.at(advertiser) }

// set records what an advertiser of the index can pay. Its campaigns follow.
func (b *balances) set(advertiser uint32, now funds) {
	if *b.funds.at(advertiser) == now {
		return
	}
	*b.funds.at(advertiser) = now
	b.broke.set(advertiser, now.none)
	b.turned[advertiser] = struct{}{}
}

// arrive records that the index now has an advertiser. It has no campaigns yet.
func (b *balances) arrive(advertiser uint32, uid hexbid.UID) {
	b.funds.clear(advertiser)
	now := b.strays.take(uid)
	*b.funds.at(advertiser) = now
	b.broke.set(advertiser, now.none)
}

// leave records that the index no longer has an advertiser, nor any campaign of it.
func (b *balances) leave(advertiser uint32, uid hexbid.UID) {
	b.strays.keep(uid, b.of(advertiser))
	*b.funds.at(advertiser) = funds{}
	b.broke.set(advertiser, false)
	delete(b.turned, advertiser)
}

// open ends the opening, when every record of the catalogue has been indexed.
func (b *balances) open() { b.strays.open() }

// owes reports whether campaigns still have to follow their advertisers.
func (b *balances) owes() bool { return len(b.following)+len(b.turned) > 0 }

// reopenedBalances returns what all advertisers can pay, for an index that is loaded anew.
func (x *index) reopenedBalances() *balances {
	fresh := newBalances()
	fresh.strays = x.balances.strays.reopened()
	for number, page := range x.records.ownerOf.numbers {
		for i, ordinal := range page.items {
			if ordinal != 0 { // it is the ordinal plus 1
				fresh.strays.keep(number*uidsAPage+hexbid.UID(i), x.balances.of(ordinal-1))
			}
		}
	}
	return fresh
}

// takeAdvertisers applies a hand-in to the balances, for the next publication.
func (x *index) takeAdvertisers(updates []AdvertiserUpdate) {
	for _, u := range updates {
		now := funds{u.NoBalance, boundOf(u.Left)}
		if i, isIndexed := x.records.ownerOf.get(u.Advertiser); isIndexed {
			x.balances.set(i, now)
		} else {
			x.balances.strays.take(u.Advertiser)
			x.balances.strays.keep(u.Advertiser, now)
		}
	}
}

// mostFollowing bounds the campaigns that follow their advertisers' balances in one publication: some milliseconds.
const mostFollowing = 4096

// followBalances lets campaigns follow what their advertisers can pay.
func (x *index) followBalances() {
	b := x.balances
	for n := 0; n < mostFollowing && b.owes(); n++ {
		if len(b.following) == 0 {
			b.following = x.campaignsOfOneTurned(b.following[:0])
			continue
		}
		last := len(b.following) - 1
		i := b.following[last]
		b.following = b.following[:last]
		if b.followed++; x.records.campaigns.at(i).uid != 0 { // it may have been deleted meanwhile
			x.followLive(i)
		}
	}
}

// campaignsOfOneTurned appends the campaigns of one advertiser whose campaigns have to follow.
func (x *index) campaignsOfOneTurned(to []uint32) []uint32 {
	for advertiser := range x.balances.turned {
		delete(x.balances.turned, advertiser)
		return slices.AppendSeq(to, x.records.ownedBy(advertiser))
	}
	return to
}

// lacksBalance reports whether a campaign does not serve because its advertiser cannot pay.
func (s *Snapshot) lacksBalance(c *campaign) bool {
	return c.state&unfunded != 0 || s.broke.has(c.advertiser)
}

// ordinalBits is an immutable set of ordinals.
type ordinalBits []uint64

// has reports whether an ordinal is in the set.
func (b ordinalBits) has(i uint32) bool {
	word := int(i >> 6)
	return word < len(b) && b[word]>>(i&63)&1 == 1
}

// ordinalBitsWriter changes a set of ordinals. It copies the set at the first change after a freeze: 25 kB for 200,000
// advertisers.
type ordinalBitsWriter struct {
	bits   ordinalBits
	count  int
	shared bool // a snapshot has the bits
}

// set puts an ordinal into the set or takes it out.
func (w *ordinalBitsWriter) set(i uint32, in bool) {
	if w.bits.has(i) == in {
		return
	}
	if w.shared {
		w.bits, w.shared = slices.Clone(w.bits), false
	}
	if grown := int(i>>6) + 1 - len(w.bits); grown > 0 {
		w.bits = append(w.bits, make(ordinalBits, grown)...)
	}
	w.bits[i>>6] ^= 1 << (i & 63)
	if w.count++; !in {
		w.count -= 2
	}
}

// freeze shares the present set with a snapshot. An empty set is nil, so that testing it loads nothing.
func (w *ordinalBitsWriter) freeze() ordinalBits {
	if w.count == 0 {
		w.bits = nil
	}
	w.shared = true
	return w.bits
}
