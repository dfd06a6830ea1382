package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/ledger/journal"
)

// section returns the part of a document under a heading.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, after, there := strings.Cut(text, "\n## "+heading+"\n")
	if !there {
		t.Fatalf("there is no heading %q", heading)
	}
	part, _, _ := strings.Cut(after, "\n## ")
	return part
}

var codeWords = regexp.MustCompile("`([^`]+)`")

// rowsOf returns the rows of the tables in a text: the words in code of the first column, and the last column.
func rowsOf(text string) (rows []struct {
	names []string
	last  string
}) {
	for _, line := range strings.Split(text, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) < 2 {
			continue
		}
		var names []string
		for _, word := range codeWords.FindAllStringSubmatch(cells[0], -1) {
			names = append(names, word[1])
		}
		if names != nil {
			rows = append(rows, struct {
				names []string
				last  string
			}{names, strings.TrimSpace(cells[len(cells)-1])})
		}
	}
	return rows
}

func readPrivacy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/privacy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docs/privacy.md names each table of the ledger, and says of those alone that tell of viewers that they do.
func TestPrivacyNamesEveryTable(t *testing.T) {
	var named []string
	for _, row := range rowsOf(section(t, readPrivacy(t), "Tables of the ledger")) {
		named = append(named, row.names...)
		for _, name := range row.names {
			of := slices.ContainsFunc(journal.OfViewers, func(t journal.Table) bool { return t.String() == name })
			if of == strings.HasPrefix(row.last, "nothing") {
				t.Errorf("of %s it says %q", name, row.last)
			}
		}
	}
	var all []string
	for table := journal.Table(1); table < journal.TableCount; table++ {
		all = append(all, table.String())
	}
	slices.Sort(named)
	slices.Sort(all)
	if !slices.Equal(named, all) {
		t.Errorf("it names %v, and there are %v", named, all)
	}
}

// docs/privacy.md names each file that a server leaves in its data folder.
func TestPrivacyNamesEveryFile(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	s := bootRequired(t, data)
	if _, err := s.whoAmI(withKey(t, filepath.Join(data, operatorKeyName))); err != nil {
		t.Fatal(err)
	}
	s.stop()
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	var named, there []string
	for _, row := range rowsOf(section(t, readPrivacy(t), "Files of the data folder")) {
		named = append(named, row.names...)
	}
	for _, e := range entries {
		there = append(there, e.Name())
	}
	slices.Sort(named)
	slices.Sort(there)
	if !slices.Equal(named, there) {
		t.Errorf("it names %v, and there are %v", named, there)
	}
}

var flagDefaults = regexp.MustCompile("`--([a-z-]+)` \\(default ([^)]+)\\)")

// Whatever docs/privacy.md says of a flag's default is so.
func TestPrivacyTellsTheDefaultsOfFlags(t *testing.T) {
	told := flagDefaults.FindAllStringSubmatch(readPrivacy(t), -1)
	if len(told) < 6 {
		t.Errorf("only %d defaults are told", len(told))
	}
	defaults := map[string]string{}
	collectDefaults(reflect.TypeFor[ServeConfig](), "", defaults)
	for _, f := range told {
		if is, there := defaults[f[1]]; !there || is != f[2] {
			t.Errorf("--%s is said to be %s by default: it is %q (there: %v)", f[1], f[2], is, there)
		}
	}
}

var nextWord = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// collectDefaults collects the defaults of flags by their names, as kong makes them.
func collectDefaults(of reflect.Type, prefix string, into map[string]string) {
	for i := range of.NumField() {
		f := of.Field(i)
		if _, embedded := f.Tag.Lookup("embed"); embedded {
			collectDefaults(f.Type, prefix+f.Tag.Get("prefix"), into)
			continue
		}
		name := f.Tag.Get("name")
		if name == "" {
			name = strings.ToLower(nextWord.ReplaceAllString(f.Name, "$1-$2"))
		}
		into[prefix+name] = f.Tag.Get("default")
	}
}

var commandLine = regexp.MustCompile("`hexbid ([a-z]+)(?: ([a-z]+))?")

// The commands that docs/privacy.md names are there.
func TestPrivacyNamesCommandsThatAreThere(t *testing.T) {
	shell := &console{t: t}
	named := commandLine.FindAllStringSubmatch(readPrivacy(t), -1)
	if len(named) < 3 {
		t.Errorf("only %d commands are named", len(named))
	}
	for _, c := range named {
		args := append(slices.DeleteFunc([]string{c[1], c[2]}, func(s string) bool { return s == "" }), "--help")
		if out, notes, code := shell.try("", args...); code != 0 || !strings.Contains(out, "Usage") {
			t.Errorf("hexbid %v: exit %d, %s%s", args, code, out, notes)
		}
	}
}
