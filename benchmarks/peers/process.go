package peers

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// ErrNotInstalled is the error of a peer that this machine does not have.
var ErrNotInstalled = errors.New("is not installed")

// within calls try until it returns no error, for at most the given time.
func within(limit time.Duration, try func() error) (err error) {
	for started := time.Now(); time.Since(started) < limit; time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return nil
		}
	}
	return err
}

// end asks a process that this program started to end, and waits for it.
func end(process *exec.Cmd) error {
	if err := process.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	_ = process.Wait() // a server that is told to end may say so by its status
	return nil
}
