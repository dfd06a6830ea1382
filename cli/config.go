package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
)

// configFile supplies the flags that neither the command line nor the environment sets.
type configFile struct{ settings map[string]yaml.Node }

// read loads the file for kong.
func (f *configFile) read(r io.Reader) (kong.Resolver, error) {
	if err := yaml.NewDecoder(r).Decode(&f.settings); err != nil && err != io.EOF {
		return nil, fmt.Errorf("config file: %w", err)
	}
	return f, nil
}

// Validate refuses a setting that is not a flag.
func (f *configFile) Validate(app *kong.Application) error {
	var known []string
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		for _, flag := range n.Flags {
			known = append(known, flag.Name)
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(app.Node)
	for name := range f.settings {
		if !slices.Contains(known, name) {
			return fmt.Errorf("config file: %q is not a setting: its names are those of flags, see hexbid serve --help", name)
		}
	}
	return nil
}

// Resolve returns the value of a flag. It returns a mapping as YAML, and so a list for a flag that takes no list.
func (f *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	node, ok := f.settings[flag.Name]
	if !ok {
		return nil, nil
	}
	switch {
	case node.Kind == yaml.ScalarNode:
		return node.Value, nil
	case node.Kind == yaml.SequenceNode && flag.IsSlice():
		return joined(flag, node.Content)
	}
	text, err := yaml.Marshal(&node)
	return strings.TrimSpace(string(text)), err
}

// joined returns the entries of a list as the command line takes them.
func joined(flag *kong.Flag, entries []*yaml.Node) (string, error) {
	values := make([]string, len(entries))
	for i, entry := range entries {
		if entry.Kind != yaml.ScalarNode {
			return "", hexbid.Invalidf(flag.Name, "entry %d is no single value: write [ONE, TWO]", i+1)
		}
		values[i] = entry.Value
	}
	return kong.JoinEscaped(values, flag.Tag.Sep), nil
}
