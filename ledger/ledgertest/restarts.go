package ledgertest

import (
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

var restarts = []conduct{
	{"everything survives a restart", testReopen},
	{"a power cut leaves what was committed", testCrash},
	{"a second journal on the same data is refused", testOpenAgain},
	{"a copy holds what was committed, and goes its own way", testCheckpoint},
}

func testReopen(t testing.TB, e Engine) {
	if e.Reopen == nil {
		t.Skip("the engine keeps nothing")
	}
	j := e.Open(t)
	defer func() { _ = j.Close() }()
	for round := range uint64(3) {
		mustCommit(t, j, recording(round*4, 4))
		mustCommit(t, j, rows(t, j, row(journal.Meta, "round", string(rune('a'+round)))))
		before := stateNow(t, j)
		j = e.Reopen(t, j)
		if after := stateNow(t, j); !equal(after, before) {
			t.Fatalf("after the restart there is\n%+v\nbefore it there was\n%+v", after, before)
		}
		wantKind(t, j.Commit(ctx, recording(round*4, 4)), hexbid.Stale)
	}
	j = e.Reopen(t, e.Reopen(t, j)) // with nothing written in between
	if n := wantRecords(t, j); n != 12 {
		t.Errorf("%d records of 12", n)
	}
}

func testCrash(t testing.TB, e Engine) {
	if e.Crash == nil {
		t.Skip("the engine keeps nothing")
	}
	j := e.Open(t)
	defer func() { _ = j.Close() }()
	for round := range uint64(4) {
		mustCommit(t, j, recording(round*2, 2))
		before := stateNow(t, j)
		if j = e.Crash(t, j); !equal(stateNow(t, j), before) {
			t.Fatalf("after the power cut there is\n%+v\nbefore it there was\n%+v", stateNow(t, j), before)
		}
	}
}

func testOpenAgain(t testing.TB, e Engine) {
	if e.OpenAgain == nil {
		t.Skip("the engine has no place that two could open")
	}
	j := opened(t, e)
	mustCommit(t, j, recording(0, 1))
	second, err := e.OpenAgain(t, j)
	if err == nil {
		_ = second.Close()
	}
	wantKind(t, err, hexbid.Unavailable)
	mustCommit(t, j, recording(1, 1))
}

func testCheckpoint(t testing.TB, e Engine) {
	if e.Copied == nil {
		t.Skip("the engine cannot be copied")
	}
	j := opened(t, e)
	mustCommit(t, j, recording(0, 5))
	mustCommit(t, j, rows(t, j, row(journal.Meta, "k", "v")))
	dir := e.NewDir(t)
	if err := j.Checkpoint(dir); err != nil {
		t.Fatal(err)
	}
	wantKind(t, j.Checkpoint(dir), hexbid.AlreadyExists)
	before := stateNow(t, j)
	mustCommit(t, j, recording(5, 1))
	copied := e.Copied(t, j, dir)
	defer func() { _ = copied.Close() }()
	if now := stateNow(t, copied); !equal(now, before) {
		t.Errorf("the copy holds\n%+v\nthe journal held\n%+v", now, before)
	}
	mustCommit(t, copied, recording(5, 2))
	if n, m := wantRecords(t, j), wantRecords(t, copied); n != 6 || m != 7 {
		t.Errorf("%d records of 6 in the journal, %d of 7 in the copy", n, m)
	}
}
