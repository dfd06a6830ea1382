// Command hexbid serves "Mini Programs Nearby" with an auction, and is its own
// client. See hexbid --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // campaigns name time zones, machines may lack them

	"github.com/hexbid/hexbid/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], cli.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Serve: serve, Version: version()})
	stop()
	os.Exit(code)
}

// serve runs a Main until the context ends.
func serve(ctx context.Context, config *cli.ServeConfig, ready func(address string)) error {
	m := NewMain(*config)
	if err := m.Open(ctx); err != nil {
		return err
	}
	return m.Run(ctx, ready)
}

// version is the module's, from the build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
