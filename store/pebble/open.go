package pebble

import (
	"context"
	"errors"
	"log/slog"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
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

// Open opens or creates a store. Its error says what prevents that and what to do: another process, another format,
// another currency, a disk that refuses (Unavailable), or a damaged file or lost writes (DataLoss).
func Open(o Options) (*Store, error) {
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
	if err := o.Retention.Validate(); err != nil {
		return nil, err
	}
	s := &Store{dir: o.Dir, fs: o.FS, log: o.Log, retention: o.Retention, cleaner: hold(pebble.DeleteCleaner{}.Clean),
		failed: make(chan struct{}), closing: make(chan struct{}), queue: make(chan *request, requestsWaiting),
		free: make(chan struct{}), staged: make(chan *round), stagerEnded: make(chan struct{}),
		pruneSoon: make(chan struct{}, 1)}
	var err error
	if s.lock, err = lockDir(o.FS, o.Dir); err != nil {
		return nil, err
	}
	if err := s.open(&o); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func lockDir(fs vfs.FS, dir string) (*pebble.Lock, error) {
	if err := makeDir(fs, dir); err != nil {
		return nil, hexbid.Errorf(hexbid.Unavailable, "data", "folder %s cannot be made: %v", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, hexbid.Errorf(hexbid.Unavailable, "data",
			"folder %s is in use by another process, or not writable: %v", dir, err)
	}
	return lock, nil
}

// open opens the folder, which is locked already.
func (s *Store) open(o *Options) error {
	r := recovery{store: s, accept: o.AcceptLoss}
	if err := r.inspect(); err != nil {
		return err
	}
	if err := r.openPebble(); err != nil {
		return err
	}
	if err := s.checkFormat(o.Currency); err != nil {
		return err
	}
	if err := s.readBringOver(); err != nil {
		return err
	}
	if err := s.readClock(); err != nil {
		return err
	}
	if err := r.compare(); err != nil {
		return err
	}
	if err := s.bringOver(o); err != nil {
		return err
	}
	return s.start()
}

// start records the files that must stay in place, publishes the first view, and starts the store's goroutines.
func (s *Store) start() error {
	for _, path := range []string{s.fs.PathJoin(s.dir, "LOCK"), s.witness.path} {
		file, err := s.guard(path)
		if err != nil {
			return s.unreadable(err)
		}
		s.place = append(s.place, file)
	}
	latest, err := s.latestChange()
	if err != nil {
		return err
	}
	s.tape = store.NewTape(s.clock.version, s.Log)
	s.publish(&view{clock: s.clock, latest: latest})
	s.pruneSoon <- struct{}{} // the retention may be shorter than before
	for _, run := range []func(){s.watch, s.stageRounds, s.writeRounds, s.pruneLog} {
		s.running.Go(run)
	}
	return s.Failure() // of a background goroutine of Pebble's
}

// openPebble opens the folder with Pebble. When Pebble gives up, its goroutine never returns and is abandoned. After
// that, and after a panic, the files that Pebble has opened stay open.
func (s *Store) openPebble() error {
	opened, failed := make(chan *pebble.DB, 1), make(chan error, 1)
	go func() {
		failed <- hexbid.Contain(func() error {
			db, err := pebble.Open(s.dir, s.pebbleOptions())
			opened <- db
			return err
		})
	}()
	select {
	case err := <-failed:
		if err != nil {
			return s.doesNotOpen(err)
		}
		s.db = <-opened
		return nil
	case <-s.failed:
		return s.Failure()
	}
}

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 s.fs,
		Lock:               s.lock,
		Logger:             &logger{log: s.log, gaveUp: s.gaveUp},
		EventListener:      &pebble.EventListener{DataCorruption: s.corrupted, WALCreated: s.logCreated},
		Cleaner:            s.cleaner,
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       32 << 20,
		CacheSize:          cacheBytes,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// doesNotOpen returns the error for a folder that Pebble refuses.
func (s *Store) doesNotOpen(err error) error {
	kind := hexbid.DataLoss
	if system := syscall.Errno(0); errors.As(err, &system) && system != syscall.ENOENT {
		kind = hexbid.Unavailable // the system refuses, the files may be whole
	}
	return hexbid.Errorf(kind, "data",
		"folder %s does not open: %v; if a file is damaged or missing, restore the catalogue from a copy", s.dir, err)
}

// watch syncs the witness and checks that the folder is still in its place, at every tick, until the store fails or
// closes.
func (s *Store) watch() {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-s.failed:
			return
		case <-tick.C:
			if err := s.witness.sync(); err != nil {
				s.witnessFailed(err)
			}
			s.checkPlace()
		}
	}
}

func (s *Store) witnessFailed(err error) {
	s.log.Error("the witness cannot be written", "file", s.witness.path, "error", err)
	s.fail(hexbid.Errorf(hexbid.Unavailable, "data",
		"the witness %s cannot be written (%v): searches go on, changes need a restart", s.witness.path, err))
}
