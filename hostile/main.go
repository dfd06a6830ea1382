// Command hostile attacks the real program. It starts hexbid as a second process on loopback with a temporary data
// folder, and runs one attack after another: slow senders, floods, bombs, forged and repeated events, noise, kills,
// races, damaged files. Meanwhile bystanders search and write. The command counts violations of these rules, and never
// judges times:
//
//   - a bystander's answer is right, and idle callers never cause a refusal;
//   - an event is charged once and as the rules say, and the ledger has what clients were answered;
//   - no call ends in INTERNAL, nor over HTTP in a status that callers are not told of, and no panic is in the server's
//     log;
//   - no error and no log holds a credential;
//   - memory and goroutines stay below a cap, and goroutines end with the attack;
//   - after each attack the service answers as before;
//   - nothing acknowledged is lost, and no uid or etag is given twice.
//
// A violation is called a fall. The last line gives the counts. The exit status is 1 when there was a fall.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http2"

	"github.com/hexbid/hexbid/hostile/victim"
)

// options are the flags.
type options struct {
	binary      string
	seconds     int
	memoryCapMB int64
	seed        uint64
	only        string
	credentials bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/hexbid", "program under attack")
	flag.IntVar(&o.seconds, "seconds", 180, "about how long all attacks take together")
	flag.Int64Var(&o.memoryCapMB, "memory-cap-mb", 4096, "most memory that the program may take, resident, MiB")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of what is drawn at random")
	flag.StringVar(&o.only, "only", "", "attacks to run, by name, with commas between; all when empty")
	flag.BoolVar(&o.credentials, "credentials", false, "the program demands credentials, and attackers have weak ones")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, o)
	stop()
	os.Exit(code)
}

// attack is one way to harm the service. Its function returns when its share of the time is over or its work is done.
// It reports falls to the round's tally.
type attack struct {
	name string
	run  func(ctx context.Context, r *round) error
}

// attacks run in this order. Those that end the process come last.
var attacks = []attack{
	{"idle-streams", idleStreams},
	{"idle-watchers", idleWatchers},
	{"idle-calls", idleCalls},
	{"slow-bodies", slowBodies},
	{"unfinished-connections", unfinishedConnections},
	{"unfinished-tls", unfinishedTLS},
	{"untaken-answers", untakenAnswers},
	{"rapid-reset", rapidReset},
	{"control-frames", controlFrames},
	{"header-bombs", headerBombs},
	{"message-bombs", messageBombs},
	{"held-messages", heldMessages},
	{"shape-bombs", shapeBombs},
	{"place-bombs", placeBombs},
	{"word-bombs", wordBombs},
	{"call-floods", callFloods},
	{"events", events},
	{"machines", machines},
	{"http-idle", httpIdle},
	{"http-slow", httpSlow},
	{"http-streams", httpStreams},
	{"http-frames", httpFrames},
	{"http-headers", httpHeaders},
	{"http-lengths", httpLengths},
	{"http-bodies", httpBodies},
	{"http-doors", httpDoors},
	{"http-paths", httpPaths},
	{"http-logins", httpLogins},
	{"fuzz", fuzz},
	{"rivals", rivals},
	{"kills", kills},
	{"races", races},
	{"corruption", corruption},
}

// round is one run of all attacks.
type round struct {
	options
	share  time.Duration // the time that each attack has
	random *rand.Rand    // for the present attack, not for its goroutines
	server *victim.Server
	tally  *tally
	beside *bystanders

	metrics  string // address of the server's metrics
	dialWire func(...http2.Setting) (*wire, error)
}

// run makes a round and prints its last line.
func run(ctx context.Context, o options) int {
	chosen, err := choose(o.only)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	t := &tally{}
	fmt.Printf("hostile: seed %d, %d attacks, about %d s, credentials %v\n", o.seed, len(chosen), o.seconds, o.credentials)
	if err := attackAll(ctx, o, t, chosen); err != nil {
		t.fall("the round ended early: %v", err)
	}
	fmt.Println(t.lastLine())
	if t.fell() {
		return 1
	}
	return 0
}

func choose(only string) ([]attack, error) {
	if only == "" {
		return attacks, nil
	}
	var chosen []attack
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no attack %q", name)
		}
		chosen = append(chosen, attacks[i])
	}
	return chosen, nil
}

func attackAll(ctx context.Context, o options, t *tally, chosen []attack) error {
	dir, err := os.MkdirTemp("", "hexbid-hostile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(o, t, dir)
	if err != nil {
		return err
	}
	metrics, err := freeAddress()
	if err != nil {
		return err
	}
	s.Args = []string{"--metrics-listen", metrics}
	if err := s.Start(ctx); err != nil {
		return err
	}
	defer s.Kill()
	r := &round{options: o, share: time.Duration(o.seconds) * time.Second / time.Duration(len(chosen)), server: s,
		tally: t, metrics: metrics}
	r.dialWire = func(settings ...http2.Setting) (*wire, error) { return wireTo(s, settings...) }
	if err := introduceAttackers(ctx, s); err != nil {
		return err
	}
	if r.beside, err = newBystanders(ctx, s, t); err != nil {
		return err
	}
	defer r.beside.stop()
	for i, a := range chosen {
		r.random = rand.New(rand.NewPCG(o.seed, uint64(i)))
		if err := r.attackOnce(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return nil
}

// attackOnce makes one attack, and then checks that the service still answers as before.
func (r *round) attackOnce(ctx context.Context, a attack) error {
	r.tally.begin(a.name)
	held, err := r.metric(ctx, goroutinesMetric)
	if err != nil {
		return err
	}
	before, began, stop := r.tally.counts(), time.Now(), r.watchGoroutines(ctx)
	err = a.run(ctx, r)
	stop()
	if err != nil {
		return err
	}
	r.tally.attacks.Add(1)
	took := time.Since(began)
	if err := r.beside.recovered(ctx); err != nil {
		r.tally.fall("the service did not answer as before: %v", err)
	} else if err := r.letGo(ctx, held); err != nil {
		return err
	}
	r.server.JudgeLog()
	fmt.Printf("%-22s %5.1f s, %s; %d MiB\n", a.name, took.Seconds(), r.tally.counts().since(before),
		r.server.ResidentMB())
	return ctx.Err()
}

// until returns a context that ends with the attack's share of the time.
func (r *round) until(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.share)
}
