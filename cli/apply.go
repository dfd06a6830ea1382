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
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type applyCommand struct {
	Files       []string `short:"f" name:"file" help:"YAML, .jsonl or .csv files, folders of them, or - for YAML on standard input." placeholder:"FILE"`
	DryRun      bool     `help:"Check everything as if the rows before were stored, and change nothing."`
	Prune       bool     `help:"Delete what the advertisers in the files own and the files do not have; shows the list and asks."`
	Yes         bool     `short:"y" help:"Do not ask before --prune deletes; for scripts."`
	Template    string   `help:"Print a commented file that applies as is: csv, yaml or jsonl." enum:"csv,yaml,jsonl," default:"" placeholder:"FORMAT"`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

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
	if c.Prune && !c.Yes && !c.DryRun && (slices.Contains(files, "-") || !isTerminal(s.Stdin)) {
		return errAskFirst // refuse before anything is applied
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	a := &application{session: s, importer: &importer{ctx: ctx, client: conn.campaigns, dryRun: c.DryRun}, seen: newSeen(),
		bar: newBar(s, "applying", "rows")}
	a.summary.DryRun, a.summary.NotServingReasons = c.DryRun, map[string]int{}
	failed := a.applyFiles(files)
	if failed == nil && c.Prune {
		failed = a.prune(ctx, &remover{session: s, walk: &walk{client: conn, timeout: c.Timeout, view: pb.View_VIEW_BASIC,
			pageSize: hexbid.MaxPageSize}, dryRun: c.DryRun, yes: c.Yes})
	}
	if err := a.report(c.Output, failed); failed == nil {
		return err
	}
	return failed
}

// listFiles replaces each folder by the files of known formats in it, sorted by name.
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
			known := slices.Contains([]string{".yaml", ".yml", ".jsonl", ".ndjson", ".csv", ".tsv"},
				strings.ToLower(filepath.Ext(name)))
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

// newBar returns a progress bar on a terminal, and nil elsewhere.
func newBar(s *session, doing, unit string) *progressbar.ProgressBar {
	if !isTerminal(s.Stderr) {
		return nil
	}
	return progressbar.NewOptions(-1, progressbar.OptionSetWriter(s.Stderr), progressbar.OptionSetDescription(doing),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit), progressbar.OptionClearOnFinish())
}

// application is one run of apply.
type application struct {
	session  *session
	importer *importer
	bar      *progressbar.ProgressBar
	seen     *seen
	batch    []*upload
	bytes    int       // in the batch
	waiting  []*upload // rows that refer to something that may come later
	owners   []string  // advertisers that have a row of their own in the files
	notices  notices
	summary  summary
}

func (a *application) applyFiles(files []string) error {
	for _, file := range files {
		if err := a.applyFile(file); err != nil {
			return err
		}
	}
	return a.finish()
}

func (a *application) applyFile(path string) error {
	var r io.Reader = a.session.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			a.reject([]*rowError{{path, 0, "", "cannot be read: " + err.Error()}})
			return nil
		}
		defer f.Close()
		r = f
	}
	var failed error
	visit := func(d *document) {
		if failed == nil {
			failed = a.add(d)
		}
	}
	readDocuments(path, r, visit, func(e *rowError) { a.reject([]*rowError{e}) },
		func(line int, text string) { a.notices.add(path, line, text) })
	return failed
}

// add puts a document into the batch and sends the batch when it is full.
func (a *application) add(d *document) error {
	u := newUpload(d)
	if u == nil {
		a.reject(d.wrong)
		return nil
	}
	if u.name != "" {
		where, same, before := a.seen.add(u)
		switch {
		case before && same && len(d.wrong) == 0:
			a.notices.add(d.file, d.line, "stands twice in this upload, with equal content")
		case before:
			d.failAt("name", fmt.Sprintf("%q stands twice in this upload, first at %s: leave one of them out", u.name, where))
			u.row.ValidateOnly = true
		}
	}
	if u.row.GetAdvertiser() != nil {
		a.owners = append(a.owners, u.name)
	}
	size := proto.Size(u.row)
	if a.bytes+size > batchBytes {
		if err := a.send(true); err != nil {
			return err
		}
	}
	a.batch, a.bytes = append(a.batch, u), a.bytes+size
	if len(a.batch) < batchRows {
		return nil
	}
	return a.send(true)
}

// reject prints the errors of a row. The run goes on.
func (a *application) reject(errs []*rowError) {
	a.summary.Rejected++
	a.clearBar()
	for _, err := range errs {
		fmt.Fprintln(a.session.Stderr, err)
		a.summary.addError(err)
	}
}

func (a *application) clearBar() {
	if a.bar != nil {
		_ = a.bar.Clear() // an error of the terminal does not matter
	}
}

// send sends the batch and records its outcomes. If mayWait is set, a row that refers to something missing waits for
// the end.
func (a *application) send(mayWait bool) error {
	if len(a.batch) == 0 {
		return nil
	}
	rows := make([]*pb.ImportRow, len(a.batch))
	for i, u := range a.batch {
		u.row.Row = int64(i)
		rows[i] = u.row
	}
	outcomes, err := a.importer.send(rows)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		a.take(a.batch[i], o, mayWait)
	}
	if a.bar != nil {
		_ = a.bar.Add(len(a.batch)) // an error of the terminal does not matter
	}
	a.batch, a.bytes = a.batch[:0], 0
	return nil
}

func (a *application) take(u *upload, o *pb.ImportOutcome, mayWait bool) {
	if mayWait && needsMore(o) {
		a.waiting = append(a.waiting, u)
		return
	}
	if errs := u.errors(o); len(errs) > 0 {
		a.reject(errs)
		return
	}
	for _, notice := range o.GetNotices() {
		a.notices.add(u.doc.file, u.doc.line, fileNotice(notice))
	}
	a.summary.count(o, u.row.GetCampaign() != nil)
}

// finish sends the rest. It sends the waiting rows again as long as each round accepts some of them.
func (a *application) finish() error {
	if err := a.send(true); err != nil {
		return err
	}
	for before := 0; len(a.waiting) > 0 && len(a.waiting) != before; {
		before = len(a.waiting)
		if err := a.sendWaiting(true); err != nil {
			return err
		}
	}
	if err := a.sendWaiting(false); err != nil {
		return err
	}
	return a.importer.close()
}

func (a *application) sendWaiting(mayWait bool) error {
	again := a.waiting
	a.waiting = nil
	for _, u := range again {
		size := proto.Size(u.row)
		if len(a.batch) == batchRows || a.bytes+size > batchBytes {
			if err := a.send(mayWait); err != nil {
				return err
			}
		}
		a.batch, a.bytes = append(a.batch, u), a.bytes+size
	}
	return a.send(mayWait)
}
