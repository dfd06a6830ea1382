package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// era is the time of one data folder.
type era struct {
	options
	tally   *tally
	random  *rand.Rand
	dir     string // holds the data folder
	server  *victim.Server
	auditor *auditor
	office  *office
	empty   *pb.Holdings     // what the office's advertiser has at first
	conn    *grpc.ClientConn // to the present life of the server
	crowd   *crowd
}

// newEra returns an era under rules, with an empty data folder.
func newEra(o options, t *tally, random *rand.Rand, r rules) (*era, error) {
	auditor, err := newAuditor(t, r)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hexbid-crash-")
	if err != nil {
		return nil, err
	}
	server, err := victim.New(victim.Options{Binary: o.binary, Data: filepath.Join(dir, "data"),
		Credentials: r.credentials, MemoryCapMB: o.memoryCapMB, Fault: t.fault})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// No token expires, nothing is for nothing, and some searches swap two slots or explore.
	server.Args = append(r.args(), "--click-expiry", "6h", "--increment", "0.01", "--swap-share=0.01",
		"--explore-share=0.05")
	return &era{options: o, tally: t, random: random, dir: dir, server: server, auditor: auditor,
		office: newOffice(t)}, nil
}

// run fills the data folder, kills the server again and again, and at last compares everything. It removes the folder.
func (e *era) run(ctx context.Context, kills int) (err error) {
	defer os.RemoveAll(e.dir)
	if err := e.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	if err := e.fill(ctx); err != nil {
		return err
	}
	for n := range kills {
		if err := e.killOnce(ctx, n); err != nil {
			return err
		}
	}
	if err := e.office.auditHistory(ctx, e.crowd.desk, e.auditor.campaigns()); err != nil {
		return err
	}
	if err := e.office.auditEmpty(ctx, e.crowd.desk, e.empty); err != nil {
		return err
	}
	return e.auditAll(ctx)
}

// start starts the server and connects to it.
func (e *era) start(ctx context.Context) (err error) {
	if err := e.server.Start(ctx); err != nil {
		return err
	}
	if e.conn, err = e.server.Dial(victim.Patient()); err == nil {
		e.crowd = newCrowd(e.auditor, e.office, e.conn)
	}
	return err
}

// stop kills the server.
func (e *era) stop() error {
	e.server.JudgeLog()
	err := e.server.Kill()
	if e.conn != nil {
		err = errors.Join(err, e.conn.Close())
		e.conn = nil
	}
	return err
}

// killOnce lets the crowd call, kills the server at a random moment after the first answer, starts it again, and
// compares.
func (e *era) killOnce(ctx context.Context, n int) error {
	calls, cancel := context.WithTimeout(ctx, 2*victim.Patience)
	defer cancel()
	left, seeds := make(chan struct{}), rand.New(rand.NewPCG(e.random.Uint64(), e.random.Uint64()))
	go func() {
		e.crowd.call(calls, seeds)
		close(left)
	}()
	select {
	case <-e.crowd.answered:
	case <-left:
		return errors.Join(errors.New("no event was answered"), ctx.Err())
	}
	time.Sleep(time.Duration(e.random.IntN(700)) * time.Millisecond)
	err := e.stop()
	e.tally.kills.Add(1)
	cancel() // for clients that are waiting for something to do
	<-left
	if err != nil {
		return err
	}
	if (n+1)%e.verifyEvery == 0 {
		if err := e.verify(ctx); err != nil {
			return err
		}
	}
	if e.random.IntN(6) == 0 {
		if err := e.killWhileStarting(); err != nil {
			return err
		}
	}
	if err := e.start(ctx); err != nil {
		return fmt.Errorf("a start after a kill: %w", err)
	}
	if err := e.askAgain(ctx); err != nil {
		return fmt.Errorf("asking again after a kill: %w", err)
	}
	if err := e.auditTotals(ctx); err != nil {
		return err
	}
	if err := e.office.audit(ctx, e.crowd.desk, e.server); err != nil {
		return fmt.Errorf("the office after a kill: %w", err)
	}
	return e.operate(ctx)
}

// operate does what operators do now and then.
func (e *era) operate(ctx context.Context) error {
	if e.random.IntN(5) == 0 {
		if err := e.rotateKeys(ctx); err != nil {
			return err
		}
	}
	if e.random.IntN(8) == 0 {
		return e.restart(ctx)
	}
	return nil
}

// rotateKeys gives the server, which runs, a new sealing key. Tokens that are out stay good, and viewers stay who they
// are.
func (e *era) rotateKeys(ctx context.Context) error {
	e.tally.rotations.Add(1)
	out, err := exec.CommandContext(ctx, e.binary, "rotate-keys", filepath.Join(e.server.Data, "keys")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("a rotation of keys: %w\n%s", err, out)
	}
	return nil
}

// restart ends the server as an operator would and starts it again. It then has a checkpoint to start from, which a
// server that is killed soon after its start never writes.
func (e *era) restart(ctx context.Context) error {
	e.server.JudgeLog()
	if err := errors.Join(e.conn.Close(), e.server.Stop()); err != nil {
		return fmt.Errorf("an orderly end: %w", err)
	}
	e.conn = nil
	e.tally.stops.Add(1)
	return e.start(ctx)
}

// killWhileStarting starts the server and kills it, most often before it serves.
func (e *era) killWhileStarting() error {
	if err := e.server.Begin(); err != nil {
		return err
	}
	time.Sleep(time.Duration(e.random.IntN(300)) * time.Millisecond)
	e.tally.kills.Add(1)
	e.tally.startKills.Add(1)
	e.server.JudgeLog()
	return e.server.Kill()
}

// verify runs the program's own verification over the folder of the server, which does not run. It must find the last
// record that was acknowledged, with the hash that the answer had.
func (e *era) verify(ctx context.Context) error {
	args := []string{"ledger", "verify", "--data", e.server.Data}
	if last := e.auditor.last; last != nil {
		args = append(args, "--expect", fmt.Sprintf("%d:%x", last.answer.GetSequence(), last.answer.GetChainHash()))
	}
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, e.binary, args...).CombinedOutput()
	e.tally.verified.Add(1)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		e.tally.fall(lost, "hexbid ledger verify %v: %v\n%s", args[2:], err, out)
		return nil
	}
	return err
}

// askAgain sends everything that got no answer once more, and finds out what became of edits and deletions.
func (e *era) askAgain(ctx context.Context) error {
	waiting := e.auditor.unanswered()
	for len(waiting) > 0 {
		n := min(len(waiting), 1+e.random.IntN(50))
		if err := e.crowd.report(ctx, waiting[:n]); err != nil {
			return err
		}
		waiting = waiting[n:]
	}
	for _, m := range e.auditor.pending() {
		if err := e.crowd.move(ctx, m); err != nil {
			return err
		}
	}
	for c, edit := range e.auditor.unsettled() {
		found, err := e.crowd.campaigns.GetCampaign(ctx, &pb.GetCampaignRequest{Name: c.name})
		if err != nil {
			return err
		}
		e.auditor.settle(edit, limitsOf(found) == edit.limits)
	}
	for _, owner := range e.auditor.advertisers {
		if edit := owner.edits[len(owner.edits)-1]; edit.isUnsettled() {
			found, err := e.crowd.campaigns.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: owner.name})
			if err != nil {
				return err
			}
			e.auditor.settle(edit, capOf(found.GetFrequencyCap()) == edit.cap)
		}
	}
	if err := e.crowd.eraseAgain(ctx); err != nil {
		return err
	}
	return e.crowd.remakeAgain(ctx, e.random)
}

func limitsOf(c *pb.Campaign) limits {
	return limits{c.GetDailyBudgetMicros(), c.GetTotalBudgetMicros(), capOf(c.GetFrequencyCap())}
}
