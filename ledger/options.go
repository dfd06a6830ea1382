package ledger

import (
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
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
	// what a start replays, some 3 µs a record. The defaults are 500,000 records and a minute.
	CheckpointRecords int
	CheckpointAge     time.Duration
	// Retention is how long events that billed nothing keep their records. Later they are compacted into hourly totals.
	// It is at least ten days, because first answers to events are read from the records; 400 days by default.
	Retention time.Duration

	// Traffic says which clicks are invalid traffic. The zero Limits filter none.
	Traffic traffic.Limits

	Random io.Reader    // of salts and of the ledger's id; crypto/rand by default
	Log    *slog.Logger // slog.Default() by default
}

// Defaults of Options.
const (
	defaultBatchRecords      = 4096
	defaultCheckpointRecords = 500_000
	defaultCheckpointAge     = time.Minute
	DefaultRetention         = 400 * 24 * time.Hour
	// minRetention is longer than answers to events last, because they are read from the records.
	minRetention = 10 * 24 * time.Hour
)

// complete fills in defaults and refuses what is out of range.
func (o *Options) complete() error {
	if o.Journal == nil {
		return hexbid.Invalidf("journal", "is missing: open one")
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.Retention < minRetention {
		return hexbid.Invalidf("retention", "%s: at least %s, because first answers to events are read from the records",
			o.Retention, minRetention)
	}
	if o.BatchAge < 0 || o.BatchRecords < 0 || o.CheckpointRecords < 0 || o.CheckpointAge < 0 {
		return hexbid.Invalidf("batch", "sizes and ages of batches and checkpoints are not negative")
	}
	if err := o.Traffic.Validate(); err != nil {
		return err
	}
	orDefault(&o.BatchRecords, defaultBatchRecords)
	orDefault(&o.CheckpointRecords, defaultCheckpointRecords)
	orDefault(&o.CheckpointAge, defaultCheckpointAge)
	o.completeSources()
	return nil
}

// completeSources fills in where time, zones, chance and messages come from.
func (o *Options) completeSources() {
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Monotonic == nil {
		start := time.Now()
		o.Monotonic = func() time.Duration { return time.Since(start) }
	}
	if o.LoadLocation == nil {
		o.LoadLocation = time.LoadLocation
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

func orDefault[T ~int | ~int64](value *T, standard T) {
	if *value == 0 {
		*value = standard
	}
}
