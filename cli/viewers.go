package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type viewersCommand struct {
	Export exportViewerCommand `cmd:"" help:"Write everything that the server holds of a viewer to standard output, as JSON."`
	Erase  eraseViewerCommand  `cmd:"" help:"Erase what the server knows of a viewer: what they saw of capped campaigns, their clicks, and their coupons."`
}

type eraseViewerCommand struct {
	viewerFlags `embed:""`
	Yes         bool `short:"y" help:"Do not ask; for scripts."`
	DryRun      bool `help:"Show what would be erased and erase nothing."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// viewerFlags name a viewer. A file keeps the key out of the list of processes and the shell's history.
type viewerFlags struct {
	UserKeyFile string `name:"user-key-file" xor:"viewer" help:"File with the key that searches name the viewer by, - for standard input." placeholder:"FILE"`
	UserKey     string `name:"user-key" xor:"viewer" help:"The key itself, which then stands in the list of processes." placeholder:"KEY"`
}

// viewer returns the viewer's key.
func (f *viewerFlags) viewer(s *session) (string, error) {
	if f.UserKeyFile == "" && f.UserKey == "" {
		return "", errors.New("whose: give --user-key-file FILE (- for standard input) or --user-key KEY")
	}
	if f.UserKeyFile == "" {
		return f.UserKey, nil
	}
	from := s.Stdin
	if f.UserKeyFile != "-" {
		file, err := os.Open(f.UserKeyFile)
		if err != nil {
			return "", fmt.Errorf("--user-key-file: %w", err)
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, 4<<10))
	if err != nil {
		return "", fmt.Errorf("--user-key-file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

type exportViewerCommand struct {
	viewerFlags `embed:""`
	clientFlags `embed:""`
}

// Run writes all pages as one document.
func (c *exportViewerCommand) Run(s *session) error {
	viewer, err := c.viewer(s)
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	all := new(pb.ExportViewerResponse)
	for token := ""; ; {
		ctx, cancel := context.WithTimeout(c.named(s.ctx), c.Timeout)
		page, err := conn.ledger.ExportViewer(ctx, &pb.ExportViewerRequest{UserKey: viewer, PageToken: token})
		cancel()
		if err != nil {
			return err
		}
		all.ReadTime, all.Records = page.GetReadTime(), append(all.Records, page.GetRecords()...)
		if token = page.GetNextPageToken(); token == "" {
			return printJSON(s, all)
		}
	}
}

// Run lists what the server knows of a viewer, asks, and erases it. Events that arrive between the list and the erasure
// are erased too.
func (c *eraseViewerCommand) Run(s *session) error {
	viewer, err := c.viewer(s)
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	ctx, cancel := context.WithTimeout(c.named(s.ctx), c.Timeout)
	defer cancel()
	history, err := conn.ledger.GetViewerHistory(ctx, &pb.GetViewerHistoryRequest{UserKey: viewer})
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
	return c.erase(s, conn, viewer)
}

func (c *eraseViewerCommand) erase(s *session, conn *client, viewer string) error {
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
	if _, err := conn.ledger.EraseViewerHistory(ctx, &pb.EraseViewerHistoryRequest{UserKey: viewer}); err != nil {
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
	t.add("OF", "UID", "HELD", "LAST")
	for _, x := range h.GetExposures() {
		name, uid := x.GetName(), strconv.FormatUint(x.GetUid(), 10)
		if name == "" {
			name = "(deleted)"
		}
		if x.GetCoupon() {
			t.add(name, uid, "coupon", "")
			continue
		}
		held := counted(x.GetImpressions(), "impression")
		if x.GetClicks() > 0 {
			held = counted(x.GetClicks(), "click")
		}
		last := "" // of a row that cannot be read
		if x.GetLastTime() != nil {
			last = x.GetLastTime().AsTime().Format(time.RFC3339)
		}
		t.add(name, uid, held, last)
	}
	t.print(w)
	if h.GetMore() {
		_, err := fmt.Fprintln(w, "and more")
		return err
	}
	return nil
}

// counted writes a number of things.
func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}
