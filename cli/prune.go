package cli

import (
	"context"
	"errors"
	"slices"
)

// errNotPruned is the error when some rows could not be read. Such a row may name something that pruning would delete.
var errNotPruned = errors.New("nothing was pruned, because some rows were rejected: correct them first")

// prune deletes what the advertisers of the upload own and the upload does not name. It leaves out advertisers without
// a row of their own in the files. Files with only a few campaigns of an advertiser do not say what else it owns.
func (a *application) prune(ctx context.Context, r *remover) error {
	if a.summary.Rejected > 0 {
		return errNotPruned
	}
	slices.Sort(a.owners)
	var plan removalPlan
	for _, owner := range slices.Compact(a.owners) {
		if err := r.addOwned(ctx, &plan, owner, func(name string) bool { return !a.seen.has(name) }); err != nil {
			return err
		}
	}
	a.clearBar()
	done, err := r.remove(ctx, plan, true)
	a.summary.Pruned = done
	return err
}
