package exchange

import (
	"context"
	"errors"
	"fmt"
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

// followDirectory keeps the directory up to date until the context or the store ends.
func (e *Exchange) followDirectory(ctx context.Context, feed *store.Feed) {
	for {
		c, err := feed.Next(ctx)
		switch {
		case err == nil:
			e.directory.Apply(c.Version, putsOf(&c), deletesOf(&c))
		case ctx.Err() != nil || hexbid.KindOf(err) == hexbid.Unavailable:
			return
		default:
			e.config.Log.Warn("the directory of callers reads the store again", "error", err)
			if feed, err = e.loadDirectory(ctx); err != nil {
				e.config.Log.Error("the directory of callers no longer follows the store: restart the server", "error",
					err)
				return
			}
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
