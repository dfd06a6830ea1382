package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
)

// unfinished is the end of the name of a folder that is being written. It gets its own name when it is whole.
const unfinished = ".unfinished"

// Write copies the files below a folder to a new one, with a manifest. The manifest's files are filled in. When the
// context ends or a file cannot be written, nothing is left behind.
func Write(ctx context.Context, from, to string, m Manifest) error {
	return whole(to, func(dir string) error {
		paths, err := filesBelow(from)
		if err != nil {
			return err
		}
		m.Format, m.Files = Format, nil
		for _, path := range paths {
			file, err := copyFile(ctx, from, dir, path)
			if err != nil {
				return err
			}
			m.Files = append(m.Files, file)
		}
		return m.write(dir)
	})
}

// Restore copies the files of a backup, without the manifest, to a new folder, compares each with the manifest, and has
// finish complete the copy. When anything fails, nothing is left behind.
func Restore(ctx context.Context, from, to string, finish func(dir string, m Manifest) error) error {
	m, err := Read(from)
	if err != nil {
		return err
	}
	if err := m.checkNames(from); err != nil {
		return err
	}
	return whole(to, func(dir string) error {
		for i := range m.Files {
			want := &m.Files[i]
			got, err := copyFile(ctx, from, dir, want.Path)
			if err != nil {
				return err
			}
			if got != *want {
				return hexbid.Errorf(hexbid.DataLoss, "backup", "file %s of backup %s is damaged: it has %d bytes and SHA-256 %s, "+
					"the manifest says %d and %s; take another backup", want.Path, from, got.Bytes, got.SHA256, want.Bytes,
					want.SHA256)
			}
		}
		return finish(dir, m)
	})
}

// checkNames compares the names of the files in a backup with those in its manifest.
func (m *Manifest) checkNames(dir string) error {
	found, err := filesBelow(dir)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(path string) bool { return path == manifestName })
	var named []string
	for i := range m.Files {
		if path := m.Files[i].Path; !filepath.IsLocal(path) {
			return hexbid.Errorf(hexbid.DataLoss, "backup", "the manifest of %s names %q, which is outside of it", dir, path)
		}
		named = append(named, m.Files[i].Path)
	}
	slices.Sort(named)
	slices.Sort(found)
	if !slices.Equal(named, found) {
		return hexbid.Errorf(hexbid.DataLoss, "backup", "the manifest of %s names %d files, %d are there, or others: take "+
			"another backup", dir, len(named), len(found))
	}
	return nil
}

// whole makes a folder under an unfinished name, has fill fill it, and renames it. After an error it removes the
// folder.
func whole(to string, fill func(dir string) error) (err error) {
	if err := CheckNew(to); err != nil {
		return err
	}
	dir := to + unfinished
	if err := CheckNew(dir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := folder.MakeDir(vfs.Default, dir); err != nil {
		return written(dir, err)
	}
	if err := fill(dir); err != nil {
		return err
	}
	if err := os.Rename(dir, to); err != nil {
		return written(to, err)
	}
	return written(to, folder.SyncDir(vfs.Default, filepath.Dir(to)))
}

// CheckNew refuses a path where something is already.
func CheckNew(path string) error {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return hexbid.Errorf(hexbid.AlreadyExists, "directory",
			"%s is there already: name a folder that is not, or remove it",
			path)
	case !errors.Is(err, os.ErrNotExist):
		return hexbid.Errorf(hexbid.Unavailable, "directory", "%s: %v", path, err)
	}
	return nil
}

// written returns the error for a path that cannot be written.
func written(path string, err error) error {
	if err == nil {
		return nil
	}
	return hexbid.Errorf(hexbid.Unavailable, "directory", "%s cannot be written: %v", path, err)
}

// filesBelow lists the files below a folder, by their paths in it.
func filesBelow(dir string) (paths []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return hexbid.Invalidf("backup", "%s is not a plain file", path)
		}
		within, err := filepath.Rel(dir, path)
		paths = append(paths, filepath.ToSlash(within))
		return err
	})
	if err != nil && hexbid.KindOf(err) == hexbid.Internal {
		err = hexbid.Errorf(hexbid.Unavailable, "backup", "%s cannot be read: %v", dir, err)
	}
	return paths, err
}

// copyFile copies and syncs a file, with the folders over it.
func copyFile(ctx context.Context, from, to, path string) (file File, err error) {
	source, err := os.Open(filepath.Join(from, filepath.FromSlash(path)))
	if err != nil {
		return file, hexbid.Errorf(hexbid.Unavailable, "backup", "%v", err)
	}
	defer source.Close()
	target := filepath.Join(to, filepath.FromSlash(path))
	if err := folder.MakeDir(vfs.Default, filepath.Dir(target)); err != nil {
		return file, written(target, err)
	}
	copied, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return file, written(target, err)
	}
	sum := sha256.New()
	file.Path = path
	file.Bytes, err = io.Copy(io.MultiWriter(copied, sum), &reader{ctx, source})
	if err = errors.Join(err, copied.Sync(), copied.Close()); err != nil {
		if ctx.Err() != nil {
			return file, ctx.Err()
		}
		return file, written(target, err)
	}
	file.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return file, written(target, folder.SyncDir(vfs.Default, filepath.Dir(target)))
}

// reader reads a file until its context ends.
type reader struct {
	ctx  context.Context
	file *os.File
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.file.Read(b)
}
