package fold

import (
	"github.com/hexbid/hexbid"
)

// Terms is what the catalogue says of a campaign's money, from the record on.
type Terms struct {
	Campaign    hexbid.UID
	Advertiser  hexbid.UID // never another one
	Name        string
	DailyBudget hexbid.Money // a limit always
	TotalBudget hexbid.Money // 0 means no limit
	Zone        string
	Paused      bool
	Deleted     bool
	Coupons     []Coupon // one for each creative
	Version     uint64   // of the catalogue
}

// Coupon is a creative's coupon.
type Coupon struct {
	Host       hexbid.Host // of the creative; 0 is the creative for every host that has none of its own
	Total      int64       // 0 when the creative has no coupon
	ValidUntil int64       // milliseconds since 1970, excluded
}

func (t *Terms) number() int     { return fieldTerms }
func (t *Terms) ruling() *Ruling { return nil }

func (t *Terms) fields(c *codec) {
	number(c, 1, &t.Campaign)
	number(c, 2, &t.Advertiser)
	text(c, 3, &t.Name)
	number(c, 4, &t.DailyBudget)
	number(c, 5, &t.TotalBudget)
	text(c, 6, &t.Zone)
	flag(c, 7, &t.Paused)
	flag(c, 8, &t.Deleted)
	repeated(c, 9, &t.Coupons, (*Coupon).fields)
	number(c, 10, &t.Version)
}

// fields writes the host plus one, so that no coupon encodes to an empty message.
func (p *Coupon) fields(c *codec) {
	host := p.Host + 1
	number(c, 1, &host)
	p.Host = host - 1
	number(c, 2, &p.Total)
	number(c, 3, &p.ValidUntil)
}

// AdvertiserTerms is what the catalogue says of an advertiser, from the record on.
type AdvertiserTerms struct {
	Advertiser hexbid.UID
	Name       string
	Paused     bool
	Deleted    bool
	Version    uint64 // of the catalogue
}

func (t *AdvertiserTerms) number() int     { return fieldAdvertiserTerms }
func (t *AdvertiserTerms) ruling() *Ruling { return nil }

func (t *AdvertiserTerms) fields(c *codec) {
	number(c, 1, &t.Advertiser)
	text(c, 2, &t.Name)
	flag(c, 3, &t.Paused)
	flag(c, 4, &t.Deleted)
	number(c, 5, &t.Version)
}

// MovementKind says what a movement does.
type MovementKind uint8

// The kinds of movement.
const (
	TopUp      MovementKind = 1 + iota // adds to the balance, and makes the advertiser prepaid
	Withdrawal                         // takes from the balance
	ToPrepaid                          // from now on the balance must cover every charge
	ToPostpaid                         // from now on charges are owed; the balance stays
	movementKinds
)

// Movement changes an advertiser's balance, or how it pays.
type Movement struct {
	Advertiser hexbid.UID
	What       MovementKind
	Amount     hexbid.Money // of a top-up and a withdrawal
	RequestID  string
	Who        string
	Note       string
	Ruling     // Posted and Balance
}

func (m *Movement) number() int     { return fieldMovement }
func (m *Movement) ruling() *Ruling { return &m.Ruling }

func (m *Movement) fields(c *codec) {
	number(c, 1, &m.Advertiser)
	number(c, 2, &m.What)
	number(c, 3, &m.Amount)
	text(c, 4, &m.RequestID)
	text(c, 5, &m.Who)
	text(c, 6, &m.Note)
}

// Credit gives money back, for charges of a campaign that it names or for the campaign.
type Credit struct {
	Advertiser hexbid.UID
	Campaign   hexbid.UID
	Amount     hexbid.Money
	Charges    []uint64       // sequences of their records, ascending; none when the credit is for the campaign
	Charged    []hexbid.Money // what each of them had charged
	Amounts    []hexbid.Money // what is credited of each, together Amount
	RequestID  string
	Who        string
	Note       string
	Ruling     // Date, Posted and Balance
}

func (r *Credit) number() int     { return fieldCredit }
func (r *Credit) ruling() *Ruling { return &r.Ruling }

func (r *Credit) fields(c *codec) {
	number(c, 1, &r.Advertiser)
	number(c, 2, &r.Campaign)
	number(c, 3, &r.Amount)
	numbers(c, 4, &r.Charges)
	numbers(c, 5, &r.Charged)
	numbers(c, 6, &r.Amounts)
	text(c, 7, &r.RequestID)
	text(c, 8, &r.Who)
	text(c, 9, &r.Note)
}

// HourOpened stands before the first charge of an hour.
type HourOpened struct {
	Hour uint32   // since 1970, UTC
	Salt [32]byte // drawn at random: the secret that the salts of the hour's leaves derive from
}

func (h *HourOpened) number() int     { return fieldHourOpened }
func (h *HourOpened) ruling() *Ruling { return nil }

func (h *HourOpened) fields(c *codec) {
	number(c, 1, &h.Hour)
	array(c, 2, h.Salt[:])
}

// HourClosed ends an hour in which something was charged. It is never removed.
type HourClosed struct {
	Hour         uint32 // since 1970, UTC
	Root         Hash   // of the tree of its charges
	Charges      uint64
	Charged      hexbid.Money
	TotalsDigest Digest // of the hourly totals of all hours before the record's own
	PreviousLink Hash   // link of the hour before (merkle.Link), zero of the first
}

func (h *HourClosed) number() int     { return fieldHourClosed }
func (h *HourClosed) ruling() *Ruling { return nil }

func (h *HourClosed) fields(c *codec) {
	number(c, 1, &h.Hour)
	array(c, 2, h.Root[:])
	number(c, 3, &h.Charges)
	number(c, 4, &h.Charged)
	array(c, 5, h.TotalsDigest[:])
	array(c, 6, h.PreviousLink[:])
}

// Checkpoint commits to the state that the records before it left.
type Checkpoint struct {
	Digest           Digest
	CatalogueVersion uint64
	Campaigns        uint64
	Advertisers      uint64
}

func (k *Checkpoint) number() int     { return fieldCheckpoint }
func (k *Checkpoint) ruling() *Ruling { return nil }

func (k *Checkpoint) fields(c *codec) {
	array(c, 1, k.Digest[:])
	number(c, 2, &k.CatalogueVersion)
	number(c, 3, &k.Campaigns)
	number(c, 4, &k.Advertisers)
}

// Compacted says that records up to a sequence may have been removed. The rows of journal.Base hold the state after
// that sequence.
type Compacted struct {
	Upto   uint64
	Digest Digest // of that state
}

func (k *Compacted) number() int     { return fieldCompacted }
func (k *Compacted) ruling() *Ruling { return nil }

func (k *Compacted) fields(c *codec) {
	number(c, 1, &k.Upto)
	array(c, 2, k.Digest[:])
}

// Epoch is the first record of a journal, and the first one after a restore.
type Epoch struct {
	Number       uint64 // counts from 1
	ID           [16]byte
	Abandons     bool  // what the server answered after the backup was taken does not count
	IssuedBefore int64 // tokens issued before are answered as expired; milliseconds since 1970, 0 for none
}

func (e *Epoch) number() int     { return fieldEpoch }
func (e *Epoch) ruling() *Ruling { return nil }

func (e *Epoch) fields(c *codec) {
	number(c, 1, &e.Number)
	array(c, 2, e.ID[:])
	flag(c, 3, &e.Abandons)
	number(c, 4, &e.IssuedBefore)
}
