package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
)

// Options says how to open a journal.
type Options struct {
	Dir      string
	Currency string // recorded at first; another is refused later
	// AcceptLoss opens a journal that has lost acknowledged batches, and records the loss in Losses.
	AcceptLoss bool
	FS         vfs.FS          // the real one when nil
	Log        *slog.Logger    // slog.Default when nil
	Context    context.Context // ends Open before it opens the folder; nil for no end

	span uint64 // of marks; defaultSpan when 0
}

// Open opens or creates a journal. Its error says what prevents that and what to do: another process, another format,
// another currency, a disk that refuses (Unavailable), or a damaged file or lost batches (DataLoss).
func Open(o Options) (*Journal, error) {
	o.complete()
	if err := o.Context.Err(); err != nil {
		return nil, err
	}
	f, err := folder.Open(folder.Options{Dir: o.Dir, FS: o.FS, Log: o.Log, AcceptLoss: o.AcceptLoss,
		Position: batchNumber, Magic: witnessMagic, RestBytes: witnessRest, CacheBytes: cacheBytes,
		Terms: folder.Terms{Content: "ledger", Unit: "batch", Meanwhile: "searches go on, events are refused"}})
	if err != nil {
		return nil, err
	}
	j := &Journal{folder: f, marks: marks{span: o.span}}
	if err := j.open(o.Currency); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// complete fills in what the caller has left out.
func (o *Options) complete() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Context == nil {
		o.Context = context.Background()
	}
	if o.span == 0 {
		o.span = defaultSpan
	}
}

// open reads the folder, which Pebble has opened.
func (j *Journal) open(currency string) error {
	format, err := j.checkFormat(currency)
	if err != nil {
		return err
	}
	if err := j.compare(format != nil); err != nil {
		return err
	}
	if err := j.folder.Testify(j.end.testimony()); err != nil {
		return err
	}
	if format == nil { // a folder that has begun without a witness would pass for damaged
		if err := j.begin(currency); err != nil {
			return err
		}
	}
	j.folder.DeleteObsolete()
	if err := j.folder.Start(); err != nil {
		return err
	}
	if err := j.publish(); err != nil {
		return err
	}
	return j.Failure() // of a background goroutine of Pebble's
}

// checkFormat refuses a folder of another format or currency. The format is nil in a new folder.
func (j *Journal) checkFormat(currency string) (format []byte, err error) {
	if format, err = j.folder.Read(keyFormat); err != nil || format == nil {
		return nil, err
	}
	if string(format) != Format {
		return nil, hexbid.Errorf(hexbid.Unavailable, "data", "folder %s has format %q, this program reads %q: use the "+
			"program that wrote it", j.folder.Dir, format, Format)
	}
	recorded, err := j.folder.Read(keyCurrency)
	if err == nil && string(recorded) != currency {
		err = hexbid.Errorf(hexbid.Unavailable, "currency", "folder %s is kept in %s, not %s: a ledger has one currency "+
			"for ever", j.folder.Dir, recorded, currency)
	}
	return format, err
}

// begin makes a new folder.
func (j *Journal) begin(currency string) error {
	batch := j.folder.DB.NewBatch()
	_ = batch.Set(keyFormat, []byte(Format), nil) // a batch in memory takes every Set
	_ = batch.Set(keyCurrency, []byte(currency), nil)
	_ = batch.Set(keyEnd, j.end.encode(), nil)
	if err := j.folder.Write(batch, pebble.Sync); err != nil {
		return err
	}
	// The log that Pebble starts a new folder with does not say what was synced; the next log does.
	return j.folder.Attempt(j.folder.DB.Flush)
}

// compare judges whether every acknowledged batch is there. The folder has already compared the logs of writes with the
// witness.
func (j *Journal) compare(existed bool) error {
	value, err := j.folder.Read(keyEnd)
	if err != nil {
		return err
	}
	if value != nil {
		var ok bool
		if j.end, ok = decodeEnd(value); !ok {
			return j.folder.Damaged(fmt.Errorf("an end of %d bytes", len(value)))
		}
	} else if existed {
		return j.folder.Damaged(errors.New("no end of the journal"))
	}
	if err := j.compareEnd(existed); err != nil {
		return err
	}
	if err := j.compareMarks(); err != nil {
		return err
	}
	return j.noteLosses()
}

func (j *Journal) compareEnd(existed bool) error {
	said := witnessed(j.folder.Said)
	switch {
	case !j.folder.Witnessed && existed:
		return j.folder.Lost("the witness %s is missing or damaged, and whether all is here cannot be told",
			folder.WitnessPath(j.folder.Dir))
	case j.end.number < said.number && len(j.folder.Missing()) == 0:
		return j.folder.Lost("the ledger in %s is too short: %s, record %d was the last", j.folder.Dir,
			j.folder.UpTo(j.end.number), said.last)
	case j.end.number == said.number && (j.end.last != said.last || j.end.tail != said.tail):
		return j.folder.Lost("the ledger in %s ends with record %d and hash %x, acknowledged was record %d with hash %x: "+
			"another ledger stands in its place", j.folder.Dir, j.end.last, j.end.tail, said.last, said.tail)
	}
	return nil
}

func (j *Journal) compareMarks() error {
	missing, err := j.marks.check(j.folder, &j.end)
	if err != nil || missing == 0 {
		return err
	}
	return j.folder.Lost("the ledger in %s goes to batch %d and lacks batch %d: a log of writes or a table is missing",
		j.folder.Dir, j.end.number, missing)
}

// noteLosses adds the losses that this start accepts to those of earlier ones, begins the marks anew, and tells all.
func (j *Journal) noteLosses() error {
	value, err := j.folder.Read(keyLosses)
	if err != nil {
		return err
	}
	if value != nil {
		j.losses = strings.Split(string(value), "\n")
	}
	open, err := j.folder.Read(keyOpenLoss)
	if err != nil {
		return err
	}
	j.openLoss.Store(open != nil)
	if missing := j.folder.Missing(); len(missing) > 0 {
		j.openLoss.Store(true)
		j.losses = append(j.losses, time.Now().UTC().Format(time.RFC3339)+" "+strings.Join(missing, "; "))
		if err := j.goOn(); err != nil {
			return err
		}
	}
	for _, loss := range j.losses {
		j.folder.Log.Warn("the ledger lost acknowledged writes, which was accepted", "loss", loss)
	}
	return nil
}

// goOn records the losses, and marks the batches up to the end as if they were there.
func (j *Journal) goOn() error {
	j.end.number = max(j.end.number, j.folder.Said.Position) + 1
	batch := j.folder.DB.NewBatch()
	_ = batch.DeleteRange(markKey(0), []byte{0, 'b' + 1}, nil) // a batch in memory takes every step
	j.end.marked = j.end.number / j.marks.span * j.marks.span
	for number := j.marks.after(0, &j.end); number <= j.end.number; number = j.marks.after(number, &j.end) {
		_ = batch.Set(markKey(number), nil, nil)
	}
	_ = batch.Set(keyEnd, j.end.encode(), nil)
	_ = batch.Set(keyLosses, []byte(strings.Join(j.losses, "\n")), nil)
	_ = batch.Set(keyOpenLoss, nil, nil)
	return j.folder.Write(batch, pebble.Sync)
}
