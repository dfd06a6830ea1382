package folder

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// Pebble takes a damaged record near the end of the last log of writes, or of a manifest, for the end of the file.
// After a power cut that is right: half a record may stand there, and nobody was told that it was written. This file
// distinguishes the two cases before Pebble opens the folder. Nothing after half a record was ever synced. So a damaged
// record followed by one that says "all before me was synced" is a loss.

// LogFile describes one log of writes, or a manifest.
type LogFile struct {
	Path    string
	Last    uint64 // the last position in the file; 0 when there is none
	records int
	whole   int64 // bytes up to the first record that cannot be read
	torn    bool  // a record cannot be read
	damaged bool  // something synced follows that record
}

// Logs reads the logs of writes of a folder, oldest first. Function position is that of Options.
func Logs(fs vfs.FS, dir string, position func(key, value []byte) (uint64, bool)) ([]LogFile, error) {
	logs, err := wal.Scan(wal.Dir{FS: fs, Dirname: dir})
	if err != nil {
		return nil, err
	}
	files := make([]LogFile, 0, len(logs))
	for _, log := range logs {
		_, path := log.SegmentLocation(0)
		file := LogFile{Path: path}
		reader := log.OpenForRead()
		err := file.read(func() (io.Reader, int64, error) {
			r, at, err := reader.NextRecord()
			return r, at.Physical, err
		}, func(batch []byte) { file.notePosition(batch, position) })
		if err := errors.Join(err, reader.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := file.judge(fs, uint32(log.Num)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, file)
	}
	return files, nil
}

// inspectManifest reads a manifest.
func inspectManifest(fs vfs.FS, path string) (file LogFile, err error) {
	file.Path = path
	f, err := fs.Open(path)
	if err != nil {
		return file, err
	}
	defer f.Close()
	reader := record.NewReader(f, 0)
	err = file.read(func() (io.Reader, int64, error) {
		at := reader.Offset()
		r, err := reader.Next()
		return r, at, err
	}, func([]byte) {})
	if err == nil {
		err = file.judge(fs, 0)
	}
	file.damaged = file.damaged || file.records == 0
	return file, err
}

// read passes records to note until the end, or until one cannot be read.
func (l *LogFile) read(next func() (r io.Reader, at int64, err error), note func(record []byte)) error {
	var record bytes.Buffer
	for {
		r, at, err := next()
		l.whole = at
		if err == nil {
			record.Reset()
			_, err = io.Copy(&record, r)
		}
		switch {
		case err == nil:
			l.records++
			note(record.Bytes())
		case errors.Is(err, io.EOF):
			return nil
		case invalidRecord(err):
			l.torn = true
			return nil
		default:
			return err
		}
	}
}

func invalidRecord(err error) bool {
	return errors.Is(err, record.ErrInvalidChunk) || errors.Is(err, record.ErrZeroedChunk) ||
		errors.Is(err, record.ErrUnexpectedEOF)
}

// notePosition remembers the position in a batch, which is what a log's record holds.
func (l *LogFile) notePosition(batch []byte, position func(key, value []byte) (uint64, bool)) {
	if _, ok := batchrepr.ReadHeader(batch); !ok {
		return
	}
	steps := batchrepr.Read(batch)
	for {
		_, key, value, ok, err := steps.Next()
		if !ok || err != nil {
			return
		}
		if at, ok := position(key, value); ok {
			l.Last = at
		}
	}
}

// judge searches for synced data after the last readable record.
func (l *LogFile) judge(fs vfs.FS, number uint32) error {
	f, err := fs.Open(l.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	block := make([]byte, blockBytes)
	search := evidence{whole: l.whole}
	for at := l.whole / blockBytes * blockBytes; at < info.Size() && !search.found; at += blockBytes {
		n, err := f.ReadAt(block, at)
		if err != nil && err != io.EOF {
			return err
		}
		search.look(chunks{block[:n], number}, at)
	}
	l.damaged = search.found
	return nil
}

// evidence searches for a chunk which shows that more was synced than can be read.
type evidence struct {
	whole    int64 // end of the readable part
	searched bool  // searched to the end of the block of the first unreadable chunk
	found    bool
}

// look searches a block. It follows the chunks from the block's start. The length of an unreadable chunk may be damaged
// too, so in the rest of its block look tries every byte as a start. In later blocks it only follows the chunks from
// the start, which keeps the cost linear.
func (e *evidence) look(c chunks, blockAt int64) {
	everyByte := false
	for at := max(0, int(e.whole-blockAt)); at <= len(c.block)-mostHeaderBytes; {
		chunk, ok := c.at(at)
		switch {
		case ok && chunk.saysSynced(uint64(blockAt)+uint64(at), uint64(e.whole)):
			e.found = true
			return
		case ok:
			at += chunk.bytes
		case everyByte || !e.searched:
			everyByte, e.searched = true, true
			at++
		default:
			return
		}
	}
}

// The format of both files (pebble/v2/record): blocks of 32 KiB that hold chunks
// of
//
//	0  CRC-32C of what follows from 6 on, masked
//	4  length of the payload
//	6  kind: 1–4 of manifests, 5–8 of logs, 9–12 of logs that say what was synced
//	7  low half of the log's number, kinds 5–12
//	11 offset below which all was synced when the chunk was written, kinds 9–12
//
// all little-endian. Within each four kinds the first two begin a record.
const (
	blockBytes      = 32 << 10
	oldHeaderBytes  = 7
	mostHeaderBytes = 19 // what is shorter at the end of a block may be padding
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunks is a block of the log with a number, 0 for a manifest.
type chunks struct {
	block  []byte
	number uint32
}

type foundChunk struct {
	kind   byte
	bytes  int
	synced uint64
}

// at reads the chunk that begins at a byte, if there is a whole one.
func (c *chunks) at(at int) (found foundChunk, ok bool) {
	b := c.block[at:]
	if len(b) < oldHeaderBytes {
		return found, false
	}
	found.kind = b[6]
	header := oldHeaderBytes
	switch {
	case c.number == 0 && found.kind >= 1 && found.kind <= 4:
	case c.number != 0 && found.kind >= 5 && found.kind <= 12:
		header += 4
		if found.kind >= 9 {
			header += 8
		}
	default:
		return found, false
	}
	found.bytes = header + int(binary.LittleEndian.Uint16(b[4:]))
	if len(b) < found.bytes || c.number != 0 && binary.LittleEndian.Uint32(b[7:]) != c.number {
		return found, false
	}
	sum := crc32.Checksum(b[6:found.bytes], castagnoli)
	if sum = sum>>15 | sum<<17; sum+0xa282ead8 != binary.LittleEndian.Uint32(b) {
		return found, false
	}
	if found.kind >= 9 {
		found.synced = binary.LittleEndian.Uint64(b[11:])
	}
	return found, true
}

// saysSynced reports whether a chunk shows that the bytes before whole were synced. Chunks of some kinds say so. A
// chunk of another kind shows it if it begins a record after them, because a writer begins a record only when the one
// before is synced.
func (f *foundChunk) saysSynced(at, whole uint64) bool {
	if f.kind >= 9 {
		return f.synced > whole
	}
	return at > whole && (f.kind-1)%4 < 2
}

// keepWhole cuts a damaged log after its last readable record. The original stays beside it under another name, which
// Pebble ignores.
func (l *LogFile) keepWhole(fs vfs.FS) error {
	f, err := fs.Open(l.Path)
	if err != nil {
		return err
	}
	whole, err := io.ReadAll(io.LimitReader(f, l.whole))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(l.Path, l.Path+".damaged"); err != nil {
		return err
	}
	return ReplaceFile(fs, l.Path, whole)
}
