package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type deleteCommand struct {
	Names       []string `arg:"" help:"Names of resources; those that need others are deleted first."`
	Cascade     bool     `help:"Delete all that needs them too: campaigns of a program, everything of an advertiser. Shows the list and asks."`
	Yes         bool     `short:"y" help:"Do not ask; for scripts."`
	DryRun      bool     `help:"Show what would be deleted and delete nothing."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run deletes each resource. One that cannot be deleted does not stop the others.
func (c *deleteCommand) Run(s *session) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	r := &remover{session: s, walk: &walk{client: conn, timeout: c.Timeout, view: pb.View_VIEW_BASIC,
		pageSize: hexbid.MaxPageSize}, dryRun: c.DryRun, yes: c.Yes || !c.Cascade}
	plan, err := c.plan(s.ctx, r)
	if err != nil {
		return err
	}
	removed, err := r.remove(s.ctx, plan, c.Cascade)
	if c.Output == "json" && removed != nil {
		err = errors.Join(writeJSON(s.Stdout, removed), err)
	} else if removed != nil {
		removed.print(s.Stdout)
	}
	return err
}

// plan lists the resources to delete: the given names and, with --cascade, everything that needs them.
func (c *deleteCommand) plan(ctx context.Context, r *remover) (removalPlan, error) {
	var plan removalPlan
	for _, name := range c.Names {
		n, err := hexbid.ParseName(name)
		if err != nil {
			return nil, err
		}
		if c.Cascade {
			if err := r.addNeeding(ctx, &plan, n); err != nil {
				return nil, err
			}
			m, err := r.get(ctx, name)
			if err != nil {
				return nil, err
			}
			plan.add(n.Kind, m)
			continue
		}
		plan = append(plan, removal{kind: n.Kind, name: name})
	}
	return plan, nil
}

// addNeeding adds the resources that must be deleted before this one.
func (r *remover) addNeeding(ctx context.Context, plan *removalPlan, n hexbid.Name) error {
	switch n.Kind {
	case hexbid.KindAdvertiser:
		return r.addOwned(ctx, plan, n.String(), func(string) bool { return true })
	case hexbid.KindProgram:
		buysForIt := func(m resource) bool { return m.(*pb.Campaign).GetProgram() == n.String() }
		if err := r.addListed(ctx, plan, hexbid.KindCampaign, listing{kind: "campaigns", parent: n.Owner().String()},
			buysForIt); err != nil {
			return err
		}
		return r.addListed(ctx, plan, hexbid.KindPlace, listing{kind: "places", parent: n.String()},
			func(resource) bool { return true })
	}
	return nil
}

// addListed adds the resources of a listing for which goes returns true.
func (r *remover) addListed(ctx context.Context, plan *removalPlan, kind hexbid.ResourceKind, l listing,
	goes func(resource) bool) error {
	for m, err := range r.walk.all(ctx, l) {
		if err != nil {
			return err
		}
		if goes(m) {
			plan.add(kind, m)
		}
	}
	return nil
}

// addOwned adds the resources of an advertiser for which goes returns true.
func (r *remover) addOwned(ctx context.Context, plan *removalPlan, advertiser string,
	goes func(name string) bool) error {
	for _, list := range []struct {
		kind hexbid.ResourceKind
		listing
	}{
		{hexbid.KindCampaign, listing{kind: "campaigns", parent: advertiser}},
		{hexbid.KindPlace, listing{kind: "places", parent: advertiser + "/programs/-"}},
		{hexbid.KindProgram, listing{kind: "programs", parent: advertiser}},
	} {
		err := r.addListed(ctx, plan, list.kind, list.listing, func(m resource) bool { return goes(m.GetName()) })
		if err != nil {
			return fmt.Errorf("listing the %s of %s: %w", list.listing.kind, advertiser, err)
		}
	}
	return nil
}
