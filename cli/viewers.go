package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type viewersCommand struct {
	Erase eraseViewerCommand `cmd:"" help:"Erase what the server knows of a viewer: what they saw of capped campaigns, their clicks, and their coupons."`
}

type eraseViewerCommand struct {
	UserKey     string `name:"user-key" required:"" help:"Key that searches name the viewer by."`
	Yes         bool   `short:"y" help:"Do not ask; for scripts."`
	DryRun      bool   `help:"Show what would be erased and erase nothing."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run lists what the server knows of a viewer, asks, and erases it. It lists what there was when it looked: what comes
// before the erasure goes too.
func (c *eraseViewerCommand) Run(s *session) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	ctx, cancel := context.WithTimeout(c.named(s.ctx), c.Timeout)
	defer cancel()
	history, err := conn.ledger.GetViewerHistory(ctx, &pb.GetViewerHistoryRequest{UserKey: c.UserKey})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = printJSON(s, history)
	} else {
		err = printHistory(s.Stdout, history)
	}
	if err != nil || c.DryRun {
		return err
	}
	return c.erase(s, conn)
}

func (c *eraseViewerCommand) erase(s *session, conn *client) error {
	if !c.Yes {
		if !isTerminal(s.Stdin) {
			return errors.New("standard input is not a terminal, so nobody can be asked: look at --dry-run, then give --yes")
		}
		if !confirm(s.Stdin, s.Stderr, "Erase these? Type yes: ") {
			return errors.New("nothing was erased")
		}
	}
	ctx, cancel := context.WithTimeout(c.named(s.ctx), c.Timeout)
	defer cancel()
	if _, err := conn.ledger.EraseViewerHistory(ctx, &pb.EraseViewerHistoryRequest{UserKey: c.UserKey}); err != nil {
		return err
	}
	_, err := fmt.Fprintln(s.Stderr, "erased")
	return err
}

// printHistory prints what is known of a viewer.
func printHistory(w io.Writer, h *pb.ViewerHistory) error {
	if len(h.GetExposures()) == 0 {
		_, err := fmt.Fprintln(w, "nothing is known of this viewer")
		return err
	}
	t := table{}
	t.add("OF", "UID", "IMPRESSIONS", "LAST")
	for _, x := range h.GetExposures() {
		name, uid := x.GetName(), strconv.FormatUint(x.GetUid(), 10)
		if name == "" {
			name = "(deleted)"
		}
		if x.GetCoupon() {
			t.add(name, uid, "coupon", "")
			continue
		}
		seen := strconv.FormatInt(x.GetImpressions(), 10)
		if x.GetClicks() > 0 {
			seen = strconv.FormatInt(x.GetClicks(), 10) + " clicks"
		}
		last := "" // of a row that cannot be read
		if x.GetLastTime() != nil {
			last = x.GetLastTime().AsTime().Format(time.RFC3339)
		}
		t.add(name, uid, seen, last)
	}
	t.print(w)
	if h.GetMore() {
		_, err := fmt.Fprintln(w, "and more")
		return err
	}
	return nil
}
