package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"
)

// contextBook is the file of named contexts in the user's config folder. It holds keys, so nobody else may read it.
type contextBook struct {
	Current  string                   `yaml:"current,omitempty"`
	Contexts map[string]namedEndpoint `yaml:"contexts,omitempty"`
}

// namedEndpoint is a server with a key for it.
type namedEndpoint struct {
	Server    string `yaml:"server"`
	CA        string `yaml:"tls-ca,omitempty"`
	Cleartext bool   `yaml:"cleartext,omitempty"`
	As        string `yaml:"as,omitempty"` // who the key was for at the login
	Key       string `yaml:"key,omitempty"`
}

// contextsPath returns where the file is.
func contextsPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "hexbid", "contexts.yaml"), err
}

// readContexts reads the file; without one, or without a config folder, there are no contexts.
func readContexts() (book contextBook, err error) {
	path, err := contextsPath()
	if err != nil {
		return book, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return book, nil
	}
	if err != nil {
		return book, fmt.Errorf("contexts: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return book, fmt.Errorf("contexts: %s holds keys and may be read by others (mode %04o): chmod 600 it", path,
			info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &book)
	}
	if err != nil {
		return contextBook{}, fmt.Errorf("contexts: %s cannot be read: correct it, or delete it and log in again", path)
	}
	return book, nil
}

// write replaces the file. It is whole at every instant.
func (b *contextBook) write() error {
	path, err := contextsPath()
	if err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	text, err := yaml.Marshal(b)
	if err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".contexts-") // for its owner alone
	if err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("contexts: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// find returns the context of a name, or else the current one, or else one for the server. With a server it returns
// only a context for that.
func (b *contextBook) find(name, server string) (namedEndpoint, error) {
	if name != "" {
		c, there := b.Contexts[name]
		if !there {
			return c, fmt.Errorf("--context %s: there is none of this name: see hexbid contexts list", name)
		}
		if server != "" && server != c.Server {
			return namedEndpoint{}, fmt.Errorf("--context %s is for %s, not for --server %s: give one of the two", name,
				c.Server, server)
		}
		return c, nil
	}
	if c, there := b.Contexts[b.Current]; there && (server == "" || server == c.Server) {
		return c, nil
	}
	for _, name := range slices.Sorted(maps.Keys(b.Contexts)) {
		if c := b.Contexts[name]; server != "" && server == c.Server {
			return c, nil
		}
	}
	return namedEndpoint{}, nil
}

// contextsCommand groups the commands about contexts.
type contextsCommand struct {
	List   contextsListCommand   `cmd:"" default:"1" help:"List the servers that you have logged in at."`
	Use    contextsUseCommand    `cmd:"" help:"Make a context the current one."`
	Delete contextsDeleteCommand `cmd:"" help:"Forget a context and its key. The key stays good: see hexbid keys revoke."`
}

type contextsListCommand struct{}

// Run lists the contexts, without their keys.
func (c *contextsListCommand) Run(s *session) error {
	book, err := readContexts()
	if err != nil {
		return err
	}
	t := table{}
	t.add("", "NAME", "SERVER", "AS")
	for _, name := range slices.Sorted(maps.Keys(book.Contexts)) {
		mark := ""
		if name == book.Current {
			mark = "*"
		}
		t.add(mark, name, book.Contexts[name].Server, book.Contexts[name].As)
	}
	t.print(s.Stdout)
	return nil
}

type contextsUseCommand struct {
	Name string `arg:"" help:"Name of the context."`
}

// Run makes a context the current one.
func (c *contextsUseCommand) Run(*session) error {
	book, err := readContexts()
	if err != nil {
		return err
	}
	if _, err := book.find(c.Name, ""); err != nil {
		return err
	}
	book.Current = c.Name
	return book.write()
}

type contextsDeleteCommand struct {
	Name string `arg:"" help:"Name of the context."`
}

// Run forgets a context.
func (c *contextsDeleteCommand) Run(*session) error {
	book, err := readContexts()
	if err != nil {
		return err
	}
	if _, err := book.find(c.Name, ""); err != nil {
		return err
	}
	delete(book.Contexts, c.Name)
	if book.Current == c.Name {
		book.Current = ""
	}
	return book.write()
}
