package pebble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// recovery judges, while a store is opened, whether everything acknowledged is there. It uses the witness, the logs of
// writes and, when a loss is accepted, a count.
type recovery struct {
	store  *Store
	accept bool

	witnessed bool // the witness exists and can be read
	said      testimony
	olderLogs []logFile
	missing   []string // descriptions of what is lost
}

const orAcceptLoss = "restore the catalogue from a copy, or start once with --accept-loss to go on without them"

// lost records a loss, and returns it as an error unless losses are accepted.
func (r *recovery) lost(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if !r.accept {
		return hexbid.Errorf(hexbid.DataLoss, "data", "%s: acknowledged writes are lost: %s", what, orAcceptLoss)
	}
	r.missing = append(r.missing, what)
	return nil
}

// inspect reads the files before Pebble changes any.
func (r *recovery) inspect() error {
	s := r.store
	path := witnessPath(s.dir)
	var err error
	r.said, err = readWitness(s.fs, path)
	r.witnessed = err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errWitnessDamaged) {
		return hexbid.Errorf(hexbid.Unavailable, "data", "witness %s cannot be read: %v", path, err)
	}
	files, err := s.fs.List(s.dir)
	if err != nil {
		return s.unreadable(err)
	}
	peek, err := pebble.Peek(s.dir, s.fs)
	if err != nil {
		return hexbid.Errorf(hexbid.DataLoss, "data",
			"the marker files of folder %s are damaged (%v): restore the catalogue from a copy", s.dir, err)
	}
	if !peek.Exists {
		return r.inspectEmpty(files)
	}
	if err := r.inspectOptions(peek.OptionsFilename); err != nil {
		return err
	}
	manifest, err := inspectManifest(s.fs, peek.ManifestFilename)
	if later := unfinishedMarker(files, peek.ManifestFilename); errors.Is(err, os.ErrNotExist) && later != "" {
		if err := remove(s.fs, s.dir, later); err != nil {
			return s.unreadable(err)
		}
		return r.inspect()
	}
	if err != nil {
		return damage(peek.ManifestFilename, err)
	}
	if manifest.damaged {
		return damage(manifest.path, fmt.Errorf("record %d of it cannot be read", manifest.records+1))
	}
	return r.inspectLogs()
}

// inspectEmpty judges a folder that holds no catalogue.
func (r *recovery) inspectEmpty(files []string) error {
	for _, name := range files {
		if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") {
			return hexbid.Errorf(hexbid.DataLoss, "data",
				"folder %s holds %s and no marker file that names its MANIFEST: restore the catalogue from a copy",
				r.store.dir, name)
		}
	}
	if r.said.acknowledged > 0 {
		return r.lost("folder %s holds no catalogue, version %d was acknowledged", r.store.dir, r.said.acknowledged)
	}
	return nil
}

// inspectOptions refuses an unreadable file of options. It is the only file whose loss costs no data.
func (r *recovery) inspectOptions(path string) error {
	if path == "" {
		return nil
	}
	content, err := readFile(r.store.fs, path)
	if err == nil {
		present := r.store.pebbleOptions()
		present.EnsureDefaults()
		err = present.CheckCompatibility(r.store.dir, string(content))
	}
	if err != nil {
		return hexbid.Errorf(hexbid.DataLoss, "data",
			"file %s is damaged (%v): delete it, a start writes a new one", path, err)
	}
	return nil
}

// inspectLogs refuses a newest log that is damaged, or that ends before what was acknowledged. Older logs may no longer
// be needed: Pebble reports one that it needs and that does not end properly, and a scan notices a missing one.
func (r *recovery) inspectLogs() error {
	logs, err := inspectLogs(r.store.fs, r.store.dir)
	if err != nil {
		return r.store.unreadable(err)
	}
	if len(logs) == 0 {
		return nil
	}
	newest := &logs[len(logs)-1]
	r.olderLogs = logs[:len(logs)-1]
	if newest.damaged {
		return r.cut(newest)
	}
	if newest.last.version > 0 && newest.last.version < r.said.acknowledged {
		return r.lost("the log of writes %s ends at byte %d: %s", newest.path, newest.whole, r.upTo(newest.last.version))
	}
	return nil
}

// cut cuts off the unreadable end of a log, if losses are accepted.
func (r *recovery) cut(log *logFile) error {
	err := r.lost("file %s cannot be read from byte %d on, and synced writes stand behind it: %s", log.path, log.whole,
		r.upTo(log.last.version))
	if err == nil {
		err = log.keepWhole(r.store.fs)
	}
	return err
}

// openPebble opens the folder. If an older log prevents that, and losses are accepted, it cuts the log.
func (r *recovery) openPebble() error {
	err := r.store.openPebble()
	cut := false
	for i := range r.olderLogs {
		// A later log is begun when the one before is whole.
		if log := &r.olderLogs[i]; err != nil && (log.damaged || log.torn) {
			if err := r.cut(log); err != nil {
				return err
			}
			cut = true
		}
	}
	if cut {
		err = r.store.openPebble()
	}
	return err
}

// upTo describes how far something reaches and how far the catalogue had come.
func (r *recovery) upTo(version uint64) string {
	ends := fmt.Sprintf("it ends at version %d", version)
	if version == 0 {
		ends = "it begins with no version that can be read"
	}
	if !r.witnessed {
		return ends
	}
	return fmt.Sprintf("%s, version %d was acknowledged", ends, r.said.acknowledged)
}

// compare compares an open catalogue with its witness, and writes the next witness.
func (r *recovery) compare() error {
	s := r.store
	format, err := s.read(keyFormat)
	if err != nil {
		return err
	}
	hadWitness := string(format) == Format || s.bringing != nil && s.hasTally()
	if !r.witnessed && hadWitness {
		err = r.lost("the witness %s is missing or damaged, and whether all is here cannot be told", witnessPath(s.dir))
	} else if s.clock.version < r.said.acknowledged && len(r.missing) == 0 {
		err = r.lost("the catalogue in %s is too short: %s", s.dir, r.upTo(s.clock.version))
	}
	if err == nil && r.accept {
		err = r.goOn()
	}
	if err != nil {
		return err
	}
	next := testimony{acknowledged: s.clock.version}
	r.giveOutAbove(&next)
	if s.witness, err = newWitness(s.fs, witnessPath(s.dir), next); err != nil {
		return hexbid.Errorf(hexbid.Unavailable, "data", "%v", err)
	}
	if s.clock.tally.entries == 0 {
		s.cleaner.release() // there is nothing that could be taken for obsolete
	}
	return s.tellLosses()
}

// giveOutAbove leases the numbers of a start, above all numbers that may have been assigned. If the catalogue was not
// closed in order, those are the whole lease, because a caller may have seen a number whose write did not survive.
func (r *recovery) giveOutAbove(next *testimony) {
	s := r.store
	s.given = numbers{s.clock.uid, s.clock.version}
	switch {
	case !r.witnessed && len(r.missing) > 0:
		s.given = numbers{s.given.uid + unknownLeaseGap, s.given.version + unknownLeaseGap}
	case r.witnessed && (!r.said.closed || len(r.missing) > 0):
		s.given = numbers{max(s.given.uid, r.said.uids), max(s.given.version, r.said.versions)}
	}
	next.lease(s.given.version, s.given.uid)
}

// goOn accepts a loss: it counts what is there, makes names by uid, references and counters agree with the records,
// begins the log of changes anew, and records the loss.
func (r *recovery) goOn() error {
	s := r.store
	found, err := s.audit(context.Background())
	if err != nil {
		return err
	}
	if missing := r.missingFrom(&found); missing != "" {
		r.missing = append(r.missing, missing)
	}
	if err := s.logIsWhole(context.Background()); hexbid.KindOf(err) == hexbid.DataLoss && s.bringing == nil {
		r.missing = append(r.missing, fmt.Sprintf("the log of changes does not hold together behind version %d",
			s.clock.log.start))
	}
	if len(r.missing) == 0 {
		return nil
	}
	s.acceptedLoss = true
	s.cleaner.release()
	loss := store.Loss{At: time.Now().UTC(), Acknowledged: r.said.acknowledged, Found: s.clock.version,
		What: strings.Join(r.missing, "; ")}
	if err := s.readLosses(); err != nil {
		return err
	}
	s.log.Error("acknowledged writes are lost, and the catalogue goes on without them", "acknowledged", loss.Acknowledged,
		"found", loss.Found, "what", loss.What)
	value, err := encodeLosses(append(s.losses, loss))
	if err != nil {
		return err
	}
	if err := s.relink(context.Background()); err != nil {
		return err
	}
	s.clock.tally = found.tally
	batch := s.db.NewBatch()
	s.forgetLog(batch)
	_ = batch.Set(keyClock, s.clock.encode(), nil) // a batch in memory takes every Set
	_ = batch.Set(keyLosses, value, nil)
	_ = batch.Set(keyFormat, []byte(Format), nil)
	if err := s.noteBringOver(batch); err != nil {
		return err
	}
	return s.write(batch, pebble.Sync)
}

// missingFrom describes what a count does not agree with. A folder of an earlier format has at most a tally to compare.
func (r *recovery) missingFrom(found *audit) string {
	s := r.store
	switch {
	case s.bringing == nil:
		return found.missing(&s.clock)
	case s.hasTally():
		return (&audit{tally: found.tally, counters: s.clock.counters}).missing(&s.clock)
	}
	return ""
}

// audit counts everything while the store is being opened.
func (s *Store) audit(ctx context.Context) (audit, error) {
	v := s.opening()
	defer v.release()
	return v.walk(ctx, func(store.Record, *store.Derived) error { return nil })
}

// forgetLog begins the log of changes anew behind the present version: whoever
// follows has seen what is lost, and must scan.
func (s *Store) forgetLog(batch *pebble.Batch) {
	for _, letter := range []byte{changeSpace, historySpace} {
		from, end := space(letter)
		_ = batch.DeleteRange(from, end, nil) // a batch in memory takes every DeleteRange
	}
	s.clock.log = logBounds{start: s.clock.version}
}

// tellLosses reads the accepted losses and logs them at every start.
func (s *Store) tellLosses() error {
	err := s.readLosses()
	for _, l := range s.losses {
		s.log.Warn("the catalogue lost acknowledged writes once, which was accepted", "at", l.At, "acknowledged",
			l.Acknowledged, "found", l.Found, "what", l.What)
	}
	return err
}

// readLosses reads the accepted losses.
func (s *Store) readLosses() error {
	value, err := s.read(keyLosses)
	if err != nil || value == nil {
		return err
	}
	decode := decodeLosses
	if s.bringing != nil && isEarlier(value) {
		decode = decodeEarlierLosses
	}
	if s.losses, err = decode(value); err != nil {
		return damage("in "+s.dir, err)
	}
	return nil
}

// AcceptedLoss reports whether this start went on despite a loss.
func (s *Store) AcceptedLoss() bool { return s.acceptedLoss }

// Losses implements store.Durable.
func (s *Store) Losses() []store.Loss { return s.losses }
