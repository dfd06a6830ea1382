package store

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hexbid/hexbid"
)

// logOf is the log of n changes of versions 1 to n, and what it was asked.
type logOf struct {
	changes int
	reads   []int // changes shown by each call
}

func (l *logOf) read(_ context.Context, after uint64, visit func(*Change) bool) error {
	shown := 0
	for v := after + 1; v <= uint64(l.changes); v++ {
		shown++
		if !visit(&Change{Version: v}) {
			break
		}
	}
	l.reads = append(l.reads, shown)
	return nil
}

func TestTapeIsBoundedAndFeedsReadTheRestFromTheLog(t *testing.T) {
	const changes = 3 * tapeChanges
	log := &logOf{}
	tape := NewTape(0, log.read)
	stalled, follower := tape.Feed(0), tape.Feed(0)
	for v := range uint64(changes) {
		log.changes++
		tape.Append(Change{Version: v + 1}, 1)
		if c, there := follower.Waiting(); !there || c.Version != v+1 {
			t.Fatalf("a feed that keeps up gets version %d of %d", c.Version, v+1)
		}
	}
	if len(tape.held) > tapeChanges || len(log.reads) != 0 {
		t.Errorf("the tape holds %d changes; the log was read %d times", len(tape.held), len(log.reads))
	}
	if _, there := stalled.Waiting(); there {
		t.Error("a change that the tape has dropped is waiting")
	}
	for v := range uint64(changes) {
		c, err := stalled.Next(context.Background())
		if err != nil || c.Version != v+1 {
			t.Fatalf("version %d, %v; want %d", c.Version, err, v+1)
		}
		if len(stalled.ahead) > aheadChanges {
			t.Fatalf("a feed holds %d changes", len(stalled.ahead))
		}
	}
	if most := (changes-tapeChanges)/aheadChanges + 2; len(log.reads) > most {
		t.Errorf("%d changes were read from the log in %d turns", changes-tapeChanges, len(log.reads))
	}
}

func TestTapeIsBoundedInBytes(t *testing.T) {
	tape := NewTape(0, nil)
	array := make([]taped, 200)
	tape.held = array[:0]
	for v := range uint64(100) {
		tape.Append(Change{Version: v + 1}, tapeBytes/10)
	}
	if len(tape.held) > 10 || tape.bytes > tapeBytes || array[0].Version != 0 {
		t.Errorf("%d changes of %d bytes are held, version %d among them", len(tape.held), tape.bytes, array[0].Version)
	}
	tape.Append(Change{Version: 101}, 2*tapeBytes) // the last is held whatever it takes
	if c, there := tape.Feed(100).Waiting(); !there || c.Version != 101 || len(tape.held) != 1 {
		t.Errorf("version %d, there: %v, of %d held", c.Version, there, len(tape.held))
	}
	if _, err := tape.Feed(1).Next(context.Background()); !IsGap(err) {
		t.Errorf("a tape without a log: %v", err)
	}
}

func TestFeedReadsFewRecordsAhead(t *testing.T) {
	tape := NewTape(0, func(_ context.Context, after uint64, visit func(*Change) bool) error {
		for visit(&Change{Version: after + 1, Puts: make([]Written, aheadRecords/2)}) {
			after++
		}
		return nil
	})
	tape.Append(Change{Version: 1 << 40}, tapeBytes+1)
	tape.Append(Change{Version: 1<<40 + 1}, tapeBytes+1)
	feed := tape.Feed(0)
	if _, err := feed.Next(context.Background()); err != nil || len(feed.ahead) > 2 {
		t.Errorf("%d changes ahead, %v", len(feed.ahead), err)
	}
}

func TestFeedTellsErrorsAndStays(t *testing.T) {
	broken := errors.New("broken")
	var failing error
	log := &logOf{changes: 3}
	tape := NewTape(3, func(ctx context.Context, after uint64, visit func(*Change) bool) error {
		if failing != nil {
			visit(&Change{Version: after + 1}) // half a turn
			return failing
		}
		return log.read(ctx, after, visit)
	})
	feed := tape.Feed(1)
	failing = broken
	if _, err := feed.Next(context.Background()); !errors.Is(err, broken) {
		t.Errorf("a log that fails: %v", err)
	}
	if c, there := feed.Waiting(); there {
		t.Errorf("half a turn: version %d", c.Version)
	}
	failing = nil
	if c, err := feed.Next(context.Background()); err != nil || c.Version != 2 {
		t.Errorf("afterwards: version %d, %v", c.Version, err)
	}
	log.changes = 2 // a log that has lost its end
	short := tape.Feed(2)
	if _, err := short.Next(context.Background()); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("a log that ends early: %v", err)
	}
}

// TestFeedAheadOfTheTapeWaits stands a feed on a version that an engine shows already and
// its tape does not have yet.
func TestFeedAheadOfTheTapeWaits(t *testing.T) {
	log := &logOf{changes: 5}
	tape := NewTape(3, log.read)
	feed := tape.Feed(5)
	if _, there := feed.Waiting(); there {
		t.Error("a change is waiting")
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := feed.Next(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	for v := uint64(4); v <= 6; v++ {
		tape.Append(Change{Version: v}, 1)
	}
	if c, err := feed.Next(context.Background()); err != nil || c.Version != 6 {
		t.Errorf("version %d, %v; want 6", c.Version, err)
	}
}

func TestFeedsThatWaitAreWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tape := NewTape(0, nil)
		var got []uint64
		var last error
		go func() {
			for feed := tape.Feed(0); last == nil; {
				var c Change
				if c, last = feed.Next(context.Background()); last == nil {
					got = append(got, c.Version)
				}
			}
		}()
		for v := range uint64(3) {
			synctest.Wait() // until the feed waits
			tape.Append(Change{Version: v + 1}, 1)
			if synctest.Wait(); uint64(len(got)) != v+1 {
				t.Fatalf("after version %d the feed has got %v", v+1, got)
			}
		}
		tape.Close(errClosed)
		synctest.Wait()
		if !slices.Equal(got, []uint64{1, 2, 3}) || !errors.Is(last, errClosed) {
			t.Errorf("the feed has got %v and ends with %v", got, last)
		}
	})
}

func TestTapeThatIsClosedEndsItsFeeds(t *testing.T) {
	tape := NewTape(0, nil)
	feed := tape.Feed(0)
	tape.Append(Change{Version: 1}, 1)
	tape.Close(errClosed)
	tape.Close(errors.New("another"))
	if c, there := feed.Waiting(); !there || c.Version != 1 {
		t.Errorf("what the tape holds: version %d, there: %v", c.Version, there)
	}
	if _, err := feed.Next(context.Background()); !errors.Is(err, errClosed) {
		t.Errorf("a feed of a closed tape: %v", err)
	}
}
