// Package pebble keeps the catalogue in a Pebble folder, and a witness beside it.
//
// Keys:
//
//	m/format    version of this layout, decimal
//	m/currency  the deployment's currency
//	m/clock     last version and last uid, number of records and verdicts and the
//	            sum of their fingerprints, big-endian
//	m/losses    the losses of acknowledged writes that were accepted
//	r/K NAME    a record; K is a byte for its kind
//	u/UID       its name, by its uid, big-endian
//	v/NAME      the operator's verdict on the place of a name, which may be gone
//
// A batch is one Pebble batch, synced before the answer. When the disk refuses a
// write, Pebble cannot go on: the store then refuses every later write and still
// serves reads, until the process is restarted on a disk with room. So it is when a
// file is found damaged or the folder gone.
//
// Nothing acknowledged goes missing unnoticed. Three things are compared when a
// folder is opened: the logs of writes with what they say was synced (logs.go), the
// clock with the witness (witness.go), and all records and verdicts with the clock's sum, when
// they are first scanned (clock.go).
package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Format is the version of the layout on disk. The first had no names by uid, the
// second no tally and no witness: a folder of theirs is brought over when it is
// opened.
const (
	Format       = "3"
	firstFormat  = "1"
	secondFormat = "2"
)

const (
	// minFreeBytes is the room that a commit wants to see on the disk: a refusal
	// before writing leaves the store whole.
	minFreeBytes = 64 << 20
	// cacheBytes bounds the cache of blocks: writes look up what they refer to.
	cacheBytes = 256 << 20
	// syncEvery spaces the syncs of the witness.
	syncEvery = 500 * time.Millisecond
	// closeWithin bounds how long Pebble may take to close.
	closeWithin = 30 * time.Second
)

// Store is a store.Store on Pebble.
type Store struct {
	db      *pebble.DB
	lock    *pebble.Lock
	dir     string
	fs      vfs.FS
	log     *slog.Logger
	tape    *store.Tape
	cleaner cleaner
	losses  []store.Loss

	acceptedLoss bool // by this start

	commit  sync.Mutex // guards what follows, and orders commits
	clock   clock      // of the last commit
	version uint64     // last given out
	uid     hexbid.UID // last given out
	witness *witness

	place      []guarded // what must stay in its place
	currentLog atomic.Pointer[guarded]
	watching   sync.WaitGroup
	closing    chan struct{}

	failed   chan struct{} // closed when the store cannot go on
	failOnce sync.Once
	failure  atomic.Pointer[hexbid.Error]
	stuck    atomic.Bool // Pebble neither goes on nor closes
	closed   atomic.Bool
}

var (
	keyFormat   = []byte("m/format")
	keyCurrency = []byte("m/currency")
	keyClock    = []byte("m/clock")
	keyLosses   = []byte("m/losses")
)

// checkFormat refuses a folder of another format or another currency.
func (s *Store) checkFormat(currency string) error {
	format, err := s.read(keyFormat)
	if err != nil || format == nil {
		return err
	}
	if !slices.Contains([]string{firstFormat, secondFormat, Format}, string(format)) {
		return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s has format %q, this program reads %q: use the program that wrote it, "+
			"or export and import the catalogue", s.dir, format, Format)
	}
	recorded, err := s.read(keyCurrency)
	if err == nil && string(recorded) != currency {
		err = hexbid.Errorf(hexbid.Unavailable, "currency", "folder %s is kept in %s, not %s: a catalogue has one currency for ever", s.dir, recorded, currency)
	}
	return err
}

func (s *Store) readClock() error {
	value, err := s.read(keyClock)
	if err != nil || value == nil {
		return err
	}
	var ok bool
	if s.clock, ok = decodeClock(value); !ok {
		return damage("in "+s.dir, fmt.Errorf("a clock of %d bytes", len(value)))
	}
	return nil
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
		return r, damage("in "+s.dir, err)
	}
	return r, nil
}

// Watch implements store.Store.
func (s *Store) Watch() *store.Feed { return s.tape.Feed() }

// Scan implements store.Store. What it has found must add up to what commits
// counted: a DataLoss when records are missing, or old ones stand in their place.
func (s *Store) Scan(ctx context.Context, f func(store.Record) error) (uint64, error) {
	if s.closed.Load() {
		return 0, errClosed
	}
	s.commit.Lock()
	snapshot, version, want := s.db.NewSnapshot(), s.version, s.clock.tally
	s.commit.Unlock()
	defer snapshot.Close()
	found, err := s.walk(ctx, snapshot, f)
	if err != nil {
		return 0, err
	}
	if found != want {
		return 0, hexbid.Errorf(hexbid.DataLoss, "data", "the catalogue in %s does not add up (of %d records %d are there, or others in their place): "+
			"acknowledged writes are lost: %s", s.dir, want.records, found.records, orAcceptLoss)
	}
	s.cleaner.release()
	return version, s.Failure()
}

// Close implements store.Store. It waits for a commit in progress, and not for a
// Pebble that cannot go on.
func (s *Store) Close() error {
	s.commit.Lock()
	defer s.commit.Unlock()
	if s.closed.Swap(true) {
		return nil
	}
	return s.release()
}

// release gives back what is open, within a bounded time: a disk that hangs may
// hold Pebble or the witness for ever.
func (s *Store) release() error {
	close(s.closing)
	closed := make(chan error, 1)
	go func() { closed <- s.closeAll() }()
	bound := time.NewTimer(closeWithin)
	defer bound.Stop()
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		return nil
	case <-bound.C:
		return fmt.Errorf("store: %s did not close within %s: it is as a kill would leave it", s.dir, closeWithin)
	}
}

// closeAll closes a Pebble that is not stuck. The witness hears last that all went
// well.
func (s *Store) closeAll() error {
	s.watching.Wait()
	var err error
	if !s.stuck.Load() {
		if s.db != nil {
			err = s.db.Close()
		}
		err = errors.Join(err, s.lock.Close())
	}
	if s.witness != nil {
		err = errors.Join(err, s.witness.close(err == nil && s.failure.Load() == nil))
	}
	return err
}
