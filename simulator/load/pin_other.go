//go:build !linux

package load

import "errors"

var errNoPins = errors.New("cores can be chosen on Linux alone")

// PinSelf would keep this process on some cores. It works on Linux only.
func PinSelf([]int) error { return errNoPins }

// Pin would keep a process on some cores. It works on Linux only.
func Pin(int, []int) error { return errNoPins }

// Cores would return the cores that a process may use. It works on Linux only.
func Cores(int) ([]int, error) { return nil, errNoPins }

// Listener would find the process that listens on a port. It works on Linux only.
func Listener(int) (int, error) { return 0, errNoPins }
