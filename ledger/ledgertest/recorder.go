package ledgertest

import (
	"runtime"
	"sync"
	"testing"
)

// fails reports whether a test fails. The test runs in a goroutine of its own, because a fatal failure ends that.
func fails(t testing.TB, test func(testing.TB)) bool {
	r := &recorder{TB: t}
	var running sync.WaitGroup
	running.Go(func() {
		defer r.clean()
		test(r)
	})
	running.Wait()
	return r.failed
}

// recorder is a testing.TB that notes a failure instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex // guards the fields below
	failed   bool
	cleanups []func()
}

// Helper implements testing.TB.
func (r *recorder) Helper() {}

// Fail implements testing.TB. It notes the failure.
func (r *recorder) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

// FailNow implements testing.TB. It ends the goroutine of the test.
func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

// Failed implements testing.TB.
func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Error implements testing.TB.
func (r *recorder) Error(...any) { r.Fail() }

// Errorf implements testing.TB.
func (r *recorder) Errorf(string, ...any) { r.Fail() }

// Fatal implements testing.TB.
func (r *recorder) Fatal(...any) { r.FailNow() }

// Fatalf implements testing.TB.
func (r *recorder) Fatalf(string, ...any) { r.FailNow() }

// Skip implements testing.TB. A skipped test has not failed.
func (r *recorder) Skip(...any) { runtime.Goexit() }

// Log implements testing.TB. Nobody reads what a recorded test logs.
func (r *recorder) Log(...any) {}

// Logf implements testing.TB.
func (r *recorder) Logf(string, ...any) {}

// Cleanup implements testing.TB.
func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) clean() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}
