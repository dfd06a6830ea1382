package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// read reads a file and returns its documents' names and its errors.
func read(file, text string) (names, failures []string) {
	readDocuments(file, strings.NewReader(text), func(d *document) {
		if u := newUpload(d); u != nil && len(d.wrong) == 0 {
			names = append(names, u.name)
		}
		for _, e := range d.wrong {
			failures = append(failures, e.Error())
		}
	}, func(e *rowError) { failures = append(failures, e.Error()) }, func(int, string) {})
	return names, failures
}

func TestARowInErrorCostsItselfOnly(t *testing.T) {
	const header = "kind,name,display_name\n"
	for name, c := range map[string]struct {
		file, text string
		names      []string
		failures   []string // beginnings of the errors
	}{
		"YAML syntax": {"x.yaml", "kind: advertiser\nname: advertisers/a\n---\nkind: [open\n---\nkind: advertiser\nname: " +
			"advertisers/b\n",
			[]string{"advertisers/a", "advertisers/b"}, []string{"x.yaml:"}},
		"YAML bytes": {"x.yaml", "kind: advertiser\nname: advertisers/a\ndisplay_name: \xff\xff\n---\nkind: " +
			"advertiser\nname: advertisers/b\n",
			[]string{"advertisers/b"}, []string{"x.yaml:3: display_name: is neither UTF-8 nor GB18030"}},
		"bytes in a comment": {"x.yaml", "# \xff\nkind: advertiser\nname: advertisers/a\n", []string{"advertisers/a"}, nil},
		"a field twice": {"x.yaml", "kind: advertiser\nname: advertisers/a\nstate: active\nstate: paused\n", nil,
			[]string{"x.yaml:4: state: stands twice"}},
		"an endless alias": {"x.yaml", "kind: &a {b: *a}\n", nil, []string{"x.yaml:1:"}},
		"JSON lines": {"x.jsonl", "{\"kind\":\"advertiser\",\"name\":\"advertisers/a\"}\n{\n\xff\xff\n" +
			"{\"kind\":\"advertiser\",\"name\":\"advertisers/b\"}\n",
			[]string{"advertisers/a", "advertisers/b"}, []string{"x.jsonl:2: is not a JSON object",
				"x.jsonl:3: is neither UTF-8"}},
		"a quote that nothing closes": {"x.csv",
			header + "advertiser,advertisers/a,\"A\nadvertiser,advertisers/b,\"B\"\nadvertiser,advertisers/c,C\n",
			[]string{"advertisers/b", "advertisers/c"}, []string{"x.csv:2: has a quote"}},
		"a quote that a later row closes": {"x.csv",
			header + "advertiser,advertisers/a,\"A\nadvertiser,advertisers/b,B\nadvertiser,advertisers/c,\"C\"\n",
			[]string{"advertisers/b", "advertisers/c"}, []string{"x.csv:2: has a quote"}},
		"a bare quote": {"x.csv", header + "advertiser,advertisers/a,5\" pizza\nadvertiser,advertisers/b,B\n",
			[]string{"advertisers/b"}, []string{"x.csv:2: is not a row of CSV"}},
		"a cell of several lines": {"x.csv",
			header + "advertiser,advertisers/a,\"A\nB\"\nadvertiser,advertisers/b,\"\xff\n\xff\"\nadvertiser,advertisers/c,C\n",
			[]string{"advertisers/a", "advertisers/c"}, []string{"x.csv:4: display_name: is neither"}},
		"rows of nothing": {"x.csv", header + ",,\n\n# note\nadvertiser,advertisers/a,A\n",
			[]string{"advertisers/a"}, nil},
		"columns of nothing": {"x.csv", "kind,name,,\nadvertiser,advertisers/a,,\n", []string{"advertisers/a"}, nil},
		"tabs": {"x.txt", "kind\tname\tdisplay_name\nadvertiser\tadvertisers/a\tA, B\n",
			[]string{"advertisers/a"}, nil},
		"every error": {"x.csv", "kind,name,pricing,bid,lat\ncampaign,advertisers/a/campaigns/c,cpx,1.2.3,4\n", nil,
			[]string{"x.csv:2: bid: ", "x.csv:2: lat: is not a field of a campaign", "x.csv:2: pricing: "}},
	} {
		names, failures := read(c.file, c.text)
		if !slices.Equal(names, c.names) || len(failures) != len(c.failures) {
			t.Errorf("%s: read %q, failed %q", name, names, failures)
			continue
		}
		for i := range failures {
			if !strings.HasPrefix(failures[i], c.failures[i]) {
				t.Errorf("%s: %q, want %q", name, failures[i], c.failures[i])
			}
		}
	}
}

// TestQuotesThatNothingClosesCostLittle counts the lines that are read twice. Each row reads at most one line ahead.
func TestQuotesThatNothingClosesCostLittle(t *testing.T) {
	const rows = 2000
	var text strings.Builder
	text.WriteString("kind,name,display_name\n")
	for i := range rows {
		fmt.Fprintf(&text, "advertiser,advertisers/a%d,\"A\n", i)
	}
	r := &reader{file: "x.csv", lines: newLines(strings.NewReader(text.String()), func(int, string) {}),
		visit: func(*document) {}}
	deepest, failed := 0, 0
	r.fail = func(*rowError) { failed++; deepest = max(deepest, len(r.lines.back)) }
	r.readCSV()
	if failed != rows || deepest > 1 {
		t.Errorf("%d of %d rows failed, %d lines were read ahead", failed, rows, deepest)
	}
}

func TestShapesAreFoundBesideTheirFileAndSeveralInOneCell(t *testing.T) {
	folder := t.TempDir()
	square := `{"type":"Polygon","coordinates":[[[120,30],[121,30],[121,31],[120,31],[120,30]]]}`
	if err := os.WriteFile(filepath.Join(folder, "a.geojson"), []byte(square), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "secret.txt"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"@a.geojson": square, "@a.geojson; @a.geojson;": square + "|" + square, square + ";" + square: square + "|" + square,
		"[" + square + ", " + square + "]": square + "|" + square, square + " ; @a.geojson": square + "|" + square,
		`{"name":"a;b"}`: `{"name":"a;b"}`,
	} {
		shapes, err := splitShapes(folder, text)
		if err != nil || strings.Join(shapes, "|") != want {
			t.Errorf("%s: %q, %v", text, shapes, err)
		}
	}
	for text, words := range map[string][]string{"@b.geojson": {folder + "/b.geojson and b.geojson"},
		"@secret.txt": {"is not GeoJSON"}, "@.": {"is not a file"}, "{": {"is not GeoJSON"},
		"@/nowhere/x": {"tried /nowhere/x"}} {
		_, err := splitShapes(folder, text)
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "secret\"") {
				t.Errorf("%s: %v does not say %q", text, err, w)
			}
		}
	}
}
