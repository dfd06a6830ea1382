package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleep blocks the thread: precise to some tens of microseconds, where the
// runtime's timers go through epoll, which counts milliseconds.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // a signal that ends it early does no harm: the pacer looks at the clock
}

// cpuTime is what this process has taken of all cores.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
