package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// A place shows when it is approved. Two things decide that: the operator's
// verdict, which is kept by the place's name and which no owner can change, and
// what the owner wants to show. The state that follows is worked out in the commit
// of every change of a place and is stored with the place, so that whoever reads
// the place, the index among them, need not know how it came about.

// Review records the operator's verdict on a place as it is at present. It returns
// as Create does.
func (e *Exchange) Review(ctx context.Context, name string, ifVersion uint64, verdict hexbid.ReviewState) (hexbid.Resource, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	if verdict == hexbid.ReviewUnspecified {
		return nil, hexbid.Invalidf("review_state", "is not stated: use in_review, approved or hidden")
	}
	if _, err := hexbid.ParseNameOf(hexbid.KindPlace, "name", name); err != nil {
		return nil, err
	}
	change, err := e.commitVerdict(ctx, name, ifVersion, verdict)
	if err != nil {
		return nil, err
	}
	_ = e.indexer.WaitFor(ctx, change.Version) // durable, searchable or not
	return change.Puts[0].Resource, nil
}

// commitVerdict stores a verdict and what follows for the place. It reads the place
// while it holds the catalogue, so that an owner who writes without end cannot get in
// the operator's way.
func (e *Exchange) commitVerdict(ctx context.Context, name string, ifVersion uint64, verdict hexbid.ReviewState) (store.Change, error) {
	e.catalogue.Lock()
	defer e.catalogue.Unlock()
	present, err := e.store.Get(ctx, name)
	if err != nil {
		return store.Change{}, err
	}
	next := *present.Resource.(*hexbid.Place)
	next.Review, next.UpdatedAt = verdict, e.config.Clock().UTC()
	return e.commitOne(ctx, store.Op{Put: &store.Record{Resource: &next}, IfVersion: ifVersion,
		Verdict: &store.Verdict{State: verdict, At: next.UpdatedAt, Of: *ownersPart(&next).(*hexbid.Place)}}, false)
}

// earlier is what a change finds under its name.
type earlier struct {
	there  bool
	same   bool // it says already what the change says
	review hexbid.ReviewState
}

// earlierOf compares a resource with the present one, which may be nil.
func earlierOf(present, next hexbid.Resource) earlier {
	if present == nil {
		return earlier{}
	}
	return earlier{there: true, same: sameContent(present, next), review: reviewOf(present)}
}

// reviewOf is the review state of a place, and unspecified of anything else.
func reviewOf(r hexbid.Resource) hexbid.ReviewState {
	if place, ok := r.(*hexbid.Place); ok {
		return place.Review
	}
	return hexbid.ReviewUnspecified
}

// reviewState is the state of a place as its owner wants it next.
//
//   - What the operator hid or sent back stays so until the next verdict.
//   - Without manual review everything else is approved.
//   - With it a place is approved as long as it says what the operator approved,
//     or what was approved already. A viewer sees all that an owner writes of a
//     place, so every change of it goes to review.
func reviewState(verdict *store.Verdict, present earlier, next *hexbid.Place, manual bool) hexbid.ReviewState {
	held := verdict.State == hexbid.Hidden || verdict.State == hexbid.InReview
	approved := verdict.State == hexbid.Approved && sameContent(&verdict.Of, next)
	standing := present.same && present.review == hexbid.Approved
	switch {
	case held:
		return verdict.State
	case !manual || approved || standing:
		return hexbid.Approved
	}
	return hexbid.InReview
}

// settleReview gives a place on its way in the state that follows. Whoever commits
// it holds the catalogue until then, so that no verdict comes between.
func (e *Exchange) settleReview(ctx context.Context, next, present hexbid.Resource, found earlier) error {
	place, ok := next.(*hexbid.Place)
	if !ok {
		return nil
	}
	verdict, err := e.verdictOn(ctx, place.Name, present)
	if err == nil {
		place.Review = reviewState(&verdict, found, place, e.config.ManualReview)
	}
	return err
}

// verdictOn reads the verdict on the place of a name. A place that is hidden without
// one was hidden before verdicts were kept apart.
func (e *Exchange) verdictOn(ctx context.Context, name string, present hexbid.Resource) (store.Verdict, error) {
	verdict, err := e.store.Verdict(ctx, name)
	if place, ok := present.(*hexbid.Place); ok && err == nil && verdict.State == hexbid.ReviewUnspecified && place.Review == hexbid.Hidden {
		return store.Verdict{State: hexbid.Hidden, At: place.UpdatedAt, Of: *ownersPart(place).(*hexbid.Place)}, nil
	}
	return verdict, err
}

// verdictToKeep is the verdict to write when a place is deleted: one that only the
// place itself tells of.
func (e *Exchange) verdictToKeep(ctx context.Context, present hexbid.Resource) (*store.Verdict, error) {
	if reviewOf(present) != hexbid.Hidden {
		return nil, nil
	}
	verdict, err := e.verdictOn(ctx, present.Metadata().Name, present)
	if err != nil || verdict.Version > 0 {
		return nil, err
	}
	return &verdict, nil
}

// reviewNotice tells an owner why a place does not show; empty when it does. Equal
// states have equal words, so that whoever reports an upload can count them.
func reviewNotice(r hexbid.Resource) string {
	switch reviewOf(r) {
	case hexbid.InReview:
		return "the place is in review: it shows once the operator has approved it"
	case hexbid.Hidden:
		return "the operator has hidden the place: it does not show, whatever is changed of it"
	}
	return ""
}
