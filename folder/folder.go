// Package folder keeps a Pebble folder of which nothing that was acknowledged gets lost unnoticed. Engines on disk
// build on it; they decide what stands in the folder.
//
// A folder has a position, a number that every batch of its owner raises. The owner writes the position in each batch
// and, once the batch is synced, in the witness: a small file beside the folder (witness.go). Open compares the logs of
// writes with the witness, and with what the logs themselves say was synced (logs.go). A Pebble that cannot go on after
// a failed write is contained: the folder refuses writes from then on, says why, and still serves reads (failure.go,
// write.go).
package folder

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
)

const (
	// minFreeBytes is the free space that a batch demands. A refusal before writing leaves the folder whole.
	minFreeBytes = 64 << 20
	// syncEvery spaces the syncs of the witness.
	syncEvery = 500 * time.Millisecond
	// closeWithin bounds how long Pebble may take to close.
	closeWithin = 30 * time.Second
)

// Terms are the words of an owner in errors and in the log.
type Terms struct {
	Content   string // what stands in the folder, as in "catalogue"
	Unit      string // what a position counts, as in "version"
	Meanwhile string // what a folder that failed still does, as in "searches go on"
}

// Options says how to open a folder.
type Options struct {
	Dir   string
	FS    vfs.FS
	Log   *slog.Logger
	Terms Terms
	// AcceptLoss opens a folder that has lost acknowledged writes. Missing then says what is lost.
	AcceptLoss bool
	// Position returns the position that a row of a batch states, if it states one.
	Position func(key, value []byte) (position uint64, ok bool)
	// Magic are the first eight bytes of the witness, and RestBytes the length of Testimony.Rest.
	Magic     string
	RestBytes int
	// CacheBytes bounds the cache of blocks.
	CacheBytes int64
}

// Folder is an open folder, locked against other processes.
type Folder struct {
	DB      *pebble.DB
	Witness *Witness  // nil before Testify
	Said    Testimony // what the witness said at Open
	// Witnessed reports whether the witness existed at Open and could be read.
	Witnessed bool

	Options
	lock      *pebble.Lock
	cleaner   cleaner
	olderLogs []LogFile
	missing   []string // descriptions of what is lost

	place      []guarded // files that must stay in their place
	currentLog atomic.Pointer[guarded]
	snapshots  sync.WaitGroup // counts all that are held
	watching   sync.WaitGroup
	closing    chan struct{}

	failed   chan struct{} // closed when the folder cannot go on
	failOnce sync.Once
	failure  atomic.Pointer[hexbid.Error]
	// corruptFiles are the paths of damaged files that were logged.
	corruptFiles sync.Map
	stuckOnce    sync.Once
	stuck        chan struct{} // closed when Pebble neither goes on nor closes
	inUse        atomic.Bool   // an error on a log of writes stops Pebble (contain.go)
}

// Open locks a folder, made if need be, and opens it with Pebble. Its error says what prevents that and what to do:
// another process, a disk that refuses (Unavailable), or a damaged file or lost writes (DataLoss). The owner then
// compares the content with Said, and calls Testify and Start.
func Open(o Options) (*Folder, error) {
	f := &Folder{Options: o, cleaner: hold(pebble.DeleteCleaner{}.Clean), failed: make(chan struct{}),
		stuck: make(chan struct{}), closing: make(chan struct{})}
	if err := f.lockDir(); err != nil {
		return nil, err
	}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.Close(func() {}, nil))
	}
	return f, nil
}

func (f *Folder) lockDir() (err error) {
	if err := MakeDir(f.FS, f.Dir); err != nil {
		return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s cannot be made: %v", f.Dir, err)
	}
	if f.lock, err = pebble.LockDirectory(f.Dir, f.FS); err != nil {
		return hexbid.Errorf(hexbid.Unavailable, "data",
			"folder %s is in use by another process, or not writable: %v", f.Dir, err)
	}
	return nil
}

// open opens the folder, which is locked already.
func (f *Folder) open() error {
	if err := f.inspect(); err != nil {
		return err
	}
	return f.openWithLogs()
}

// openPebble opens the folder with Pebble. When Pebble gives up, its goroutine never returns and is abandoned. After
// that, and after a panic, the files that Pebble has opened stay open.
func (f *Folder) openPebble() error {
	opened, failed := make(chan *pebble.DB, 1), make(chan error, 1)
	go func() {
		failed <- hexbid.Contain(func() error {
			db, err := pebble.Open(f.Dir, f.pebbleOptions())
			opened <- db
			return err
		})
	}()
	select {
	case err := <-failed:
		if err != nil {
			return f.doesNotOpen(err)
		}
		f.DB = <-opened
		f.inUse.Store(true)
		return nil
	case <-f.stuck:
		return f.Failure()
	}
}

func (f *Folder) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 &containing{f.FS, f.Dir, &f.inUse, f.gaveUp},
		Lock:               f.lock,
		Logger:             &logger{log: f.Log, gaveUp: f.gaveUp},
		EventListener:      &pebble.EventListener{DataCorruption: f.corrupted, WALCreated: f.logCreated},
		Cleaner:            f.cleaner,
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       32 << 20,
		CacheSize:          f.CacheBytes,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// doesNotOpen returns the error for a folder that Pebble refuses.
func (f *Folder) doesNotOpen(err error) error {
	kind := hexbid.DataLoss
	if system := syscall.Errno(0); errors.As(err, &system) && system != syscall.ENOENT {
		kind = hexbid.Unavailable // the system refuses, the files may be whole
	}
	return hexbid.Errorf(kind, "data", "folder %s does not open: %v; if a file is damaged or missing, restore the %s "+
		"from a copy", f.Dir, err, f.Terms.Content)
}

// Testify replaces the witness with one that says what the folder now holds.
func (f *Folder) Testify(t Testimony) (err error) {
	f.Witness, err = NewWitness(&f.Options, t)
	return err
}

// DeleteObsolete deletes the files that Pebble no longer needs. Before its first call they stay, because a damaged
// manifest makes good files look obsolete. The owner calls it when it has found the content whole.
func (f *Folder) DeleteObsolete() { f.cleaner.release() }

// Start records the files that must stay in place and watches them and the witness until the folder closes.
func (f *Folder) Start() error {
	for _, path := range []string{f.FS.PathJoin(f.Dir, "LOCK"), f.Witness.Path} {
		file, err := f.guard(path)
		if err != nil {
			return f.Unreadable(err)
		}
		f.place = append(f.place, file)
	}
	f.watching.Go(f.watch)
	return f.Failure() // of a background goroutine of Pebble's
}

// watch syncs the witness and checks that the folder is still in its place, at every tick, until the folder fails or
// closes.
func (f *Folder) watch() {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.closing:
			return
		case <-f.failed:
			return
		case <-tick.C:
			if err := f.Witness.sync(); err != nil {
				f.WitnessFailed(err)
			}
			f.checkAll()
		}
	}
}

// Close closes the folder within a bounded time, because a disk that hangs may hold Pebble or the witness for ever. It
// first calls wait, which returns when the owner's goroutines have let go of the folder, and waits for the snapshots.
// It calls last, which may be nil, when everything was closed in order, and puts what that says in the witness.
func (f *Folder) Close(wait func(), last func() Testimony) error {
	close(f.closing)
	closed := make(chan error, 1)
	go func() { closed <- f.closeAll(wait, last) }()
	bound := time.NewTimer(closeWithin)
	defer bound.Stop()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("folder: %w", err)
		}
		return nil
	case <-bound.C:
		return fmt.Errorf("folder: %s did not close within %s: it is as a kill would leave it", f.Dir, closeWithin)
	}
}

// closeAll closes a Pebble that is not stuck, and the witness last.
func (f *Folder) closeAll(wait func(), last func() Testimony) error {
	wait()
	f.watching.Wait()
	f.snapshots.Wait() // no reader may find Pebble closed
	var err error
	if !f.isStuck() {
		if f.DB != nil {
			f.inUse.Store(false)
			err = f.DB.Close()
		}
		err = errors.Join(err, f.lock.Close())
	}
	if f.Witness == nil {
		return err
	}
	if last != nil && err == nil && f.failure.Load() == nil {
		err = f.Witness.Swear(last())
	}
	return errors.Join(err, f.Witness.Close())
}
