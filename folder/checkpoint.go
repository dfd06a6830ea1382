package folder

import (
	"errors"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
)

// Checkpoint copies the folder as it now is into one that is not there yet, and puts a witness beside the copy. Files
// that Pebble never changes are linked where the file system can do that, so the copy is made soon. The owner writes
// nothing meanwhile.
func (f *Folder) Checkpoint(dir string, t Testimony) error {
	for _, path := range []string{dir, WitnessPath(dir)} {
		if _, err := f.FS.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return hexbid.Errorf(hexbid.AlreadyExists, "directory", "%s is there already: a copy wants a new folder", path)
		}
	}
	err, ended := f.await(func() error { return f.DB.Checkpoint(dir, pebble.WithFlushedWAL()) })
	if !ended {
		return f.Failure()
	}
	if err != nil {
		return hexbid.Errorf(hexbid.Unavailable, "directory", "the %s cannot be copied to %s: %v", f.Terms.Content, dir, err)
	}
	options := f.Options
	options.Dir = dir
	w, err := NewWitness(&options, t)
	if err != nil {
		return err
	}
	return w.Close()
}
