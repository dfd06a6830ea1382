package cli

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// unreadable stands in a text for bytes in an unknown encoding. It is the last private character of Unicode, which no
// text uses.
const unreadable = "\U0010FFFD"

const (
	maxLineBytes  = 16 << 20
	evidenceBytes = 1 << 20 // read to find out a file's encoding
)

// Notices about a text that was converted.
const (
	noticeGB18030 = "the text is GB18030 (as Excel saves it in China), not UTF-8, and was converted"
	noticeUTF16   = "the text is UTF-16, not UTF-8, and was converted"
)

// line is a line of a text, without its end.
type line struct {
	text   string
	number int
}

// lines reads a text line by line as UTF-8. It converts UTF-16 that begins with a byte order mark, and lines in
// GB18030, and says so in a notice. Bytes in neither encoding become the unreadable character, so that they spoil only
// their own row.
type lines struct {
	in     *bufio.Reader
	notice func(line int, text string)
	utf16  bool
	number int    // of the line read last
	back   []line // lines pushed back; the next one is last
	utf8   int    // lines read that are UTF-8 and not ASCII
	gb     int    // lines read that are GB18030 and not UTF-8
	err    error  // from reading
}

func newLines(r io.Reader, notice func(line int, text string)) *lines {
	l := &lines{in: bufio.NewReaderSize(r, evidenceBytes), notice: notice}
	start, _ := l.in.Peek(2) // in a short file there is no mark
	if l.utf16 = bytes.Equal(start, []byte{0xFF, 0xFE}) || bytes.Equal(start, []byte{0xFE, 0xFF}); l.utf16 {
		decoded := transform.NewReader(l.in, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())
		l.in = bufio.NewReaderSize(decoded, evidenceBytes)
		notice(1, noticeUTF16)
		return l
	}
	sample, _ := l.in.Peek(evidenceBytes) // as many bytes as there are
	for text := range bytes.Lines(sample) {
		l.weigh(text)
	}
	return l
}

// weigh counts a line as evidence of the file's encoding.
func (l *lines) weigh(text []byte) {
	switch {
	case isASCII(text):
	case utf8.Valid(text):
		l.utf8++
	default:
		if _, ok := fromGB18030(text); ok {
			l.gb++
		}
	}
}

// next reads a line. It returns false at the end, and when the file cannot be read.
func (l *lines) next() (next line, ok bool) {
	if n := len(l.back); n > 0 {
		next, l.back = l.back[n-1], l.back[:n-1]
		return next, true
	}
	raw, tooLong, err := l.read()
	if err != nil && len(raw) == 0 {
		if err != io.EOF {
			l.err = err
		}
		return line{}, false
	}
	l.number++
	if tooLong {
		return line{unreadable, l.number}, true
	}
	if l.number == 1 {
		raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	}
	return line{l.decode(bytes.TrimRight(raw, "\r\n")), l.number}, true
}

// pushBack makes next return these lines again, in order.
func (l *lines) pushBack(again []line) {
	for i := len(again) - 1; i >= 0; i-- {
		l.back = append(l.back, again[i])
	}
}

// read reads up to the end of a line. It keeps only the beginning of a line longer than maxLineBytes.
func (l *lines) read() (raw []byte, tooLong bool, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		if len(raw)+len(part) <= maxLineBytes {
			raw = append(raw, part...)
		} else {
			tooLong = true
		}
		if err != bufio.ErrBufferFull {
			return raw, tooLong, err
		}
	}
}

// decode converts a line to UTF-8. Some GB18030 is valid UTF-8 by accident, and the reverse. The majority of the file's
// lines decide how to read such a line.
func (l *lines) decode(raw []byte) string {
	if l.utf16 {
		return strings.ReplaceAll(string(raw), "\uFFFD", unreadable)
	}
	if isASCII(raw) {
		return string(raw)
	}
	isUTF8, mostlyGB := utf8.Valid(raw), l.gb > l.utf8
	if isUTF8 && !mostlyGB {
		return string(raw)
	}
	if text, isGB := fromGB18030(raw); isGB && (mostlyGB || !hasHanUTF8(raw)) {
		l.notice(l.number, noticeGB18030)
		return text
	}
	if isUTF8 {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw), unreadable)
}

func isASCII(text []byte) bool {
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func fromGB18030(raw []byte) (string, bool) {
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
	return string(text), err == nil && !bytes.ContainsRune(text, utf8.RuneError)
}

// hasHanUTF8 reports whether some character of three or more bytes, as Chinese ones are, is valid UTF-8. Then the line
// is damaged UTF-8, and reading it as GB18030 would give nonsense.
func hasHanUTF8(raw []byte) bool {
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if size >= 3 && r != utf8.RuneError {
			return true
		}
		raw = raw[size:]
	}
	return false
}
