package token

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func newKey() []byte {
	key := make([]byte, keyBytes)
	rand.Read(key) // never returns an error: it aborts the program instead
	return key
}

// locked calls do while it holds the lock of a file, which keeps out other calls in this process and others. The lock
// is a second file beside the first, because every change replaces the first. The lock file is never removed.
func locked(path string, do func() error) error {
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	defer lock.Close() // this also unlocks
	if err := lockFile(lock); err != nil {
		return fmt.Errorf("key file: %s: %w", lock.Name(), err)
	}
	return do()
}

// writeWhole replaces a file. After a crash at any instant the file has either its old text or the new one. Callers
// hold the lock, so writeWhole may overwrite the temporary file that a crash left behind.
func writeWhole(path string, text []byte) (err error) {
	temporary := path + ".new"
	defer func() {
		if err != nil {
			os.Remove(temporary)
		}
	}()
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename in a folder durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
