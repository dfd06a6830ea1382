package cli

import (
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// field is a field that documents of one kind may have. It reads a node of a document into a message. It also writes
// the field of a message as a node that reads back as the same. Relative paths in a document begin at the folder.
type field struct {
	name string
	set  func(m protoreflect.Message, n *yaml.Node, folder string) error
	get  func(m protoreflect.Message) *yaml.Node // nil when the field is unset, or when another field writes it
}

// messageFields are the fields that documents may have for one message, in the contract's order. They follow from the
// message's descriptor. notation.go says how files write values, and which names differ.
type messageFields struct {
	list   []field
	byName map[string]*field
}

// kind is a kind of documents.
type kind struct {
	name    string
	message protoreflect.MessageDescriptor
}

// kinds are the kinds of documents: those that an import row may hold, in the same order.
var kinds = importedKinds()

func importedKinds() (all []kind) {
	rows := (&pb.ImportRow{}).ProtoReflect().Descriptor().Oneofs().ByName("resource").Fields()
	for i := range rows.Len() {
		all = append(all, kind{string(rows.Get(i).Name()), rows.Get(i).Message()})
	}
	return all
}

// fieldsByKind maps each kind to the fields that its documents may have.
var fieldsByKind = fieldsOfKinds()

func fieldsOfKinds() map[string]*messageFields {
	byKind := map[string]*messageFields{}
	for _, k := range kinds {
		byKind[k.name] = resourceFields(k.message)
	}
	return byKind
}

// resourceFields returns the fields of a resource. They leave out the name, which newUpload reads, and the etag: a file
// says what a resource must be, whatever the server has now.
func resourceFields(d protoreflect.MessageDescriptor) *messageFields {
	return deriveFields(d, func(f protoreflect.FieldDescriptor) bool { return f.Name() == "name" || f.Name() == "etag" })
}

// partFields returns the fields of a message inside a resource.
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

// derive returns the fields of documents that follow from one field of the contract.
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

// partsOf returns the fields of a message inside a message: area.circles is a part of area.
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

// scalarField returns a field with one value. It does not write the zero value.
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

// assign sets a field. It copies a message field by field, because a message of a Go type cannot be stored in a message
// that has only a descriptor.
func assign(m protoreflect.Message, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	if f.Message() == nil {
		m.Set(f, v)
		return
	}
	fill(m.Mutable(f).Message(), v.Message())
}

// fill copies the fields of a message whose fields are scalars.
func fill(to, from protoreflect.Message) {
	from.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		to.Set(to.Descriptor().Fields().ByNumber(f.Number()), v)
		return true
	})
}

// listOfScalars returns a field with a list of values. Files may also write the list as one text with semicolons.
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
