package cli

import (
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// field is a field of documents of one kind: it is read from a document into a
// message, and written from a message so that reading gives the same again. Paths of
// files that a document names begin at the folder.
type field struct {
	name string
	set  func(m protoreflect.Message, n *yaml.Node, folder string) error
	get  func(m protoreflect.Message) *yaml.Node // nil when it is not set, or another field writes it
}

// messageFields are the fields that documents may have for one message, in the
// contract's order. They follow from its descriptor: notation.go says how files write
// what, and where names differ.
type messageFields struct {
	list   []field
	byName map[string]*field
}

// kind is a kind of documents.
type kind struct {
	name    string
	message protoreflect.MessageDescriptor
}

// kinds are the kinds of documents: those of an import's rows, in their order.
var kinds = importedKinds()

func importedKinds() (all []kind) {
	rows := (&pb.ImportRow{}).ProtoReflect().Descriptor().Oneofs().ByName("resource").Fields()
	for i := range rows.Len() {
		all = append(all, kind{string(rows.Get(i).Name()), rows.Get(i).Message()})
	}
	return all
}

// fieldsByKind are the fields that documents of each kind may have.
var fieldsByKind = fieldsOfKinds()

func fieldsOfKinds() map[string]*messageFields {
	byKind := map[string]*messageFields{}
	for _, k := range kinds {
		byKind[k.name] = resourceFields(k.message)
	}
	return byKind
}

// resourceFields are the fields of a resource. Every document has a name, which
// newUpload reads, and none has an etag: a file says what is to be, whatever is there.
func resourceFields(d protoreflect.MessageDescriptor) *messageFields {
	return deriveFields(d, func(f protoreflect.FieldDescriptor) bool { return f.Name() == "name" || f.Name() == "etag" })
}

// partFields are the fields of a message inside a resource.
func partFields(d protoreflect.MessageDescriptor) *messageFields {
	return deriveFields(d, func(protoreflect.FieldDescriptor) bool { return false })
}

func deriveFields(d protoreflect.MessageDescriptor, leaveOut func(protoreflect.FieldDescriptor) bool) *messageFields {
	k := &messageFields{byName: map[string]*field{}}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if outputOnly := proto.GetExtension(f.Options(), pb.E_OutputOnly).(bool); !outputOnly && !leaveOut(f) {
			k.list = append(k.list, derive(f)...)
		}
	}
	for i := range k.list {
		k.byName[k.list[i].name] = &k.list[i]
	}
	return k
}

// derive gives the fields of documents that one field of the contract makes.
func derive(f protoreflect.FieldDescriptor) []field {
	switch {
	case f.FullName() == geoJSONField:
		return []field{geoJSON(f)}
	case f.Message() == nil || hasScalarNotation(f.Message()):
		if f.IsList() {
			return []field{listOfScalars(f)}
		}
		return []field{scalarField(f)}
	case f.IsList():
		return listOfMessages(f)
	}
	return partsOf(f)
}

// partsOf are the fields of a message in a message: area.circles is a part of area.
func partsOf(f protoreflect.FieldDescriptor) (all []field) {
	for _, part := range partFields(f.Message()).list {
		all = append(all, field{
			name: fileName(f) + "." + part.name,
			set: func(m protoreflect.Message, n *yaml.Node, folder string) error {
				return part.set(m.Mutable(f).Message(), n, folder)
			},
			get: func(m protoreflect.Message) *yaml.Node {
				if !m.Has(f) {
					return nil
				}
				return part.get(m.Get(f).Message())
			},
		})
	}
	return all
}

// scalarField is one value. The zero value is not written.
func scalarField(f protoreflect.FieldDescriptor) field {
	as := scalarNotationOf(f)
	return field{
		name: fileName(f),
		set: func(m protoreflect.Message, n *yaml.Node, _ string) error {
			text, err := scalar(n)
			if err != nil {
				return err
			}
			v, err := as.parse(text)
			if err != nil {
				return err
			}
			assign(m, f, v)
			return nil
		},
		get: func(m protoreflect.Message) *yaml.Node {
			if !m.Has(f) {
				return nil
			}
			return as.format(m.Get(f))
		},
	}
}

// assign sets a field. A message is copied field by field, for a value of the
// contract's Go types may go into a message that has only descriptors.
func assign(m protoreflect.Message, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	if f.Message() == nil {
		m.Set(f, v)
		return
	}
	fill(m.Mutable(f).Message(), v.Message())
}

// fill copies the fields of a message of scalars.
func fill(to, from protoreflect.Message) {
	from.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		to.Set(to.Descriptor().Fields().ByNumber(f.Number()), v)
		return true
	})
}

// listOfScalars is a list of values, or in files one text with semicolons.
func listOfScalars(f protoreflect.FieldDescriptor) field {
	as := scalarNotationOf(f)
	return field{
		name: fileName(f),
		set: func(m protoreflect.Message, n *yaml.Node, _ string) error {
			texts, err := items(n)
			if err != nil {
				return err
			}
			list := m.Mutable(f).List()
			for _, text := range texts {
				for _, member := range as.expand(text) {
					v, err := as.parse(member)
					if err != nil {
						return as.orGroups(err)
					}
					appendTo(list, f, v)
				}
			}
			return nil
		},
		get: func(m protoreflect.Message) *yaml.Node { return listNode(valuesOf(m.Get(f).List()), as.format) },
	}
}

func appendTo(list protoreflect.List, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	if f.Message() == nil {
		list.Append(v)
		return
	}
	fill(list.AppendMutable().Message(), v.Message())
}

func valuesOf(list protoreflect.List) []protoreflect.Value {
	values := make([]protoreflect.Value, list.Len())
	for i := range values {
		values[i] = list.Get(i)
	}
	return values
}
