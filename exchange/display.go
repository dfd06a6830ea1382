package exchange

import (
	"context"
	"sync/atomic"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/shelf"
	"github.com/hexbid/hexbid/store"
)

// Cards encodes what people see of a record. An answer displays some forty records. Reading and encoding them would
// take longer than finding them, so the exchange encodes each once and keeps the bytes. Each card depends on one record
// alone, so that all campaigns and places of a program share its card.
type Cards interface {
	Program(*hexbid.Program) []byte
	Place(*hexbid.Place) []byte
	// Campaign encodes a campaign's name and its creatives for all hosts.
	Campaign(*hexbid.Campaign) []byte
}

// display makes cards and keeps them, by the uid and the version of their record.
type display struct {
	store *patientStore
	cards Cards // nil for none
	shelf *shelf.Shelf

	found, missed atomic.Int64 // cards
}

func newDisplay(s *patientStore, cards Cards, maxBytes int64) *display {
	return &display{store: s, cards: cards, shelf: shelf.New(maxBytes)}
}

// shown is the card of a record, nil without a record. It is left out when the record was deleted a moment ago or
// cannot be read.
type shown struct {
	card    []byte // shared
	leftOut bool
	missing bool // the card is not kept
}

// show returns the cards of records in their order: those that are kept, and the others made from the store. For a
// record that has just been replaced a card may show the newer one. The error is the context's, or one of the store as
// a whole. After an error cards hold whatever was found so far, so show sets those of no record too: the memory may be
// that of a search that failed.
func (d *display) show(ctx context.Context, refs []bidder.Ref, cards []shown) error {
	if d.cards == nil {
		return nil
	}
	found, missing := 0, 0
	for i := range refs {
		if refs[i] == (bidder.Ref{}) {
			cards[i] = shown{}
			continue
		}
		card, ok := d.shelf.Find(uint64(refs[i].UID), refs[i].Version)
		if cards[i] = (shown{card: card, missing: !ok}); ok {
			found++
		} else {
			missing++
		}
	}
	d.found.Add(int64(found))
	if missing == 0 {
		return nil
	}
	d.missed.Add(int64(missing))
	return d.fill(ctx, refs, cards, missing)
}

// fill makes the cards that are missing. It waits for the disk once for all of them.
func (d *display) fill(ctx context.Context, refs []bidder.Ref, cards []shown, missing int) error {
	own := make([]bidder.Ref, 0, missing) // the making may outlive the caller's memory
	for i := range refs {
		if cards[i].missing {
			own = append(own, refs[i])
		}
	}
	made, err := readFrom(ctx, d.store, func() ([]shown, error) { return d.make(ctx, own) })
	if err != nil {
		return err
	}
	for i := range refs {
		if cards[i].missing {
			cards[i], made = made[0], made[1:]
		}
	}
	return nil
}

// make encodes cards from the store's own records, and keeps them.
func (d *display) make(ctx context.Context, refs []bidder.Ref) ([]shown, error) {
	cards := make([]shown, len(refs))
	for i := range refs {
		r, err := d.store.Store.ByUID(ctx, refs[i].UID)
		switch {
		case leftOut(err):
			cards[i].leftOut = true
		case err != nil:
			return nil, err
		default:
			cards[i].card = d.shelf.Put(uint64(refs[i].UID), r.Meta().Version, d.encode(r.Resource))
		}
	}
	return cards, nil
}

// encode returns the card of a record, nil for kinds that nobody sees.
func (d *display) encode(r hexbid.Resource) []byte {
	switch r := r.(type) {
	case *hexbid.Program:
		return d.cards.Program(r)
	case *hexbid.Place:
		return d.cards.Place(r)
	case *hexbid.Campaign:
		return d.cards.Campaign(r)
	}
	return nil
}

// prefilled is a catalogue whose records the display encodes as the index reads them, as long as there is room for
// their cards. After a start, searches would otherwise wait for the disk for most of what they show.
type prefilled struct {
	bidder.Catalogue
	display *display
}

// Scan implements bidder.Catalogue.
func (p prefilled) Scan(ctx context.Context, f func(store.Record, *store.Derived) error) (version uint64, err error) {
	room := p.display.cards != nil
	return p.Catalogue.Scan(ctx, func(r store.Record, derived *store.Derived) error {
		if room {
			room = p.display.offer(r.Resource)
		}
		return f(r, derived)
	})
}

// offer keeps a record's card if there is room, and reports whether there is room for more.
func (d *display) offer(r hexbid.Resource) (room bool) {
	card := d.encode(r)
	return card == nil || d.shelf.Offer(uint64(r.Metadata().UID), r.Metadata().Version, card)
}

// hitRatio returns the share of cards that were kept.
func (d *display) hitRatio() float64 {
	found, missed := float64(d.found.Load()), float64(d.missed.Load())
	return found / max(found+missed, 1)
}

// leftOut reports whether an error leaves a result out: its record was deleted a moment ago, or lies in a damaged file,
// which the store reports to its owner.
func leftOut(err error) bool {
	kind := hexbid.KindOf(err)
	return err != nil && (kind == hexbid.NotFound || kind == hexbid.DataLoss)
}
