package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// These constants bound a page of a list.
const (
	defaultPage, maxPage = 100, hexbid.MaxPageSize
	// maxPageBytes bounds the resources of a page on the wire. A page has at least one resource, however large.
	maxPageBytes = 1 << 20
	// maxPageShapeBytes bounds the shapes read for a page that leaves them out.
	maxPageShapeBytes = 8 << 20
	// maxPageNames bounds the names examined for a page, matching or not.
	maxPageNames = 10_000
)

// listing holds the parameters of a list.
type listing struct {
	kind   hexbid.ResourceKind
	parent string
	size   int32
	token  string
	view   pb.View
}

// query describes all that decides a list. A page token stands for the last name examined.
func (l *listing) query() string { return fmt.Sprint(l.kind, " ", l.parent, " ", l.view) }

// check fills the defaults in and returns the query.
func (l *listing) check(ctx context.Context, e *exchange.Exchange) (q store.ListQuery, err error) {
	q = store.ListQuery{Kind: l.kind, Names: maxPageNames}
	if l.size, err = pageSize(l.size); err != nil {
		return q, err
	}
	if err := checkView(l.view); err != nil {
		return q, err
	}
	if l.kind.HasParent() {
		if q.Parent, err = hexbid.ParseName(l.parent); err != nil {
			return q, hexbid.Invalidf("parent", "%v", err)
		}
		if want := parentsOf(l.kind); !slices.Contains(want, q.Parent.Kind) {
			return q, hexbid.Invalidf("parent", "%q is the name of one %s: name one %s", l.parent, q.Parent.Kind, want[0])
		}
	}
	if l.token != "" {
		q.After, err = e.OpenPosition(ctx, l.query(), l.token)
	}
	return q, err
}

// pageSize checks the size of a page and fills the default in.
func pageSize(size int32) (int32, error) {
	if size < 0 || size > maxPage {
		return 0, hexbid.Invalidf("page_size", "%d is out of range: use 1 to %d, or 0 for %d", size, maxPage, defaultPage)
	}
	return cmp.Or(size, defaultPage), nil
}

func checkView(view pb.View) error {
	if pb.View_name[int32(view)] == "" {
		return hexbid.Invalidf("view", "%d is not a known value: use %d for BASIC or %d for FULL", view,
			pb.View_VIEW_BASIC, pb.View_VIEW_FULL)
	}
	return nil
}

// parentsOf returns the kinds of resource that the parent of a kind may be of.
func parentsOf(kind hexbid.ResourceKind) []hexbid.ResourceKind {
	switch kind {
	case hexbid.KindPlace:
		return []hexbid.ResourceKind{hexbid.KindProgram}
	case hexbid.KindKey:
		return []hexbid.ResourceKind{hexbid.KindUser, hexbid.KindClient}
	}
	return []hexbid.ResourceKind{hexbid.KindAdvertiser}
}

// list returns a page and the token of the next.
func list[T resource](ctx context.Context, s resources, l listing) ([]T, string, error) {
	q, err := l.check(ctx, s.exchange())
	if err != nil {
		return nil, "", err
	}
	p := page[T]{listing: l}
	if p.show, err = s.shower(ctx, l.view); err != nil {
		return nil, "", err
	}
	next, err := s.exchange().List(ctx, q, p.add)
	if err != nil {
		return nil, "", err
	}
	if p.full {
		next = p.last
	}
	if next != "" {
		next = s.exchange().SealPosition(ctx, l.query(), next)
	}
	return p.resources, next, nil
}

// shower returns a function that converts resources for an answer. For campaigns it adds whether they serve and their
// live state. It looks every advertiser up once.
func (s *campaignService) shower(ctx context.Context, view pb.View) (func(hexbid.Resource) proto.Message, error) {
	serving, err := s.exchange().Serving(ctx)
	if err != nil {
		return nil, err
	}
	live, err := s.exchange().LiveStates(ctx)
	if err != nil {
		return nil, err
	}
	return func(r hexbid.Resource) proto.Message {
		c, ok := r.(*hexbid.Campaign)
		if !ok {
			return withEtag(s, wire.FromNoun(r), r)
		}
		out := campaignIn(view, c)
		out.Serving, out.NotServingReason = serving(c)
		out.LiveState = liveState(live(c.UID))
		return withEtag(s, out, r)
	}, nil
}

// spend returns what a campaign has spent, nil while that cannot be read: the campaign itself can.
func (s *campaignService) spend(ctx context.Context, uid hexbid.UID) (*pb.CampaignSpend, error) {
	spend, err := s.exchange().CampaignSpend(ctx, hexbid.Account{UID: uid})
	switch kind := hexbid.KindOf(err); {
	case err == nil:
		return wire.FromCampaignSpend(spend), nil
	case kind == hexbid.Unavailable || kind == hexbid.NotFound: // without a ledger, or deleted a moment ago
		return nil, nil
	default:
		return nil, err
	}
}

// page collects resources while there is room.
type page[T resource] struct {
	listing
	show      func(hexbid.Resource) proto.Message
	resources []T
	bytes     int // of its resources on the wire
	shapes    int // bytes of the shapes read
	last      string
	full      bool // a resource was left for the next page
}

// add adds a resource and reports whether the page may take another.
func (p *page[T]) add(r hexbid.Resource) bool {
	if len(p.resources) == int(p.size) || p.shapes >= maxPageShapeBytes {
		p.full = true
		return false
	}
	shown := p.show(r).(T)
	bytes := proto.Size(shown)
	if len(p.resources) > 0 && p.bytes+bytes > maxPageBytes {
		p.full = true
		return false
	}
	if c, ok := r.(*hexbid.Campaign); ok {
		p.shapes += shapeBytes(&c.Area) + shapeBytes(&c.Excluded)
	}
	p.resources, p.bytes, p.last = append(p.resources, shown), p.bytes+bytes, r.Metadata().Name
	return true
}

// shapeBytes approximates the memory of an area's shapes.
func shapeBytes(a *hexbid.Area) int {
	const circle, cell, vertex = 24, 8, 16
	return circle*len(a.Circles) + cell*len(a.Cells) + vertex*a.Vertices()
}

// campaignIn converts the part of a campaign that a view includes.
func campaignIn(view pb.View, c *hexbid.Campaign) *pb.Campaign {
	if view == pb.View_VIEW_FULL {
		return wire.FromNoun(c).(*pb.Campaign)
	}
	basic := *c
	basic.Area, basic.Excluded = withoutShapes(&c.Area), withoutShapes(&c.Excluded)
	out := wire.FromNoun(&basic).(*pb.Campaign)
	noteOmitted(&out.Area, &c.Area)
	noteOmitted(&out.ExcludedArea, &c.Excluded)
	return out
}

func withoutShapes(a *hexbid.Area) hexbid.Area {
	out := *a
	out.Circles, out.Cells, out.Polygons = nil, nil, nil
	return out
}

// holdsShapes reports whether view BASIC leaves out a field of pb.Area.
func holdsShapes(field protoreflect.FieldDescriptor) bool {
	name := field.Name()
	return name == "circles" || name == "h3_cells" || name == "polygons"
}

// noteOmitted records how many shapes were left out of an area.
func noteOmitted(shown **pb.Area, a *hexbid.Area) {
	omitted := len(a.Circles) + len(a.Cells) + len(a.Polygons)
	if omitted == 0 {
		return
	}
	if *shown == nil {
		*shown = &pb.Area{}
	}
	(*shown).OmittedShapes = int32(omitted)
}
