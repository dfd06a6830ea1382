package folder

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Snapshot is a state of the folder that counts its holders. When the last releases it, it closes Pebble's snapshot.
// Pebble shows a batch to readers before its sync has ended, so owners read through snapshots that they take between
// batches.
type Snapshot struct {
	*pebble.Snapshot
	folder  *Folder
	holders atomic.Int64
}

// Snapshot returns the present state, held once. Its error is the failure of a folder whose Pebble has given up.
func (f *Folder) Snapshot() (*Snapshot, error) {
	s := &Snapshot{folder: f}
	taken := make(chan *pebble.Snapshot, 1)
	err, ended := f.await(func() error { taken <- f.DB.NewSnapshot(); return nil })
	if !ended {
		return nil, f.underWay()
	}
	if err != nil {
		return nil, f.Written(err)
	}
	s.Snapshot = <-taken
	s.holders.Store(1)
	f.snapshots.Add(1)
	return s, nil
}

// Hold adds a holder. It returns false when the last one has already released the snapshot.
func (s *Snapshot) Hold() bool {
	for {
		n := s.holders.Load()
		if n == 0 {
			return false
		}
		if s.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release removes a holder.
func (s *Snapshot) Release() {
	if s.holders.Add(-1) == 0 {
		// Closing releases memory and never fails, but waits for ever for a Pebble that has given up.
		_, _ = s.folder.await(s.Close)
		s.folder.snapshots.Done()
	}
}
