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
	mu       sync.Mutex // guards what follows
	failed   bool
	cleanups []func()
}

func (r *recorder) Helper() {}

func (r *recorder) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) Error(...any)          { r.Fail() }
func (r *recorder) Errorf(string, ...any) { r.Fail() }
func (r *recorder) Fatal(...any)          { r.FailNow() }
func (r *recorder) Fatalf(string, ...any) { r.FailNow() }
func (r *recorder) Skip(...any)           { runtime.Goexit() }
func (r *recorder) Log(...any)            {}
func (r *recorder) Logf(string, ...any)   {}

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
