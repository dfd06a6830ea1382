// Command hexbid serves "Mini Programs Nearby" with an auction, and is also the client for it. See hexbid --help.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	_ "time/tzdata" // campaigns name time zones, which a machine may lack

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := cli.Run(ctx, os.Args[1:], cli.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: version(),
		Commands: commands(serve), LedgerCommands: []any{&ledgerCommands{}}, ReceiptCommands: []any{&receiptCommands{}}})
	stop()
	os.Exit(code)
}

// serve runs a Main until the context ends.
func serve(ctx context.Context, config *ServeConfig, ready func(address string)) error {
	if err := useMemory(config.MemoryMB); err != nil {
		return err
	}
	go endAfter(ctx, config.DrainTimeout+closingGrace, os.Exit)
	m := NewMain(*config)
	if err := m.Open(ctx); err != nil {
		return err
	}
	return m.Run(ctx, ready)
}

// closingGrace is how long closing may take after draining.
const closingGrace = 45 * time.Second

// endAfter ends the process a bounded time after it was told to stop. Without it a disk that does not answer could hold
// a start, a read or a close for ever.
func endAfter(ctx context.Context, bound time.Duration, exit func(code int)) {
	<-ctx.Done()
	time.Sleep(bound)
	fmt.Fprintf(os.Stderr, "hexbid did not stop by itself within %s of the signal, and is ended; what was acknowledged "+
		"is on disk\n", bound)
	exit(1)
}

const (
	leastMemoryMB = 256
	// seldom is how far the heap may grow beyond the memory in use before the collector runs, in percent, if there is
	// room. A higher value costs more than it saves, because memory that was never used before is slow.
	seldom = 300
)

// useMemory makes the collector run seldom while there is room. One collection of a million campaigns takes a core for
// some tenths of a second, and the slowest calls wait for it.
func useMemory(of mebibytes) error {
	if of == 0 {
		return nil
	}
	if of < leastMemoryMB {
		return hexbid.Invalidf("memory-mb", "%d is too little: use %d or more, or 0 for no bound", of, leastMemoryMB)
	}
	debug.SetMemoryLimit(of.bytes())
	debug.SetGCPercent(seldom)
	return nil
}

// released is the version of a release, which make release sets.
var released string

// version returns the version of the release, or else that of the module, from the build.
func version() string {
	if released != "" {
		return released
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
