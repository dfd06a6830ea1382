package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// Cards encodes what people see. An answer displays some twenty records. Reading and encoding them would take longer
// than finding them, so the exchange encodes each once and caches the bytes.
type Cards interface {
	// Nearby encodes a program at one of its places.
	Nearby(*hexbid.Program, *hexbid.Place) []byte
	// Sponsored encodes a campaign's creative, completed from its program, and the program's place nearest to the
	// viewer. The place is nil when the program has none.
	Sponsored(*hexbid.Campaign, *hexbid.Creative, *hexbid.Program, *hexbid.Place) []byte
}

// display makes cards and caches them. A card carries the versions of the records that it was made from, so a late fill
// of the cache cannot bring an old record back.
type display struct {
	store *patientStore
	cards Cards
	cache *ristretto.Cache[uint64, card]
}

// subject says what a card displays: an ad on a host, or without a campaign a program at a place.
type subject struct {
	campaign, program, place bidder.Ref // zero for none
	host                     hexbid.Host
}

// card packs its key, expiry and bytes into one allocation, because each separate one would cost a cache miss. The key
// is the card's subject. The expiry is the end of a coupon in nanoseconds since 1970, 0 for none.
type card []byte

const (
	subjectBytes    = 6*8 + 1
	cardHeaderBytes = subjectBytes + 8
	// typicalCardBytes sizes the cache's counters.
	typicalCardBytes = 512
	// cardOverheadBytes is what ristretto uses for each card beyond the 56 bytes that it counts itself, including a
	// share of its counters. Measured: 180 to 240 bytes, with 64 and 256 MiB full of cards of 240 bytes.
	cardOverheadBytes = 200
)

func newDisplay(s *patientStore, cards Cards, maxBytes int64) (*display, error) {
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, card]{
		NumCounters: max(10*maxBytes/typicalCardBytes, 1000),
		MaxCost:     maxBytes,
		BufferItems: 64,
		Metrics:     true,
	})
	if err != nil {
		return nil, fmt.Errorf("display cache: %w", err)
	}
	return &display{s, cards, cache}, nil
}

func (d *display) close() { d.cache.Close() }

// key hashes a subject. When two subjects collide, get notices by comparing the card's subject.
func (s *subject) key() uint64 {
	const odd = 0x9e3779b97f4a7c15
	key := uint64(s.host)
	for _, ref := range [...]bidder.Ref{s.campaign, s.program, s.place} {
		key = (key ^ uint64(ref.UID)) * odd
		key = (key ^ key>>29 ^ ref.Version) * odd
	}
	return key
}

// shows reports whether a card is of a subject.
func (c card) shows(s *subject) bool {
	var header [subjectBytes]byte
	return bytes.Equal(c[:subjectBytes], s.append(header[:0]))
}

func (s *subject) append(b []byte) []byte {
	for _, ref := range [...]bidder.Ref{s.campaign, s.program, s.place} {
		b = binary.LittleEndian.AppendUint64(b, uint64(ref.UID))
		b = binary.LittleEndian.AppendUint64(b, ref.Version)
	}
	return append(b, byte(s.host))
}

// valid reports whether a card may be displayed at an instant.
func (c card) valid(now time.Time) bool {
	until := binary.LittleEndian.Uint64(c[subjectBytes:])
	return until == 0 || now.UnixNano() < int64(until)
}

func newCard(s *subject, until time.Time, wire []byte) card {
	c := s.append(make(card, 0, cardHeaderBytes+len(wire)))
	if until.IsZero() {
		c = binary.LittleEndian.AppendUint64(c, 0)
	} else {
		c = binary.LittleEndian.AppendUint64(c, uint64(until.UnixNano()))
	}
	return append(c, wire...)
}

// get returns the card of a subject from the cache, or makes it. For a record that has just been replaced it may return
// the newer one. For a record that is gone it returns NotFound.
func (d *display) get(ctx context.Context, of *subject, now time.Time) ([]byte, error) {
	if d.cards == nil {
		return nil, nil
	}
	key := of.key()
	if c, ok := d.cache.Get(key); ok && c.shows(of) && c.valid(now) {
		return c[cardHeaderBytes:], nil
	}
	own := *of // the making may outlive the caller's memory
	made, err := readFrom(ctx, d.store, func() (made, error) { return d.make(ctx, &own, now) })
	if err != nil {
		return nil, err
	}
	if made.lasting {
		d.cache.Set(key, made.card, cardOverheadBytes+int64(len(made.card)))
	}
	return made.card[cardHeaderBytes:], nil
}

// made is a card from the store. It is lasting if every record had the version that the subject names.
type made struct {
	card    card
	lasting bool
}

// make encodes a card from the store's own records, so that a card waits for the disk once and not for each record.
func (d *display) make(ctx context.Context, of *subject, now time.Time) (made, error) {
	r := reader{ctx: ctx, store: d.store.Store}
	program := read[*hexbid.Program](&r, of.program)
	place := read[*hexbid.Place](&r, of.place)
	campaign := read[*hexbid.Campaign](&r, of.campaign)
	if r.err != nil {
		return made{}, r.err
	}
	if campaign == nil {
		return made{newCard(of, time.Time{}, d.cards.Nearby(program, place)), !r.stale}, nil
	}
	creative, until := completed(campaign.CreativeFor(of.host), program), time.Time{}
	if coupon := creative.Coupon; coupon != nil && now.Before(coupon.ValidUntil) {
		until = coupon.ValidUntil
	} else {
		creative.Coupon = nil // the coupon has expired: the creative goes without it
	}
	return made{newCard(of, until, d.cards.Sponsored(campaign, &creative, program, place)), !r.stale}, nil
}

// completed fills the empty fields of a creative from its program.
func completed(c hexbid.Creative, p *hexbid.Program) hexbid.Creative {
	if c.Title == "" {
		c.Title = p.DisplayName
	}
	if c.Path == "" {
		c.Path = p.Path
	}
	if c.ImageURI == "" {
		c.ImageURI = p.IconURI
	}
	return c
}

// reader reads the records of a card and remembers the first error.
type reader struct {
	ctx   context.Context
	store store.Store
	stale bool // a record had another version than its ref
	err   error
}

// read returns the record of a ref, nil for the zero ref or after an error.
func read[T hexbid.Resource](r *reader, ref bidder.Ref) (noun T) {
	if r.err != nil || ref == (bidder.Ref{}) {
		return noun
	}
	record, err := r.store.ByUID(r.ctx, ref.UID)
	if err != nil {
		r.err = err
		return noun
	}
	r.stale = r.stale || record.Meta().Version != ref.Version
	noun, ok := record.Resource.(T)
	if !ok {
		r.err = hexbid.Errorf(hexbid.Internal, "uid", "%d is a %T", ref.UID, record.Resource)
	}
	return noun
}
