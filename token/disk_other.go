//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package token

import "os"

// lockFile does nothing on this system: rotate the keys from one process at a time.
func lockFile(*os.File) error { return nil }

// openToOthers returns false on this system, which has no such permissions to read.
func openToOthers(os.FileInfo) bool { return false }
