package hexbid

import (
	"fmt"
	"runtime/debug"
)

// Contain calls a function and turns a panic into an error of kind Internal, which carries the stack for the operator's
// log. A goroutine that works for a call runs inside Contain. Otherwise a panic would end the process, and with it
// every other call.
func Contain(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return call()
}
