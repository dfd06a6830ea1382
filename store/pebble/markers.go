package pebble

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble names the manifest that counts by the name of an empty file, a marker:
// marker.manifest.NUMBER.MANIFEST. To change to another manifest it makes that, makes a
// marker of the next number, removes the one before, and syncs the folder. A power cut
// in the middle may leave both markers, the later one with a manifest that is not in
// the folder yet. Nobody was told of that manifest: the one before counts.

// unfinishedMarker finds the later marker in the case above: of a manifest that is
// missing, with a marker before its own whose manifest is there, or in a folder without
// any data. It is empty when it is not so.
func unfinishedMarker(files []string, manifest string) string {
	var markers []string
	for _, name := range files {
		if strings.HasPrefix(name, "marker.manifest.") {
			markers = append(markers, name)
		}
	}
	if len(markers) == 1 && !slices.ContainsFunc(files, holdsData) {
		return markers[0] // of a folder that was being made
	}
	if len(markers) < 2 {
		return ""
	}
	slices.SortFunc(markers, func(a, b string) int { return markerNumber(a) - markerNumber(b) })
	later, before := markers[len(markers)-1], markers[len(markers)-2]
	if markedBy(later) != filepath.Base(manifest) || !slices.Contains(files, markedBy(before)) {
		return ""
	}
	return later
}

func holdsData(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-")
}

func markerNumber(name string) (n int) {
	_, _ = fmt.Sscanf(name, "marker.manifest.%d.", &n) // 0 when it is no marker
	return n
}

// markedBy is the file that a marker names.
func markedBy(name string) string {
	parts := strings.SplitN(name, ".", 4)
	return parts[len(parts)-1]
}

// remove removes a file of a folder for good.
func remove(fs vfs.FS, dir, name string) error {
	return errors.Join(fs.Remove(fs.PathJoin(dir, name)), syncDir(fs, dir))
}
