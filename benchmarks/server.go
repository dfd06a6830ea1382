package benchmarks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Process is a server on a loopback port, in a process of its own, as users run it.
type Process struct {
	Conn    *grpc.ClientConn
	Address string
	Took    time.Duration // from its start until it served

	command *exec.Cmd
	metrics string // address
	web     string // address of JSON over HTTP; empty for none
	errors  bytes.Buffer
	ended   chan struct{} // closed when the process has ended
	failure error         // with which it ended
}

// Build compiles the product's program into a folder. It takes the source from the module above the working directory.
func Build(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "hexbid")
	build := exec.Command("go", "build", "-o", binary, "./cmd/hexbid")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building hexbid: %w\n%s", err, out)
	}
	return binary, nil
}

// MemoryMB is the memory limit of a server of a million campaigns, as on a machine of its own.
const MemoryMB = 8192

// Serving says how to serve a data folder, with a cache of 512 MiB.
type Serving struct {
	Data     string
	MemoryMB int
	Keys     bool // calls need a key
	HTTP     bool // JSON over HTTP is on
}

// StartHexbid serves a data folder.
func StartHexbid(binary string, c Serving) (*Process, error) {
	metrics, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	web, auth := "", "none"
	if c.HTTP {
		if web, err = FreeAddress(); err != nil {
			return nil, err
		}
	}
	if c.Keys {
		auth = "required"
	}
	p, err := start(func(address string) *exec.Cmd {
		return exec.Command(binary, "serve", "--listen", address, "--metrics-listen", metrics, "--http-listen="+web,
			"--data", c.Data, "--auth", auth, "--cache-mb=512", "--memory-mb", strconv.Itoa(c.MemoryMB), "--log-level=error")
	})
	if err == nil {
		p.metrics, p.web = metrics, web
	}
	return p, err
}

// Metric reads a metric without labels.
func (p *Process) Metric(name string) (float64, error) {
	r, err := http.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %q", name)
}

// FreeAddress returns a loopback address on which nobody listens.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// startsWithin bounds how long a process may take until it serves.
const startsWithin = 10 * time.Minute

func start(command func(address string) *exec.Cmd) (*Process, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	p := &Process{Address: address, command: command(address)}
	p.command.Stderr = &p.errors
	started := time.Now()
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.command, err)
	}
	p.ended = make(chan struct{})
	go func() {
		p.failure = p.command.Wait()
		close(p.ended)
	}()
	p.Conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err == nil {
		err = p.waitUntilServing()
	}
	if err != nil {
		_ = p.command.Process.Kill()
		<-p.ended
		return nil, fmt.Errorf("%s: %w\n%s", p.command, err, p.errors.Bytes())
	}
	p.Took = time.Since(started)
	return p, nil
}

func (p *Process) waitUntilServing() error {
	ctx, cancel := context.WithTimeout(context.Background(), startsWithin)
	defer cancel()
	go func() {
		select {
		case <-p.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	client := healthpb.NewHealthClient(p.Conn)
	for {
		r, err := client.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		if r.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Close asks the process to end and waits for it. A second call does nothing, so a deferred Close may follow an
// explicit one.
func (p *Process) Close() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	p.Conn.Close()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping %s: %w", p.command, err)
	}
	if <-p.ended; p.failure != nil {
		return fmt.Errorf("%s: %w\n%s", p.command, p.failure, p.errors.Bytes())
	}
	return nil
}

// ResidentBytes returns the machine's memory that the process occupies.
func (p *Process) ResidentBytes() (float64, error) {
	var pages, resident int64
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(raw), &pages, &resident)
	return float64(resident) * float64(os.Getpagesize()), err
}

// useMemoryAsServer makes this process use memory as a server does that has MemoryMB. It returns what undoes that.
func useMemoryAsServer() (undo func()) {
	limit, percent := debug.SetMemoryLimit(MemoryMB<<20), debug.SetGCPercent(300)
	return func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}
