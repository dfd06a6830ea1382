package folder

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble names the manifest in force by the name of an empty file, a marker: marker.manifest.NUMBER.MANIFEST. To change
// to another manifest, Pebble makes the manifest, makes a marker with the next number, removes the marker before, and
// syncs the folder. A power cut in between may leave both markers, while the manifest of the later one is not in the
// folder yet. No write was acknowledged by that manifest, so the one before is in force.

// unfinishedMarker returns the later marker in the case above, empty in any other case. The later marker must name the
// missing manifest, and the manifest of the marker before must be there. The only marker of a folder without any data
// is unfinished too.
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

// markedBy returns the manifest that a marker names.
func markedBy(name string) string {
	parts := strings.SplitN(name, ".", 4)
	return parts[len(parts)-1]
}

// remove removes a file from a folder and syncs the folder, so that the file stays removed after a crash.
func remove(fs vfs.FS, dir, name string) error {
	return errors.Join(fs.Remove(fs.PathJoin(dir, name)), SyncDir(fs, dir))
}
