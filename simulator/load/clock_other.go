//go:build !linux

package load

import "time"

// alarm sleeps by the runtime's timer.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

func (*alarm) sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}

func (*alarm) close() {}

// cpuTime measures nothing on this system, so a report says that the generator took no CPU time.
func cpuTime() time.Duration { return 0 }
