package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
)

// maxGeoJSONBytes is the largest file of shapes, because a row must fit into a message.
const maxGeoJSONBytes = 8 << 20

// geoJSON returns a field with a list of GeoJSON texts.
func geoJSON(f protoreflect.FieldDescriptor) field {
	return field{
		name: fileName(f),
		set: func(m protoreflect.Message, n *yaml.Node, folder string) error {
			list, err := shapeNode(folder, n)
			if err != nil {
				return err
			}
			for _, shape := range list.Content {
				m.Mutable(f).List().Append(protoreflect.ValueOfString(shape.Value))
			}
			return nil
		},
		get: func(m protoreflect.Message) *yaml.Node {
			n := listNode(valuesOf(m.Get(f).List()), func(v protoreflect.Value) *yaml.Node { return textNode(v.String()) })
			if n != nil {
				n.Style = 0 // one on each line
			}
			return n
		},
	}
}

// shapeNode turns a file's polygons into a list of GeoJSON texts. A file may write GeoJSON as a mapping (JSON is YAML)
// or as text, @ and the path of a file, lists of these, or one text with several separated by semicolons. Relative
// paths begin at the folder of the file.
func shapeNode(folder string, n *yaml.Node) (*yaml.Node, error) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line}
	for _, item := range nodes {
		shapes, err := shapesOf(folder, item)
		if err != nil {
			return nil, err
		}
		for _, text := range shapes {
			list.Content = append(list.Content, textNode(text))
		}
	}
	return list, nil
}

func shapesOf(folder string, n *yaml.Node) ([]string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode {
		return splitShapes(folder, n.Value)
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	return []string{string(text)}, err
}

// splitShapes reads a text of one or more shapes: JSON values and @paths, separated by semicolons.
func splitShapes(folder, text string) (shapes []string, err error) {
	for {
		text = strings.TrimLeft(text, "; \t\r\n")
		switch {
		case text == "":
			return shapes, nil
		case text[0] == '@':
			path, rest, _ := strings.Cut(text[1:], ";")
			shape, err := readShape(folder, strings.TrimSpace(path))
			if err != nil {
				return nil, err
			}
			shapes, text = append(shapes, shape), rest
		default:
			decoder := json.NewDecoder(strings.NewReader(text))
			var value json.RawMessage
			if err := decoder.Decode(&value); err != nil {
				return nil, fmt.Errorf("%q is not GeoJSON: %w", hexbid.Shorten(text), err)
			}
			found, err := members(value)
			if err != nil {
				return nil, err
			}
			shapes, text = append(shapes, found...), text[decoder.InputOffset():]
		}
	}
}

// members returns the values of a JSON array, or the single value that is not an array.
func members(value json.RawMessage) ([]string, error) {
	if value[0] != '[' {
		return []string{string(value)}, nil
	}
	var list []json.RawMessage
	err := json.Unmarshal(value, &list)
	out := make([]string, len(list))
	for i := range list {
		out[i] = string(list[i])
	}
	return out, err
}

// readShape reads a file of GeoJSON, in the folder of the file that names it or else in the working directory. It
// refuses a file that is not JSON, so no other file ever leaves the machine.
func readShape(folder, path string) (string, error) {
	tried := []string{path}
	if !filepath.IsAbs(path) {
		tried = []string{filepath.Join(folder, path)}
		if tried[0] != filepath.Clean(path) {
			tried = append(tried, path)
		}
	}
	for _, candidate := range tried {
		info, err := os.Stat(candidate)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if !info.Mode().IsRegular() || info.Size() > maxGeoJSONBytes {
			return "", fmt.Errorf("@%s: %s is not a file of at most %d bytes", path, candidate, maxGeoJSONBytes)
		}
		text, err := os.ReadFile(candidate)
		if err == nil && !json.Valid(text) {
			err = fmt.Errorf("@%s: %s is not GeoJSON", path, candidate)
		}
		return string(text), err
	}
	return "", fmt.Errorf("@%s: there is no such file; tried %s", path, strings.Join(tried, " and "))
}
