package folder

import "testing"

func TestALaterMarkerIsUnfinishedOnlyBesideTheOneBefore(t *testing.T) {
	const before, later = "marker.manifest.000009.MANIFEST-000004", "marker.manifest.000010.MANIFEST-000008"
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"both markers, the manifest before": {[]string{later, before, "MANIFEST-000004"}, later},
		"no manifest at all":                {[]string{later, before}, ""},
		"one marker":                        {[]string{later, "MANIFEST-000004"}, ""},
		"one marker and a log":              {[]string{later, "000007.log"}, ""},
		"a folder that was being made":      {[]string{later, "LOCK"}, later},
		"a marker without a number":         {[]string{later, "marker.manifest.", "MANIFEST-000004"}, ""},
	} {
		if got := unfinishedMarker(c.files, "d/c/MANIFEST-000008"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := unfinishedMarker([]string{later, before, "MANIFEST-000004"}, "d/c/MANIFEST-000004"); got != "" {
		t.Errorf("of the manifest before: %q", got)
	}
}
