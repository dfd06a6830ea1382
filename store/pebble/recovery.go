package pebble

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// compare judges, while a store is opened, whether everything acknowledged is there, and writes the next witness. The
// folder has already compared the logs of writes with the witness. When a loss is accepted, a count tells the rest.
func (s *Store) compare() error {
	format, err := s.folder.Read(keyFormat)
	if err != nil {
		return err
	}
	said := decodeTestimony(s.folder.Said)
	hadWitness := string(format) == Format || string(format) == uncounted || s.bringing != nil && s.hasTally()
	if !s.folder.Witnessed && hadWitness {
		err = s.folder.Lost("the witness %s is missing or damaged, and whether all is here cannot be told",
			folder.WitnessPath(s.folder.Dir))
	} else if s.clock.version < said.acknowledged && len(s.folder.Missing()) == 0 {
		err = s.folder.Lost("the catalogue in %s is too short: %s", s.folder.Dir, s.folder.UpTo(s.clock.version))
	}
	if err == nil && s.folder.AcceptLoss {
		err = s.goOn()
	}
	if err != nil {
		return err
	}
	s.witness.said = testimony{acknowledged: s.clock.version}
	s.giveOutAbove(&said)
	if err := s.folder.Testify(s.witness.said.encode()); err != nil {
		return err
	}
	s.witness.file = s.folder.Witness
	if s.clock.tally.entries == 0 {
		s.folder.DeleteObsolete() // there is nothing that could be taken for obsolete
	}
	return s.tellLosses()
}

// giveOutAbove leases the numbers of a start, above all numbers that may have been assigned. If the catalogue was not
// closed in order, those are the whole lease, because a caller may have seen a number whose write did not survive.
func (s *Store) giveOutAbove(said *testimony) {
	witnessed, lost := s.folder.Witnessed, len(s.folder.Missing()) > 0 || s.acceptedLoss
	s.given = numbers{s.clock.uid, s.clock.version}
	switch {
	case !witnessed && lost:
		s.given = numbers{s.given.uid + unknownLeaseGap, s.given.version + unknownLeaseGap}
	case witnessed && (!said.closed || lost):
		s.given = numbers{max(s.given.uid, said.uids), max(s.given.version, said.versions)}
	}
	if version := s.clock.version; s.given != (numbers{s.clock.uid, version}) {
		s.witness.unused = &version
	}
	s.witness.said.lease(s.given.version, s.given.uid)
}

// goOn accepts a loss: it counts what is there, makes names by uid, references and counters agree with the records,
// begins the log of changes anew, and records the loss.
func (s *Store) goOn() error {
	lost := s.folder.Missing()
	found, err := s.audit(context.Background())
	if err != nil {
		return err
	}
	if missing := s.missingFrom(&found); missing != "" {
		lost = append(lost, missing)
	}
	if err := s.logIsWhole(context.Background()); hexbid.KindOf(err) == hexbid.DataLoss && s.bringing == nil {
		lost = append(lost, fmt.Sprintf("the log of changes does not hold together behind version %d",
			s.clock.log.start))
	}
	if len(lost) == 0 {
		return nil
	}
	s.acceptedLoss = true
	s.folder.DeleteObsolete()
	loss := store.Loss{At: time.Now().UTC(), Acknowledged: s.folder.Said.Position, Found: s.clock.version,
		What: strings.Join(lost, "; ")}
	if err := s.readLosses(); err != nil {
		return err
	}
	s.folder.Log.Error("acknowledged writes are lost, and the catalogue goes on without them", "acknowledged",
		loss.Acknowledged, "found", loss.Found, "what", loss.What)
	value, err := encodeLosses(append(s.losses, loss))
	if err != nil {
		return err
	}
	if err := s.relink(context.Background()); err != nil {
		return err
	}
	s.clock.tally = found.tally
	batch := s.folder.DB.NewBatch()
	s.forgetLog(batch)
	_ = batch.Set(keyClock, s.clock.encode(), nil) // a batch in memory takes every Set
	_ = batch.Set(keyLosses, value, nil)
	_ = batch.Set(keyFormat, []byte(Format), nil)
	if err := s.noteBringOver(batch); err != nil {
		return err
	}
	return s.folder.Write(batch, pebble.Sync)
}

// missingFrom describes what a count does not agree with. A folder of an earlier format has at most a tally to compare.
func (s *Store) missingFrom(found *audit) string {
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
	v, err := s.opening()
	if err != nil {
		return audit{}, err
	}
	defer v.release()
	return v.walk(ctx, func(store.Record, *store.Derived) error { return nil })
}

// forgetLog begins the log of changes anew behind the present version. Followers have seen what is lost, so they must
// scan the records instead of continuing from the log.
func (s *Store) forgetLog(batch *pebble.Batch) {
	for _, letter := range []byte{changeSpace, historySpace, ownerSpace, birthSpace} {
		from, end := space(letter)
		_ = batch.DeleteRange(from, end, nil) // a batch in memory takes every DeleteRange
	}
	_ = batch.Set(keyOwners, nil, nil)
	s.clock.log = logBounds{start: s.clock.version}
}

// tellLosses reads the accepted losses and logs them at every start.
func (s *Store) tellLosses() error {
	err := s.readLosses()
	for _, l := range s.losses {
		s.folder.Log.Warn("the catalogue lost acknowledged writes once, which was accepted", "at", l.At, "acknowledged",
			l.Acknowledged, "found", l.Found, "what", l.What)
	}
	return err
}

// readLosses reads the accepted losses.
func (s *Store) readLosses() error {
	value, err := s.folder.Read(keyLosses)
	if err != nil || value == nil {
		return err
	}
	decode := decodeLosses
	if s.bringing != nil && isEarlier(value) {
		decode = decodeEarlierLosses
	}
	if s.losses, err = decode(value); err != nil {
		return s.folder.Damaged(err)
	}
	return nil
}

// AcceptedLoss reports whether this start went on despite a loss.
func (s *Store) AcceptedLoss() bool { return s.acceptedLoss }

// Losses implements store.Durable.
func (s *Store) Losses() []store.Loss { return s.losses }
