package pebble

import (
	"context"
	"errors"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// Options says how to open a store.
type Options struct {
	Dir      string
	Currency string // recorded at first; another is refused later
	// AcceptLoss opens a catalogue that has lost acknowledged writes, and records the loss. AcceptedLoss reports
	// whether that was needed.
	AcceptLoss bool
	// Retention of the log of changes; store.DefaultRetention when it is zero.
	Retention store.Retention
	FS        vfs.FS       // the real one when nil
	Log       *slog.Logger // slog.Default when nil
	// Context stops Open when it ends while Open brings over a folder of an earlier format, which may take minutes. The
	// next Open continues from there. Nil for no stop.
	Context context.Context

	entriesABatch int // of bringing over; entriesABatch when 0
}

// complete fills in what the caller has left out.
func (o *Options) complete() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Context == nil {
		o.Context = context.Background()
	}
	if o.Retention == (store.Retention{}) {
		o.Retention = store.DefaultRetention
	}
}

// folder says how to open the store's folder.
func (o *Options) folder() folder.Options {
	return folder.Options{Dir: o.Dir, FS: o.FS, Log: o.Log, AcceptLoss: o.AcceptLoss, Position: clockVersion,
		Terms: folder.Terms{Content: "catalogue", Unit: "version", Meanwhile: "searches go on"}, Magic: witnessMagic,
		RestBytes: witnessRest, CacheBytes: cacheBytes}
}

// clockVersion returns the version of a row that holds the clock, which is in every batch.
func clockVersion(key, value []byte) (uint64, bool) {
	if string(key) != string(keyClock) {
		return 0, false
	}
	c, ok := decodeClock(value)
	return c.version, ok
}

// Open opens or creates a store. Its error says what prevents that and what to do: another process, another format,
// another currency, a disk that refuses (Unavailable), or a damaged file or lost writes (DataLoss).
func Open(o Options) (*Store, error) {
	o.complete()
	if err := o.Retention.Validate(); err != nil {
		return nil, err
	}
	s := &Store{retention: o.Retention, closing: make(chan struct{}), queue: make(chan *request, requestsWaiting),
		free: make(chan struct{}), staged: make(chan *round), stagerEnded: make(chan struct{}),
		pruneSoon: make(chan struct{}, 1)}
	var err error
	if s.folder, err = folder.Open(o.folder()); err != nil {
		return nil, err
	}
	if err := s.open(&o); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// open reads the folder, which Pebble has opened.
func (s *Store) open(o *Options) error {
	if err := s.checkFormat(o.Currency); err != nil {
		return err
	}
	if err := s.readBringOver(); err != nil {
		return err
	}
	if err := s.readClock(); err != nil {
		return err
	}
	if err := s.compare(); err != nil {
		return err
	}
	if err := s.bringOver(o); err != nil {
		return err
	}
	if err := s.recount(o.Context); err != nil {
		return err
	}
	if err := s.indexLog(o.Context); err != nil {
		return err
	}
	return s.start()
}

// start publishes the first view and starts the store's goroutines.
func (s *Store) start() error {
	if err := s.folder.Start(); err != nil {
		return err
	}
	latest, err := s.latestChange()
	if err != nil {
		return err
	}
	s.tape = store.NewTape(s.clock.version, s.Log)
	if err := s.publish(&view{clock: s.clock, latest: latest}); err != nil {
		return err
	}
	s.pruneSoon <- struct{}{} // the retention may be shorter than before
	for _, run := range []func(){s.stageRounds, s.writeRounds, s.pruneLog} {
		s.running.Go(run)
	}
	return s.Failure() // of a background goroutine of Pebble's
}
