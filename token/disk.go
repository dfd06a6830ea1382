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
	rand.Read(key) // never fails: it aborts the program instead
	return key
}

// locked does something while nobody else does anything locked to the file, in
// this process or another. The lock is a file beside it, which stays: the file
// itself is replaced by every change.
func locked(path string, do func() error) error {
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	defer lock.Close() // and so unlocks
	if err := lockFile(lock); err != nil {
		return fmt.Errorf("key file: %s: %w", lock.Name(), err)
	}
	return do()
}

// writeWhole replaces a file so that, after a crash at whatever instant, it has
// either its old text or the new one. Its callers hold a lock: a leftover of a
// crash is overwritten.
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
