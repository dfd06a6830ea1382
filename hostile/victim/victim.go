// Package victim runs the real program as a process of its own, for tests that kill it, attack it or damage its files.
// The process listens on loopback. It can be killed without warning and started again at the same address.
package victim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Patience is how long anything may take that must happen in the end. It judges no machine's speed. It only ends a
// round that hangs.
const Patience = 2 * time.Minute

// Options say which program runs, and who learns of its faults.
type Options struct {
	Binary      string // the program
	Data        string // its data folder
	Credentials bool   // callers must have a credential
	MemoryCapMB int64  // most resident memory; more is a fault
	Fault       func(format string, args ...any)
	Peak        func(residentMB int64) // learns the process' peak of memory again and again; nil when nobody asks
}

// Server is the program as a process of its own.
type Server struct {
	Data        string   // data folder of the next start
	Address     string   // host and port, the same at every start
	HTTPAddress string   // the same of the HTTP port
	Args        []string // further flags of "hexbid serve"

	options Options
	life    atomic.Int64 // number of starts and kills; odd while the process serves
	command *exec.Cmd
	log     *log
	ended   chan struct{} // closed when the process has ended
	exit    error         // how it ended; read after ended is closed

	mu   sync.Mutex        // guards keys
	keys map[string]string // credentials by the names of users and clients; the operator's has the empty name
}

// New chooses free ports for the program and starts nothing.
func New(o Options) (*Server, error) {
	var err error
	if o.Binary, err = filepath.Abs(o.Binary); err != nil {
		return nil, err
	}
	s := &Server{Data: o.Data, options: o, keys: map[string]string{}}
	for _, address := range []*string{&s.Address, &s.HTTPAddress} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // both stay taken until they are chosen
		*address = l.Addr().String()
	}
	return s, nil
}

// plain has the server order and price by the bids alone, because tests know who stands where and at what price, and
// take every click for a person's: the clients of attacks click by machine, and their auditors judge what is charged.
// All else is as in production, the door too: while the machine is busy it refuses calls, which then ask again.
var plain = []string{"--swap-share=0", "--explore-share=0", "--filter-too-soon=0",
	"--filter-repeat-clicks=0", "--filter-viewer-clicks=0", "--filter-implied-percent=0", "--filter-cell-clicks=0",
	"--filter-viewer-impressions=0", "--filter-cell-impressions=0"}

// ErrEnded means that the process ended by itself before it served.
var ErrEnded = errors.New("it ended before it served")

// Life counts starts and kills. It is odd while the process serves.
func (s *Server) Life() int64 { return s.life.Load() }

// Exit says how the process ended. It is meaningful once a start has failed with ErrEnded.
func (s *Server) Exit() error { return s.exit }

// Tail returns the end of the process' log.
func (s *Server) Tail() string { return s.log.tail() }

// Begin starts the process and does not wait until it serves. The caller may only kill it.
func (s *Server) Begin() error {
	s.command = exec.Command(s.options.Binary, slices.Concat([]string{"serve", "--listen", s.Address, "--metrics-listen",
		"", "--http-listen", s.HTTPAddress, "--data", s.Data}, s.auth(), plain, s.Args)...)
	stderr, err := s.command.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.command.Start(); err != nil {
		return err
	}
	s.log, s.ended = newLog(), make(chan struct{})
	go func(command *exec.Cmd, log *log, ended chan struct{}) {
		log.follow(stderr)
		s.exit = command.Wait()
		close(ended)
	}(s.command, s.log, s.ended)
	go s.watchMemory(s.command.Process.Pid, s.ended)
	return nil
}

func (s *Server) auth() []string {
	if s.options.Credentials {
		return []string{"--auth", "required"}
	}
	return []string{"--auth", "none"}
}

// Start starts the process and waits until it serves.
func (s *Server) Start(ctx context.Context) error {
	if err := s.Begin(); err != nil {
		return err
	}
	select {
	case <-s.log.serving:
		s.life.Add(1)
		return s.learnOperatorKey()
	case <-s.ended:
		return fmt.Errorf("%w: %v\n%s", ErrEnded, s.exit, s.log.tail())
	case <-time.After(Patience):
		return errors.Join(fmt.Errorf("it neither serves nor ends\n%s", s.log.tail()), s.Kill())
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.Kill())
	}
}

// Kill ends the process without warning and waits until it has ended.
func (s *Server) Kill() error {
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

// Stop asks the process to end as an operator would, and waits until it has. It returns an error when the process does
// not say that all is well.
func (s *Server) Stop() error {
	if s.life.Load()%2 == 1 {
		s.life.Add(1)
	}
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return s.exit
	case <-time.After(Patience):
		return errors.Join(fmt.Errorf("it does not end\n%s", s.log.tail()), s.Kill())
	}
}

// Dial returns a connection for one caller. Calls that AsClient gives to nobody else are the operator's.
func (s *Server) Dial(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return s.dial(append(options, grpc.WithPerRPCCredentials(s.Callers())))
}

func (s *Server) dial(options []grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(s.Address, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))...)
}

// memoryEvery is how often memory is read. The kernel keeps the peak between two readings.
const memoryEvery = 200 * time.Millisecond

// watchMemory compares the process' peak of resident memory with the cap.
func (s *Server) watchMemory(pid int, ended <-chan struct{}) {
	for over := false; ; {
		if peak := statusMB(pid, "VmHWM:"); peak > 0 {
			if s.options.Peak != nil {
				s.options.Peak(peak)
			}
			if peak > s.options.MemoryCapMB && !over {
				over = true
				s.options.Fault("memory is %d MiB, above the cap of %d", peak, s.options.MemoryCapMB)
			}
		}
		select {
		case <-ended:
			return
		case <-time.After(memoryEvery):
		}
	}
}

// ResidentMB returns the physical memory that the server takes, in MiB.
func (s *Server) ResidentMB() int64 { return statusMB(s.command.Process.Pid, "VmRSS:") }

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

// JudgeLog reports the faults that the log has got since the last call, and a process that ended by itself.
func (s *Server) JudgeLog() {
	for _, line := range s.log.takeFaults() {
		if _, rest, dated := strings.Cut(line, " level="); dated {
			line = rest // equal faults count as one
		}
		s.options.Fault("the server's log says: %.1000s", strings.TrimSpace(line))
	}
	if s.life.Load()%2 == 1 {
		select {
		case <-s.ended:
			s.options.Fault("the process ended by itself: %v\n%s", s.exit, s.log.tail())
		default:
		}
	}
}

// CutOff recognizes a call for which the client itself reported INTERNAL or UNKNOWN, because the server had reset the
// stream or closed the connection.
func CutOff(err error) bool {
	message := status.Convert(err).Message()
	return strings.Contains(message, "stream terminated by RST_STREAM") || strings.Contains(message, "transport: ")
}
