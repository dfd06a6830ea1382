package pebble

import (
	"context"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// addSet adds the verdict that a change set on a name. It follows the verdicts on the name back to that change. Where
// one of the changes on the way is damaged or the way is too long, it looks through the next changes of the name.
func (r *historyReader) addSet(ctx context.Context, past *store.Past, name string) error {
	start := r.log.later.read
	set, err := r.verdictBehind(ctx, past.Version, name, start+store.HistoryBytes)
	if hexbid.KindOf(err) == hexbid.DataLoss {
		set, err = r.verdictAhead(ctx, past.Version, name, start+2*store.HistoryBytes)
	}
	r.judged[name] = past.Version
	if err == nil {
		past.Set = append(past.Set, store.PastVerdict{Name: name, Verdict: set})
	}
	return err
}

// verdictBehind finds the verdict that a change set on a name. It goes from the last verdict told, or else the present
// one, to those before. Edits of the place are not on that way, however many there are. It stops when the reader has
// read most bytes.
func (r *historyReader) verdictBehind(ctx context.Context, version uint64, name string,
	most int) (v store.Verdict, err error) {
	before := func(of uint64) (store.Verdict, error) {
		if err := ctx.Err(); err != nil {
			return store.Verdict{}, err
		}
		if r.log.later.read > most {
			return store.Verdict{}, r.verdictLost(version, name)
		}
		e, err := r.log.later.entry(of, name)
		if err != nil {
			return store.Verdict{}, err
		}
		return r.verdictFound(e)
	}
	if later := r.judged[name]; later > version {
		v, err = before(later)
	} else {
		v, err = r.log.view.Verdict(name)
	}
	for err == nil && v.Version > version {
		of := v.Version
		if v, err = before(of); err == nil && v.Version >= of {
			err = r.verdictLost(version, name)
		}
	}
	if err == nil && v.Version != version {
		err = r.verdictLost(version, name)
	}
	return v, err
}

// verdictAhead finds the verdict that a change set on a name: what the next change of the verdict found. It stops when
// the reader has read most bytes.
func (r *historyReader) verdictAhead(ctx context.Context, version uint64, name string,
	most int) (store.Verdict, error) {
	later, err := r.log.laterEntry(ctx, version, name, func(e *diskpb.Entry) bool {
		return e.VerdictBefore != nil || r.log.later.read > most
	})
	if err != nil {
		return store.Verdict{}, err
	}
	if later.GetVerdictBefore() == nil {
		return store.Verdict{}, r.verdictLost(version, name)
	}
	return r.verdictFound(later)
}

// verdictFound returns the verdict that a change found on the name of its entry.
func (r *historyReader) verdictFound(e *diskpb.Entry) (store.Verdict, error) {
	v, err := wire.UnpackVerdict(e.GetVerdictBefore())
	if err != nil {
		return store.Verdict{}, r.log.view.store.folder.Damaged(err)
	}
	return store.Verdict(v), nil
}

func (r *historyReader) verdictLost(version uint64, name string) error {
	return hexbid.Errorf(hexbid.DataLoss, "data", "the log of changes in %s does not tell the verdict that version %d "+
		"set on %q", r.log.view.store.folder.Dir, version, name)
}
