// Package pebble keeps the catalogue in a Pebble folder, and a witness beside it.
//
// Keys, where K is a byte for a kind, 0 a zero byte, and numbers are big-endian:
//
//	m/format     version of this layout, decimal
//	m/currency   the deployment's currency
//	m/clock      how far the catalogue has come, what it must hold, and the ends of
//	             its log of changes (clock.go)
//	m/losses     the losses of acknowledged writes that an operator accepted
//	m/bringover  how far a folder of an older format is brought over
//	r/K NAME     a record
//	u/UID        the name of the record with a uid
//	d/K NAME     the data derived from a record: uid, version, By, Inputs, value (derived.go)
//	v/NAME       the operator's verdict on the place of a name, which may be gone
//	x/NAME 0 REFERRER   says that the record REFERRER refers to NAME
//	n/OWNER 0 COUNTER   a counter of an owner, a varint; absent when zero
//	c/VERSION    a change (changelog.go)
//	h/NAME 0 VERSION    says that the change of a version touched NAME
//
// Records, verdicts, changes and losses are messages of hexbid.disk.v1.
//
// Commits go through a stager and a writer (stager.go), which put many into one Pebble batch and sync it before they
// answer. Reads see only synced state (view.go). When the disk refuses a write, Pebble cannot go on. The store then
// refuses every later write and still serves reads, until the process is restarted on a disk with room. The store fails
// in the same way when it finds a file damaged or the folder gone.
//
// No acknowledged write is lost unnoticed. Package folder compares the logs of writes with what they say was synced
// and with the witness, and Open the clock with the witness (recovery.go). The first scan compares all records,
// verdicts and counters with the clock's sums, and names by uid and references with what the records say (scan.go).
// The log of changes is a chain of hashes between two ends that the clock holds.
package pebble

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
)

// Format is the version of the layout on disk. Open brings over folders of earlier formats.
const Format = "5"

// cacheBytes bounds the cache of blocks, which serves the lookups of writes.
const cacheBytes = 256 << 20

// Store is a store.Store on Pebble.
type Store struct {
	folder *folder.Folder
	tape   *store.Tape
	losses []store.Loss

	retention    store.Retention
	acceptedLoss bool // at this start
	// bringing records, while the store is opened, how far a folder of an earlier format is brought over. It is nil for
	// a folder of the present format.
	bringing *diskpb.BringOver

	// clock is what the folder held when it was opened. Afterwards each view has its own.
	clock clock
	given numbers // assigned last

	// The path of commits (stager.go).
	queue         chan *request
	takenRequests atomic.Int64  // number of requests that the stager has taken
	free          chan struct{} // the writer is ready for a round
	staged        chan *round
	stagerEnded   chan struct{}
	pruneSoon     chan struct{}
	synced        atomic.Pointer[view]

	witness witness
	running sync.WaitGroup // background goroutines, until the store closes
	closing chan struct{}
	closed  atomic.Bool
}

// Failed implements store.Durable.
func (s *Store) Failed() <-chan struct{} { return s.folder.Failed() }

// Failure implements store.Durable.
func (s *Store) Failure() error { return s.folder.Failure() }

// checkFormat refuses a folder of another format or currency.
func (s *Store) checkFormat(currency string) error {
	format, err := s.folder.Read(keyFormat)
	if err != nil || format == nil {
		return err
	}
	if string(format) != Format && string(format) != uncounted && !slices.Contains(earlierFormats, string(format)) {
		return hexbid.Errorf(hexbid.Unavailable, "data",
			"folder %s has format %q, this program reads %q: use the program that wrote it, "+
				"or export and import the catalogue", s.folder.Dir, format, Format)
	}
	recorded, err := s.folder.Read(keyCurrency)
	if err == nil && string(recorded) != currency {
		err = hexbid.Errorf(hexbid.Unavailable, "currency",
			"folder %s is kept in %s, not %s: a catalogue has one currency for ever", s.folder.Dir, recorded, currency)
	}
	return err
}

func (s *Store) readClock() error {
	value, err := s.folder.Read(keyClock)
	if err != nil || value == nil {
		return err
	}
	var ok bool
	if s.clock, ok = decodeClock(value); !ok {
		return s.folder.Damaged(fmt.Errorf("a clock of %d bytes", len(value)))
	}
	return nil
}

// ByUID implements store.Store.
func (s *Store) ByUID(_ context.Context, uid hexbid.UID) (r store.Record, err error) {
	err = s.reading(func(v *view) error {
		name, err := v.NameOf(uid)
		if err != nil {
			return err
		}
		r, _, err = v.Record(name)
		if err == nil && (r.Resource == nil || r.Meta().UID != uid) {
			r, err = store.Record{}, hexbid.Errorf(hexbid.NotFound, "uid", "%d does not exist", uid)
		}
		return err
	})
	return r, err
}

// Get implements store.Store.
func (s *Store) Get(_ context.Context, name string) (r store.Record, err error) {
	err = s.reading(func(v *view) error {
		there := false
		r, there, err = v.Record(name)
		if err == nil && !there {
			err = store.Missing("name", name)
		}
		return err
	})
	return r, err
}

// Verdict implements store.Store.
func (s *Store) Verdict(_ context.Context, name string) (verdict store.Verdict, err error) {
	err = s.reading(func(v *view) error {
		verdict, err = v.Verdict(name)
		return err
	})
	return verdict, err
}

// Counted implements store.Store.
func (s *Store) Counted(_ context.Context, owner string, c store.Counter) (value int64, err error) {
	err = s.reading(func(v *view) error {
		value, err = v.Counted(owner, c)
		return err
	})
	return value, err
}

// Version implements store.Store.
func (s *Store) Version() (version uint64) {
	_ = s.reading(func(v *view) error {
		version = v.clock.version
		return nil
	})
	return version
}

var errClosed = hexbid.Errorf(hexbid.Unavailable, "", "the store is closed")

func (s *Store) decode(kind hexbid.ResourceKind, value []byte) (store.Record, error) {
	decode := decode
	if s.bringing != nil && isEarlier(value) {
		decode = decodeEarlier
	}
	r, err := decode(kind, value)
	if err != nil {
		return r, s.folder.Damaged(err)
	}
	return r, nil
}

func (s *Store) decodeVerdict(value []byte) (store.Verdict, error) {
	decode := decodeVerdict
	if s.bringing != nil && isEarlier(value) {
		decode = decodeEarlierVerdict
	}
	v, err := decode(value)
	if err != nil {
		return v, s.folder.Damaged(err)
	}
	return v, nil
}

// Watch implements store.Store.
func (s *Store) Watch(after uint64) *store.Feed { return s.tape.Feed(after) }

// Close implements store.Store. It waits for the commits in progress, but not for a Pebble that cannot go on.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.tape.Close(errClosed)
	return s.release()
}

// release closes what is open within a bounded time.
func (s *Store) release() error {
	close(s.closing)
	err := s.folder.Close(func() {
		s.running.Wait()
		if last := s.synced.Swap(nil); last != nil {
			last.snapshot.Release()
		}
	}, s.witness.last)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
