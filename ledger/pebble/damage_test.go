package pebble

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/ledger/journal"
)

const dir = "d/ledger"

// filler is what the tests write into the batch of a number: a record, a row of its own and one that all share.
func filler(number uint64) *journal.Batch {
	record := fmt.Appendf(nil, "record %d", number)
	noise := sha256.Sum256(record)
	return &journal.Batch{After: number - 1, Records: [][]byte{record}, Tail: noise, Rows: []journal.Row{
		{Table: journal.Charges, Key: journal.SequenceKey(number), Value: bytes.Repeat(noise[:], 8)},
		{Table: journal.Meta, Key: []byte("last"), Value: record}}}
}

func commitUpTo(t *testing.T, j *Journal, from, to uint64) {
	t.Helper()
	for number := from; number <= to; number++ {
		if err := j.Commit(context.Background(), filler(number)); err != nil {
			t.Fatal(err)
		}
	}
}

// killed fills a journal with tables and a log of writes, and returns the disk as a kill leaves it.
func killed(t *testing.T) (disk *vfs.MemFS, batches uint64) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	j := open(t, mem)
	defer j.Close()
	for round := range uint64(3) {
		commitUpTo(t, j, round*60+1, round*60+60)
		if round < 2 {
			if err := j.folder.DB.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return asKilled(mem), 180
}

func asKilled(mem *vfs.MemFS) *vfs.MemFS {
	return mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: seeded()})
}

func cloned(t *testing.T, disk *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if _, err := vfs.Clone(disk, to, "d", "d"); err != nil {
		t.Fatal(err)
	}
	return to
}

// lookedAt opens a journal and reads all of it. Whole reports whether everything is there that filler wrote.
func lookedAt(disk vfs.FS, batches uint64) (whole bool, err error) {
	j, err := tried(Options{Dir: dir, FS: disk})
	if err != nil {
		return false, err
	}
	defer j.Close()
	v, err := j.View()
	if err != nil {
		return false, err
	}
	defer v.Close()
	found := map[journal.Table]uint64{}
	for _, table := range []journal.Table{journal.Records, journal.Charges} {
		if err := v.Scan(table, nil, nil, func(key, value []byte) (bool, error) {
			found[table]++
			want := filler(found[table])
			right := bytes.Equal(value, want.Records[0])
			if table == journal.Charges {
				right = bytes.Equal(value, want.Rows[0].Value)
			}
			return right && bytes.Equal(key, journal.SequenceKey(found[table])), nil
		}); err != nil {
			return false, err
		}
	}
	value, err := v.Get(journal.Meta, []byte("last"))
	return found[journal.Records] == batches && found[journal.Charges] == batches && v.Last() == batches &&
		bytes.Equal(value, filler(batches).Records[0]), err
}

func contentOf(t *testing.T, disk vfs.FS, path string) []byte {
	t.Helper()
	content, err := folder.ReadFile(disk, path)
	if err != nil {
		t.Fatal(path, err)
	}
	return content
}

// filesOf lists the files of the folder, and the witness.
func filesOf(t *testing.T, disk vfs.FS) (paths []string) {
	t.Helper()
	names, err := disk.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		paths = append(paths, path.Join(dir, name))
	}
	slices.Sort(paths)
	return append(paths, folder.WitnessPath(dir))
}

// TestADamagedFileNeverMeansSilentlyLess damages each file of a folder in many ways. Either everything is there, or an
// error says what is wrong.
func TestADamagedFileNeverMeansSilentlyLess(t *testing.T) {
	disk, batches := killed(t)
	if whole, err := lookedAt(cloned(t, disk), batches); !whole || err != nil {
		t.Fatalf("an untouched journal: whole %v, %v", whole, err)
	}
	tried, noticed := 0, 0
	for _, file := range filesOf(t, disk) {
		content := contentOf(t, disk, file)
		for what, damaged := range damagesOf(content) {
			clone := cloned(t, disk)
			err := folder.ReplaceFile(clone, file, damaged)
			if damaged == nil {
				err = clone.Remove(file)
			}
			if err != nil {
				t.Fatal(err)
			}
			whole, err := lookedAt(clone, batches)
			tried++
			if err != nil {
				noticed++
				wantTold(t, file, what, err)
			} else if !whole {
				t.Errorf("%s, %s: rows are gone without a word", file, what)
			}
		}
	}
	t.Logf("%d ways to damage a file, %d of them were noticed", tried, noticed)
	if noticed < 50 {
		t.Errorf("only %d damages were noticed", noticed)
	}
}

func wantTold(t *testing.T, file, what string, err error) {
	t.Helper()
	if kind := hexbid.KindOf(err); kind != hexbid.DataLoss && kind != hexbid.Unavailable {
		t.Errorf("%s, %s: kind %d: %v", file, what, kind, err)
	}
}

// damagesOf returns damaged contents of a file. Nil stands for no file.
func damagesOf(content []byte) map[string][]byte {
	all := map[string][]byte{"removed": nil, "emptied": {}, "cut in half": slices.Clone(content[:len(content)/2])}
	if len(content) == 0 {
		return map[string][]byte{"removed": nil}
	}
	all["cut by a byte"] = slices.Clone(content[:len(content)-1])
	parts := 60
	if testing.Short() {
		parts = 8
	}
	step := max(1, len(content)/parts)
	for at := 0; at < len(content); at += step {
		flipped := slices.Clone(content)
		flipped[at] ^= 1 << (at % 8)
		all[fmt.Sprintf("byte %d of %d flipped", at, len(content))] = flipped
	}
	zeroed := slices.Clone(content)
	clear(zeroed[len(zeroed)/2:])
	all["its second half zero"] = zeroed
	return all
}

// wantLoss opens a damaged journal, which must be refused in certain words, and accepts the loss.
func wantLoss(t *testing.T, disk *vfs.MemFS, words ...string) *Journal {
	t.Helper()
	_, err := tried(Options{Dir: dir, FS: disk})
	if hexbid.KindOf(err) != hexbid.DataLoss || err == nil {
		t.Fatalf("error %v", err)
	}
	for _, w := range append(words, "--accept-loss") {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
	j, err := tried(Options{Dir: dir, FS: disk, AcceptLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	if !j.AcceptedLoss() || !j.OpenLoss() || len(j.Losses()) != 1 || !strings.Contains(j.Losses()[0], words[0]) {
		t.Errorf("losses %q", j.Losses())
	}
	return j
}

// wantGoesOn commits to a journal that goes on after a loss, and opens it again, without a loss.
func wantGoesOn(t *testing.T, j *Journal, disk *vfs.MemFS) {
	t.Helper()
	v, err := j.View()
	if err != nil {
		t.Fatal(err)
	}
	last := v.Last()
	_ = v.Close()
	commitUpTo(t, j, last+1, last+20)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, disk)
	if again.AcceptedLoss() || len(again.Losses()) != 1 || !again.OpenLoss() {
		t.Errorf("at the next start: accepted %v, losses %q, open %v", again.AcceptedLoss(), again.Losses(),
			again.OpenLoss())
	}
	if err := errors.Join(again.SettleLoss(), again.Close()); err != nil {
		t.Fatal(err)
	}
	again = open(t, disk)
	defer again.Close()
	if again.OpenLoss() || len(again.Losses()) != 1 {
		t.Errorf("after it was settled: losses %q, open %v", again.Losses(), again.OpenLoss())
	}
}

func TestAMissingFolderBesideItsWitnessIsRefused(t *testing.T) {
	disk, _ := killed(t)
	if err := disk.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	wantGoesOn(t, wantLoss(t, disk, "holds no ledger", "batch 180 was acknowledged"), disk)
}

func TestAMissingWitnessIsRefused(t *testing.T) {
	disk, _ := killed(t)
	if err := disk.Remove(folder.WitnessPath(dir)); err != nil {
		t.Fatal(err)
	}
	wantGoesOn(t, wantLoss(t, disk, "witness", "missing"), disk)
}

// TestAnOlderCopyIsRefused puts an older state of the folder beside the newest witness.
func TestAnOlderCopyIsRefused(t *testing.T) {
	mem := vfs.NewCrashableMem()
	j := open(t, mem)
	commitUpTo(t, j, 1, 50)
	older := asKilled(mem)
	commitUpTo(t, j, 51, 70)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := folder.ReplaceFile(older, folder.WitnessPath(dir),
		contentOf(t, mem, folder.WitnessPath(dir))); err != nil {
		t.Fatal(err)
	}
	wantGoesOn(t, wantLoss(t, older, "batch 50", "batch 70 was acknowledged"), older)
}

// TestAnotherLedgerOfEqualLengthIsRefused exchanges the witnesses of two journals of as many batches.
func TestAnotherLedgerOfEqualLengthIsRefused(t *testing.T) {
	disks := [2]*vfs.MemFS{}
	for i := range disks {
		disks[i] = vfs.NewMem()
		j := open(t, disks[i])
		b := filler(1)
		b.Tail[0] = byte(i)
		if err := errors.Join(j.Commit(context.Background(), b), j.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := folder.ReplaceFile(disks[0], folder.WitnessPath(dir),
		contentOf(t, disks[1], folder.WitnessPath(dir))); err != nil {
		t.Fatal(err)
	}
	wantGoesOn(t, wantLoss(t, disks[0], "another ledger stands in its place"), disks[0])
}

// TestALogThatIsMissingInTheMiddleIsNoticed removes a log of writes that Pebble needs and does not miss.
func TestALogThatIsMissingInTheMiddleIsNoticed(t *testing.T) {
	mem := vfs.NewCrashableMem()
	full := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC // so that Pebble keeps its logs
		}
		return nil
	})}
	j := open(t, errorfs.Wrap(mem, &full))
	full.On()
	for log := range uint64(3) {
		commitUpTo(t, j, log*3+1, log*3+3)
		if _, err := j.folder.DB.AsyncFlush(); err != nil {
			t.Fatal(err)
		}
	}
	disk := asKilled(mem)
	full.Off()
	_ = j.Close()
	logs, err := folder.Logs(disk, dir, batchNumber)
	if err != nil || len(logs) < 3 {
		t.Fatalf("logs %+v, %v", logs, err)
	}
	if err := disk.Remove(logs[1].Path); err != nil {
		t.Fatal(err)
	}
	wantGoesOn(t, wantLoss(t, disk, "lacks batch"), disk)
}

// marked counts the marks of a journal.
func marked(t *testing.T, j *Journal) (n int) {
	t.Helper()
	iter, err := j.folder.DB.NewIter(&pebble.IterOptions{LowerBound: markKey(0), UpperBound: []byte{0, 'b' + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	for ok := iter.First(); ok; ok = iter.Next() {
		n++
	}
	return n
}

// TestMarksAreThinnedOutAndEveryOneThatStaysIsMissed commits many batches, and removes one mark after another.
func TestMarksAreThinnedOutAndEveryOneThatStaysIsMissed(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem)
	const batches = 50 * fewMarks
	for number := uint64(1); number <= batches; number++ {
		commitUpTo(t, j, number, number)
		if j.marks.flushed != nil {
			<-j.marks.flushed
		}
	}
	if n := marked(t, j); n > batches/fewMarks+3*fewMarks {
		t.Errorf("%d marks of %d batches are left", n, batches)
	}
	if missing, err := j.marks.check(j.folder, &j.end); missing != 0 || err != nil {
		t.Errorf("batch %d is missing, %v", missing, err)
	}
	var numbers []uint64
	for number := j.marks.after(0, &j.end); number <= j.end.number; number = j.marks.after(number, &j.end) {
		numbers = append(numbers, number)
	}
	for _, number := range numbers {
		if err := j.folder.DB.Delete(markKey(number), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if missing, err := j.marks.check(j.folder, &j.end); missing != number || err != nil {
			t.Errorf("the mark of batch %d is gone, and batch %d is missed, %v", number, missing, err)
		}
		if err := j.folder.DB.Set(markKey(number), nil, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if whole, err := lookedAt(mem, batches); !whole || err != nil {
		t.Errorf("after the restart: whole %v, %v", whole, err)
	}
}

func TestAnotherCurrencyAndAnotherFormatAreRefused(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem)
	if err := j.folder.DB.Set(keyFormat, []byte("999"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, FS: mem, Currency: "CNY", Log: quiet}); err == nil ||
		!strings.Contains(err.Error(), `"999"`) {
		t.Errorf("another format: %v", err)
	}
	mem = vfs.NewMem()
	if err := open(t, mem).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, FS: mem, Currency: "EUR", Log: quiet}); err == nil ||
		!strings.Contains(err.Error(), "CNY, not EUR") {
		t.Errorf("another currency: %v", err)
	}
}

// nearlyFull is a disk with little room.
type nearlyFull struct {
	vfs.FS
	now *bool
}

func (n nearlyFull) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if !*n.now {
		return vfs.DiskUsage{AvailBytes: 1 << 39, TotalBytes: 1 << 40}, nil
	}
	return vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 1 << 40}, nil
}

func TestACommitWantsRoomOnTheDisk(t *testing.T) {
	full := false
	j := open(t, nearlyFull{vfs.NewMem(), &full})
	defer j.Close()
	commitUpTo(t, j, 1, 3)
	full = true
	err := j.Commit(context.Background(), filler(4))
	if hexbid.KindOf(err) != hexbid.Exhausted || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("error %v", err)
	}
	if err := j.Keep(filler(4).Rows); hexbid.KindOf(err) != hexbid.Exhausted {
		t.Errorf("error %v", err)
	}
	full = false
	commitUpTo(t, j, 4, 4)
}

// TestADiskThatFillsUpOnSomeFiles lets the disk refuse one kind of file at a time. The process goes on, reads too, and
// what was acknowledged is there after a restart.
func TestADiskThatFillsUpOnSomeFiles(t *testing.T) {
	for _, part := range []string{".log", "MANIFEST-", "marker.", ".witness", ".sst", "temp"} {
		t.Run(part, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			full := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, part) {
					return syscall.ENOSPC
				}
				return nil
			})}
			j := open(t, errorfs.Wrap(mem, &full))
			commitUpTo(t, j, 1, 5)
			full.On()
			acknowledged := uint64(5)
			for number := uint64(6); number < 60; number++ {
				if err := j.Commit(context.Background(), filler(number)); err != nil {
					if hexbid.KindOf(err) != hexbid.Unavailable || j.Failure() == nil {
						t.Errorf("batch %d: %v, failure %v", number, err, j.Failure())
					}
					break
				}
				acknowledged = number
			}
			v, err := j.View()
			if err != nil {
				t.Fatal(err)
			}
			if value, err := v.Get(journal.Records, journal.SequenceKey(acknowledged)); value == nil || err != nil {
				t.Errorf("reads stopped too: %v", err)
			}
			_ = v.Close()
			disk := mem.CrashClone(vfs.CrashCloneCfg{})
			full.Off()
			_ = j.Close()
			again := open(t, disk)
			defer again.Close()
			if again.end.last < acknowledged {
				t.Errorf("%d records are there, %d were acknowledged", again.end.last, acknowledged)
			}
		})
	}
}
