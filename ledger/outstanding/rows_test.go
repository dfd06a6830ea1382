package outstanding

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// restored makes the book of kept rows at an instant.
func restored(t testing.TB, now int64, rows map[string][]byte) *Book {
	t.Helper()
	b, unread, err := Restore(30*time.Minute, now, scanning(rows))
	if err != nil || unread > 0 {
		t.Fatalf("%d rows cannot be read: %v", unread, err)
	}
	return b
}

func scanning(rows map[string][]byte) func(journal.Visit) error {
	return func(visit journal.Visit) error {
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			if more, err := visit([]byte(key), rows[key]); !more || err != nil {
				return err
			}
		}
		return nil
	}
}

func close2(a, b hexbid.Money, part float64) bool {
	return math.Abs(float64(a-b)) <= 2+part*math.Max(float64(a), float64(b))
}

func TestAnOrderlyStopLosesNothing(t *testing.T) {
	before, kept := opened(), map[string][]byte{}
	for second := range 600 {
		before.pass(time.Second)
		for range 1 + second%3 {
			before.Add(click(1))
			before.Add(impression(2))
		}
		if second%7 == 0 {
			before.Happen(click(1), before.unixMillis-5000, true)
		}
		keepIn(kept, before.Rows(false))
	}
	keepIn(kept, before.Rows(true))
	after := restored(t, before.unixMillis, kept)
	for uid := hexbid.UID(1); uid <= 2; uid++ {
		was, is := before.Campaign(uid), after.Campaign(uid)
		if was.Expected == 0 || !close2(was.Expected, is.Expected, 0.1) || was.Highest != is.Highest {
			t.Errorf("campaign %d: %+v was %+v before the stop", uid, is, was)
		}
	}
	for _, pricing := range []hexbid.PricingModel{hexbid.CPC, hexbid.CPM} {
		for age := tick(1); age < 4000; age *= 2 {
			was, is := before.delays[pricing].laterThan(age), after.delays[pricing].laterThan(age)
			if math.Abs(was-is) > 0.02 {
				t.Errorf("pricing %d: a share of %.3f comes later than %d ticks, before the stop %.3f", pricing, is, age, was)
			}
		}
	}
}

func TestACrashAddsTheLastRateForTheGap(t *testing.T) {
	before, kept := opened(), map[string][]byte{}
	for range 60 {
		before.pass(time.Second)
		for range 10 {
			before.Add(click(1))
		}
	}
	keepIn(kept, before.Rows(false))
	for range 20 { // what is lost
		before.Add(click(1))
	}
	now := before.unixMillis + 2000
	before.pass(2 * time.Second)
	after := restored(t, now, kept)
	was, is := before.Campaign(1).Expected, after.Campaign(1).Expected
	if !close2(was, is, 0.1) {
		t.Errorf("%s are expected after the crash; the awards are worth %s", is, was)
	}
	keepIn(kept, before.Rows(true))
	if orderly := restored(t, now, kept).Campaign(1).Expected; !close2(orderly, was, 0.1) {
		t.Errorf("%s are expected after an orderly stop; the awards are worth %s", orderly, was)
	}
}

func TestRowsTellOnlyOfWhatChanged(t *testing.T) {
	b := opened()
	for uid := range hexbid.UID(50) {
		b.Add(click(uid + 1))
	}
	b.Rows(false)
	b.pass(time.Second)
	b.Add(click(7))
	const always = 3 // of the book and of two delays
	if rows := b.Rows(false); len(rows) != always+3 {
		t.Errorf("%d rows for one campaign, its advertiser and the market", len(rows))
	}
	for range 3 * 3600 { // until nobody clicks any more
		b.pass(time.Second)
	}
	deleted := 0
	for _, r := range b.Rows(false) {
		if r.Value == nil {
			deleted++
		}
	}
	if deleted != 52 || b.Accounts() != 0 {
		t.Errorf("%d rows are deleted, and %d accounts are left", deleted, b.Accounts())
	}
}

// FuzzRestore restores rows that anything may have damaged: it never fails, and what it makes can be used.
func FuzzRestore(f *testing.F) {
	b := opened()
	b.Add(click(1))
	for _, r := range b.Rows(false) {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		b, _, err := Restore(30*time.Minute, start, scanning(map[string][]byte{string(key): value}))
		if err != nil {
			t.Fatal(err)
		}
		b.Add(click(1))
		b.Advance(start + 60_000)
		if out := b.Campaign(1); out.Expected < 0 || out.Margin < 0 || math.IsNaN(out.Events) {
			t.Fatalf("%+v", out)
		}
		b.Rows(true)
	})
}
