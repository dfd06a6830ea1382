package wire

import (
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Two states of a resource differ in fields of its message. A field is given by its path, as in "audience.hosts". A
// message that both states have is compared field by field, everything else as a whole: a list, and a message that only
// one of them has.

// isMetadata reports whether a field of a resource is not its content: every write changes it, or none does.
func isMetadata(f protoreflect.FieldDescriptor) bool {
	switch f.Name() {
	case "name", "uid", "etag", "create_time", "update_time":
		return true
	}
	return false
}

// Differences returns the paths of the fields in which two states of a resource differ, in the order of the contract.
// Either may be nil.
func Differences(before, after hexbid.Resource) (paths []string) {
	eachDifference(before, after, func(path string, _ protoreflect.FieldDescriptor, _, _ protoreflect.Message) {
		paths = append(paths, path)
	})
	return paths
}

// eachDifference calls visit with each field that differs, and with the messages that hold it.
func eachDifference(before, after hexbid.Resource,
	visit func(path string, f protoreflect.FieldDescriptor, before, after protoreflect.Message)) {
	b, a := reflected(before, after), reflected(after, before)
	if b == nil {
		return
	}
	compareFields("", b, a, visit)
}

// reflected returns the message of a resource; for nil, the empty message of another resource of its kind.
func reflected(r, other hexbid.Resource) protoreflect.Message {
	switch {
	case r != nil:
		return FromNoun(r).ProtoReflect()
	case other != nil:
		return FromNoun(other).ProtoReflect().New()
	}
	return nil
}

func compareFields(prefix string, b, a protoreflect.Message,
	visit func(string, protoreflect.FieldDescriptor, protoreflect.Message, protoreflect.Message)) {
	fields := b.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch path := prefix + string(f.Name()); {
		case prefix == "" && isMetadata(f), sameField(f, b, a):
		case isPart(f) && b.Has(f) && a.Has(f):
			compareFields(path+".", b.Get(f).Message(), a.Get(f).Message(), visit)
		default:
			visit(path, f, b, a)
		}
	}
}

// isPart reports whether a field holds one message of the contract, which has fields of its own to compare.
func isPart(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && !f.IsList() && !f.IsMap() && f.Message().ParentFile().Package() == "hexbid.v1"
}

func sameField(f protoreflect.FieldDescriptor, b, a protoreflect.Message) bool {
	return b.Has(f) == a.Has(f) && (!b.Has(f) || b.Get(f).Equal(a.Get(f)))
}

// FieldChanges tells in which fields two states of a resource differ. Either may be nil. It leaves out values of more
// than largest bytes on the wire; 0 leaves out none.
func FieldChanges(before, after hexbid.Resource, largest int) (changes []*pb.FieldChange) {
	eachDifference(before, after, func(path string, f protoreflect.FieldDescriptor, b, a protoreflect.Message) {
		c := &pb.FieldChange{Field: path}
		oldBytes, newBytes := fieldBytes(f, b), fieldBytes(f, a)
		if c.Omitted = largest > 0 && max(oldBytes, newBytes) > largest; !c.Omitted {
			c.Before, c.After = jsonOf(f, b), jsonOf(f, a)
		}
		changes = append(changes, c)
	})
	return changes
}

// alone returns a message with one field of another.
func alone(f protoreflect.FieldDescriptor, m protoreflect.Message) proto.Message {
	single := m.New()
	single.Set(f, m.Get(f))
	return single.Interface()
}

// fieldBytes returns the size of a field on the wire, 0 for an unset one.
func fieldBytes(f protoreflect.FieldDescriptor, m protoreflect.Message) int {
	if !m.Has(f) {
		return 0
	}
	return proto.Size(alone(f, m))
}

// jsonOf returns a field as JSON has it, nil for an unset one.
func jsonOf(f protoreflect.FieldDescriptor, m protoreflect.Message) *structpb.Value {
	if !m.Has(f) {
		return nil
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(alone(f, m))
	if err != nil {
		return nil // nouns hold what JSON can write
	}
	fields := new(structpb.Struct)
	if protojson.Unmarshal(text, fields) != nil {
		return nil
	}
	return fields.GetFields()[string(f.Name())]
}

// Touched returns the paths among some in which two states of a resource differ.
func Touched(paths []string, one, other hexbid.Resource) (touched []string) {
	a, b := FromNoun(one).ProtoReflect(), FromNoun(other).ProtoReflect()
	for _, path := range paths {
		if !sameAt(strings.Split(path, "."), a, b) {
			touched = append(touched, path)
		}
	}
	return touched
}

// sameAt compares the field of a path in two messages of one kind.
func sameAt(path []string, a, b protoreflect.Message) bool {
	f := a.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if len(path) == 1 {
		return sameField(f, a, b)
	}
	return sameAt(path[1:], a.Get(f).Message(), b.Get(f).Message()) // unset is as empty
}

// Restored returns a resource that has the fields of some paths from an earlier state of it, and all others and the
// metadata as at present. It goes by the form on disk, so every bit of a coordinate comes back.
func Restored(present, earlier hexbid.Resource, paths []string) (hexbid.Resource, error) {
	to, from := new(diskpb.Record), Pack(earlier)
	b, err := proto.Marshal(Pack(present)) // proto.Clone would lose the sign of a zero
	if err == nil {
		err = proto.Unmarshal(b, to)
	}
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		copyField(strings.Split(path, "."), messageIn(to), messageIn(from))
		copyPolygons(path, to, from)
	}
	meta := present.Metadata()
	to.Uid, to.Version = uint64(meta.UID), meta.Version
	return Unpack(to)
}

// messageIn returns the resource's message in a record.
func messageIn(r *diskpb.Record) protoreflect.Message {
	m := r.ProtoReflect()
	return m.Get(m.WhichOneof(m.Descriptor().Oneofs().ByName("resource"))).Message()
}

// copyField sets or clears the field of a path as another message has it.
func copyField(path []string, to, from protoreflect.Message) {
	f := to.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case len(path) > 1 && (from.Has(f) || to.Has(f)):
		copyField(path[1:], to.Mutable(f).Message(), from.Get(f).Message())
	case len(path) > 1:
	case from.Has(f):
		to.Set(f, from.Get(f))
	default:
		to.Clear(f)
	}
}

// copyPolygons copies the polygons that belong to a path. A record holds them apart.
func copyPolygons(path string, to, from *diskpb.Record) {
	switch path {
	case "area", "area.polygons":
		to.AreaPolygons = from.GetAreaPolygons()
	case "excluded_area", "excluded_area.polygons":
		to.ExcludedPolygons = from.GetExcludedPolygons()
	}
}
