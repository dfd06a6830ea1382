package folder

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
)

// OrAcceptLoss tells an operator what to do about lost writes.
func (f *Folder) OrAcceptLoss() string {
	return "restore the " + f.Terms.Content + " from a copy, or start once with --accept-loss to go on without them"
}

// Lost records a loss, and returns it as an error of kind DataLoss unless losses are accepted.
func (f *Folder) Lost(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if !f.AcceptLoss {
		return hexbid.Errorf(hexbid.DataLoss, "data", "%s: acknowledged writes are lost: %s", what, f.OrAcceptLoss())
	}
	f.missing = append(f.missing, what)
	return nil
}

// Missing describes the losses that were found and accepted.
func (f *Folder) Missing() []string { return slices.Clone(f.missing) }

// inspect reads the files before Pebble changes any.
func (f *Folder) inspect() error {
	path := WitnessPath(f.Dir)
	var err error
	f.Said, err = (&witnessForm{f.Magic, f.RestBytes}).read(f.FS, path)
	f.Witnessed = err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errWitnessDamaged) {
		return hexbid.Errorf(hexbid.Unavailable, "data", "witness %s cannot be read: %v", path, err)
	}
	files, err := f.FS.List(f.Dir)
	if err != nil {
		return f.Unreadable(err)
	}
	peek, err := pebble.Peek(f.Dir, f.FS)
	if err != nil {
		return hexbid.Errorf(hexbid.DataLoss, "data", "the marker files of folder %s are damaged (%v): restore the %s "+
			"from a copy", f.Dir, err, f.Terms.Content)
	}
	if !peek.Exists {
		return f.inspectEmpty(files)
	}
	if err := f.inspectOptions(peek.OptionsFilename); err != nil {
		return err
	}
	manifest, err := inspectManifest(f.FS, peek.ManifestFilename)
	if later := unfinishedMarker(files, peek.ManifestFilename); errors.Is(err, os.ErrNotExist) && later != "" {
		if err := remove(f.FS, f.Dir, later); err != nil {
			return f.Unreadable(err)
		}
		return f.inspect()
	}
	if err != nil {
		return f.damagedFile(peek.ManifestFilename, err)
	}
	if manifest.damaged {
		return f.damagedFile(manifest.Path, fmt.Errorf("record %d of it cannot be read", manifest.records+1))
	}
	return f.inspectLogs()
}

// inspectEmpty judges a folder that Pebble has not begun.
func (f *Folder) inspectEmpty(files []string) error {
	for _, name := range files {
		if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") {
			return hexbid.Errorf(hexbid.DataLoss, "data", "folder %s holds %s and no marker file that names its MANIFEST: "+
				"restore the %s from a copy", f.Dir, name, f.Terms.Content)
		}
	}
	if f.Said.Position > 0 {
		return f.Lost("folder %s holds no %s, %s %d was acknowledged", f.Dir, f.Terms.Content, f.Terms.Unit,
			f.Said.Position)
	}
	return nil
}

// inspectOptions refuses an unreadable file of options. It is the only file whose loss costs no data.
func (f *Folder) inspectOptions(path string) error {
	if path == "" {
		return nil
	}
	content, err := ReadFile(f.FS, path)
	if err == nil {
		present := f.pebbleOptions()
		present.EnsureDefaults()
		err = present.CheckCompatibility(f.Dir, string(content))
	}
	if err != nil {
		return hexbid.Errorf(hexbid.DataLoss, "data",
			"file %s is damaged (%v): delete it, a start writes a new one", path, err)
	}
	return nil
}

// inspectLogs refuses a newest log that is damaged, or that ends before what was acknowledged. Older logs may no longer
// be needed: Pebble reports one that it needs and that does not end properly, and the owner notices a missing one.
func (f *Folder) inspectLogs() error {
	logs, err := Logs(f.FS, f.Dir, f.Position)
	if err != nil {
		return f.Unreadable(err)
	}
	if len(logs) == 0 {
		return nil
	}
	newest := &logs[len(logs)-1]
	f.olderLogs = logs[:len(logs)-1]
	if newest.damaged {
		return f.cut(newest)
	}
	if newest.Last > 0 && newest.Last < f.Said.Position {
		return f.Lost("the log of writes %s ends at byte %d: %s", newest.Path, newest.whole, f.UpTo(newest.Last))
	}
	return nil
}

// cut cuts off the unreadable end of a log, if losses are accepted.
func (f *Folder) cut(log *LogFile) error {
	err := f.Lost("file %s cannot be read from byte %d on, and synced writes stand behind it: %s", log.Path, log.whole,
		f.UpTo(log.Last))
	if err == nil {
		err = log.keepWhole(f.FS)
	}
	return err
}

// openWithLogs opens the folder. If an older log prevents that, and losses are accepted, it cuts the log.
func (f *Folder) openWithLogs() error {
	err := f.openPebble()
	cut := false
	for i := range f.olderLogs {
		// A later log is begun when the one before is whole.
		if log := &f.olderLogs[i]; err != nil && (log.damaged || log.torn) {
			if err := f.cut(log); err != nil {
				return err
			}
			cut = true
		}
	}
	if cut {
		err = f.openPebble()
	}
	return err
}

// UpTo describes how far something reaches and how far the folder had come.
func (f *Folder) UpTo(position uint64) string {
	ends := fmt.Sprintf("it ends at %s %d", f.Terms.Unit, position)
	if position == 0 {
		ends = fmt.Sprintf("it begins with no %s that can be read", f.Terms.Unit)
	}
	if !f.Witnessed {
		return ends
	}
	return fmt.Sprintf("%s, %s %d was acknowledged", ends, f.Terms.Unit, f.Said.Position)
}
