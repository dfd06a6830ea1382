package load

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// PinSelf keeps this process on some cores, and its runtime to as many.
func PinSelf(cores []int) error {
	if err := Pin(os.Getpid(), cores); err != nil {
		return err
	}
	runtime.GOMAXPROCS(len(cores))
	return nil
}

// Pin keeps a process, with all its threads, on some cores. Threads made later
// stay there too.
func Pin(pid int, cores []int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		return fmt.Errorf("pinning process %d: it has no threads in /proc", pid)
	}
	for _, task := range tasks {
		thread, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(thread, &set); err != nil && err != unix.ESRCH { // ended meanwhile
			return fmt.Errorf("pinning process %d to cores %v: %w", pid, cores, err)
		}
	}
	return nil
}

// Cores are those that a process may use; 0 is this one.
func Cores(pid int) (cores []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &set); err != nil {
		return nil, fmt.Errorf("asking for the cores of process %d: %w", pid, err)
	}
	for core := 0; len(cores) < set.Count(); core++ {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// Listener finds the process of this machine that listens on a TCP port. It sees
// processes of other users only with the rights to.
func Listener(port int) (pid int, err error) {
	inode := ""
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6, say
		}
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st … inode; state 0A is LISTEN.
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inode = "socket:[" + f[9] + "]"
			}
		}
	}
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil || inode == "" {
		return 0, fmt.Errorf("no process of this machine listens on port %d", port)
	}
	for _, d := range descriptors {
		if to, err := os.Readlink(d); err == nil && to == inode {
			return strconv.Atoi(strings.Split(d, "/")[2])
		}
	}
	return 0, fmt.Errorf("the process that listens on port %d is not to be seen: it is another user's", port)
}
