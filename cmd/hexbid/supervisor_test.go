package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hexbid/hexbid/cli"
)

// supervisor is the socket that a supervisor is told at.
type supervisor struct {
	t    *testing.T
	conn *net.UnixConn
}

func newSupervisor(t *testing.T) *supervisor {
	t.Helper()
	at := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", at.Name)
	return &supervisor{t, conn}
}

// await waits until it is told something with a line, and returns all of it.
func (s *supervisor) await(line string) string {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	for buffer := make([]byte, 4096); ; {
		n, err := s.conn.Read(buffer)
		if err != nil {
			s.t.Fatalf("nobody said %s: %v", line, err)
		}
		if told := string(buffer[:n]); strings.HasPrefix(told, line) {
			return told
		}
	}
}

func TestASupervisorIsToldOfReadinessReloadsAndTheStop(t *testing.T) {
	s := newSupervisor(t)
	p := startProcess(t, "--data", t.TempDir())
	if told := s.await("READY=1"); !strings.Contains(told, "STATUS=Serving on "+p.address) {
		t.Error(told)
	}
	if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if told := s.await("RELOADING=1"); !strings.Contains(told, "\nMONOTONIC_USEC=") {
		t.Error(told)
	}
	s.await("READY=1")
	if code, out := health(t, p.address); code != 0 || out != "SERVING\n" {
		t.Errorf("after a reload health exits with %d: %s", code, out)
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await("STOPPING=1")
	if err := <-p.ended; err != nil {
		t.Errorf("%v\n%s", err, p.output)
	}
	if code, out := health(t, p.address); code == 0 {
		t.Errorf("nobody serves, and health says %s", out)
	}
}

// told is a log that passes its lines on.
type told chan string

func (l told) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestAReloadDuringTheStartDoesNotSayReady sends a SIGHUP to a program whose searches are not answered yet.
func TestAReloadDuringTheStartDoesNotSayReady(t *testing.T) {
	s, log := newSupervisor(t), make(told, 100)
	config := DefaultServeConfig()
	config.Listen, config.MetricsListen, config.HTTPListen = "127.0.0.1:0", "", ""
	m := NewMain(config)
	m.Log = slog.New(slog.NewTextHandler(log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	if err := m.Open(ctx); err != nil {
		t.Fatal(err)
	}
	defer m.close()
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	answers := make(chan struct{})
	m.tellSupervisor(ctx, &group, answers)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for line := ""; !strings.Contains(line, "settings were read again"); {
		select {
		case line = <-log:
		case <-time.After(time.Minute):
			t.Fatal("the reload does not end")
		}
	}
	close(answers)
	if words := s.await("STATUS=Indexing") + s.await(""); !strings.HasPrefix(words,
		"STATUS=Indexing the catalogueREADY=1\n") {
		t.Errorf("the supervisor was told %q", words)
	}
}

// health asks a server for its health as the command does.
func health(t *testing.T, address string, flags ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code = cli.Run(testContext(t), append([]string{"health", "--server", address}, flags...),
		cli.Env{Stdout: &stdout, Stderr: &stderr})
	return code, stdout.String()
}
