package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// maxErrorsKept is the most errors in the summary for programs. Standard error has all of them.
const maxErrorsKept = 10_000

// summary is the result of a run of apply.
type summary struct {
	DryRun            bool           `json:"dry_run"`
	Created           int            `json:"created"`
	Updated           int            `json:"updated"`
	Unchanged         int            `json:"unchanged"`
	Rejected          int            `json:"rejected"`
	Serving           int            `json:"serving"`
	NotServing        int            `json:"not_serving"`
	NotServingReasons map[string]int `json:"not_serving_reasons"`
	Errors            []*rowError    `json:"errors"`
	ErrorsOmitted     int            `json:"errors_omitted"`
	Notices           []*notice      `json:"notices"`
	NoticesOmitted    int            `json:"notices_omitted"`
	// Pruned is the result of --prune.
	Pruned *removed `json:"pruned,omitempty"`
	// Interrupted says why the upload ended early. The counts are those of the rows before.
	Interrupted string `json:"interrupted,omitempty"`
}

func (s *summary) addError(err *rowError) {
	if len(s.Errors) < maxErrorsKept {
		s.Errors = append(s.Errors, err)
	} else {
		s.ErrorsOmitted++
	}
}

// count counts an accepted row.
func (s *summary) count(o *pb.ImportOutcome, campaign bool) {
	switch o.GetAction() {
	case pb.ImportAction_IMPORT_ACTION_CREATED:
		s.Created++
	case pb.ImportAction_IMPORT_ACTION_UPDATED:
		s.Updated++
	default:
		s.Unchanged++
	}
	switch {
	case !campaign:
	case o.GetServing():
		s.Serving++
	default:
		s.NotServing++
		s.NotServingReasons[o.GetNotServingReason()]++
	}
}

func (s *summary) accepted() int { return s.Created + s.Updated + s.Unchanged }

// report prints the totals. It returns an error when a row was rejected. The argument failed is the error that ended
// the upload early.
func (a *application) report(output string, failed error) error {
	if a.bar != nil {
		_ = a.bar.Finish() // an error of the terminal does not matter
	}
	a.notices.print(a.session.Stderr)
	s := &a.summary
	if failed != nil && !errors.Is(failed, errReported) {
		s.Interrupted = explainError(failed)
	}
	if output == "json" {
		s.Notices, s.NoticesOmitted = a.notices.list, a.notices.omitted
		if err := writeJSON(a.session.Stdout, s); err != nil {
			return err
		}
	} else if failed == nil || s.accepted() > 0 {
		s.print(a.session.Stdout)
		if s.Pruned != nil {
			s.Pruned.print(a.session.Stdout)
		}
	}
	switch {
	case failed != nil:
		return nil // the caller reports the error
	case s.accepted()+s.Rejected == 0:
		return errors.New("the files hold no resource: see hexbid apply --template yaml")
	case s.Rejected > 0:
		fmt.Fprintf(a.session.Stderr, "hexbid: %d rejected, see above\n", s.Rejected)
		return errReported
	}
	return nil
}

func (s *summary) print(w io.Writer) {
	if s.accepted()+s.Rejected == 0 {
		return
	}
	word := "accepted"
	if s.DryRun {
		word = "dry run, nothing changed: would accept"
	}
	fmt.Fprintf(w, "%s %d (%d new, %d changed, %d unchanged), serving %d, not serving %d%s\n",
		word, s.accepted(), s.Created, s.Updated, s.Unchanged, s.Serving, s.NotServing, s.reasons())
}

func (s *summary) reasons() string {
	var list []string
	for reason, n := range s.NotServingReasons {
		list = append(list, fmt.Sprintf("%s (%d)", reason, n))
	}
	if len(list) == 0 {
		return ""
	}
	slices.Sort(list)
	return ": " + strings.Join(list, "; ")
}
