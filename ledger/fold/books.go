package fold

import (
	"math"
	"unique"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// Books are the state that follows from a chain of records. One goroutine owns them.
type Books struct {
	sequence uint64 // of the last record
	tail     Hash   // of the last record
	at       int64  // stamp of the last record, or what Advance has reached
}

// CampaignAccount is how a campaign stands.
type CampaignAccount struct {
	Terms           // without Name and Version
	Date     int32  // last local date, days since 1970
	Today    Totals // on that date
	Hour     uint32 // the last one in which something happened, since 1970, UTC
	ThisHour Totals // in that hour
	Ever     Totals
	Taken    []int64 // coupons that are taken, as Coupons are ordered
}

// AdvertiserAccount is how an advertiser stands.
type AdvertiserAccount struct {
	Advertiser      hexbid.UID
	Paused, Deleted bool
	Prepaid         bool  // charges must be covered by Ever.Balance
	Date            int32 // last date of its statement, days since 1970
	Today           AdvertiserTotals
	Ever            AdvertiserTotals
}

// NoLimit stands for a limit that there is not.
const NoLimit hexbid.Money = math.MaxInt64

// Left is what a campaign may still be charged, NoLimit where there is no limit.
type Left struct{ Daily, Total, Balance, Min hexbid.Money }

// Point is a record as the chain has it.
type Point struct {
	Sequence uint64
	Tail     Hash // its hash
	At       int64
}

// New returns the books before the first record.
func New() *Books { panic("not yet") }

// Last returns the last record that was applied; Sequence 0 for none.
func (b *Books) Last() Point { panic("not yet") }

// CatalogueVersion returns the version that the last terms or the last checkpoint came with.
func (b *Books) CatalogueVersion() uint64 { panic("not yet") }

// Epoch returns the present epoch; Number 0 before the first record.
func (b *Books) Epoch() Epoch { panic("not yet") }

// Counts returns how many campaigns and advertisers there are, deleted ones too.
func (b *Books) Counts() (campaigns, advertisers int) { panic("not yet") }

// Campaign returns how a campaign stands; false for one without terms.
func (b *Books) Campaign(uid hexbid.UID) (CampaignAccount, bool) { panic("not yet") }

// Advertiser returns how an advertiser stands; false for one without terms.
func (b *Books) Advertiser(uid hexbid.UID) (AdvertiserAccount, bool) { panic("not yet") }

// Left returns what a campaign may still be charged on a local date of its own. A date before its last one counts as the
// last one. A campaign without terms may be charged nothing.
func (b *Books) Left(uid hexbid.UID, date int32) Left { panic("not yet") }

// Used reports whether a token's impression, click or claim is used up. Of conversions, and of tokens whose click has
// expired, books know nothing.
func (b *Books) Used(kind hexbid.EventKind, name token.Name) bool { panic("not yet") }

// SameTerms reports whether terms would change nothing but the catalogue's version.
func (b *Books) SameTerms(t *Terms) bool { panic("not yet") }

// SameAdvertiser reports whether terms would change nothing but the catalogue's version.
func (b *Books) SameAdvertiser(t *AdvertiserTerms) bool { panic("not yet") }

// Zone returns the time zone of a campaign, which its date must be computed in.
func (b *Books) Zone(campaign hexbid.UID) (zone unique.Handle[string], ok bool) { panic("not yet") }

// Advance brings the books to a stamp: totals of an hour that has ended become final, tokens whose click has expired are
// forgotten. A stamp behind the last one changes nothing. Rows that follow go to w. Call it before the records of a
// stamp are judged.
func (b *Books) Advance(at int64, w *journal.Batch) { panic("not yet") }

// Judge fills in an event's outcome, what is charged, whether a click implies its impression, and dates put forward. It
// changes nothing. The event is judged at the instant that Advance has reached. An outcome that does not use up the
// token's kind (UsesUp) makes no record. The owner looks conversions up itself: Judge takes each as the first, of a token
// with a recorded click. Its error is of kind Exhausted: there are too many issuers with tokens in use.
func (b *Books) Judge(e *Event) error { panic("not yet") }

// JudgeMovement fills in a movement's date, put forward, and the balance after it. Its error says what forbids it
// (NotFound, Invalid, or Exhausted for more than the balance has).
func (b *Books) JudgeMovement(m *Movement) error { panic("not yet") }

// JudgeCredit fills in a credit's dates and the balance after it. Its error says what forbids it.
func (b *Books) JudgeCredit(r *Credit) error { panic("not yet") }

// HourToClose returns the body of the record that closes the open hour, once Advance has passed it; nil if none is to be
// closed.
func (b *Books) HourToClose() *HourClosed { panic("not yet") }

// HourToOpen reports whether an HourOpened of HourOf(at) must come before a record that charges something. An hour that
// is open still must be closed before.
func (b *Books) HourToOpen() (hour uint32, due bool) { panic("not yet") }

// Next makes the record that follows, at the instant that Advance has reached.
func (b *Books) Next(body Body) Record { panic("not yet") }

// Apply takes a record in. Rows that follow from it go to w, which is nil when the record is replayed and its rows are
// there already. Its error is of kind DataLoss, for a record that does not follow the last one or that says other than
// the books judge; the books are of no use then.
func (b *Books) Apply(r *Record, encoded []byte, w *journal.Batch) error { panic("not yet") }

// Settle puts the rows of totals that records have changed since the last call: of hours, days and advertisers' days.
// Call it once a batch, or once for several: the rows are behind the records in between.
func (b *Books) Settle(w *journal.Batch) { panic("not yet") }

// Checkpoint puts the rows of state that changed since the last checkpoint, and returns the body of a record that
// commits to them. The owner applies that record next, at the same instant and in the same batch. version is that of the
// catalogue that the ledger has taken in, at least CatalogueVersion.
func (b *Books) Checkpoint(version uint64, w *journal.Batch) *Checkpoint { panic("not yet") }

// CheckpointBase puts the rows of state that changed since RestoreBase into journal.Base. The owner has applied the
// records up to the one that compaction has reached.
func (b *Books) CheckpointBase(w *journal.Batch) Digest { panic("not yet") }

// Restore returns the books of the last checkpoint. The owner applies the records after Last. It checks the rows against
// the checkpoint's record, and returns a DataLoss error if they differ.
func Restore(v journal.View) (*Books, error) { panic("not yet") }

// RestoreBase returns the books as at the record that compaction has reached; the books before the first record if there
// is none.
func RestoreBase(v journal.View) (*Books, error) { panic("not yet") }
