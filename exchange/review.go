package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// Searches show a place when it is approved. Two things decide that: the operator's verdict and what the owner wants to
// show. The verdict is kept by the place's name, and no owner can change it. Before the commit of every change of a
// place, the exchange computes the resulting state and stores it with the place. The commit holds only if the verdict
// is still the same. Readers of a place, the index among them, therefore need not know the verdict.

// Review records the operator's verdict on a place in its present version. It returns as Create does.
func (e *Exchange) Review(ctx context.Context, name string, ifVersion uint64,
	verdict hexbid.ReviewState) (hexbid.Resource, error) {
	if err := e.admit(ctx, access.ReviewPlace, name); err != nil {
		return nil, err
	}
	if verdict == hexbid.ReviewUnspecified {
		return nil, hexbid.Invalidf("review_state", "is not stated: use in_review, approved or hidden")
	}
	if _, err := hexbid.ParseNameOf(hexbid.KindPlace, "name", name); err != nil {
		return nil, err
	}
	place, err := e.commitVerdict(ctx, name, ifVersion, verdict)
	if err != nil {
		return nil, err
	}
	if err := e.searchable(ctx, place.Metadata().Version); err != nil {
		return nil, err
	}
	return place, nil
}

// commitVerdict commits a verdict and the resulting state of the place as one group. If the place has changed since it
// was read and any version will do, judgeAhead commits the verdict first.
func (e *Exchange) commitVerdict(ctx context.Context, name string, ifVersion uint64,
	state hexbid.ReviewState) (hexbid.Resource, error) {
	present, err := e.read(ctx, name, ifVersion)
	if err != nil {
		return nil, err
	}
	g := e.reviewing(ctx, &present, state)
	g.Steps[0].Verdict = e.verdictOf(&present, state)
	change, err := e.commit(ctx, g, false)
	if hexbid.KindOf(err) == hexbid.Stale && ifVersion == store.AnyVersion {
		return e.judgeAhead(ctx, name, state)
	}
	return placeOf(&change), err
}

// judgeAhead commits two groups: a verdict whatever the place is by then, and the place with its new state if nobody
// has written it since. An owner who writes without end can make the second group Stale, but not the first. A write of
// the place is conditional on the verdict, so whoever writes it afterwards computes its state from the new verdict. One
// more try therefore suffices: either nobody has written the place since the verdict, and the try succeeds, or a later
// writer has already set the right state.
func (e *Exchange) judgeAhead(ctx context.Context, name string, state hexbid.ReviewState) (hexbid.Resource, error) {
	present, err := e.catalogue(ctx).Get(ctx, name)
	if err != nil {
		return nil, err
	}
	s := e.stampOf(ctx)
	verdict := s.group(store.Step{Judge: name, Verdict: e.verdictOf(&present, state)})
	verdict.Conditions = []store.Condition{{Name: name, Is: store.Exists}}
	place := e.reviewing(ctx, &present, state)
	place.Conditions = []store.Condition{{Name: name, Is: store.HasVerdict, Version: store.InThisCommit}}
	groups := []store.Group{verdict, place}
	outcomes, err := e.commitGroups(ctx, groups)
	if err != nil {
		return nil, err
	}
	if err := outcomes[0].Err; err != nil {
		return nil, err
	}
	if hexbid.KindOf(outcomes[1].Err) == hexbid.Stale {
		return e.reviewAfter(ctx, name, outcomes[0].Change.Version)
	}
	change, err := e.told(ctx, &groups[1], &outcomes[1])
	return placeOf(&change), err
}

// reviewAfter gives a place the state that follows from the verdict of a version, unless the place has been written
// since.
func (e *Exchange) reviewAfter(ctx context.Context, name string, verdict uint64) (hexbid.Resource, error) {
	present, err := e.catalogue(ctx).Get(ctx, name)
	if err != nil || present.Meta().Version > verdict {
		return present.Resource, err
	}
	next := *present.Resource.(*hexbid.Place)
	conditions, err := e.applyVerdict(ctx, &next, present.Resource, earlierOf(present.Resource, &next))
	if err != nil {
		return nil, err
	}
	g := e.reviewing(ctx, &present, next.Review)
	g.Conditions = conditions
	change, err := e.commit(ctx, g, false)
	if hexbid.KindOf(err) == hexbid.Stale { // a later writer knew the verdict
		present, err = e.catalogue(ctx).Get(ctx, name)
		return present.Resource, err
	}
	return placeOf(&change), err
}

// reviewing returns the group that puts a place as it was read, with a review state.
func (e *Exchange) reviewing(ctx context.Context, present *store.Record, state hexbid.ReviewState) store.Group {
	next := *present.Resource.(*hexbid.Place)
	next.Review, next.UpdatedAt = state, e.config.Clock().UTC()
	return e.putting(e.stampOf(ctx), &draft{resource: &next}, next.Version)
}

// placeOf returns the place that a change has put, nil when it has put none.
func placeOf(c *store.Change) hexbid.Resource {
	if len(c.Puts) == 0 {
		return nil
	}
	return c.Puts[0].Resource
}

// verdictOf returns the verdict on a place as it was read.
func (e *Exchange) verdictOf(present *store.Record, state hexbid.ReviewState) *store.Verdict {
	return &store.Verdict{State: state, At: e.config.Clock().UTC(), Of: *ownersPart(present.Resource).(*hexbid.Place)}
}

// earlier describes the resource that a change replaces.
type earlier struct {
	there  bool
	same   bool // it already has what the change would set
	review hexbid.ReviewState
}

// earlierOf compares a resource with the present one, which may be nil.
func earlierOf(present, next hexbid.Resource) earlier {
	if present == nil {
		return earlier{}
	}
	return earlier{there: true, same: sameContent(present, next), review: reviewOf(present)}
}

// reviewOf returns the review state of a place, and unspecified for any other resource.
func reviewOf(r hexbid.Resource) hexbid.ReviewState {
	if place, ok := r.(*hexbid.Place); ok {
		return place.Review
	}
	return hexbid.ReviewUnspecified
}

// reviewState returns the state of a place as its owner wants it next.
//
//   - What the operator hid or sent back stays so until the next verdict.
//   - Without manual review everything else is approved.
//   - With manual review a place is approved while it equals what the operator approved,
//     or what was approved already. A viewer sees all that an owner writes of a place,
//     so every change of it goes to review.
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

// applyVerdict gives a place on its way in the state that follows from its verdict. It returns the condition that no
// other verdict comes between. Any other resource has no verdict and needs no condition.
func (e *Exchange) applyVerdict(ctx context.Context, next, present hexbid.Resource,
	found earlier) ([]store.Condition, error) {
	place, ok := next.(*hexbid.Place)
	if !ok {
		return nil, nil
	}
	verdict, err := e.verdictOn(ctx, place.Name, present)
	if err != nil {
		return nil, err
	}
	place.Review = reviewState(&verdict, found, place, e.config.ManualReview)
	return []store.Condition{{Name: place.Name, Is: store.HasVerdict, Version: verdict.Version}}, nil
}

// verdictOn reads the verdict on the place of a name. A place that is hidden without a verdict was hidden before
// verdicts were stored by themselves.
func (e *Exchange) verdictOn(ctx context.Context, name string, present hexbid.Resource) (store.Verdict, error) {
	verdict, err := e.catalogue(ctx).Verdict(ctx, name)
	if place, ok := present.(*hexbid.Place); ok && err == nil && verdict.State == hexbid.ReviewUnspecified &&
		place.Review == hexbid.Hidden {
		return store.Verdict{State: hexbid.Hidden, At: place.UpdatedAt, Of: *ownersPart(place).(*hexbid.Place)}, nil
	}
	return verdict, err
}

// keepVerdict completes a group that deletes a place. If only the place itself records the verdict, keepVerdict adds
// the verdict to the group.
func (e *Exchange) keepVerdict(ctx context.Context, g *store.Group) error {
	step := &g.Steps[0]
	present, err := e.read(ctx, step.Delete, step.IfVersion)
	if err != nil || reviewOf(present.Resource) != hexbid.Hidden {
		return err
	}
	verdict, err := e.verdictOn(ctx, step.Delete, present.Resource)
	if err != nil || verdict.Version > 0 {
		return err
	}
	step.Verdict = &verdict
	g.Conditions = []store.Condition{{Name: step.Delete, Is: store.HasVerdict}}
	return nil
}

// reviewNotice tells an owner why a place does not show; it is empty when the place does. Equal states have equal
// words, so that the report of an upload can count them.
func reviewNotice(r hexbid.Resource) string {
	switch reviewOf(r) {
	case hexbid.InReview:
		return "the place is in review: it shows once the operator has approved it"
	case hexbid.Hidden:
		return "the operator has hidden the place: it does not show, whatever is changed of it"
	}
	return ""
}
