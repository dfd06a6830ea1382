// Command crash proves that the ledger loses nothing. It starts hexbid as a process of its own with a temporary data
// folder. Clients search, report events, edit budgets and frequency caps, erase viewers and move balances, all at once,
// and at a random moment the process is killed without warning and started again. Beside them clerks write the rules of
// the market, users, search clients, keys, places and campaigns, and undo what they wrote. An auditor with records of
// its own then sends every event that got no answer once more, under its own event_id, and compares the ledger with
// what clients were told, to the micro:
//
//   - lost: something was acknowledged that the ledger does not have;
//   - doubled: the ledger has something twice, or that nobody was told of;
//   - exceeded: a charge took a campaign above a limit that was in force, or a balance below nothing, or was of an
//     event beyond a frequency cap or of a filtered one;
//   - wrong: anything else that differs, such as an event that was free though a budget would have paid for it, or a
//     click that was filtered though no rule says so.
//
// Viewers return, so they come to the caps of campaigns and advertisers: what is beyond a cap must be free, and only
// that. Every other data folder has rules of invalid traffic in force, and clients that break them. The server of every
// third demands credentials.
//
// After each kill every paper of the clerks must be as it was acknowledged, to the last byte, its history must tell
// these writes in order and no other, keys must be in force exactly while they are there, and the counters of quotas
// must equal a count. At the end of a data folder the whole history is read: no change is damaged, and it has every
// edit that was acknowledged.
//
// The last line gives the counts. The exit status is 1 when any of the four happened.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	binary      string
	kills       int
	killsAnEra  int
	verifyEvery int
	seed        uint64
	memoryCapMB int64
	commit      string
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/hexbid", "program to kill")
	flag.IntVar(&o.kills, "kills", 1000, "how often")
	flag.IntVar(&o.killsAnEra, "era", 40, "kills of one data folder, before another begins empty")
	flag.IntVar(&o.verifyEvery, "verify-every", 5, "kills between two runs of \"hexbid ledger verify\"")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of what is drawn at random")
	flag.Int64Var(&o.memoryCapMB, "memory-cap-mb", 4096, "most memory that the program may take, resident, MiB")
	flag.StringVar(&o.commit, "commit", "unknown", "commit that the program was built from, for the first line")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, o, os.Stdout)
	stop()
	os.Exit(code)
}

// run makes all kills and prints the counts. It returns the exit status.
func run(ctx context.Context, o options, out io.Writer) int {
	t := &tally{out: out}
	fmt.Fprintf(out, "crash: commit %s, --seed %d --kills %d --era %d\n", o.commit, o.seed, o.kills, o.killsAnEra)
	random := rand.New(rand.NewPCG(o.seed, 0))
	for done := 0; done < o.kills && ctx.Err() == nil; done += o.killsAnEra {
		kills := min(o.killsAnEra, o.kills-done)
		e, err := newEra(o, t, random, rulesOf(done/o.killsAnEra))
		if err == nil {
			err = e.run(ctx, kills)
		}
		if err != nil {
			t.fall(wrong, "after %d kills: %v", t.kills.Load(), err)
			break
		}
		fmt.Fprintf(out, "so far: %s\n", t.line())
	}
	fmt.Fprintf(out, "crash: %s\n", t.line())
	if t.fell() || ctx.Err() != nil {
		return 1
	}
	return 0
}
