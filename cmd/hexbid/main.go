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

	"github.com/hexbid/hexbid"
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
	if err := useMemory(config.MemoryMB); err != nil {
		return err
	}
	m := NewMain(*config)
	if err := m.Open(ctx); err != nil {
		return err
	}
	return m.Run(ctx, ready)
}

const (
	leastMemoryMB = 256
	// seldom is how far the heap may grow beyond what is in use, in percent, before
	// the collector runs, where memory allows. Beyond it memory that has not been
	// used before costs more than is gained.
	seldom = 300
)

// useMemory lets the collector run seldom while there is room. A run over a
// million campaigns takes a core for some tenths of a second, which the slowest
// calls wait for.
func useMemory(mb int64) error {
	if mb == 0 {
		return nil
	}
	if mb < leastMemoryMB {
		return hexbid.Invalidf("memory-mb", "%d is too little: use %d or more, or 0 for no bound", mb, leastMemoryMB)
	}
	debug.SetMemoryLimit(mb << 20)
	debug.SetGCPercent(seldom)
	return nil
}

// version is the module's, from the build.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
