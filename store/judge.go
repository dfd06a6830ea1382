package store

import "context"

// Judge returns the outcomes of groups on a stage that is never written. Engines implement Store.Judge with it. The
// changes have no versions, and new records no uids.
func Judge(ctx context.Context, s *Stage, groups []Group) ([]Outcome, error) {
	outcomes := make([]Outcome, len(groups))
	for i := range groups {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		taken, err := s.Take(&groups[i])
		outcomes[i] = Outcome{Change: taken.Change, Err: err}
	}
	for i := range outcomes {
		outcomes[i].Change.unnumber()
	}
	return outcomes, nil
}

// unnumber removes the numbers from a change that is not committed. The records are the stage's own copies.
func (c *Change) unnumber() {
	c.Version = 0
	for i := range c.Puts {
		w := &c.Puts[i]
		w.Meta().Version = 0
		if w.Before.Resource == nil {
			w.Meta().UID = 0
		}
		if w.Derived != nil {
			w.Derived.UID, w.Derived.Version = w.Meta().UID, 0
		}
	}
}
