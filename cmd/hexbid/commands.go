package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hexbid/hexbid/cli"
	"github.com/hexbid/hexbid/token"
)

// serveFunc runs a server until the context ends. It calls ready with the server's address once the server answers.
type serveFunc func(ctx context.Context, config *ServeConfig, ready func(address string)) error

// ownCommands are the commands that work on the server's own machine. The commands of package cli call a server over
// the network.
type ownCommands struct {
	Serve      serveCommand      `cmd:"" help:"Serve a market over gRPC."`
	Restore    restoreCommand    `cmd:"" help:"Make a data folder of a backup, while no server uses it. The ledger begins a new epoch there."`
	RotateKeys rotateKeysCommand `cmd:"" help:"Put a new sealing key on top of a key file, and drop those that were replaced more than nine days ago."`
}

// commands returns the commands that the program adds to the command line.
func commands(serve serveFunc) []any {
	return []any{&ownCommands{Serve: serveCommand{serve: serve}}}
}

type serveCommand struct {
	ServeConfig `embed:""`
	serve       serveFunc
}

// Help returns the text of --help.
func (*serveCommand) Help() string {
	return `Credentials are required on every address but loopback. docs/operators.md explains the flags.

  hexbid serve --demo
  hexbid serve --data /var/lib/hexbid
  hexbid serve --data /var/lib/hexbid --listen 0.0.0.0:7600 --tls-cert cert.pem --tls-key key.pem
  hexbid serve --config /etc/hexbid/hexbid.yaml`
}

// Run serves until a signal ends it. With the demo market it prints an introduction, or how to log in where the port
// asks for more than the introduction's own search brings.
func (c *serveCommand) Run(ctx context.Context, env cli.Env) error {
	return c.serve(ctx, &c.ServeConfig, func(address string) {
		if c.Demo && c.TLSCert == "" && !c.demandsCredentials() {
			cli.Introduce(ctx, env, address)
		} else if c.Demo {
			cli.IntroduceLocked(env, address, c.TLSCert, c.Data)
		}
	})
}

type rotateKeysCommand struct {
	File string `arg:"" help:"The key file: DATA/keys of a server unless --keys says otherwise." type:"path"`
}

// Help returns the text of --help.
func (*rotateKeysCommand) Help() string {
	return `A running server reads the file again within a second.

  hexbid rotate-keys /var/lib/hexbid/keys`
}

// Run rotates the keys. A running server notices within a second.
func (c *rotateKeysCommand) Run(env cli.Env) error {
	r, err := token.Rotate(c.File, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout,
		"%s has a new sealing key, %d. Earlier keys that still open what they sealed: %d. Retired, replaced more than "+
			"nine days ago: %d.\n",
		c.File, r.Sealing, r.Open, r.Retired)
	return err
}
