package cli

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// readAll returns the lines and notices of a text.
func readAll(text string) (got []string, notices []string) {
	l := newLines(strings.NewReader(text),
		func(line int, text string) { notices = append(notices, fmt.Sprint(line, " ", text)) })
	for next, ok := l.next(); ok; next, ok = l.next() {
		got = append(got, next.text)
	}
	return got, notices
}

func gb(t *testing.T, text string) string {
	t.Helper()
	out, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTextsInEveryEncodingReadAlike(t *testing.T) {
	const text = "联通,面馆\nplain\n中山路12号,西湖"
	utf16 := func(order unicode.Endianness) string {
		out, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		text    string
		notices int
	}{
		"UTF-8": {text, 0}, "UTF-8 with a mark": {"\ufeff" + text, 0},
		"DOS lines": {strings.ReplaceAll(text, "\n", "\r\n"), 0}, "GB18030": {gb(t, text), 2},
		"UTF-16 little": {utf16(unicode.LittleEndian), 1}, "UTF-16 big": {utf16(unicode.BigEndian), 1},
	} {
		got, notices := readAll(c.text)
		if strings.Join(got, "\n") != text || len(notices) != c.notices {
			t.Errorf("%s: %q with notices %q", name, got, notices)
		}
	}
}

func TestALineInGB18030AmongUTF8IsConvertedAndADamagedOneIsNot(t *testing.T) {
	got, notices := readAll("西湖\n杭州\n" + gb(t, "面馆在西湖边") + "\n断\xe9桥\n\xff\xff\n完")
	want := []string{"西湖", "杭州", "面馆在西湖边", "断" + unreadable + "桥", unreadable, "完"}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(notices) != 1 || !strings.HasPrefix(notices[0], "3 ") {
		t.Errorf("%q with notices %q, want %q", got, notices, want)
	}
}

// TestGB18030ThatIsValidUTF8ByAccidentIsReadAsItsFile reads a line whose GB18030 bytes are valid UTF-8 too.
func TestGB18030ThatIsValidUTF8ByAccidentIsReadAsItsFile(t *testing.T) {
	const accident = "\xc4\xa3\xca\xbd" // 模式 in GB18030, two accented letters in UTF-8
	got, _ := readAll(gb(t, "面馆\n西湖\n") + accident)
	if got[2] != "模式" {
		t.Errorf("%q", got)
	}
}

func TestALineBeyondTheLimitCostsItselfOnly(t *testing.T) {
	got, _ := readAll("a\n" + strings.Repeat("x", maxLineBytes+1) + "\nb")
	if fmt.Sprint(got) != fmt.Sprint([]string{"a", unreadable, "b"}) {
		t.Errorf("%d lines, %.20q", len(got), got)
	}
}

func TestAFileThatBreaksOffIsTold(t *testing.T) {
	var failures []*rowError
	r := io.MultiReader(strings.NewReader("kind,name\nadvertiser,advertisers/a\n"), iotest.ErrReader(io.ErrUnexpectedEOF))
	rows := 0
	readDocuments("x.csv", r, func(*document) { rows++ }, func(e *rowError) { failures = append(failures, e) },
		func(int, string) {})
	if rows != 1 || len(failures) != 1 || !strings.Contains(failures[0].Error(), "unexpected EOF") {
		t.Errorf("%d rows, %v", rows, failures)
	}
}

func FuzzReadDocuments(f *testing.F) {
	f.Add("x.yaml", []byte("kind: place\n---\na: &a {b: *a}\n"))
	f.Add("x.csv", []byte("kind,name\n\"a,b\nplace,\"advertisers/a\n"))
	f.Add("x.jsonl", []byte("{\"kind\":\"place\"}\n{"))
	f.Add("x.txt", []byte("\xff\xfek\x00\t\x00"))
	f.Fuzz(func(_ *testing.T, file string, text []byte) {
		readDocuments(file, strings.NewReader(string(text)), func(d *document) { newUpload(d) }, func(*rowError) {},
			func(int, string) {})
	})
}
