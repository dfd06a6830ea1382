package hexbid

import (
	"fmt"
	"runtime/debug"
)

// Contain calls a function and turns a panic of it into an error of kind
// Internal, with the stack for the operator's log. A goroutine that works for a
// call runs inside Contain: a panic that nothing recovers ends the process, and
// with it every other call.
func Contain(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return call()
}
