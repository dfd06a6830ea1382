//go:build !linux

package load

import "time"

func sleep(d time.Duration) { time.Sleep(d) }

// cpuTime is not measured here: a report says that the generator took nothing.
func cpuTime() time.Duration { return 0 }
