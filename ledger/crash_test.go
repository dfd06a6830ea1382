package ledger_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/pebble"
)

// crashing is a journal on a file system that forgets what is not synced. It takes a copy of what a power cut would
// leave before each commit, after it, and beside it.
type crashing struct {
	journal.Journal
	fs     *vfs.MemFS
	random *rand.Rand

	mu     sync.Mutex // guards the fields below
	told   []told
	copies []crashCopy
}

// crashCopy is what a power cut leaves, and what callers had been told by then.
type crashCopy struct {
	fs   *vfs.MemFS
	told int
}

func (c *crashing) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := len(c.told) // first: what is told meanwhile may be there or not
	c.copies = append(c.copies, crashCopy{c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.random.IntN(101),
		RNG: c.random}), known})
}

func (c *crashing) Commit(ctx context.Context, b *journal.Batch) error {
	c.cut()
	done := make(chan error, 1)
	go func() { done <- c.Journal.Commit(ctx, b) }()
	c.cut()
	err := <-done
	c.cut()
	return err
}

func openOn(t *testing.T, fs vfs.FS) *pebble.Journal {
	j, err := pebble.Open(pebble.Options{Dir: "ledger", Currency: "CNY", FS: fs, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestAPowerCutTakesNothingThatWasAcknowledged cuts the power around every commit of many callers on Pebble. Each time
// the chain passes the model, and holds all that callers had been told.
func TestAPowerCutTakesNothingThatWasAcknowledged(t *testing.T) {
	c := &crashing{fs: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(1, 2))}
	c.Journal = openOn(t, c.fs)
	b := openBank(t, nil)
	b.Wrap = func(*journal.Memory) journal.Journal { return c }
	b.Options.CheckpointRecords = 7
	b.Restart()
	b.setTerms(1, fold.Terms{DailyBudget: 100 * yuan})
	tokens := make([]ledger.Event, 20)
	for i := range tokens {
		tokens[i] = b.click()
	}
	var callers sync.WaitGroup
	for caller := range uint64(4) {
		own := rand.New(rand.NewPCG(caller, 3))
		callers.Go(func() {
			for range 12 {
				e := as(tokens[own.IntN(len(tokens))], hexbid.EventKind(1+own.IntN(3)), "id")
				if answers, err := b.Record(ctx, []ledger.Event{e}); err != nil {
					t.Error(err)
				} else {
					c.mu.Lock()
					c.told = append(c.told, told{e, answers[0]})
					c.mu.Unlock()
				}
			}
		})
	}
	callers.Wait()
	_ = b.Ledger.Close()
	_ = c.Close()
	for i := range c.copies {
		c.check(t, b, &c.copies[i])
	}
	if len(c.copies) < 30 {
		t.Errorf("only %d power cuts", len(c.copies))
	}
}

// check opens what a power cut has left.
func (c *crashing) check(t *testing.T, b *bank, cut *crashCopy) {
	t.Helper()
	j := openOn(t, cut.fs)
	defer j.Close()
	options := b.Options
	options.Journal = j
	l, err := ledger.Open(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m, hashes := newModel(t), map[uint64][32]byte{}
	if err := l.Read(ctx, func(v journal.View) error {
		return v.Scan(journal.Records, nil, nil, func(_, encoded []byte) (bool, error) {
			m.read(encoded)
			hashes[m.number] = m.previous
			return true, nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	for _, told := range c.told[:cut.told] {
		if a := told.answer; a.Sequence > 0 && hashes[a.Sequence] != a.Hash {
			t.Fatalf("record %d was acknowledged, and is not there after the power cut", a.Sequence)
		}
	}
}
