package gateway

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deadlines is an answer that counts how often its request got a deadline for reading.
type deadlines struct {
	*httptest.ResponseRecorder
	set int
}

// SetReadDeadline is what an http.ResponseController looks for.
func (d *deadlines) SetReadDeadline(time.Time) error {
	d.set++
	return nil
}

// TestLinesThatArriveTogetherAreAwaitedOnce counts what lines of one byte cost. A caller sends tens of thousands of
// them in one piece. Only the piece may cost what waiting costs, not each line.
func TestLinesThatArriveTogetherAreAwaitedOnce(t *testing.T) {
	const lines, piece = 100_000, 64 << 10
	limits := DefaultLimits()
	answer := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	in := &lineReader{from: bufio.NewReaderSize(strings.NewReader(strings.Repeat("1\n\n", lines)), piece),
		control: http.NewResponseController(answer), ctx: t.Context(), limits: &limits}
	for i := range lines {
		if line, err := in.next(); string(line) != "1" || err != nil || in.number != int64(2*i+1) {
			t.Fatalf("line %d: %q, number %d, %v", i, line, in.number, err)
		}
	}
	if _, err := in.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last line: %v", err)
	}
	if most := 3*lines/piece + 2; answer.set > most {
		t.Errorf("%d lines in pieces of %d bytes were awaited %d times, and at most %d are due", lines, piece, answer.set,
			most)
	}
}

// TestBlankLinesHaveAnEnd sends as many blank lines in a row as there may be, and one more.
func TestBlankLinesHaveAnEnd(t *testing.T) {
	p := open(t, nil)
	blank := strings.Repeat("\n", mostBlankLines)
	a := p.must("POST", "/v1/resources:import", advertiser("a")+blank+advertiser("a")+blank, "Content-Type: "+linesType)
	if n := strings.Count(a.text, "\n"); n != 2 {
		t.Errorf("%d outcomes of two rows: %s", n, a.text)
	}
	a = p.must("POST", "/v1/resources:import", advertiser("a")+blank+"\n"+advertiser("a"), "Content-Type: "+linesType)
	outcomes := strings.Split(strings.TrimSpace(a.text), "\n")
	if last := outcomes[len(outcomes)-1]; len(outcomes) != 2 || !strings.Contains(last, "line 1002 is blank") {
		t.Errorf("after too many blank lines: %s", a.text)
	}
}
