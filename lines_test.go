package hexbid_test

import (
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

// mostColumns is the length of a line of code that a reader sees whole.
const mostColumns = 120

// TestLinesHaveAtMost120Columns looks at all Go files but the generated ones. A line of a raw string may be longer: it
// cannot be broken without changing the string.
func TestLinesHaveAtMost120Columns(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "*.go").Output()
	if err != nil {
		t.Skipf("this is no checkout of git: %v", err)
	}
	files := 0
	for name := range strings.FieldsSeq(string(out)) {
		source, err := os.ReadFile(name)
		if os.IsNotExist(err) || strings.HasSuffix(name, ".pb.go") || strings.HasSuffix(name, ".pb.gw.go") {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		files++
		raw := linesOfRawStrings(source)
		for i, line := range strings.Split(string(source), "\n") {
			if n := utf8.RuneCountInString(line); n > mostColumns && !raw[i+1] {
				t.Errorf("%s:%d has %d columns: break it", name, i+1, n)
			}
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}

// linesOfRawStrings returns the lines, counted from 1, that a raw string or a struct tag stands on.
func linesOfRawStrings(source []byte) map[int]bool {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, nil, 0)
	lines := map[int]bool{}
	for {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			return lines
		}
		if kind == token.STRING && strings.HasPrefix(text, "`") {
			first := file.Line(at)
			for n := range strings.Count(text, "\n") + 1 {
				lines[first+n] = true
			}
		}
	}
}
