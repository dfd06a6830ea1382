//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package token

import "os"

// lockFile does nothing here: rotate from one place at a time.
func lockFile(*os.File) error { return nil }

// openToOthers does not know here.
func openToOthers(os.FileInfo) bool { return false }
