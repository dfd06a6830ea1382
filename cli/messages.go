package cli

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// listOfMessages returns the fields for a list of messages. An entry is a mapping, or a text if the message has a
// notation; then one text may hold several entries with semicolons. A document with one entry of a message without a
// notation may write no list, as CSV does: creative.title is the title of the first of creatives.
func listOfMessages(f protoreflect.FieldDescriptor) []field {
	l := &messageList{f, partFields(f.Message()), listNotations[f.Message().FullName()]}
	all := []field{{name: fileName(f), set: l.set, get: l.get}}
	if l.notation.parse != nil {
		return all
	}
	for _, part := range l.parts.list {
		all = append(all, field{
			name: inSingular(fileName(f)) + "." + part.name,
			set: func(m protoreflect.Message, n *yaml.Node, folder string) error {
				return part.set(l.first(m), n, folder)
			},
			get: func(protoreflect.Message) *yaml.Node { return nil }, // the field of the list writes it
		})
	}
	return all
}

func inSingular(name string) string { return strings.TrimSuffix(name, "s") }

// messageList reads and writes a list of messages.
type messageList struct {
	protoreflect.FieldDescriptor
	parts    *messageFields
	notation listNotation // the zero value when there is none
}

func (l *messageList) set(m protoreflect.Message, n *yaml.Node, folder string) error {
	list := m.Mutable(l.FieldDescriptor).List()
	if n.Kind == yaml.ScalarNode {
		return l.addTexts(list, n)
	}
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if item.Kind != yaml.MappingNode {
			if err := l.addText(list, item); err != nil {
				return err
			}
			continue
		}
		element := list.NewElement()
		if err := l.readMapping(element.Message(), item, folder); err != nil {
			return err
		}
		list.Append(element)
	}
	return nil
}

// first returns the only entry of a document that writes no list.
func (l *messageList) first(m protoreflect.Message) protoreflect.Message {
	list := m.Mutable(l.FieldDescriptor).List()
	if list.Len() == 0 {
		list.AppendMutable()
	}
	return list.Get(0).Message()
}

// addTexts adds the entries in one text.
func (l *messageList) addTexts(list protoreflect.List, n *yaml.Node) error {
	if l.notation.parse == nil {
		name := inSingular(fileName(l))
		return fmt.Errorf("is not a list: write a list of mappings, or for one %s.%s and the like", name,
			l.parts.list[0].name)
	}
	texts, err := items(n)
	for _, text := range texts {
		if err := l.addText(list, textNode(text)); err != nil {
			return err
		}
	}
	return err
}

// addText adds the entries that one text stands for.
func (l *messageList) addText(list protoreflect.List, n *yaml.Node) error {
	if l.notation.parse == nil {
		return errors.New("has an entry that is not a mapping")
	}
	text, err := scalar(n)
	if err != nil {
		return err
	}
	messages, err := l.notation.parse(text)
	for _, message := range messages {
		fill(list.AppendMutable().Message(), message)
	}
	return err
}

func (l *messageList) readMapping(m protoreflect.Message, n *yaml.Node, folder string) error {
	given := map[string]bool{}
	if err := l.parts.read(m, n, "", given, folder); err != nil {
		return err
	}
	for _, name := range l.notation.needs {
		if !given[name] {
			return fmt.Errorf("lacks %s", name)
		}
	}
	return nil
}

// read reads a mapping into a message, and records the names that the mapping has.
func (k *messageFields) read(m protoreflect.Message, n *yaml.Node, prefix string, given map[string]bool,
	folder string) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := prefix+n.Content[i].Value, n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if err := k.readOne(m, value, name, given, folder); err != nil {
			return err
		}
	}
	return nil
}

func (k *messageFields) readOne(m protoreflect.Message, n *yaml.Node, name string, given map[string]bool,
	folder string) error {
	f, twice := k.byName[name], given[name]
	given[name] = true
	switch {
	case twice:
		return fmt.Errorf("%s stands twice", name)
	case n.Tag == "!!null":
		return nil
	case f != nil:
		if err := f.set(m, n, folder); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	case n.Kind == yaml.MappingNode && k.hasParts(name):
		return k.read(m, n, name+".", given, folder)
	}
	return fmt.Errorf("%s is not one of %s", name, strings.Join(k.names(), ", "))
}

// hasParts reports whether some field's name begins with this name and a dot.
func (k *messageFields) hasParts(name string) bool {
	for i := range k.list {
		if strings.HasPrefix(k.list[i].name, name+".") {
			return true
		}
	}
	return false
}

func (k *messageFields) names() (all []string) {
	for i := range k.list {
		all = append(all, k.list[i].name)
	}
	return all
}

func (l *messageList) get(m protoreflect.Message) *yaml.Node {
	list := m.Get(l.FieldDescriptor).List()
	var nodes []*yaml.Node
	if l.notation.format != nil {
		nodes = l.notation.format(list)
	} else {
		nodes = make([]*yaml.Node, list.Len())
	}
	for i := range nodes {
		if nodes[i] == nil {
			nodes[i] = l.parts.mapping(list.Get(i).Message())
		}
	}
	n := listNode(nodes, func(n *yaml.Node) *yaml.Node { return n })
	if n != nil && (l.notation.format == nil || l.notation.lines) {
		n.Style = 0 // one on each line
	}
	return n
}

// mapping writes a message on one line.
func (k *messageFields) mapping(m protoreflect.Message) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	k.put(n, m)
	return n
}
