package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/backup"
	"github.com/hexbid/hexbid/cli"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	ledgerpebble "github.com/hexbid/hexbid/ledger/pebble"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
)

// Names in a data folder, and in a backup of one.
const (
	catalogueName = "catalogue"
	ledgerName    = "ledger"
	keysName      = "keys"
	keyRecordName = "keys.record"
	// stagingName is the folder in which a backup is gathered before it is copied.
	stagingName = "backup.staging"
)

// backups copies the data folder of a running server, one backup at a time.
type backups struct {
	busy    sync.Mutex
	data    string
	keys    string // path of the key file
	clock   func() time.Time
	config  *ServeConfig
	store   *pebble.Store
	journal *ledgerpebble.Journal
	ledger  *ledger.Ledger
	log     *slog.Logger
}

// backup returns the function that makes backups, nil for a market in memory.
func (m *Main) backup() func(context.Context, string) (hexbid.Backup, error) {
	catalogue, ok := m.store.(*pebble.Store)
	j, has := m.journal.(*ledgerpebble.Journal)
	if !ok || !has {
		return nil
	}
	b := &backups{data: m.Config.Data, keys: m.Config.Keys, clock: m.Clock, config: &m.Config, store: catalogue,
		journal: j, ledger: m.ledger, log: m.Log}
	if b.keys == "" {
		b.keys = filepath.Join(b.data, keysName)
	}
	return b.make
}

// make makes a backup. When the context ends, make returns its error, and what is under way ends by itself: a disk that
// stalls may hold it, and later backups are refused until it has cleared away what it made.
func (b *backups) make(ctx context.Context, dir string) (hexbid.Backup, error) {
	if !b.busy.TryLock() {
		return hexbid.Backup{}, hexbid.Errorf(hexbid.Exhausted, "", "another backup is being made: wait for its end")
	}
	type outcome struct {
		made hexbid.Backup
		err  error
	}
	ended := make(chan outcome, 1)
	go func() {
		defer b.busy.Unlock()
		var o outcome
		o.err = hexbid.Contain(func() (err error) {
			o.made, err = b.write(ctx, dir)
			return err
		})
		ended <- o
	}()
	select {
	case o := <-ended:
		return o.made, o.err
	case <-ctx.Done():
		return hexbid.Backup{}, ctx.Err()
	}
}

// write makes a backup. Between two batches of the ledger it gathers links to the files that never change and copies of
// the others, which takes milliseconds. Then it copies what it has gathered, while the server goes on.
func (b *backups) write(ctx context.Context, dir string) (made hexbid.Backup, err error) {
	if dir, err = b.check(dir); err != nil {
		return made, err
	}
	staging := filepath.Join(b.data, stagingName)
	if err := os.RemoveAll(staging); err != nil { // of a server that was killed
		return made, hexbid.Errorf(hexbid.Unavailable, "data", "%v", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	started := time.Now()
	made = hexbid.Backup{Directory: dir, CreatedAt: b.clock().UTC()}
	if err := b.hold(ctx, func() error { return b.gather(staging, &made) }); err != nil {
		return made, err
	}
	gathered := time.Since(started)
	err = backup.Write(ctx, staging, dir, backup.Manifest{Created: made.CreatedAt, Currency: b.config.Currency,
		CatalogueVersion: made.CatalogueVersion, LedgerSequence: made.Sequence,
		LedgerHash: hex.EncodeToString(made.Hash[:])})
	if err == nil {
		b.log.Info("made a backup", "directory", dir, "catalogue", made.CatalogueVersion, "sequence", made.Sequence,
			"held", gathered, "took", time.Since(started))
	}
	return made, err
}

// hold runs f while it holds the ledger. If the context ends meanwhile, the ledger goes on without f; hold then waits
// for f, so that nothing is made any more when it returns.
func (b *backups) hold(ctx context.Context, f func() error) error {
	var running sync.Mutex // f holds it
	err := b.ledger.Hold(ctx, func() error {
		running.Lock()
		defer running.Unlock()
		if err := ctx.Err(); err != nil { // hold may have returned
			return err
		}
		return f()
	})
	running.Lock()
	defer running.Unlock()
	return err
}

// check refuses a folder that cannot be a backup's, and returns its path in its shortest form. A link may lead into the
// data folder, so links are resolved on both sides.
func (b *backups) check(dir string) (string, error) {
	if !filepath.IsAbs(dir) {
		return "", hexbid.Invalidf("directory", "%q is no absolute path on the server's machine", hexbid.Shorten(dir))
	}
	dir = filepath.Clean(dir)
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if info, statErr := os.Stat(parent); err != nil || statErr != nil || !info.IsDir() {
		return "", hexbid.Invalidf("directory", "%s is no folder on the server's machine: make it first",
			filepath.Dir(dir))
	}
	data, err := filepath.EvalSymlinks(b.data)
	if err == nil {
		data, err = filepath.Abs(data)
	}
	if err != nil {
		return "", hexbid.Errorf(hexbid.Unavailable, "data", "%v", err)
	}
	if within, err := filepath.Rel(data, filepath.Join(parent, filepath.Base(dir))); err == nil &&
		filepath.IsLocal(within) {
		return "", hexbid.Invalidf("directory", "%s is in the data folder %s: name a folder outside of it", dir, data)
	}
	return dir, backup.CheckNew(dir)
}

// gather puts ledger, catalogue and keys at one point into a folder. The ledger is first, because the catalogue may be
// ahead of the ledger and never behind it.
func (b *backups) gather(staging string, made *hexbid.Backup) error {
	if err := b.journal.Checkpoint(filepath.Join(staging, ledgerName)); err != nil {
		return err
	}
	tail, err := tailOf(b.journal)
	if err != nil {
		return err
	}
	made.Sequence, made.Hash = tail.Sequence, tail.Tail
	made.CatalogueVersion, err = b.store.Checkpoint(filepath.Join(staging, catalogueName))
	if err != nil {
		return err
	}
	for name, path := range map[string]string{keysName: b.keys, keyRecordName: filepath.Join(b.data, keyRecordName),
		pepperName: filepath.Join(b.data, pepperName)} {
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(staging, name), content, 0o600)
		}
		if err != nil {
			return hexbid.Errorf(hexbid.Unavailable, "keys", "%v", err)
		}
	}
	return nil
}

// tailOf returns the last record of a journal.
func tailOf(j journal.Journal) (fold.Point, error) {
	v, err := j.View()
	if err != nil {
		return fold.Point{}, err
	}
	defer v.Close()
	record, err := v.Get(journal.Records, journal.SequenceKey(v.Last()))
	if err == nil && record == nil {
		err = hexbid.Errorf(hexbid.DataLoss, "data", "the ledger lacks its last record, %d", v.Last())
	}
	return fold.Point{Sequence: v.Last(), Tail: fold.HashOf(record)}, err
}

// restoreCommand makes a data folder of a backup.
type restoreCommand struct {
	Backup              string `arg:"" help:"Folder that hexbid backup has made." type:"path"`
	Data                string `required:"" help:"Data folder to make. It is not there yet." placeholder:"DIR" type:"path"`
	AbandonLaterAnswers bool   `help:"Take tokens that were issued before the restore. Say so only if what the old server answered after the backup does not count any more: such events may then be answered, and charged, again."`
}

// Help returns the text of --help.
func (*restoreCommand) Help() string {
	return `Examples:

  hexbid restore /backups/hexbid-2026-11-22 --data /var/lib/hexbid`
}

// Run restores a backup and begins a new epoch of its ledger.
func (c *restoreCommand) Run(ctx context.Context, env cli.Env) error {
	restored, begun, err := c.restore(ctx, time.Now)
	if err != nil {
		return err
	}
	taken := "Tokens issued before now are answered as expired."
	if c.AbandonLaterAnswers {
		taken = "Tokens issued before now are taken: what the old server answered after the backup does not count."
	}
	_, err = fmt.Fprintf(env.Stdout, "%s holds the backup of %s: the catalogue at version %d, the ledger up to record "+
		"%d:%s.\nA new epoch of the ledger begins with record %d:%x. %s\n", c.Data, restored.Created.Format(time.RFC3339),
		restored.CatalogueVersion, restored.LedgerSequence, restored.LedgerHash, begun.Sequence, begun.Tail, taken)
	return err
}

// restore returns the manifest of the backup and the record that begins the new epoch, which is stamped by the clock.
func (c *restoreCommand) restore(ctx context.Context, clock func() time.Time) (restored backup.Manifest,
	begun fold.Point, err error) {
	err = backup.Restore(ctx, c.Backup, c.Data, func(dir string, m backup.Manifest) (err error) {
		restored = m
		if err := verifyCatalogue(ctx, dir, &m); err != nil {
			return err
		}
		begun, err = c.beginEpoch(ctx, dir, &m, clock)
		return err
	})
	return restored, begun, err
}

// verifyCatalogue reads a restored catalogue whole.
func verifyCatalogue(ctx context.Context, dir string, m *backup.Manifest) error {
	s, err := pebble.Open(pebble.Options{Dir: filepath.Join(dir, catalogueName), Currency: m.Currency, Context: ctx})
	if err != nil {
		return err
	}
	version, err := s.Scan(ctx, func(store.Record, *store.Derived) error { return nil })
	if err == nil && version < m.CatalogueVersion {
		err = hexbid.Errorf(hexbid.DataLoss, "backup", "the catalogue is at version %d, the manifest says %d", version,
			m.CatalogueVersion)
	}
	return errors.Join(err, s.Close())
}

// beginEpoch compares a restored ledger with the manifest and begins a new epoch.
func (c *restoreCommand) beginEpoch(ctx context.Context, dir string, m *backup.Manifest,
	clock func() time.Time) (begun fold.Point, err error) {
	j, err := ledgerpebble.Open(ledgerpebble.Options{Dir: filepath.Join(dir, ledgerName), Currency: m.Currency,
		Context: ctx})
	if err != nil {
		return begun, err
	}
	tail, err := tailOf(j)
	if err == nil && (tail.Sequence != m.LedgerSequence || hex.EncodeToString(tail.Tail[:]) != m.LedgerHash) {
		err = hexbid.Errorf(hexbid.DataLoss, "backup", "the ledger ends with record %d:%x, the manifest says %d:%s",
			tail.Sequence, tail.Tail, m.LedgerSequence, m.LedgerHash)
	}
	if err == nil {
		begun, err = ledger.BeginEpoch(ctx, ledger.Options{Journal: j, Wall: clock,
			Retention: math.MaxInt64}, c.AbandonLaterAnswers) // the server knows how long its records are kept
	}
	return begun, errors.Join(err, j.Close())
}
