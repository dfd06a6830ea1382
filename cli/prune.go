package cli

import (
	"context"
	"errors"
	"slices"
)

// errNotPruned keeps what is there when the files may have named it in a row
// that could not be read.
var errNotPruned = errors.New("nothing was pruned, for some rows were rejected: mend them first")

// prune deletes what the advertisers of the upload own and the upload does not
// name. Only advertisers whose own row is in the files are meant: files with a
// few campaigns of an advertiser do not say what else it has.
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
