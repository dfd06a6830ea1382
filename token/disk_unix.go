//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package token

import (
	"os"
	"syscall"
)

// lockFile waits until no other open file holds the lock. Closing f releases it.
func lockFile(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

// openToOthers reports whether the file's group or anyone else has any permission on it.
func openToOthers(info os.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
