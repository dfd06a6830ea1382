package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// Directory returns the directory of users, clients and keys, which follows the store.
func (e *Exchange) Directory() *access.Directory { return e.directory }

// Now returns the time of the market's clock.
func (e *Exchange) Now() time.Time { return e.config.Clock() }

// openDirectory fills the directory, and keeps it up to date until follow ends.
func (e *Exchange) openDirectory(ctx, follow context.Context) error {
	feed, err := e.loadDirectory(ctx)
	if err != nil {
		return fmt.Errorf("reading who may call: %w", err)
	}
	e.running.Go(func() { e.followDirectory(follow, feed) })
	e.running.Go(func() { e.watchDirectory(follow) })
	return nil
}

// loadDirectory reads the callers from the store, and returns a feed of what changes from then on. The feed may repeat
// changes that were read already; in order, they lead to the same.
func (e *Exchange) loadDirectory(ctx context.Context) (*store.Feed, error) {
	version := e.store.Version()
	var all []hexbid.Resource
	for _, q := range []store.ListQuery{{Kind: hexbid.KindUser}, {Kind: hexbid.KindClient},
		{Kind: hexbid.KindKey, Parent: hexbid.Name{Kind: hexbid.KindUser, User: hexbid.AnyID}},
		{Kind: hexbid.KindKey, Parent: hexbid.Name{Kind: hexbid.KindClient, Client: hexbid.AnyID}}} {
		if _, err := e.store.List(ctx, q, func(r store.Record) bool {
			all = append(all, r.Resource)
			return true
		}); err != nil {
			return nil, err
		}
	}
	e.directory.Replace(version, all)
	return e.store.Watch(version), nil
}

// followDirectory keeps the directory up to date until the context ends. After an error it reads the store again, for
// as long as that takes.
func (e *Exchange) followDirectory(ctx context.Context, feed *store.Feed) {
	for tries := 0; ; {
		c, err := feed.Next(ctx)
		switch {
		case err == nil:
			e.directory.Apply(c.Version, putsOf(&c), deletesOf(&c))
			tries = 0
			continue
		case ctx.Err() != nil:
			return
		}
		e.callersLate.lost.Store(true)
		e.config.Log.Warn("the directory of callers reads the store again", "error", err)
		if feed = e.reloadDirectory(ctx, &tries); feed == nil {
			return
		}
		e.callersLate.lost.Store(false)
	}
}

// reloadDirectory tries to read the callers until it has, or until the context ends. It rests between tries, longer
// after each.
func (e *Exchange) reloadDirectory(ctx context.Context, tries *int) *store.Feed {
	for ; ; *tries++ {
		if *tries > 0 && !rested(ctx, min(time.Second, 50*time.Millisecond<<min(*tries, 5))) {
			return nil
		}
		feed, err := e.loadDirectory(ctx)
		if err == nil {
			*tries++ // of a feed that fails again at once
			return feed
		}
		e.config.Log.Warn("the directory of callers cannot read the store", "error", err)
	}
}

// rested waits, and reports whether the context lasts.
func rested(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// lateness finds out whether the directory lags behind what was committed, which it may for a moment only: a revocation
// is in force within a second, so a directory that may not know of one takes no credential.
type lateness struct {
	due  atomic.Uint64 // version of the last change of callers that was committed
	lost atomic.Bool   // the store's changes cannot be read

	since  time.Time // it lags from here on; zero if it does not
	target uint64    // version that it lacks since then
}

// These make a directory refuse within a second of the change that it lacks.
const (
	callersPatience = 800 * time.Millisecond
	betweenLateness = 100 * time.Millisecond
)

// committed notes a change of callers.
func (l *lateness) committed(version uint64) {
	for {
		due := l.due.Load()
		if due >= version || l.due.CompareAndSwap(due, version) {
			return
		}
	}
}

// look reports whether the directory, which has a version, lags for too long. One goroutine calls it.
func (l *lateness) look(now time.Time, has uint64) bool {
	lost, due := l.lost.Load(), l.due.Load()
	switch {
	case !lost && has >= due:
		l.since = time.Time{}
		return false
	case l.since.IsZero() || !lost && has >= l.target:
		l.since, l.target = now, due
	}
	return now.Sub(l.since) >= callersPatience
}

// watchDirectory has the directory refuse credentials while it lags, until the context ends.
func (e *Exchange) watchDirectory(ctx context.Context) {
	for was := false; rested(ctx, betweenLateness); {
		late := e.callersLate.look(time.Now(), e.directory.Version())
		if late == was {
			continue
		}
		was = late
		e.directory.SetBehind(late)
		if late {
			e.config.Log.Error("the directory of callers does not follow the store: credentials are refused until it does")
		} else {
			e.config.Log.Info("the directory of callers follows the store again")
		}
	}
}

// putsOf and deletesOf return the users, clients and keys that a change writes and deletes.
func putsOf(c *store.Change) (all []hexbid.Resource) {
	for i := range c.Puts {
		if r := c.Puts[i].Resource; store.KindOf(r).IsIdentity() {
			all = append(all, r)
		}
	}
	return all
}

func deletesOf(c *store.Change) (all []hexbid.Resource) {
	for i := range c.Deletes {
		if r := c.Deletes[i].Resource; store.KindOf(r).IsIdentity() {
			all = append(all, r)
		}
	}
	return all
}

// inForce returns when a change of callers is in force at the doors of this process. It succeeds when the context ends
// before that, because nothing undoes the write any more.
func (e *Exchange) inForce(ctx context.Context, version uint64) error {
	err := e.directory.WaitFor(ctx, version)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// concernsCallers reports whether a group is about users, clients and keys. Such a group needs no ledger: callers can
// be shut out while the ledger takes nothing.
func concernsCallers(g *store.Group) bool {
	name, err := hexbid.ParseName(g.Steps[0].Name())
	return err == nil && name.Kind.IsIdentity()
}
