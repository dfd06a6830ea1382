package cli

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// plainNode returns a scalar that is not a text: a number, an amount or an instant.
func plainNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: value}
}

// textNode returns a text. The text is quoted if YAML would read it as something else.
func textNode(value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	if strings.ContainsAny(value, "\n\r\t\u0085\u2028\u2029\ufeff") || strings.TrimSpace(value) != value {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// listNode returns a list on one line, or nil for an empty list.
func listNode[T any](values []T, item func(T) *yaml.Node) *yaml.Node {
	if len(values) == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range values {
		n.Content = append(n.Content, item(v))
	}
	return n
}

// put adds a field to a mapping, by its dotted name. It leaves out a nil value.
func put(mapping *yaml.Node, name string, value *yaml.Node) {
	if value == nil {
		return
	}
	if first, rest, nested := strings.Cut(name, "."); nested {
		put(submapping(mapping, first), rest, value)
		return
	}
	mapping.Content = append(mapping.Content, plainNode(name), value)
}

func submapping(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	inner := &yaml.Node{Kind: yaml.MappingNode}
	mapping.Content = append(mapping.Content, plainNode(name), inner)
	return inner
}

// documentOf writes a resource as a document that apply accepts.
func documentOf(resource proto.Message) ([]byte, error) {
	m := resource.ProtoReflect()
	kind := strings.ToLower(string(m.Descriptor().Name()))
	mapping := &yaml.Node{Kind: yaml.MappingNode}
	put(mapping, "kind", textNode(kind))
	put(mapping, "name", textNode(m.Get(m.Descriptor().Fields().ByName("name")).String()))
	fieldsByKind[kind].put(mapping, m)
	return yaml.Marshal(mapping)
}

// put adds the fields of a message to a mapping.
func (k *messageFields) put(mapping *yaml.Node, m protoreflect.Message) {
	for i := range k.list {
		put(mapping, k.list[i].name, k.list[i].get(m))
	}
}

// scalar returns the text of a node.
func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("is a list or a mapping: write one value")
	}
	return n.Value, nil
}

// items returns the texts of a list, or of one text with semicolons.
func items(n *yaml.Node) ([]string, error) {
	var out []string
	if n.Kind == yaml.ScalarNode {
		for _, item := range strings.Split(n.Value, ";") {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
		return out, nil
	}
	for _, item := range n.Content {
		value, err := scalar(item)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}
