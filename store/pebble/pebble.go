// Package pebble keeps the catalogue in a Pebble folder.
//
// Keys:
//
//	m/format    version of this layout, decimal
//	m/currency  the deployment's currency
//	m/clock     last version and last uid, big-endian
//	r/K NAME    a record; K is a byte for its kind
//	u/UID       its name, by its uid, big-endian
//
// A batch is one Pebble batch, synced before the answer. When the disk refuses
// a write, Pebble cannot go on: the store then refuses every later write and
// still serves reads, until the process is restarted on a disk with room.
package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Format is the version of the layout on disk. The first had no names by uid:
// a folder of it is given them when it is opened.
const (
	Format      = "2"
	firstFormat = "1"
)

// minFreeBytes is the room that a commit wants to see on the disk: a refusal
// before writing leaves the store whole.
const minFreeBytes = 64 << 20

// cacheBytes bounds the cache of blocks: writes look up what they refer to.
const cacheBytes = 256 << 20

// levels filter names that are not there: most lookups of an import are of names
// that it is about to create.
func levels() (all [7]pebble.LevelOptions) {
	for i := range all {
		all[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return all
}

// Options open a store.
type Options struct {
	Dir      string
	Currency string       // recorded at first; another is refused later
	FS       vfs.FS       // the real one when nil
	Log      *slog.Logger // slog.Default when nil
}

// Store is a store.Store on Pebble.
type Store struct {
	db   *pebble.DB
	lock *pebble.Lock
	dir  string
	fs   vfs.FS
	tape *store.Tape

	commit  sync.Mutex // guards version and lastUID, and orders commits
	version uint64
	lastUID hexbid.UID

	failed   chan struct{} // closed when Pebble cannot go on
	failOnce sync.Once
	failure  atomic.Pointer[string]
	closed   atomic.Bool
}

var (
	keyFormat   = []byte("m/format")
	keyCurrency = []byte("m/currency")
	keyClock    = []byte("m/clock")
)

// Open opens or creates a store. Its error says what stands in the way:
// another process, another format, another currency, a disk that refuses.
func Open(o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Store{dir: o.Dir, fs: o.FS, tape: store.NewTape(), failed: make(chan struct{})}
	var err error
	if s.lock, err = lockDir(o.FS, o.Dir); err != nil {
		return nil, err
	}
	s.db, err = pebble.Open(o.Dir, &pebble.Options{
		FS:                 o.FS,
		Lock:               s.lock,
		Logger:             &logger{log: o.Log, fail: s.fail},
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       32 << 20,
		CacheSize:          cacheBytes,
		Levels:             levels(),
	})
	if err != nil {
		return nil, errors.Join(hexbid.Errorf(hexbid.Unavailable, "data", "folder %s does not open: %v", o.Dir, err), s.lock.Close())
	}
	if err := errors.Join(s.checkFormat(o.Currency), s.readClock()); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func lockDir(fs vfs.FS, dir string) (*pebble.Lock, error) {
	if err := fs.MkdirAll(dir, 0o750); err != nil {
		return nil, hexbid.Errorf(hexbid.Unavailable, "data", "folder %s cannot be made: %v", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, hexbid.Errorf(hexbid.Unavailable, "data", "folder %s is in use by another process, or not writable: %v", dir, err)
	}
	return lock, nil
}

// checkFormat records format and currency in a new folder, and refuses others
// in an old one.
func (s *Store) checkFormat(currency string) error {
	format, err := s.read(keyFormat)
	if err != nil {
		return err
	}
	if format == nil {
		batch := s.db.NewBatch()
		_ = batch.Set(keyFormat, []byte(Format), nil) // a batch in memory takes every Set
		_ = batch.Set(keyCurrency, []byte(currency), nil)
		return s.write(batch)
	}
	if string(format) == firstFormat {
		if err := s.nameUIDs(); err != nil {
			return err
		}
	} else if string(format) != Format {
		return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s has format %q, this program reads %q: use the program that wrote it, "+
			"or export and import the catalogue", s.dir, format, Format)
	}
	recorded, err := s.read(keyCurrency)
	if err == nil && string(recorded) != currency {
		err = hexbid.Errorf(hexbid.Unavailable, "currency", "folder %s is kept in %s, not %s: a catalogue has one currency for ever", s.dir, recorded, currency)
	}
	return err
}

// nameUIDs brings a folder of the first format to the present one.
func (s *Store) nameUIDs() error {
	batch := s.db.NewBatch()
	_, err := s.Scan(context.Background(), func(r store.Record) error {
		return batch.Set(uidKey(r.Meta().UID), []byte(r.Meta().Name), nil)
	})
	if err != nil {
		return err
	}
	_ = batch.Set(keyFormat, []byte(Format), nil) // a batch in memory takes every Set
	return s.write(batch)
}

func (s *Store) readClock() error {
	clock, err := s.read(keyClock)
	if err == nil && len(clock) == 16 {
		s.version, s.lastUID = binary.BigEndian.Uint64(clock), hexbid.UID(binary.BigEndian.Uint64(clock[8:]))
	}
	return err
}

// read copies a value; nil when there is none.
func (s *Store) read(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, s.unreadable(err)
	}
	defer closer.Close()
	return append([]byte{}, value...), nil
}

func (s *Store) unreadable(err error) error {
	return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s cannot be read: %v", s.dir, err)
}

func recordKey(kind hexbid.ResourceKind, name string) []byte {
	return append([]byte{'r', '/', byte(kind)}, name...)
}

func uidKey(uid hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64([]byte("u/"), uint64(uid))
}

// ByUID implements store.Store.
func (s *Store) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	if s.closed.Load() {
		return store.Record{}, errClosed
	}
	name, err := s.read(uidKey(uid))
	if err != nil {
		return store.Record{}, err
	}
	r, err := s.Get(ctx, string(name))
	return store.CheckUID(r, uid, err)
}

// Get implements store.Store.
func (s *Store) Get(_ context.Context, name string) (store.Record, error) {
	if s.closed.Load() {
		return store.Record{}, errClosed
	}
	r, ok, err := s.get(name)
	if err == nil && !ok {
		err = hexbid.Errorf(hexbid.NotFound, "name", "%q does not exist", hexbid.Shorten(name))
	}
	return r, err
}

var errClosed = hexbid.Errorf(hexbid.Unavailable, "", "the store is closed")

func (s *Store) get(name string) (r store.Record, ok bool, err error) {
	n, err := hexbid.ParseName(name)
	if err != nil {
		return r, false, nil
	}
	value, err := s.read(recordKey(n.Kind, name))
	if err != nil || value == nil {
		return r, false, err
	}
	r, err = s.decode(n.Kind, value)
	return r, err == nil, err
}

func (s *Store) decode(kind hexbid.ResourceKind, value []byte) (store.Record, error) {
	r, err := decode(kind, value)
	if err != nil {
		return r, s.unreadable(err)
	}
	return r, nil
}

// Watch implements store.Store.
func (s *Store) Watch() *store.Feed { return s.tape.Feed() }

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, f func(store.Record) error) (uint64, error) {
	if s.closed.Load() {
		return 0, errClosed
	}
	s.commit.Lock()
	snapshot, version := s.db.NewSnapshot(), s.version
	s.commit.Unlock()
	defer snapshot.Close()
	iter, err := snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte("r/"), UpperBound: []byte("r0")})
	if err != nil {
		return 0, s.unreadable(err)
	}
	defer iter.Close()
	if err := s.scanDecoded(ctx, iter, f); err != nil {
		return 0, err
	}
	return version, nil
}

// Close implements store.Store. It waits for a commit in progress.
func (s *Store) Close() error {
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.closed.Swap(true) || s.failure.Load() != nil {
		return nil // a failed Pebble cannot close either; the disk is as it is
	}
	return s.release()
}

func (s *Store) release() error {
	if err := errors.Join(s.db.Close(), s.lock.Close()); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
