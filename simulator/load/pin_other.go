//go:build !linux

package load

import "errors"

var errNoPins = errors.New("cores can be chosen on Linux alone")

// PinSelf keeps this process on some cores; on Linux alone.
func PinSelf([]int) error { return errNoPins }

// Pin keeps a process on some cores; on Linux alone.
func Pin(int, []int) error { return errNoPins }

// Cores are those that a process may use; on Linux alone.
func Cores(int) ([]int, error) { return nil, errNoPins }

// Listener finds the process that listens on a port; on Linux alone.
func Listener(int) (int, error) { return 0, errNoPins }
