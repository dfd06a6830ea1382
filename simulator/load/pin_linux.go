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

// PinSelf restricts this process to some cores, and its runtime to as many threads.
func PinSelf(cores []int) error {
	if err := Pin(os.Getpid(), cores); err != nil {
		return err
	}
	runtime.GOMAXPROCS(len(cores))
	return nil
}

// Pin restricts a process and all its threads to some cores. Later threads inherit the restriction.
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
		if err := unix.SchedSetaffinity(thread, &set); err != nil && err != unix.ESRCH { // the thread has ended meanwhile
			return fmt.Errorf("pinning process %d to cores %v: %w", pid, cores, err)
		}
	}
	return nil
}

// Cores returns the cores that a process may use. The pid 0 means this process.
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

// Listener returns the process on this machine that listens on a TCP port. It finds processes of other users only when
// this process has the rights to see them.
func Listener(port int) (pid int, err error) {
	inode := ""
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // the file is missing, for example without IPv6
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
