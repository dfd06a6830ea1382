package cli

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// pageFlags choose a part of a list that is ordered by time.
type pageFlags struct {
	From     time.Time `help:"Only from this instant on, as in 2026-11-22T00:00:00+08:00." placeholder:"TIME"`
	Until    time.Time `help:"Only before this instant." placeholder:"TIME"`
	PageSize int32     `help:"Length of a page." default:"100"`
	Page     string    `help:"next_page_token of the page before." placeholder:"TOKEN"`
}

func (f *pageFlags) span() (from, until *timestamppb.Timestamp) {
	if !f.From.IsZero() {
		from = timestamppb.New(f.From)
	}
	if !f.Until.IsZero() {
		until = timestamppb.New(f.Until)
	}
	return from, until
}

// more tells how to see the next page.
func more(s *session, token string) {
	if token != "" {
		fmt.Fprintln(s.Stdout, "More: --page", token)
	}
}

type ledgerChargesCommand struct {
	Campaign    string `arg:"" help:"advertisers/{a}/campaigns/{c}, or a uid."`
	pageFlags   `embed:""`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run lists charges.
func (c *ledgerChargesCommand) Run(s *session) error {
	a := parseAccount(c.Campaign)
	r := &pb.ListChargesRequest{Name: a.name, Uid: a.uid, PageSize: c.PageSize, PageToken: c.Page}
	r.StartTime, r.EndTime = c.span()
	return c.call(s, func(ctx context.Context, conn *client) error {
		page, err := conn.ledger.ListCharges(ctx, r)
		// a server may look at many charges and find none in the span
		for err == nil && len(page.GetCharges()) == 0 && page.GetNextPageToken() != "" {
			r.PageToken = page.GetNextPageToken()
			page, err = conn.ledger.ListCharges(ctx, r)
		}
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, page)
		}
		var t table
		t.add("RECORD", "TIME", "DATE", "FOR", "CHARGED", "SLOT", "HOST", "SEARCH")
		for _, charge := range page.GetCharges() {
			t.add(fmt.Sprint(charge.GetSequence()), when(charge.GetRecordTime().AsTime()), charge.GetLocalDate(),
				enumName(charge.GetKind()), money(charge.GetChargedMicros()), fmt.Sprint(charge.GetSlot()),
				enumName(charge.GetHost()), charge.GetRequestId())
		}
		t.print(s.Stdout)
		more(s, page.GetNextPageToken())
		return nil
	})
}

type ledgerRootsCommand struct {
	pageFlags   `embed:""`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run lists roots.
func (c *ledgerRootsCommand) Run(s *session) error {
	r := &pb.ListRootsRequest{PageSize: c.PageSize, PageToken: c.Page}
	r.StartTime, r.EndTime = c.span()
	return c.call(s, func(ctx context.Context, conn *client) error {
		page, err := conn.ledger.ListRoots(ctx, r)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, page)
		}
		if len(page.GetRoots()) == 0 {
			fmt.Fprintln(s.Stdout, "There is no root yet: an hour with charges gets its root when it is over.")
		}
		var t table
		t.add("HOUR", "CHARGES", "ROOT", "LINK", "RECORD")
		for _, root := range page.GetRoots() {
			t.add(root.GetHourStartTime().AsTime().UTC().Format("2006-01-02 15h UTC"), fmt.Sprint(root.GetCharges()),
				fmt.Sprintf("%x", root.GetRoot()), fmt.Sprintf("%x", root.GetLink()), fmt.Sprint(root.GetSequence()))
		}
		t.print(s.Stdout)
		more(s, page.GetNextPageToken())
		return nil
	})
}
