package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// patience is how long anything may take that must happen in the end. It judges no machine's speed. It only ends a
// round that hangs.
const patience = 2 * time.Minute

// server is the program under attack, as a process of its own. It can be killed and started again at the same address.
type server struct {
	binary, data, address string
	args                  []string
	tally                 *tally
	capMB                 int64
	life                  atomic.Int64 // number of starts and kills; odd while the process serves

	command *exec.Cmd
	log     *serverLog
	ended   chan struct{} // closed when the process has ended
	exit    error         // how it ended; read after ended is closed
}

func newServer(o options, t *tally, dir string) (*server, error) {
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &server{binary: binary, data: filepath.Join(dir, "data"), address: l.Addr().String(), tally: t,
		capMB: o.memoryCapMB}, nil
}

// errEnded means that the process ended by itself before it served.
var errEnded = errors.New("it ended before it served")

// start starts the process and waits until it serves.
func (s *server) start(ctx context.Context) error {
	s.command = exec.Command(s.binary,
		append([]string{"serve", "--listen", s.address, "--metrics-listen", "", "--data", s.data}, s.args...)...)
	stderr, err := s.command.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.command.Start(); err != nil {
		return err
	}
	s.log, s.ended = newServerLog(), make(chan struct{})
	go func(command *exec.Cmd, log *serverLog, ended chan struct{}) {
		log.follow(stderr)
		s.exit = command.Wait()
		close(ended)
	}(s.command, s.log, s.ended)
	go s.watchMemory(s.command.Process.Pid, s.ended)
	select {
	case <-s.log.serving:
		s.life.Add(1)
		return nil
	case <-s.ended:
		return fmt.Errorf("%w: %v\n%s", errEnded, s.exit, s.log.tail())
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("it neither serves nor ends\n%s", s.log.tail()), s.kill())
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.kill())
	}
}

// kill ends the process without warning and waits until it has ended.
func (s *server) kill() error {
	if s.life.Load()%2 == 1 {
		s.life.Add(1)
	}
	err := s.command.Process.Kill()
	<-s.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// dial returns a connection for one client.
func (s *server) dial(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(s.address, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))...)
}

// memoryEvery is how often memory is read. The kernel keeps the peak between two readings.
const memoryEvery = 200 * time.Millisecond

// watchMemory compares the process' peak of resident memory with the cap.
func (s *server) watchMemory(pid int, ended <-chan struct{}) {
	for over := false; ; {
		if peak := statusMB(pid, "VmHWM:"); peak > 0 {
			raise(&s.tally.peakMB, peak)
			if peak > s.capMB && !over {
				over = true
				s.tally.fall("memory is %d MiB, above the cap of %d", peak, s.capMB)
			}
		}
		select {
		case <-ended:
			return
		case <-time.After(memoryEvery):
		}
	}
}

func (s *server) residentMB() int64 { return statusMB(s.command.Process.Pid, "VmRSS:") }

func raise(most *atomic.Int64, to int64) {
	for {
		present := most.Load()
		if to <= present || most.CompareAndSwap(present, to) {
			return
		}
	}
}

// statusMB reads a line of /proc/PID/status, in MiB. It returns 0 when the line is missing.
func statusMB(pid int, field string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if rest, found := strings.CutPrefix(line, field); found {
			if _, err := fmt.Sscan(rest, &kb); err != nil {
				return 0
			}
			return kb >> 10
		}
	}
	return 0
}

// judgeLog reports faults in the server's log as falls.
func (s *server) judgeLog() {
	for _, line := range s.log.takeFaults() {
		if _, rest, dated := strings.Cut(line, " level="); dated {
			line = rest // equal faults count as one fall
		}
		s.tally.fall("the server's log says: %.1000s", strings.TrimSpace(line))
	}
	if s.life.Load()%2 == 1 {
		select {
		case <-s.ended:
			s.tally.fall("the process ended by itself: %v\n%s", s.exit, s.log.tail())
		default:
		}
	}
}

// serverLog keeps the end of a process' log, and the faults in it.
type serverLog struct {
	serving chan struct{}

	mu     sync.Mutex // guards the fields below
	last   bytes.Buffer
	faults []string
}

func newServerLog() *serverLog { return &serverLog{serving: make(chan struct{})} }

// faultWords mark lines that no input may cause: a call that failed with INTERNAL, a panic, an error of the Go runtime.
var faultWords = []string{`msg="a call failed"`, "panic:", "fatal error:", "DATA RACE"}

// mostLogKept is the most bytes of the log that are kept. When it is full its older half is dropped.
const mostLogKept = 64 << 10

func (l *serverLog) follow(from io.Reader) {
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

func (l *serverLog) keep(line string) {
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

func (l *serverLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last.String()
}

// takeFaults returns the faults since the last call.
func (l *serverLog) takeFaults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	faults := l.faults
	l.faults = nil
	return faults
}
