//go:build !linux

package load

import "time"

// alarm is the runtime's timer.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

func (*alarm) sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}

func (*alarm) close() {}

// cpuTime is not measured here: a report says that the generator took nothing.
func cpuTime() time.Duration { return 0 }
