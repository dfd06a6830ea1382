package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"google.golang.org/grpc"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type applyCommand struct {
	Files       []string `short:"f" name:"file" help:"YAML, .jsonl or .csv files, folders of them, or - for YAML on standard input." placeholder:"FILE"`
	DryRun      bool     `help:"Check everything and change nothing."`
	Template    string   `help:"Print a commented file that applies as is: csv, yaml or jsonl." enum:"csv,yaml,jsonl," default:""`
	clientFlags `embed:""`
}

// batchRows is the number of rows sent at once.
const batchRows = 500

// Run applies files, or prints a template.
func (c *applyCommand) Run(s *session) error {
	if c.Template != "" {
		_, err := io.WriteString(s.Stdout, templates[c.Template])
		return err
	}
	files, err := listFiles(c.Files)
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stream, err := conn.campaigns.Import(ctx)
	if err != nil {
		return err
	}
	a := &application{session: s, stream: stream, dryRun: c.DryRun, accepted: map[string]bool{}, reasons: map[string]int{}}
	if isTerminal(s.Stderr) {
		a.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(s.Stderr), progressbar.OptionSetDescription("applying"),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"), progressbar.OptionClearOnFinish())
	}
	for _, file := range files {
		if err := a.applyFile(file); err != nil {
			return err
		}
	}
	if err := a.finish(); err != nil {
		return err
	}
	return a.report()
}

// listFiles expands folders to the files of known formats in them, by name.
func listFiles(paths []string) ([]string, error) {
	if len(paths) == 0 {
		return nil, errors.New("--file: name at least one file, folder or -")
	}
	var files []string
	for _, path := range paths {
		if path == "-" {
			files = append(files, path)
			continue
		}
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			known := slices.Contains([]string{".yaml", ".yml", ".jsonl", ".ndjson", ".csv"}, strings.ToLower(filepath.Ext(name)))
			if err == nil && !entry.IsDir() && (known || name == path) {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
	}
	return files, nil
}

// application is one run of apply.
type application struct {
	session  *session
	stream   grpc.BidiStreamingClient[pb.ImportRequest, pb.ImportResponse]
	dryRun   bool
	bar      *progressbar.ProgressBar
	batch    []*upload
	waiting  []*upload // rejected for something that may come later
	accepted map[string]bool

	created, updated, unchanged, rejected, serving, notServing int
	reasons                                                    map[string]int // of campaigns that do not serve
}

func (a *application) applyFile(path string) error {
	var r io.Reader = a.session.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("--file: %w", err)
		}
		defer f.Close()
		r = f
	}
	var failed error
	visit := func(d *document) {
		u, err := newUpload(d)
		if err != nil {
			a.fail(err)
			return
		}
		if a.batch = append(a.batch, u); len(a.batch) == batchRows && failed == nil {
			failed = a.send(true)
		}
	}
	readDocuments(path, r, visit, a.fail)
	return failed
}

// fail prints an error of a row and goes on.
func (a *application) fail(err error) {
	a.rejected++
	if a.bar != nil {
		_ = a.bar.Clear() // of the terminal; nothing hangs on it
	}
	fmt.Fprintln(a.session.Stderr, err)
}

// send sends the batch and takes in its outcomes. A row that lacks something
// waits for the end when it may.
func (a *application) send(mayWait bool) error {
	if len(a.batch) == 0 {
		return nil
	}
	r := &pb.ImportRequest{ValidateOnly: a.dryRun}
	for i, u := range a.batch {
		u.row.Row = int64(i)
		r.Rows = append(r.Rows, u.row)
	}
	if err := a.stream.Send(r); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	response, err := a.stream.Recv()
	if err != nil {
		return err
	}
	for i, o := range response.GetOutcomes() {
		a.take(a.batch[i], o, mayWait)
	}
	if a.bar != nil {
		_ = a.bar.Add(len(a.batch)) // likewise
	}
	a.batch = a.batch[:0]
	return nil
}

func (a *application) take(u *upload, o *pb.ImportOutcome, mayWait bool) {
	switch o.GetAction() {
	case pb.ImportAction_IMPORT_ACTION_CREATED:
		a.created++
	case pb.ImportAction_IMPORT_ACTION_UPDATED:
		a.updated++
	case pb.ImportAction_IMPORT_ACTION_UNCHANGED:
		a.unchanged++
	default:
		a.reject(u, o.GetError(), mayWait)
		return
	}
	a.accepted[o.GetName()] = true
	for _, notice := range o.GetNotices() {
		fmt.Fprintf(a.session.Stderr, "%s:%d: notice: %s\n", u.doc.file, u.doc.line, notice)
	}
	if u.row.GetCampaign() == nil {
		return
	}
	if o.GetServing() {
		a.serving++
	} else {
		a.notServing++
		a.reasons[o.GetNotServingReason()]++
	}
}

func (a *application) reject(u *upload, e *pb.RowError, mayWait bool) {
	if e.GetCode() == "NOT_FOUND" {
		if a.dryRun && !slices.ContainsFunc(u.needs, func(name string) bool { return !a.accepted[name] }) {
			a.created++ // what it needs was accepted, only not stored
			a.accepted[u.name] = true
			return
		}
		if mayWait {
			a.waiting = append(a.waiting, u)
			return
		}
	}
	field := fileField(e.GetField())
	a.fail(&rowError{u.doc.file, u.lineOf(field), field, e.GetMessage()})
}

// lineOf is the line of a field, or of the document.
func (u *upload) lineOf(field string) int {
	if n := u.doc.fields[field]; n != nil {
		return n.Line
	}
	return u.doc.line
}

// finish sends the rest; rows that lacked something are tried again as long as
// that helps.
func (a *application) finish() error {
	if err := a.send(true); err != nil {
		return err
	}
	for {
		again := a.waiting
		a.waiting = nil
		for i, last := 0, len(again); i < last; i += batchRows {
			a.batch = append(a.batch, again[i:min(i+batchRows, last)]...)
			if err := a.send(true); err != nil {
				return err
			}
		}
		if len(a.waiting) == len(again) {
			break // no further one found what it needs
		}
	}
	a.batch, a.waiting = append(a.batch, a.waiting...), nil
	for rest := a.batch; len(rest) > 0; {
		n := min(len(rest), batchRows)
		a.batch, rest = rest[:n:n], rest[n:]
		if err := a.send(false); err != nil {
			return err
		}
	}
	return a.stream.CloseSend()
}

// report prints the totals; an error when a row was rejected.
func (a *application) report() error {
	if a.bar != nil {
		_ = a.bar.Finish() // of the terminal; nothing hangs on it
	}
	accepted := a.created + a.updated + a.unchanged
	if accepted+a.rejected == 0 {
		return errors.New("the files hold no resource: see hexbid apply --template yaml")
	}
	word := "accepted"
	if a.dryRun {
		word = "dry run, nothing changed: would accept"
	}
	fmt.Fprintf(a.session.Stdout, "%s %d (%d new, %d changed, %d unchanged), serving %d, not serving %d%s\n",
		word, accepted, a.created, a.updated, a.unchanged, a.serving, a.notServing, a.reasonList())
	if a.rejected > 0 {
		fmt.Fprintf(a.session.Stderr, "hexbid: %d rejected, see above\n", a.rejected)
		return errReported
	}
	return nil
}

func (a *application) reasonList() string {
	var list []string
	for reason, n := range a.reasons {
		list = append(list, fmt.Sprintf("%s (%d)", reason, n))
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return ": " + strings.Join(list, "; ")
}
