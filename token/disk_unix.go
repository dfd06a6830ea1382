//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package token

import (
	"os"
	"syscall"
)

// lockFile waits until no other open file holds the lock; closing f releases it.
func lockFile(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return err
		}
	}
}

// openToOthers says whether a file's group or all may do anything with it.
func openToOthers(info os.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
