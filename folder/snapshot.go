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

// Snapshot returns the present state, held once.
func (f *Folder) Snapshot() *Snapshot {
	s := &Snapshot{Snapshot: f.DB.NewSnapshot(), folder: f}
	s.holders.Store(1)
	f.snapshots.Add(1)
	return s
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
		_ = s.Close() // it releases memory and never fails
		s.folder.snapshots.Done()
	}
}
