package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// A supervisor such as systemd starts the program with the name of a socket in NOTIFY_SOCKET, and wants to be told when
// it is ready, reads its settings again, or stops. Without that variable nothing is told.

// tell tells the supervisor of a state.
func (m *Main) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.Log.Warn("the supervisor cannot be told how this process is", "error", err)
	}
}

// tellSupervisor tells the supervisor when searches are answered, which closes answers, and when the context ends.
// Until then it reads certificates and keys again upon each SIGHUP.
func (m *Main) tellSupervisor(ctx context.Context, group *sync.WaitGroup, answers <-chan struct{}) {
	m.tell("STATUS=Indexing the catalogue")
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	group.Go(func() {
		defer signal.Stop(hangups)
		for ready := false; ; {
			select {
			case <-ctx.Done():
				m.tell(daemon.SdNotifyStopping + "\nSTATUS=Draining")
				return
			case <-answers:
				ready, answers = true, nil
			case <-hangups:
				if ready {
					m.tell(daemon.SdNotifyReloading + fmt.Sprintf("\nMONOTONIC_USEC=%d", monotonicMicros()))
				}
				m.reload()
			}
			if ready { // a reload during the start says nothing: the supervisor would take the process for ready
				m.tell(daemon.SdNotifyReady + "\nSTATUS=Serving on " + m.Address())
			}
		}
	})
}

// reload reads certificates and the keys of tokens again. What does not load leaves the old one in force. The server
// does the same by itself within a second of a change; a reload says at once what is wrong with the files.
func (m *Main) reload() {
	if err := m.server.Reload(); err != nil {
		m.Log.Error("certificates do not load; the old ones stay in force", "error", err)
	}
	if _, err := m.keys.Reload(); err != nil {
		m.Log.Error("the key file is refused; the old keys stay in force while this process runs", "error", err)
	}
	m.Log.Info("settings were read again", "cause", "SIGHUP")
}

// monotonicMicros is the time that systemd orders reloads by.
func monotonicMicros() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return t.Nano() / 1000
}
