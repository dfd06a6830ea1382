package victim

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/hexbid/hexbid/access"
)

// log keeps the end of a process' log, and the faults in it.
type log struct {
	serving chan struct{}

	mu     sync.Mutex // guards the fields below
	last   bytes.Buffer
	faults []string
}

func newLog() *log { return &log{serving: make(chan struct{})} }

// faultWords mark lines that no input may cause: a call that failed with INTERNAL, over either port, a panic, an error
// of the Go runtime, and a credential.
var faultWords = []string{`msg="a call failed"`, `msg="a request over HTTP failed"`, "panic:", "fatal error:",
	"DATA RACE", access.KeyPrefix}

// mostLogKept is the most bytes of the log that are kept. When it is full its older half is dropped.
const mostLogKept = 64 << 10

// follow reads the log until the process closes it.
func (l *log) follow(from io.Reader) {
	lines, served := bufio.NewReader(from), false
	for {
		line, err := lines.ReadString('\n')
		l.keep(line)
		if !served && strings.Contains(line, "msg=serving") {
			served = true
			close(l.serving)
		}
		if err != nil {
			return
		}
	}
}

func (l *log) keep(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last.Len()+len(line) > mostLogKept {
		l.last.Next(l.last.Len() / 2)
	}
	l.last.WriteString(line)
	for _, word := range faultWords {
		if strings.Contains(line, word) {
			l.faults = append(l.faults, line)
			return
		}
	}
}

// tail returns what is kept.
func (l *log) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last.String()
}

// takeFaults returns the faults since the last call.
func (l *log) takeFaults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	faults := l.faults
	l.faults = nil
	return faults
}
