package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// removal is a resource to delete, with its etag if it was listed.
type removal struct {
	kind       hexbid.ResourceKind
	name, etag string
}

// removalPlan lists the resources to delete.
type removalPlan []removal

func (p *removalPlan) add(kind hexbid.ResourceKind, m resource) {
	*p = append(*p, removal{kind, m.GetName(), m.GetEtag()})
}

// removalOrder is the order in which kinds are deleted. A kind comes before the kinds that it needs.
var removalOrder = []hexbid.ResourceKind{hexbid.KindCampaign, hexbid.KindPlace, hexbid.KindProgram,
	hexbid.KindAdvertiser}

// sorted returns the plan in an order in which it can be carried out, with each name once.
func (p removalPlan) sorted() removalPlan {
	order := slices.Clone(p)
	slices.SortStableFunc(order, func(a, b removal) int {
		return cmp.Or(cmp.Compare(slices.Index(removalOrder, a.kind), slices.Index(removalOrder, b.kind)),
			cmp.Compare(a.name, b.name))
	})
	return slices.CompactFunc(order, func(a, b removal) bool { return a.name == b.name })
}

// maxShown is the most names that are shown before the question.
const maxShown = 100

// show lists and counts the resources to delete.
func (p removalPlan) show(w io.Writer) {
	for i, r := range p {
		if i == maxShown {
			fmt.Fprintf(w, "  and %d more\n", len(p)-maxShown)
			break
		}
		fmt.Fprintln(w, " ", r.name)
	}
	fmt.Fprintln(w, p.count())
}

// count describes the numbers, as in "2 campaigns, 1 place".
func (p removalPlan) count() string {
	var parts []string
	for _, kind := range removalOrder {
		n := 0
		for _, r := range p {
			if r.kind == kind {
				n++
			}
		}
		if n == 1 {
			parts = append(parts, "1 "+kind.String())
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d %ss", n, kind))
		}
	}
	return strings.Join(parts, ", ")
}

// removed is the result of a removal.
type removed struct {
	DryRun  bool        `json:"dry_run"`
	Deleted []string    `json:"deleted"`
	Failed  []*rowError `json:"failed,omitempty"`
}

func (r *removed) print(w io.Writer) {
	word := "deleted"
	if r.DryRun {
		word = "would delete"
	}
	for _, name := range r.Deleted {
		fmt.Fprintln(w, word, name)
	}
}

// remover deletes resources, several at a time.
type remover struct {
	session     *session
	walk        *walk
	dryRun, yes bool
}

// errAskFirst is the error when there is nobody to ask.
var errAskFirst = errors.New("this deletes more than what is named, and standard input is not a terminal, so nobody " +
	"can be asked: look at --dry-run, then give --yes")

// remove shows the plan, asks, and carries the plan out. It returns an error when the answer is no, and when some
// resource could not be deleted.
func (r *remover) remove(ctx context.Context, plan removalPlan, show bool) (*removed, error) {
	if show {
		plan = plan.sorted()
	}
	out := &removed{DryRun: r.dryRun, Deleted: []string{}}
	if r.dryRun {
		for _, one := range plan {
			out.Deleted = append(out.Deleted, one.name)
		}
		return out, nil
	}
	if show && len(plan) > 0 {
		plan.show(r.session.Stderr)
	}
	if !r.yes && len(plan) > 0 {
		if !isTerminal(r.session.Stdin) {
			return nil, errAskFirst
		}
		if !confirm(r.session.Stdin, r.session.Stderr, "Delete these? Type yes: ") {
			return nil, errors.New("nothing was deleted")
		}
	}
	r.carryOut(ctx, plan, out)
	if len(out.Failed) == 0 {
		return out, nil
	}
	for _, failure := range out.Failed {
		fmt.Fprintf(r.session.Stderr, "hexbid: %s: %s\n", failure.Field, failure.Message)
	}
	return out, errReported
}

// confirm asks a question. Only the answer "yes" counts as yes.
func confirm(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprint(out, question)
	answer, _ := bufio.NewReader(in).ReadString('\n') // an answer cut short is not yes
	return strings.TrimSpace(answer) == "yes"
}

// removeWorkers is the number of deletes at one time. A delete waits for the disk and for the index, and deletes at the
// same time share these waits.
const removeWorkers = 8

// carryOut deletes one kind after the other.
func (r *remover) carryOut(ctx context.Context, plan removalPlan, out *removed) {
	bar := newBar(r.session, "deleting", "resources")
	for len(plan) > 0 {
		n := 1
		for n < len(plan) && plan[n].kind == plan[0].kind {
			n++
		}
		r.removeAll(ctx, plan[:n], out, func() {
			if bar != nil {
				_ = bar.Add(1) // an error of the terminal does not matter
			}
		})
		plan = plan[n:]
	}
	if bar != nil {
		_ = bar.Finish() // an error of the terminal does not matter
	}
}

func (r *remover) removeAll(ctx context.Context, plan removalPlan, out *removed, progress func()) {
	failures := make([]error, len(plan))
	var guard sync.Mutex // guards the progress
	var group sync.WaitGroup
	for worker := range removeWorkers {
		group.Go(func() {
			for i := worker; i < len(plan); i += removeWorkers {
				failures[i] = r.removeOne(ctx, plan[i])
				guard.Lock()
				progress()
				guard.Unlock()
			}
		})
	}
	group.Wait()
	for i, err := range failures {
		if err == nil {
			out.Deleted = append(out.Deleted, plan[i].name)
		} else {
			out.Failed = append(out.Failed, &rowError{Field: plan[i].name, Message: explainError(err)})
		}
	}
}

// removeOne deletes a resource unless it has changed since it was listed. A resource that was listed and no longer
// exists counts as deleted.
func (r *remover) removeOne(ctx context.Context, one removal) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.walk.timeout)
	defer cancel()
	c := r.walk.client.campaigns
	switch one.kind {
	case hexbid.KindAdvertiser:
		_, err = c.DeleteAdvertiser(ctx, &pb.DeleteAdvertiserRequest{Name: one.name, Etag: one.etag})
	case hexbid.KindProgram:
		_, err = c.DeleteProgram(ctx, &pb.DeleteProgramRequest{Name: one.name, Etag: one.etag})
	case hexbid.KindPlace:
		_, err = c.DeletePlace(ctx, &pb.DeletePlaceRequest{Name: one.name, Etag: one.etag})
	case hexbid.KindCampaign:
		_, err = c.DeleteCampaign(ctx, &pb.DeleteCampaignRequest{Name: one.name, Etag: one.etag})
	}
	if one.etag != "" && status.Code(err) == codes.NotFound {
		return nil
	}
	return err
}

func (r *remover) get(ctx context.Context, name string) (resource, error) {
	ctx, cancel := context.WithTimeout(ctx, r.walk.timeout)
	defer cancel()
	return getByName(ctx, r.walk.client.campaigns, name)
}
