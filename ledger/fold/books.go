package fold

import (
	"unique"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// Books are the state that follows from a chain of records. One goroutine owns them.
type Books struct {
	last  Point
	at    int64 // the instant that Advance has reached, in microseconds since 1970
	state state // what belongs to no account

	campaigns      map[hexbid.UID]*campaign
	advertisers    map[hexbid.UID]*advertiser
	campaignSlab   slab[campaign]
	advertiserSlab slab[advertiser]
	credited       map[uint64]*creditedCharge // by the charge's sequence
	uses           uses
	tree           tree
	salter         *merkle.Salter // of the open hour; nil before its first charge
	judged         judgement

	campaignOrder, advertiserOrder ordered

	activeThisHour []*campaign   // with totals of state.hour
	unsettled      []*campaign   // with totals that are not written yet
	unsettledDays  []*advertiser // likewise
	rows           rows
	block          block // for rows of events
}

// Point is a record as the chain has it.
type Point struct {
	Sequence uint64
	Tail     Hash // its hash
	At       int64
}

// New returns the books before the first record.
func New() *Books {
	b := &Books{campaigns: map[hexbid.UID]*campaign{}, advertisers: map[hexbid.UID]*advertiser{},
		credited: map[uint64]*creditedCharge{}, uses: newUses()}
	b.tree.Tree = new(merkle.Tree)
	return b
}

// Last returns the last record that was applied; Sequence 0 for none.
func (b *Books) Last() Point { return b.last }

// CatalogueVersion returns the version that the last terms or the last checkpoint came with.
func (b *Books) CatalogueVersion() uint64 { return b.state.catalogueVersion }

// Epoch returns the present epoch, without Abandons; Number 0 before the first record.
func (b *Books) Epoch() Epoch {
	return Epoch{Number: b.state.epoch, ID: b.state.epochID, IssuedBefore: b.state.issuedBefore}
}

// Compacted returns the last record that may have been removed, 0 for none.
func (b *Books) Compacted() uint64 { return b.state.compacted }

// Counts returns how many campaigns and advertisers there are, deleted ones too.
func (b *Books) Counts() (campaigns, advertisers int) { return len(b.campaigns), len(b.advertisers) }

// Campaign returns how a campaign stands; false for one without terms.
func (b *Books) Campaign(uid hexbid.UID) (CampaignAccount, bool) {
	c := b.campaigns[uid]
	if c == nil {
		return CampaignAccount{}, false
	}
	return c.account(), true
}

// Advertiser returns how an advertiser stands; false for one without terms.
func (b *Books) Advertiser(uid hexbid.UID) (AdvertiserAccount, bool) {
	a := b.advertisers[uid]
	if a == nil {
		return AdvertiserAccount{}, false
	}
	return a.AdvertiserAccount, true
}

// Zone returns the time zone that a campaign's date is computed in; false for a campaign without terms.
func (b *Books) Zone(campaign hexbid.UID) (zone unique.Handle[string], ok bool) {
	if c := b.campaigns[campaign]; c != nil {
		return c.zone, true
	}
	return zone, false
}

// Advance brings the books to a stamp. Totals of an hour that has ended become final, and tokens whose click has
// expired are forgotten. A stamp behind the last one changes nothing. Rows that follow go to w, which is nil for a
// replay, and which must be committed even if no record follows. Call Advance before the records of a stamp are judged.
func (b *Books) Advance(at int64, w *journal.Batch) {
	if at <= b.at {
		return
	}
	b.at = at
	if hour := HourOf(at); hour > b.state.hour {
		b.endHour(hour, w)
	}
	b.dropExpired()
}

// Next makes the record that follows, at the instant that Advance has reached.
func (b *Books) Next(body Body) Record {
	return Record{Sequence: b.last.Sequence + 1, At: b.at, Previous: b.last.Tail, Body: body}
}

// state is what belongs to no account.
type state struct {
	marks
	catalogueVersion uint64
	posted           int32  // last date of statements
	hour             uint32 // that Advance has reached
	hoursDigest      Digest // of the final totals of hours before it
	treeHour         uint32 // whose tree is open or was closed last
	open             bool
	salt             [32]byte
	opened           uint64 // sequence of the record that opened the tree
	leaves           uint64
	charged          hexbid.Money // in the open hour
	lastLink         Hash         // of the hour closed last
	epoch            uint64
	epochID          [16]byte
	issuedBefore     int64
	compacted        uint64
}

func (s *state) fields(c *codec) {
	number(c, 1, &s.catalogueVersion)
	signed(c, 2, &s.posted)
	number(c, 3, &s.hour)
	array(c, 4, s.hoursDigest[:])
	number(c, 5, &s.treeHour)
	flag(c, 6, &s.open)
	array(c, 7, s.salt[:])
	number(c, 8, &s.opened)
	number(c, 9, &s.leaves)
	number(c, 10, &s.charged)
	array(c, 11, s.lastLink[:])
	number(c, 12, &s.epoch)
	array(c, 13, s.epochID[:])
	number(c, 14, &s.issuedBefore)
	number(c, 15, &s.compacted)
}

func (s *state) key() stateKey { return stateKey{table: journal.Accounts, kind: 's'} }

func (s *state) value(b []byte) []byte {
	c := codec{bytes: b}
	s.fields(&c)
	return c.bytes
}
