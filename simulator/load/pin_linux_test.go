package load

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestAProcessIsPinnedWithAllItsThreadsAndUnpinned(t *testing.T) {
	before, err := Cores(0)
	if err != nil || len(before) < 2 {
		t.Skipf("cores %v, %v: there is nothing to pin to", before, err)
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}()
	for _, want := range [][]int{before[1:], before[:1], before} {
		if err := Pin(other.Process.Pid, want); err != nil {
			t.Fatal(err)
		}
		if got, err := Cores(other.Process.Pid); err != nil || !slices.Equal(got, want) {
			t.Errorf("pinned to %v: %v, %v", want, got, err)
		}
	}
	if err := Pin(1<<30, before); err == nil {
		t.Error("a process that does not exist was pinned")
	}
}

func TestTheListenerOfAPortIsFound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if pid, err := Listener(port); err != nil || pid != os.Getpid() {
		t.Errorf("process %d, %v; this is %d", pid, err, os.Getpid())
	}
	l.Close()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); { // until the kernel has released the port
		if _, err = Listener(port); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a port that nobody listens on has a listener")
}
