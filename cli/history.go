package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type historyCommand struct {
	Resource    string `arg:"" optional:"" help:"Only changes of this resource, with all fields before and after: advertisers/a/campaigns/c, users/u, market, ... Without it, one line for each change."`
	Owner       string `help:"Only changes of this advertiser, user or client, and of all that belongs to it: advertisers/{a} or its id, users/{u}, clients/{c}." placeholder:"NAME"`
	By          string `help:"Only changes by users/{u}, clients/{c} or a role: operator, auditor, member, client, system." placeholder:"WHO"`
	Kind        string `help:"Only changes of this kind of resource: campaign, place, program, advertiser, user, client, key, market." placeholder:"KIND"`
	Since       moment `help:"Only changes from this time on: an instant, as 2026-11-22T00:00:00+08:00, or how long ago, as 24h or 7d." placeholder:"TIME"`
	Until       moment `help:"Only changes before this time." placeholder:"TIME"`
	Limit       int    `help:"Show at most so many changes, the newest first; 0 for all that the server keeps." default:"50"`
	Fields      bool   `help:"Show fields before and after, of every change."`
	Full        bool   `help:"Show values of up to 1 MiB, not only of 1 KiB."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Help says more than the line of the command.
func (historyCommand) Help() string {
	return `Says who changed what, when, from where and with which credential. The last column of a change is its name,
which "hexbid undo" takes. The server keeps changes for --change-log-days. Members of an advertiser see the history of
what it has. Movements of money are in "hexbid ledger".

  hexbid history advertisers/a/campaigns/c
  hexbid history --owner acme --since 24h
  hexbid history --by users/alice --kind campaign -o json
  hexbid history --since 2026-11-20T00:00:00+08:00 --until 2026-11-21T00:00:00+08:00`
}

// Run prints changes.
func (c *historyCommand) Run(s *session) error {
	if c.Limit < 0 {
		return errors.New("--limit: use 0 or more")
	}
	r := c.request(time.Now())
	return c.follow(s, func(ctx context.Context, conn *client) error {
		shown := 0
		for c.Limit == 0 || shown < c.Limit {
			r.PageSize = 1000
			if c.Limit > 0 {
				r.PageSize = int32(min(1000, c.Limit-shown))
			}
			page, err := c.page(ctx, conn, r)
			if err != nil {
				return err
			}
			for _, change := range page.GetChanges() {
				if err := c.print(s, change); err != nil {
					return err
				}
			}
			shown += len(page.GetChanges())
			if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
				if shown == 0 {
					fmt.Fprintln(s.Stderr, "hexbid: there are no such changes, or none that you may see")
				}
				return nil
			}
		}
		fmt.Fprintf(s.Stderr, "hexbid: these are the newest %d; --limit shows more\n", shown)
		return nil
	})
}

// request asks for changes, without a page. An owner without its collection is an advertiser.
func (c *historyCommand) request(now time.Time) *pb.ListChangesRequest {
	r := &pb.ListChangesRequest{Resource: c.Resource, Principal: c.By, Kind: c.Kind, StartTime: c.Since.from(now),
		EndTime: c.Until.from(now)}
	if c.Owner != "" {
		r.Owner = named("advertisers", c.Owner)
	}
	if c.Full {
		r.View = pb.View_VIEW_FULL
	}
	return r
}

// moment is an instant, or how long ago one was.
type moment struct {
	at      time.Time
	ago     time.Duration
	set     bool
	instant bool // at counts, not ago
}

// UnmarshalText reads a moment, as in "24h", "7d" or "2026-11-22T00:00:00+08:00".
func (m *moment) UnmarshalText(text []byte) (err error) {
	*m = moment{set: true}
	if m.at, err = time.Parse(time.RFC3339, string(text)); err == nil {
		m.instant = true
		return nil
	}
	hours := string(text)
	if days, isDays := strings.CutSuffix(hours, "d"); isDays {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return notAMoment(text)
		}
		hours = strconv.FormatUint(24*n, 10) + "h"
	}
	if m.ago, err = time.ParseDuration(hours); err != nil || m.ago < 0 {
		return notAMoment(text)
	}
	return nil
}

func notAMoment(text []byte) error {
	return fmt.Errorf("%q is no time: write an instant, as 2026-11-22T00:00:00+08:00, or how long ago, as 24h or 7d", text)
}

// from returns the instant of a moment, nil for none.
func (m *moment) from(now time.Time) *timestamppb.Timestamp {
	switch {
	case !m.set:
		return nil
	case m.instant:
		return timestamppb.New(m.at)
	}
	return timestamppb.New(now.Add(-m.ago))
}

func (c *historyCommand) page(ctx context.Context, conn *client,
	r *pb.ListChangesRequest) (*pb.ListChangesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return conn.audit.ListChanges(ctx, r)
}

// print writes a change, as a line of JSON for programs.
func (c *historyCommand) print(s *session, change *pb.Change) error {
	if c.Output == "json" {
		return printLine(s.Stdout, change)
	}
	return printChange(s.Stdout, change, c.Fields || c.Resource != "")
}

// damageText tells of a damaged change, or of all changes, without a name, that a damaged part of a file hides.
func damageText(name string) string {
	if name == "" {
		return "damaged: a part of the server's history cannot be read, and changes may be missing here. The server's log " +
			"names the file; the cure is to restore the catalogue from a copy"
	}
	return "damaged: the server's record of this change was altered or is missing  " + name
}

// printChange writes a change as a line, and with fields a line more for each.
func printChange(w io.Writer, change *pb.Change, fields bool) error {
	if change.GetDamaged() {
		_, err := fmt.Fprintln(w, damageText(change.GetName()))
		return err
	}
	line := instantText(change.GetTime()) + "  " + actorText(change.GetActor())
	for i, r := range change.GetResources() {
		separator := "  "
		if i > 0 {
			separator = ", "
		}
		line += separator + actionWord(r.GetAction()) + " " + r.GetResource()
	}
	if change.GetUndoes() != "" {
		line += "  (undoes " + change.GetUndoes() + ")"
	}
	if change.GetName() != "" { // one that is only tried has none
		line += "  " + change.GetName()
	}
	lines := []string{line}
	for _, r := range change.GetResources() {
		if r.GetDamaged() {
			lines = append(lines, "    damaged: what became of "+r.GetResource()+" was in another change, which is damaged")
		}
		for _, f := range r.GetFields() {
			if fields {
				lines = append(lines, fieldLines(f)...)
			}
		}
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

// actorText says who made a change, from where and with what.
func actorText(a *pb.Actor) string {
	text := cmp.Or(a.GetName(), roleName(a.GetRole()))
	if a.GetName() != "" {
		text += " (" + roleName(a.GetRole()) + ")"
	}
	if a.GetOrigin() != "" {
		text += " from " + a.GetOrigin()
	}
	if a.GetCredential() != "" {
		text += " with " + a.GetCredential()
	}
	return text
}

func actionWord(a pb.ChangeAction) string {
	return strings.ToLower(strings.TrimPrefix(a.String(), "CHANGE_ACTION_"))
}

type undoCommand struct {
	Change      string `arg:"" help:"Name of the change, as \"hexbid history\" shows it: changes/..."`
	DryRun      bool   `help:"Show what would change, and change nothing."`
	Yes         bool   `short:"y" help:"Do not ask; for scripts."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Help says more than the line of the command.
func (undoCommand) Help() string {
	return `Makes a new change that takes one back: deletes what it created, brings back what it deleted, and sets the
fields that it changed to what they were. All other fields stay as they are now. The server refuses where something has
changed since of what would be restored, and for users, clients and keys. An undo is a change too and can be undone.

  hexbid undo changes/cx6wqlzys3mqes7r53cfdrmacq --dry-run
  hexbid undo changes/cx6wqlzys3mqes7r53cfdrmacq`
}

// Run shows what an undo would do, asks, and does it.
func (c *undoCommand) Run(s *session) error {
	name := named("changes", c.Change)
	would, err := c.undo(s, name, true)
	if err != nil {
		return err
	}
	if c.DryRun {
		if err := c.print(s, would); err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.Stderr, "hexbid: that is what the undo would do; nothing was changed")
		return err
	}
	if !c.Yes {
		if !isTerminal(s.Stdin) {
			return errors.New("standard input is not a terminal, so nobody can be asked: look at --dry-run, then give --yes")
		}
		if err := printChange(s.Stderr, would, true); err != nil {
			return err
		}
		if !confirm(s.Stdin, s.Stderr, "Make this change? Type yes: ") {
			return errors.New("nothing was changed")
		}
	}
	done, err := c.undo(s, name, false)
	if err != nil {
		return err
	}
	return c.print(s, done)
}

func (c *undoCommand) undo(s *session, name string, validateOnly bool) (change *pb.Change, err error) {
	err = c.call(s, func(ctx context.Context, conn *client) error {
		change, err = conn.audit.UndoChange(ctx, &pb.UndoChangeRequest{Name: name, ValidateOnly: validateOnly})
		return err
	})
	return change, err
}

func (c *undoCommand) print(s *session, change *pb.Change) error {
	if c.Output == "json" {
		return printJSON(s, change)
	}
	return printChange(s.Stdout, change, true)
}
