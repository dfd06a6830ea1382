// Package ledger owns money: it records events and changes of budgets and balances in a journal, and answers from it.
//
// One goroutine, the owner, holds the books (package fold) and judges everything in one order. It gathers what it
// judges into batches. Another goroutine, the writer, commits one batch at a time. A caller learns its answer only after
// the sync of the batch that its answer rests on. So nothing is acknowledged that a crash could take back.
//
// The owner stamps: it reads the clock, time zones and what is known of viewers, and writes what it read into the
// record. The fold reads records alone, so the same journal always gives the same books.
package ledger

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// Options say how a ledger works. Journal is required; everything else has a default.
type Options struct {
	Journal journal.Journal // the caller closes it, after the ledger

	// Wall reads the wall clock, and Monotonic a clock that nobody sets, from any start.
	Wall      func() time.Time
	Monotonic func() time.Duration
	// LoadLocation finds a time zone by its IANA name. The zones of campaigns are cached.
	LoadLocation func(name string) (*time.Location, error)
	// Zone is the one that dates of balances and statements are in. The default is UTC.
	Zone *time.Location
	// AllowAhead opens a journal whose last record is ahead of the wall clock by more than ten seconds. Its time then
	// runs a little slower until the wall clock has caught up.
	AllowAhead bool

	BatchAge     time.Duration // how long a batch waits for more before it is written; 0: until the writer is free
	BatchRecords int           // how many records make a batch full; 4,096 by default
	// A checkpoint is written after so many records, or when records are there and so much time has passed. They bound
	// what a start replays. The defaults are 200,000 records and a minute.
	CheckpointRecords int
	CheckpointAge     time.Duration
	// Retention is how long events that billed nothing keep their records. Later they are compacted into hourly totals.
	// It is at least ten days; 400 days by default.
	Retention time.Duration

	Random io.Reader    // of salts and of the ledger's id; crypto/rand by default
	Log    *slog.Logger // slog.Default() by default
}

// Defaults of Options.
const (
	defaultBatchRecords      = 4096
	defaultCheckpointRecords = 200_000
	defaultCheckpointAge     = time.Minute
	DefaultRetention         = 400 * 24 * time.Hour
	// minRetention is longer than answers to events last, because they are read from the records.
	minRetention = 10 * 24 * time.Hour
)

// Event is an event with the content of its opened token.
type Event struct {
	Kind    hexbid.EventKind
	Name    token.Name
	Award   *token.Award
	EventID string       // the client's own name for the event, 1 to hexbid.MaxEventIDBytes
	Value   hexbid.Money // of a conversion
	Verdict fold.Verdict // on the viewer; the ledger itself finds out who has a coupon already
	Reason  uint8        // why it is filtered
}

// Answer is the outcome of an event.
type Answer struct {
	Outcome hexbid.EventOutcome
	Charged hexbid.Money
	// Sequence and Hash name the event's record. They are zero for an event that was answered without one.
	Sequence uint64
	Hash     [32]byte
	Again    bool // it is the first answer to this event, given once more
}

// Moved is the answer to a movement or a credit.
type Moved struct {
	Sequence uint64 // of its record
	Hash     [32]byte
	At       time.Time // the record's stamp
	Posted   int32     // the date that statements list it under, days since 1970
	Amount   hexbid.Money
	Balance  hexbid.Money // of the advertiser right after it
	Again    bool         // it is the first answer to this request id, given once more
}

// Open opens the ledger that a journal holds, and begins one in an empty journal.
func Open(ctx context.Context, o Options) (*Ledger, error) { panic("not yet") }

// Ledger is an open ledger. Its methods may be called from any goroutine. Errors are *hexbid.Error: Unavailable while
// nothing can be acknowledged, DataLoss if the journal is damaged, others as the methods say; or a context's.
type Ledger struct{}

// Record records events and returns the answer to each, in order. What the answers rest on is on disk by then. A
// context that ends returns its error; an event that is queued by then may still be recorded, and returns its first
// answer when it is sent again.
func (l *Ledger) Record(ctx context.Context, events []Event) ([]Answer, error) { panic("not yet") }

// Count counts events that were answered without the ledger: forged and refused ones. A crash may lose the last
// seconds of these counts.
func (l *Ledger) Count(outcome hexbid.EventOutcome, n int) { panic("not yet") }

// SetTerms takes the billing fields of campaigns and advertisers as of a version of the catalogue. When it returns they
// are durable, and so is everything before them. Terms equal to those in force write nothing. Version 0 leaves the
// ledger's version as it is: for all but the last part of terms that are shared among several calls.
func (l *Ledger) SetTerms(ctx context.Context, version uint64, campaigns []fold.Terms,
	advertisers []fold.AdvertiserTerms) error {
	panic("not yet")
}

// CatalogueVersion returns the version of the catalogue that the ledger's terms are as of. A feed resumes there.
func (l *Ledger) CatalogueVersion() uint64 { panic("not yet") }

// Move tops an advertiser's balance up, withdraws from it, or changes how it is billed. The same request id and content
// return the first answer; the same id with other content is refused as AlreadyExists. The date is the ledger's to set.
func (l *Ledger) Move(ctx context.Context, m fold.Movement) (Moved, error) { panic("not yet") }

// Credit gives charges back, by charge or by campaign. Request ids are as for Move.
func (l *Ledger) Credit(ctx context.Context, c fold.Credit) (Moved, error) { panic("not yet") }

// Standing is a campaign's account and what is left of its limits.
type Standing struct {
	fold.CampaignAccount
	LocalDate int32     // the campaign's present date, days since 1970, never below Date
	Left      fold.Left // on LocalDate
	AsOf      uint64    // the last record that the account includes
}

// Campaign returns how a campaign stands. It is NotFound for a uid that never had terms.
func (l *Ledger) Campaign(ctx context.Context, uid hexbid.UID) (Standing, error) { panic("not yet") }

// Campaigns returns up to limit campaigns with a uid above after, in the order of uids, deleted ones too.
func (l *Ledger) Campaigns(ctx context.Context, after hexbid.UID, limit int) ([]Standing, error) {
	panic("not yet")
}

// Advertiser returns how an advertiser stands. It is NotFound for a uid that never had terms.
func (l *Ledger) Advertiser(ctx context.Context, uid hexbid.UID) (fold.AdvertiserAccount, error) {
	panic("not yet")
}

// Advertisers returns up to limit advertisers with a uid above after, in the order of uids, deleted ones too.
func (l *Ledger) Advertisers(ctx context.Context, after hexbid.UID, limit int) ([]fold.AdvertiserAccount, error) {
	panic("not yet")
}

// Watch begins to watch accounts. Close ends it.
func (l *Ledger) Watch() *Watch { panic("not yet") }

// Watch tells of accounts that have changed.
type Watch struct{}

// Changes are accounts as they stand after the last change that is durable.
type Changes struct {
	Campaigns   []Standing
	Advertisers []fold.AdvertiserAccount
}

// Next waits for changes and returns them, each account once however often it changed. The first calls return all
// accounts, deleted ones too, at most 10,000 a call.
func (w *Watch) Next(ctx context.Context) (Changes, error) { panic("not yet") }

// Close ends the watch.
func (w *Watch) Close() { panic("not yet") }

// View returns the journal's last synced state. The caller closes it.
func (l *Ledger) View() (journal.View, error) { panic("not yet") }

// KeepOutstanding writes rows of journal.Outstanding without a sync of their own: they are durable with the next record.
func (l *Ledger) KeepOutstanding(rows []journal.Row) error { panic("not yet") }

// Hold runs f between two batches: everything that was acknowledged is on disk, and nothing is written until f returns.
func (l *Ledger) Hold(ctx context.Context, f func() error) error { panic("not yet") }

// Now returns the ledger's time, which never goes back.
func (l *Ledger) Now() time.Time { panic("not yet") }

// Failed is closed when the journal has failed. From then on nothing is acknowledged, and Failure says why.
func (l *Ledger) Failed() <-chan struct{} { panic("not yet") }

// Failure returns why nothing can be acknowledged at present, nil if all is well. Beside a failed journal this is a
// machine's clock that is wrong; that failure goes when the clock is right again.
func (l *Ledger) Failure() error { panic("not yet") }

// Close writes what is queued and a checkpoint, and ends the ledger. The journal stays open.
func (l *Ledger) Close() error { panic("not yet") }

var _ = rand.Reader
