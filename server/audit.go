package server

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// auditService serves the history of resources.
type auditService struct {
	pb.UnimplementedAuditServiceServer
	server *Server
}

func (s *auditService) exchange() *exchange.Exchange { return s.server.exchange.Load() }

// These constants bound the values of fields that views show, each before and after, in bytes on the wire. A value of
// JSON takes some twenty times its bytes in memory until it is sent.
const (
	largestBasicValue = 1 << 10
	largestFullValue  = 1 << 20
	// maxChangeBytes bounds a change: clients of gRPC take 4 MiB in one answer unless they say otherwise.
	maxChangeBytes = 3 << 20
)

// ListChanges implements pb.AuditServiceServer.
func (s *auditService) ListChanges(ctx context.Context, r *pb.ListChangesRequest) (*pb.ListChangesResponse, error) {
	q, err := changeQuery(r)
	if err != nil {
		return nil, err
	}
	at, err := pageAfter(ctx, s.exchange(), r)
	if err != nil {
		return nil, err
	}
	largest, err := largestValue(r.GetView())
	if err != nil {
		return nil, err
	}
	q.Before = at.after
	p := changesPage{size: at.size, largest: largest}
	next, err := s.exchange().Changes(ctx, q, p.add)
	if err != nil {
		return nil, err
	}
	if p.full {
		next = p.last
	}
	return &pb.ListChangesResponse{Changes: p.changes, NextPageToken: tokenAfter(ctx, s.exchange(), r, next)}, nil
}

// changeQuery converts a request, without its page.
func changeQuery(r *pb.ListChangesRequest) (q *exchange.ChangeQuery, err error) {
	q = &exchange.ChangeQuery{Resource: r.GetResource(), Owner: r.GetOwner(), Principal: r.GetPrincipal(),
		Kind: r.GetKind()}
	if q.From, err = wire.ToInstant("start_time", r.GetStartTime()); err != nil {
		return nil, err
	}
	q.To, err = wire.ToInstant("end_time", r.GetEndTime())
	return q, err
}

// largestValue returns the most bytes of a value that a view shows.
func largestValue(view pb.View) (int, error) {
	if view == pb.View_VIEW_FULL {
		return largestFullValue, nil
	}
	return largestBasicValue, checkView(view)
}

// changesPage collects changes while there is room.
type changesPage struct {
	size, largest int
	changes       []*pb.Change
	bytes         int    // of its changes on the wire
	last          uint64 // version of the last change
	full          bool   // a change was left for the next page
}

// add adds a change and reports whether the page may take another.
func (p *changesPage) add(c *exchange.Change) bool {
	if len(p.changes) == p.size {
		p.full = true
		return false
	}
	shown := changeOf(c, p.largest)
	bytes := proto.Size(shown)
	if len(p.changes) > 0 && p.bytes+bytes > maxPageBytes {
		p.full = true
		return false
	}
	p.changes, p.bytes, p.last = append(p.changes, shown), p.bytes+bytes, c.Version
	return true
}

// GetChange implements pb.AuditServiceServer.
func (s *auditService) GetChange(ctx context.Context, r *pb.GetChangeRequest) (*pb.Change, error) {
	largest, err := largestValue(r.GetView())
	if err != nil {
		return nil, err
	}
	c, err := s.exchange().Change(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	return changeOf(c, largest), nil
}

// UndoChange implements pb.AuditServiceServer.
func (s *auditService) UndoChange(ctx context.Context, r *pb.UndoChangeRequest) (*pb.Change, error) {
	c, err := s.exchange().Undo(ctx, r.GetName(), r.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return changeOf(c, largestBasicValue), nil
}

// changeOf converts a change. It leaves out values of more than largest bytes, and more of the largest ones if the
// change would not fit into an answer.
func changeOf(c *exchange.Change, largest int) *pb.Change {
	if c.Damaged {
		return &pb.Change{Name: c.Name, Damaged: true}
	}
	out := &pb.Change{Name: c.Name, Time: timestamppb.New(c.At), Undoes: c.Undoes,
		Actor: &pb.Actor{Role: pb.Role(c.By.Role), Name: c.By.ID, Origin: c.By.Origin, Credential: c.By.Key}}
	for i := range c.Of {
		out.Resources = append(out.Resources, resourceChange(&c.Of[i], largest))
	}
	for proto.Size(out) > maxChangeBytes && leaveOutLargest(out) {
	}
	return out
}

// leaveOutLargest leaves the largest field out of a change, and reports whether there was one.
func leaveOutLargest(c *pb.Change) bool {
	var largest *pb.FieldChange
	for _, r := range c.GetResources() {
		for _, f := range r.GetFields() {
			if !f.GetOmitted() && (largest == nil || proto.Size(f) > proto.Size(largest)) {
				largest = f
			}
		}
	}
	if largest == nil {
		return false
	}
	largest.Before, largest.After, largest.Omitted = nil, nil, true
	return true
}

func resourceChange(r *exchange.ChangedResource, largest int) *pb.ResourceChange {
	out := &pb.ResourceChange{Resource: r.Name, Action: pb.ChangeAction_CHANGE_ACTION_UPDATED,
		Fields: wire.FieldChanges(r.Before, r.After, largest)}
	switch {
	case r.Lost != nil:
		return lostResource(r.Lost)
	case r.After != nil:
		out.Uid = uint64(r.After.Metadata().UID)
		if r.Before == nil {
			out.Action = pb.ChangeAction_CHANGE_ACTION_CREATED
		}
	case r.Before != nil:
		out.Uid, out.Action = uint64(r.Before.Metadata().UID), pb.ChangeAction_CHANGE_ACTION_DELETED
	}
	if v := r.Verdict; v != nil {
		out.Fields = append(out.Fields, &pb.FieldChange{Field: "review_verdict", Before: verdictValue(v.Before),
			After: verdictValue(v.After)})
	}
	return out
}

// lostResource tells what is known of a change whose outcome is damaged.
func lostResource(l *store.LostEntry) *pb.ResourceChange {
	out := &pb.ResourceChange{Resource: l.Name, Uid: uint64(l.After), Action: pb.ChangeAction_CHANGE_ACTION_UPDATED,
		Damaged: true}
	if l.Before != l.After && l.Before == 0 {
		out.Action = pb.ChangeAction_CHANGE_ACTION_CREATED
	}
	return out
}

// verdictValue writes a verdict as JSON has it, nil for none.
func verdictValue(state hexbid.ReviewState) *structpb.Value {
	if state == hexbid.ReviewUnspecified {
		return nil
	}
	return structpb.NewStringValue(pb.ReviewState(state).String())
}
