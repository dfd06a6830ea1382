package pebble

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble/earlier"
)

// Open brings over a folder of an earlier format in these steps:
//
//	1. It counts the folder as it is, if the folder's clock has a tally to compare with.
//	2. The first batch makes the folder one of the present format, which earlier programs refuse. It notes the earlier
//	   format in m/bringover.
//	3. Records and verdicts are written anew under their keys, in the order of keys. Each batch notes its last key in
//	   m/bringover, so that an Open after a crash continues after that key.
//	4. Names by uid, references and counters follow (relink.go).
//	5. The last batch removes m/bringover.
//
// Coverings are left out, because they are derived again.

// earlierFormats lists the formats that are brought over. The first had no names by uid, the second no tally and no
// witness.
var earlierFormats = []string{"1", "2", tallied}

// tallied is the first format that has a tally and a witness.
const tallied = "3"

const (
	// entriesABatch bounds the entries of a batch, as bytesABatch bounds its bytes.
	entriesABatch = 1000
	// tellEvery spaces the lines of the log that report progress.
	tellEvery = 5 * time.Second
)

// bringOver gives a new folder its format and currency, and an old folder the present format.
func (s *Store) bringOver(o *Options) error {
	format, err := s.folder.Read(keyFormat)
	if err != nil {
		return err
	}
	if format == nil {
		return s.begin(o.Currency)
	}
	if s.bringing == nil {
		return nil
	}
	p := passage{store: s, state: s.bringing, batch: s.folder.DB.NewBatch(), entriesABatch: o.entriesABatch,
		begun: time.Now(), told: time.Now()}
	if p.entriesABatch == 0 {
		p.entriesABatch = entriesABatch
	}
	if string(format) != Format && string(format) != uncounted {
		if err := p.begin(o.Context); err != nil {
			return err
		}
	}
	return p.goOn(o.Context)
}

// begin makes a new folder.
func (s *Store) begin(currency string) error {
	batch := s.folder.DB.NewBatch()
	_ = batch.Set(keyFormat, []byte(Format), nil) // a batch in memory takes every Set
	_ = batch.Set(keyCurrency, []byte(currency), nil)
	_ = batch.Set(keyOwners, nil, nil)
	if err := s.folder.Write(batch, pebble.Sync); err != nil {
		return err
	}
	// The log that Pebble starts a new folder with does not say what was synced; the next log does.
	if err := s.folder.DB.Flush(); err != nil {
		return s.folder.Unreadable(err)
	}
	return nil
}

// readBringOver notes whether the folder must be brought over, and how far that has come.
func (s *Store) readBringOver() error {
	format, err := s.folder.Read(keyFormat)
	if err != nil {
		return err
	}
	if slices.Contains(earlierFormats, string(format)) {
		s.bringing = &diskpb.BringOver{From: string(format)}
		return nil
	}
	value, err := s.folder.Read(keyBringOver)
	if err != nil || value == nil {
		return err
	}
	s.bringing = new(diskpb.BringOver)
	if err := proto.Unmarshal(value, s.bringing); err != nil {
		return s.folder.Damaged(err)
	}
	return nil
}

// hasTally reports whether the clock has a tally of the folder's content.
func (s *Store) hasTally() bool { return s.bringing == nil || s.bringing.GetFrom() >= tallied }

// isEarlier reports whether a value is CBOR, which earlier formats used. No message of hexbid.disk.v1 begins with such
// a byte, because none has a field above 15.
func isEarlier(value []byte) bool { return len(value) > 0 && value[0] >= 0x80 }

// decodeEarlier decodes a record of an earlier format and adds today's declarations.
func decodeEarlier(kind hexbid.ResourceKind, value []byte) (store.Record, error) {
	r, err := earlier.DecodeRecord(kind, value)
	if err != nil {
		return store.Record{}, err
	}
	return store.Declare(r.Resource, len(r.Covering)), nil
}

func decodeEarlierVerdict(value []byte) (store.Verdict, error) {
	v, err := earlier.DecodeVerdict(value)
	return store.Verdict(v), err
}

func decodeEarlierLosses(value []byte) (losses []store.Loss, err error) {
	all, err := earlier.DecodeLosses(value)
	for _, l := range all {
		losses = append(losses, store.Loss(l))
	}
	return losses, err
}

// passage is a folder on its way to the present format.
type passage struct {
	store         *Store
	state         *diskpb.BringOver
	batch         *pebble.Batch
	entries       int // in the batch
	entriesABatch int // at most
	found         tally
	begun, told   time.Time
}

// begin makes the folder one of the present format, unless a part of its content is missing.
func (p *passage) begin(ctx context.Context) error {
	s := p.store
	if s.hasTally() {
		p.tell("counting the catalogue before it is brought over")
		found, err := s.audit(ctx)
		if err != nil {
			return err
		}
		if err := p.check(found.tally); err != nil {
			return err
		}
	}
	s.clock.log = logBounds{start: s.clock.version}
	_ = p.batch.Set(keyFormat, []byte(Format), nil) // a batch in memory takes every Set
	_ = p.batch.Set(keyClock, s.clock.encode(), nil)
	if len(s.losses) > 0 {
		losses, err := encodeLosses(s.losses)
		if err != nil {
			return err
		}
		_ = p.batch.Set(keyLosses, losses, nil)
	}
	return p.write(ctx)
}

// check compares the counts of the folder with those of the commits.
func (p *passage) check(found tally) error {
	c := &p.store.clock
	return (&audit{tally: found, counters: c.counters}).check(p.store.folder, c)
}

// goOn brings over the rest of the folder.
func (p *passage) goOn(ctx context.Context) error {
	p.tell("bringing the catalogue over to the present format")
	if err := p.rewriteRecords(ctx); err != nil {
		return err
	}
	if err := p.rewriteVerdicts(ctx); err != nil {
		return err
	}
	if err := p.write(ctx); err != nil {
		return err
	}
	s := p.store
	if s.hasTally() {
		if err := p.check(p.found); err != nil {
			return err
		}
	}
	s.clock.tally, s.bringing = p.found, nil // what is CBOR still is damage from here on
	p.tell("writing names by uid, references and counters anew")
	if err := s.relink(ctx); err != nil {
		return err
	}
	return p.end()
}

// rewriteRecords writes the records anew.
func (p *passage) rewriteRecords(ctx context.Context) error {
	v, err := p.store.opening()
	if err != nil {
		return err
	}
	defer v.release()
	found, err := v.walkRecords(ctx, func(r store.Record, _ *store.Derived) error {
		key := recordKey(store.KindOf(r.Resource), r.Meta().Name)
		return p.rewrite(ctx, key, func() ([]byte, error) { return encode(&r) })
	})
	p.found.join(found.tally)
	return err
}

func (p *passage) rewriteVerdicts(ctx context.Context) error {
	v, err := p.store.opening()
	if err != nil {
		return err
	}
	defer v.release()
	return v.each(ctx, verdictSpace, func(iter *pebble.Iterator) error {
		verdict, err := p.store.decodeVerdict(iter.Value())
		if err != nil {
			return err
		}
		key := bytes.Clone(iter.Key())
		p.found.add(fingerprintOfVerdict(string(key[len("v/"):]), &verdict))
		return p.rewrite(ctx, key, func() ([]byte, error) { return encodeVerdict(&verdict) })
	})
}

// rewrite writes a value under its key, unless that happened before a crash.
func (p *passage) rewrite(ctx context.Context, key []byte, encoded func() ([]byte, error)) error {
	if bytes.Compare(key, p.state.GetDone()) <= 0 {
		return nil
	}
	value, err := encoded()
	if err != nil {
		return fmt.Errorf("encoding %q: %w", key, err)
	}
	_ = p.batch.Set(key, value, nil) // a batch in memory takes every Set
	p.state.Done = key
	p.state.Entries++
	p.entries++
	if p.entries < p.entriesABatch && p.batch.Len() < bytesABatch {
		return nil
	}
	return p.write(ctx)
}

// write syncs the batch with a note of its last key, unless the context has ended.
func (p *passage) write(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.store.folder.CheckRoom(); err != nil {
		return err
	}
	if err := p.store.noteBringOver(p.batch); err != nil {
		return err
	}
	if err := p.store.folder.Write(p.batch, pebble.Sync); err != nil {
		return err
	}
	p.batch, p.entries = p.store.folder.DB.NewBatch(), 0
	if time.Since(p.told) >= tellEvery {
		p.tell("bringing the catalogue over")
	}
	return nil
}

// noteBringOver adds to a batch how far the folder is brought over. It adds nothing for a folder of the present format.
func (s *Store) noteBringOver(batch *pebble.Batch) error {
	if s.bringing == nil {
		return nil
	}
	state, err := proto.Marshal(s.bringing)
	if err != nil {
		return err
	}
	return batch.Set(keyBringOver, state, nil)
}

// end removes the note of how far the folder is brought over.
func (p *passage) end() error {
	s := p.store
	_ = p.batch.Delete(keyBringOver, nil) // a batch in memory takes every step
	_ = p.batch.Set(keyClock, s.clock.encode(), nil)
	if err := s.folder.Write(p.batch, pebble.Sync); err != nil {
		return err
	}
	p.tell("the catalogue has the present format")
	return nil
}

func (p *passage) tell(what string) {
	p.told = time.Now()
	p.store.folder.Log.Info(what, "folder", p.store.folder.Dir, "from", p.state.GetFrom(), "to", Format,
		"entries", p.state.GetEntries(), "of", p.store.clock.tally.entries, "after",
		time.Since(p.begun).Round(time.Millisecond))
}
