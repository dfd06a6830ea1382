package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type loginCommand struct {
	Name        string `help:"Name of the context; the server's address by default." placeholder:"NAME"`
	clientFlags `embed:""`
}

// Run reads a key from --key-file, from the data folder of a server on this machine, or from standard input. It asks
// the server whose it is, and keeps it in a context that becomes the current one.
func (c *loginCommand) Run(s *session) error {
	key, err := c.key(s)
	if err != nil {
		return err
	}
	e := endpoint{server: cmp.Or(c.Server, defaultServer), ca: c.CA, key: key, cleartext: c.Cleartext}
	me, err := e.whoAmI(s.ctx, c.Timeout)
	if err != nil {
		return err
	}
	book, err := readContexts()
	if err != nil {
		return err
	}
	if book.Contexts == nil {
		book.Contexts = map[string]namedEndpoint{}
	}
	ca, err := fromAnywhere(e.ca)
	if err != nil {
		return err
	}
	name := cmp.Or(c.Name, c.Context, e.server)
	book.Contexts[name] = namedEndpoint{Server: e.server, CA: ca, Cleartext: e.cleartext, As: me.GetName(), Key: key}
	book.Current = name
	if err := book.write(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Stderr, "Logged in at %s as %s (%s). The context %q is the current one.\n", e.server,
		me.GetName(), roleName(me.GetRole()), name)
	return err
}

// fromAnywhere returns the name of an authority's file that holds in every folder.
func fromAnywhere(ca string) (string, error) {
	if ca == "" || ca == "system" {
		return ca, nil
	}
	path, err := filepath.Abs(ca)
	if err != nil {
		return "", fmt.Errorf("--tls-ca: %w", err)
	}
	return path, nil
}

// key reads the key, from a terminal without showing it.
func (c *loginCommand) key(s *session) (string, error) {
	switch f, isFile := s.Stdin.(*os.File); {
	case c.KeyFile != "":
		return readKeyFile(c.KeyFile)
	case c.ServerData != "" && isThisMachine(cmp.Or(c.Server, defaultServer)):
		return readKeyFile(filepath.Join(c.ServerData, operatorKeyName))
	case isFile && term.IsTerminal(int(f.Fd())):
		fmt.Fprint(s.Stderr, "Key: ")
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.Stderr)
		if err != nil {
			return "", fmt.Errorf("the key cannot be read: %w", err)
		}
		return readKey(strings.NewReader(string(text)), "what you typed")
	}
	key, err := readKey(s.Stdin, "standard input")
	if err != nil && c.ServerData != "" {
		err = fmt.Errorf("%w. --server-data does not count, because %s is no address of this machine: give --key-file %s",
			err, c.Server, filepath.Join(c.ServerData, operatorKeyName))
	}
	return key, err
}

// whoAmI asks a server whose key an endpoint has.
func (e *endpoint) whoAmI(ctx context.Context, timeout time.Duration) (*pb.WhoAmIResponse, error) {
	conn, err := e.dial()
	if err != nil {
		return nil, err
	}
	defer conn.conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	me, err := conn.access.WhoAmI(ctx, &pb.WhoAmIRequest{})
	if err == nil && me.GetName() == "" {
		err = errors.New("the server knows nobody by this key")
	}
	return me, err
}

type whoamiCommand struct {
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run says for whom the server takes the caller.
func (c *whoamiCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		me, err := conn.access.WhoAmI(ctx, &pb.WhoAmIRequest{})
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, me)
		}
		t := table{}
		t.add("role", roleName(me.GetRole()))
		t.add("name", cmp.Or(me.GetName(), "(nobody needs a credential here)"))
		if me.GetCredential() != "" {
			t.add("credential", me.GetCredential())
		}
		t.add("from", me.GetOrigin())
		for _, m := range me.GetMemberships() {
			t.add("member of", m.GetAdvertiser()+" ("+levelName(m.GetLevel())+")")
		}
		addQuota(&t, me.GetQuota(), me.GetUsed())
		t.print(s.Stdout)
		return nil
	})
}
