package server

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

type campaignService struct {
	pb.UnimplementedCampaignServiceServer
	server *Server
}

func (s *campaignService) exchange() *exchange.Exchange { return s.server.exchange.Load() }

// resources is a service with standard methods. shower returns a function that converts resources for an answer.
type resources interface {
	exchange() *exchange.Exchange
	shower(ctx context.Context, view pb.View) (func(hexbid.Resource) proto.Message, error)
}

// resource is a wire message that has a name and an etag.
type resource interface {
	proto.Message
	GetName() string
	GetEtag() string
}

// collections holds the last literal in the names of each kind.
var collections = map[hexbid.ResourceKind]string{
	hexbid.KindAdvertiser: "advertisers", hexbid.KindProgram: "programs", hexbid.KindPlace: "places",
	hexbid.KindCampaign: "campaigns", hexbid.KindUser: "users", hexbid.KindClient: "clients", hexbid.KindKey: "keys",
}

// show converts a resource for an answer. Notices say what was corrected in a campaign.
func show[T resource](ctx context.Context, s resources, r hexbid.Resource,
	notices ...string) (none T, err error) {
	convert, err := s.shower(ctx, pb.View_VIEW_FULL)
	if err != nil {
		return none, err
	}
	m := convert(r)
	if c, ok := m.(*pb.Campaign); ok {
		c.Notices = notices
	}
	return m.(T), nil
}

// showWritten is show for the result of a write.
func showWritten[T resource](ctx context.Context, s resources, r hexbid.Resource, notices []string) (T, error) {
	if !s.exchange().Searchable(r) {
		notices = append(notices, exchange.NotYetSearchable)
	}
	return show[T](ctx, s, r, notices...)
}

// creation holds the parameters of a create apart from the resource.
type creation struct {
	kind         hexbid.ResourceKind
	parent, id   string
	validateOnly bool
}

// create adds a resource under a parent.
func create[T resource](ctx context.Context, s resources, m T, o creation) (none T, err error) {
	if !m.ProtoReflect().IsValid() {
		return none, hexbid.Invalidf(o.kind.String(), "is missing")
	}
	name, err := childName(o.kind, o.parent, o.id)
	if err != nil {
		return none, err
	}
	m = proto.Clone(m).(T)
	setName(m, name)
	noun, notices, err := toNoun(ctx, s, m)
	if err != nil {
		return none, err
	}
	created, err := s.exchange().Create(ctx, noun, o.validateOnly)
	if err != nil {
		return none, err
	}
	return showWritten[T](ctx, s, created, notices)
}

// toNoun converts a resource. If some fields do not convert, the error also lists what else is wrong.
func toNoun(ctx context.Context, s resources, m proto.Message) (hexbid.Resource, []string, error) {
	noun, notices, err := wire.ToNoun(m)
	if err != nil {
		return nil, nil, s.exchange().Check(ctx, noun, err)
	}
	return noun, notices, nil
}

func setName(m proto.Message, name string) {
	r := m.ProtoReflect()
	r.Set(r.Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(name))
}

// childName joins a parent and an id. The server chooses an id if the given one is empty.
func childName(kind hexbid.ResourceKind, parent, id string) (string, error) {
	if id == "" {
		var random [10]byte
		rand.Read(random[:]) // never fails: it aborts the program instead
		id = strings.ToLower(base32.StdEncoding.EncodeToString(random[:]))
	}
	if err := hexbid.CheckID(id); err != nil {
		return "", hexbid.Invalidf(kind.String()+"_id", "%v", err)
	}
	if !kind.HasParent() {
		return collections[kind] + "/" + id, nil
	}
	name := parent + "/" + collections[kind] + "/" + id
	if _, err := hexbid.ParseNameOf(kind, "parent", name); err != nil {
		return "", err
	}
	return name, nil
}

// get reads one resource of a kind.
func get[T resource](ctx context.Context, s resources, kind hexbid.ResourceKind,
	name string) (none T, err error) {
	if _, err := hexbid.ParseNameOf(kind, "name", name); err != nil {
		return none, err
	}
	r, err := s.exchange().Get(ctx, name)
	if err != nil {
		return none, err
	}
	return show[T](ctx, s, r)
}

// updateOptions holds the parameters of an update apart from the resource.
type updateOptions struct {
	mask                       *fieldmaskpb.FieldMask
	validateOnly, allowMissing bool
}

// update changes the masked fields of a resource.
func update[T resource](ctx context.Context, s resources, kind hexbid.ResourceKind, m T,
	o updateOptions) (none T, err error) {
	if !m.ProtoReflect().IsValid() {
		return none, hexbid.Invalidf(kind.String(), "is missing")
	}
	if _, err := hexbid.ParseNameOf(kind, kind.String()+".name", m.GetName()); err != nil {
		return none, err
	}
	version, err := ifVersion(s, m.GetEtag())
	if err != nil {
		return none, err
	}
	var notices []string
	r, err := s.exchange().Update(ctx, m.GetName(), version, o.validateOnly,
		func(present hexbid.Resource) (next hexbid.Resource, err error) {
			merged, err := merge(wire.FromNoun(present), m, o.mask)
			if err == nil {
				next, notices, err = toNoun(ctx, s, merged)
			}
			if err != nil {
				return nil, err
			}
			if notice := exchange.CapNotice(present, next); notice != "" {
				notices = append(notices, notice)
			}
			return next, nil
		})
	if o.allowMissing && hexbid.KindOf(err) == hexbid.NotFound {
		var noun hexbid.Resource
		if noun, notices, err = toNoun(ctx, s, m); err == nil {
			r, err = s.exchange().Create(ctx, noun, o.validateOnly)
		}
	}
	if err != nil {
		return none, err
	}
	return showWritten[T](ctx, s, r, notices)
}

// maxMaskPaths exceeds the number of fields that a mask can name.
const maxMaskPaths = 200

// merge copies the masked fields of an update over the present state.
func merge(present, update proto.Message, mask *fieldmaskpb.FieldMask) (proto.Message, error) {
	paths := mask.GetPaths()
	if len(paths) > maxMaskPaths {
		return nil, hexbid.Invalidf("update_mask", "has %d paths: at most %d", len(paths), maxMaskPaths)
	}
	if len(paths) == 0 || len(paths) == 1 && paths[0] == "*" {
		return update, nil
	}
	for _, path := range paths {
		if err := mergePath(present.ProtoReflect(), update.ProtoReflect(), strings.Split(path, ".")); err != nil {
			return nil, hexbid.Invalidf("update_mask", "%q %v", hexbid.Shorten(path), err)
		}
	}
	return present, nil
}

func mergePath(to, from protoreflect.Message, path []string) error {
	field := to.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if field == nil {
		return hexbid.Errorf(hexbid.Invalid, "", "is not a field of %s", to.Descriptor().Name())
	}
	if len(path) > 1 {
		if field.Message() == nil || field.IsList() {
			return hexbid.Errorf(hexbid.Invalid, "", "goes into %s, which has no fields of its own", path[0])
		}
		return mergePath(to.Mutable(field).Message(), from.Get(field).Message(), path[1:])
	}
	if a, ok := from.Interface().(*pb.Area); ok && a.GetOmittedShapes() > 0 && holdsShapes(field) && !from.Has(field) {
		return wire.OmittedError(a)
	}
	if from.Has(field) {
		to.Set(field, from.Get(field))
	} else {
		to.Clear(field)
	}
	return nil
}

// removal holds the parameters of a delete.
type removal struct {
	kind         hexbid.ResourceKind
	name, etag   string
	validateOnly bool
}

// remove deletes a resource that nothing else needs.
func remove(ctx context.Context, s resources, o removal) (*emptypb.Empty, error) {
	if _, err := hexbid.ParseNameOf(o.kind, "name", o.name); err != nil {
		return nil, err
	}
	version, err := ifVersion(s, o.etag)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.exchange().Delete(ctx, o.name, version, o.validateOnly)
}

// ifVersion returns the version of an etag; an empty etag waives the condition.
func ifVersion(s resources, etag string) (uint64, error) {
	if etag == "" {
		return store.AnyVersion, nil
	}
	return s.exchange().VersionOf(etag)
}

// withEtag sets the etag of a message to that of its resource.
func withEtag(s resources, m proto.Message, r hexbid.Resource) proto.Message {
	to := m.ProtoReflect()
	to.Set(to.Descriptor().Fields().ByName("etag"), protoreflect.ValueOfString(s.exchange().Etag(r)))
	return m
}
