package folder

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
)

// Write passes a batch to Pebble. After a refusal or a panic the folder has failed, because batches on top of this one
// would stand on nothing.
func (f *Folder) Write(batch *pebble.Batch, options *pebble.WriteOptions) error {
	return f.Attempt(func() error { return batch.Commit(options) })
}

// Attempt calls a method of Pebble that writes. If Pebble gives up meanwhile, the caller learns that nobody knows how
// much of the write reached the disk. An error of the call fails the folder.
func (f *Folder) Attempt(call func() error) error {
	err, ended := f.await(call)
	if !ended {
		return f.underWay()
	}
	return f.Written(err)
}

// await waits for a call of Pebble. When Pebble gives up, the call never returns. Its goroutine is then abandoned.
func (f *Folder) await(call func() error) (err error, ended bool) {
	done := make(chan error, 1)
	go func() { done <- hexbid.Contain(call) }()
	select {
	case err := <-done:
		return err, true
	case <-f.stuck:
	}
	select {
	case err := <-done: // at the same time
		return err, true
	default:
		return nil, false
	}
}

// Written returns the outcome of a write that has ended with an error or nil. An error fails the folder.
func (f *Folder) Written(err error) error {
	if err == nil {
		return nil
	}
	f.Log.Error("pebble refused a write", "error", err)
	f.fail(hexbid.Errorf(hexbid.Unavailable, "data", "folder %s refused a write: %v: %s, changes need a restart", f.Dir,
		FirstLine(err), f.Terms.Meanwhile))
	return f.underWay()
}

// underWay returns the failure in words for callers whose change was under way.
func (f *Folder) underWay() error {
	why := *f.failure.Load()
	why.Detail += "; this change was under way and may be there after the restart"
	return &why
}

// CheckRoom refuses a write before it begins if the disk is nearly full.
func (f *Folder) CheckRoom() error {
	usage, err := f.FS.GetDiskUsage(f.Dir)
	if err == nil && usage.TotalBytes > 0 && usage.AvailBytes < minFreeBytes {
		return hexbid.Errorf(hexbid.Exhausted, "data",
			"the disk under %s has %d MiB left: free at least %d MiB; nothing was written",
			f.Dir, usage.AvailBytes>>20, int64(minFreeBytes)>>20)
	}
	return nil // try a file system that does not report its usage
}

// FirstLine returns an error's first line; the log has the stack of a panic.
func FirstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Read copies a value while the owner opens the folder, nil when there is none.
func (f *Folder) Read(key []byte) ([]byte, error) {
	value, closer, err := f.DB.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, f.Unreadable(err)
	}
	defer closer.Close()
	return append([]byte{}, value...), nil
}

// Ended returns the error of an iterator that has stopped, if there is one.
func (f *Folder) Ended(iter *pebble.Iterator) error {
	if err := iter.Error(); err != nil {
		return f.Unreadable(err)
	}
	return nil
}
