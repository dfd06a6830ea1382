package pebble

import (
	"context"
	"errors"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// What a change put under a name, or which verdict it set, stands in the next change of that: the one that found it.
// Between the two may lie any number of changes of the name that concern the other. A history therefore looks from both
// sides, a few changes each and then more. The way ahead goes through the changes that followed. The way behind goes
// from the present record or verdict to the one before, and so on; edits are not on the way of a verdict, nor reviews
// on that of a record. A call follows both only so far.

const (
	// firstLooks and mostLooks bound the entries that one way looks at, at first and at last. mostLooks bounds those of
	// a change too, and of a page.
	firstLooks = 16
	mostLooks  = 1 << 16
)

// errTooFar ends a way that leads on.
var errTooFar = errors.New("more changes lie between than one call looks at")

// chain is the records of a name, one after the other, or the verdicts on it.
type chain struct {
	what    string
	told    map[string]uint64                   // by name, the last change told that found one of the chain
	found   func(*diskpb.Entry) bool            // whether a change found one of the chain
	version func(*diskpb.Entry) (uint64, error) // of what the change found
	present func(name string) (uint64, error)   // version of what stands now; 0 for nothing
}

// ways leads from changes to the next ones of a name.
type ways struct {
	records, verdicts chain
	most              int // looks for one change
	looks             int // at entries of later changes, all in all
	enough            int // looks at which the change that is read has had enough
	enoughRead        int // bytes of later changes at which it has
}

func (r *historyReader) newWays() ways {
	return ways{most: mostLooks,
		records:  chain{"record", map[string]uint64{}, foundRecord, r.recordVersion, r.presentRecord},
		verdicts: chain{"verdict", map[string]uint64{}, foundVerdict, r.verdictVersion, r.presentVerdict}}
}

func foundRecord(e *diskpb.Entry) bool  { return e.GetUidBefore() != 0 }
func foundVerdict(e *diskpb.Entry) bool { return e.GetVerdictBefore() != nil }

func (r *historyReader) recordVersion(e *diskpb.Entry) (uint64, error) {
	image, err := r.log.view.store.image(e)
	if err != nil {
		return 0, err
	}
	return image.Meta().Version, nil
}

func (r *historyReader) verdictVersion(e *diskpb.Entry) (uint64, error) {
	v, err := r.verdictFound(e)
	return v.Version, err
}

func (r *historyReader) presentRecord(name string) (version uint64, err error) {
	v := r.log.view
	_, err = v.read(recordKey(kindIn(name), name), func(value []byte) error {
		present, err := decodeNumbers(value)
		if err != nil {
			return v.store.folder.Damaged(err)
		}
		version = present.version
		return nil
	})
	return version, err
}

func (r *historyReader) presentVerdict(name string) (uint64, error) {
	v, err := r.log.view.Verdict(name)
	return v.Version, err
}

// setOut begins a change, which may look so far.
func (r *historyReader) setOut() {
	r.enough, r.enoughRead = r.looks+r.most, r.log.later.read+store.HistoryBytes
}

// passed notes what a change that was told has found, for those before it.
func (r *historyReader) passed(e *diskpb.Entry, version uint64) {
	for _, c := range []*chain{&r.records, &r.verdicts} {
		if c.found(e) {
			c.told[e.GetName()] = version
		}
	}
}

// addSet adds the verdict that a change set on a name.
func (r *historyReader) addSet(ctx context.Context, past *store.Past, name string) error {
	later, err := r.nextOf(ctx, &r.verdicts, past.Version, name)
	if err != nil {
		return err
	}
	var set store.Verdict
	if later == nil {
		set, err = r.log.view.Verdict(name)
	} else {
		set, err = r.verdictFound(later)
	}
	if err == nil && set.Version != past.Version {
		err = r.lost(&r.verdicts, past.Version, name)
	}
	if err == nil {
		past.Set = append(past.Set, store.PastVerdict{Name: name, Verdict: set})
	}
	return err
}

// verdictFound returns the verdict that a change found on the name of its entry.
func (r *historyReader) verdictFound(e *diskpb.Entry) (store.Verdict, error) {
	v, err := wire.UnpackVerdict(e.GetVerdictBefore())
	if err != nil {
		return store.Verdict{}, r.log.view.store.folder.Damaged(err)
	}
	return store.Verdict(v), nil
}

// nextImage returns the entry of the change that found the record which the change of a version put, nil if that is the
// present record.
func (r *historyReader) nextImage(ctx context.Context, version uint64, name string) (*diskpb.Entry, error) {
	return r.nextOf(ctx, &r.records, version, name)
}

// nextOf returns the entry of the change that found what the change of a version made of a chain, nil if that stands
// now.
func (r *historyReader) nextOf(ctx context.Context, c *chain, version uint64, name string) (*diskpb.Entry, error) {
	w := way{r, c, version, name}
	for most := firstLooks; ; most *= 16 {
		e, behind := w.behind(ctx, most)
		if leads(behind) {
			return e, behind
		}
		e, ahead := w.ahead(ctx, most)
		if leads(ahead) {
			return e, ahead
		}
		if behind != errTooFar && ahead != errTooFar || most >= w.most || !r.mayGoOn() {
			return nil, r.lost(c, version, name)
		}
	}
}

// leads reports whether a way has ended neither at damage nor at its bound.
func leads(err error) bool { return err != errTooFar && hexbid.KindOf(err) != hexbid.DataLoss }

// mayGoOn reports whether the change that is read may look further.
func (r *historyReader) mayGoOn() bool { return r.looks < r.enough && r.log.later.read < r.enoughRead }

func (r *historyReader) lost(c *chain, version uint64, name string) error {
	return hexbid.Errorf(hexbid.DataLoss, "data", "the log of changes in %s does not tell the %s that version %d "+
		"made of %q", r.log.view.store.folder.Dir, c.what, version, name)
}

// way leads from the change of a version to the one that found what it made of a chain.
type way struct {
	*historyReader
	chain   *chain
	version uint64
	name    string
}

// behind goes from the last change told that found one of the chain, or else from what stands now, to those before.
func (w *way) behind(ctx context.Context, most int) (*diskpb.Entry, error) {
	at, err := w.end()
	if err != nil || at == w.version {
		return nil, err
	}
	for looks := 0; at > w.version; looks++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if looks == most || looks > 0 && !w.mayGoOn() {
			return nil, errTooFar
		}
		e, before, err := w.step(at)
		if err != nil || before == w.version && e != nil {
			return e, err
		}
		at = before
	}
	return nil, w.lost(w.chain, w.version, w.name)
}

// end returns the change to begin with: the way's own version if what it made stands now.
func (w *way) end() (uint64, error) {
	if told := w.chain.told[w.name]; told > w.version {
		return told, nil
	}
	present, err := w.chain.present(w.name)
	if err != nil || present != 0 {
		return present, err
	}
	return w.changeBelow(w.log.view.clock.version + 1) // it was deleted
}

// step looks at a change and returns the one that made what it found, with its entry. For a change that found none of
// the chain it returns the one before, without an entry.
func (w *way) step(at uint64) (e *diskpb.Entry, before uint64, err error) {
	w.looks++
	if e, err = w.log.later.entry(at, w.name); err != nil {
		return nil, 0, err
	}
	if !w.chain.found(e) {
		before, err = w.changeBelow(at)
		return nil, before, err
	}
	if before, err = w.chain.version(e); err == nil && before >= at {
		err = w.lost(w.chain, w.version, w.name)
	}
	return e, before, err
}

// changeBelow returns the last change of the name before a version.
func (w *way) changeBelow(version uint64) (uint64, error) {
	of := w.threadOf(&store.Thread{Name: w.name})
	return w.seek(&of, version)
}

// ahead goes through the changes of the name that followed.
func (w *way) ahead(ctx context.Context, most int) (*diskpb.Entry, error) {
	looks := 0
	e, err := w.log.laterEntry(ctx, w.version, w.name, func(e *diskpb.Entry) bool {
		w.looks++
		looks++
		return w.chain.found(e) || looks == most || !w.mayGoOn()
	})
	if err == nil && e != nil && !w.chain.found(e) {
		err = errTooFar
	}
	return e, err
}
