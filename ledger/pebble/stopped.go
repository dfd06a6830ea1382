package pebble

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Stopped is a journal that no server has open. It is read as it lies there: nothing of it changes, and nothing that is
// missing or contradicts itself keeps it from being read. It is a journal.View.
type Stopped struct {
	reader
	db      *pebble.DB
	lock    *pebble.Lock
	end     end
	witness end
	// witnessed reports whether the witness exists and can be read.
	witnessed bool
}

var _ journal.View = (*Stopped)(nil)

// OpenStopped opens the journal in a folder to read it, and keeps servers out until Close. Its error says what prevents
// that: no journal, another process or another format (Unavailable), or files that are damaged (DataLoss).
func OpenStopped(dir string) (*Stopped, error) {
	options := folder.Options{Dir: dir, FS: vfs.Default, Magic: witnessMagic, RestBytes: witnessRest,
		Terms: folder.Terms{Content: "ledger"}}
	if _, err := options.FS.Stat(options.FS.PathJoin(dir, "LOCK")); errors.Is(err, fs.ErrNotExist) {
		return nil, hexbid.Errorf(hexbid.NotFound, "data", "folder %s holds no ledger", dir)
	}
	s := &Stopped{reader: reader{folder: &folder.Folder{Options: options}}}
	var err error
	if s.lock, err = pebble.LockDirectory(dir, options.FS); err != nil {
		return nil, hexbid.Errorf(hexbid.Unavailable, "data",
			"folder %s is in use, stop the server first, or it is not "+
				"writable: %v", dir, err)
	}
	if err := hexbid.Contain(s.open); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Stopped) open() (err error) {
	o := &s.folder.Options
	s.db, err = pebble.Open(o.Dir, &pebble.Options{FS: o.FS, Lock: s.lock, ReadOnly: true, Logger: silent{},
		CacheSize: cacheBytes})
	if err != nil {
		return hexbid.Errorf(hexbid.DataLoss, "data", "folder %s does not open: %v", o.Dir, err)
	}
	s.reader.Reader = s.db
	format, err := s.own(keyFormat)
	if err != nil {
		return err
	}
	if string(format) != Format {
		return hexbid.Errorf(hexbid.Unavailable, "data", "folder %s has format %q, this program reads %q", o.Dir,
			format,
			Format)
	}
	value, err := s.own(keyEnd)
	if err != nil {
		return err
	}
	s.end, _ = decodeEnd(value) // none is none
	if said, ok := folder.ReadWitness(o); ok {
		s.witness, s.witnessed = witnessed(said), true
	}
	return s.findLast()
}

// own reads one of the engine's own keys, nil for none.
func (s *Stopped) own(key []byte) ([]byte, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, s.folder.Unreadable(err)
	}
	defer closer.Close()
	return append([]byte{}, value...), nil
}

// findLast finds the last record that is there, whatever the end says.
func (s *Stopped) findLast() error {
	return s.ScanBack(journal.Records, nil, nil, func(key, _ []byte) (bool, error) {
		var err error
		s.last, err = fold.DecodeIndex(key)
		return false, err
	})
}

// End returns the last record as the journal says it was, without its stamp.
func (s *Stopped) End() fold.Point { return fold.Point{Sequence: s.end.last, Tail: s.end.tail} }

// Witness returns the last record as the witness beside the folder has it, without its stamp. It returns false when
// there is no witness that can be read.
func (s *Stopped) Witness() (fold.Point, bool) {
	return fold.Point{Sequence: s.witness.last, Tail: s.witness.tail}, s.witnessed
}

// Close lets servers in again. Pebble panics when it closes after it has met a damaged block; there is nothing that it
// could lose.
func (s *Stopped) Close() error {
	if s.db != nil {
		_ = hexbid.Contain(s.db.Close)
	}
	return s.lock.Close()
}

// silent is a logger for a Pebble that only reads. What it would log comes back as errors.
type silent struct{}

// Infof implements pebble.Logger.
func (silent) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (silent) Errorf(string, ...any) {}

// Fatalf implements pebble.Logger. It panics instead of ending the process.
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
