package ledger_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// bodies returns the records that are on disk.
func (b *bank) bodies() (records []*fold.Record) {
	b.Helper()
	b.scan(journal.Records, func(_, encoded []byte) {
		record, err := fold.Decode(encoded)
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, record)
	})
	return records
}

// closedHours returns the records that closed hours.
func (b *bank) closedHours() (closed []*fold.HourClosed) {
	for _, r := range b.bodies() {
		if body, ok := r.Body.(*fold.HourClosed); ok {
			closed = append(closed, body)
		}
	}
	return closed
}

func TestAnHourIsClosedOnTimeWhenNobodyCalls(t *testing.T) {
	b := openBank(t, nil)
	b.Report(b.click(), b.click())
	b.Clock.Pass(time.Hour - time.Millisecond)
	if n := len(b.closedHours()); n != 0 {
		t.Errorf("%d hours are closed before their end", n)
	}
	b.Clock.Pass(time.Millisecond)
	b.Wait("the end of the hour", func() bool { return len(b.closedHours()) == 1 })
	b.Clock.Pass(48 * time.Hour)
	b.Report(b.click())
	closed := b.closedHours()
	if len(closed) != 1 || closed[0].Charges != 2 || closed[0].Charged != 2*yuan ||
		closed[0].Hour != fold.HourOf(noon.UnixMicro()) {
		t.Errorf("%+v", closed)
	}
	salts := map[[32]byte]bool{}
	for _, r := range b.bodies() {
		if opened, ok := r.Body.(*fold.HourOpened); ok {
			salts[opened.Salt] = true
		}
	}
	if len(salts) != 2 || salts[[32]byte{}] {
		t.Errorf("two hours have the salts %v", salts)
	}
}

// TestAnHourThatEndedWhileTheServerWasDownIsClosedAtTheStart also crashes before totals are written, and finds them in
// a view afterwards.
func TestAnHourThatEndedWhileTheServerWasDownIsClosedAtTheStart(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.CheckpointAge = 1000 * time.Hour })
	b.Report(b.click())
	b.Clock.Pass(25 * time.Hour)
	b.Report(b.click(), b.click())
	b.Crash()
	b.Clock.Pass(time.Hour)
	b.Wait("the end of the hours", func() bool { return len(b.closedHours()) == 2 })
	b.Clock.Pass(time.Second)
	want := map[string]hexbid.Money{"h0": yuan, "h25": 2 * yuan, "d0": yuan, "d1": 2 * yuan, "a0": yuan, "a1": 2 * yuan}
	b.Wait("the totals", func() bool { return maps.Equal(b.totals(), want) })
}

func isTotals(t journal.Table) bool {
	return t == journal.Hours || t == journal.Days || t == journal.AdvertiserDays
}

// totals returns what the rows of totals say was charged, by hours and days since noon.
func (b *bank) totals() map[string]hexbid.Money {
	b.Helper()
	v := b.Settled()
	got := map[string]hexbid.Money{}
	for h := range uint32(50) {
		hour := fold.HourOf(noon.UnixMicro()) + h
		b.total(got, v, fmt.Sprint("h", h), journal.Hours, fold.HourKey(hour, campaign))
	}
	for d := range int32(3) {
		day := int32(noon.Unix()/86400) + d
		b.total(got, v, fmt.Sprint("d", d), journal.Days, fold.DayKey(campaign, day))
		b.total(got, v, fmt.Sprint("a", d), journal.AdvertiserDays, fold.DayKey(advertiser, day))
	}
	return got
}

func (b *bank) total(got map[string]hexbid.Money, v journal.View, name string, t journal.Table, key []byte) {
	b.Helper()
	value, err := v.Get(t, key)
	if value == nil || err != nil {
		return
	}
	if t == journal.AdvertiserDays {
		totals, err := fold.DecodeAdvertiserTotals(value)
		if err != nil {
			b.Fatal(err)
		}
		got[name] = totals.Charged
		return
	}
	totals, err := fold.DecodeTotals(value)
	if err != nil {
		b.Fatal(err)
	}
	got[name] = totals.Charged
}

// checkpoints counts the checkpoints on disk.
func (b *bank) checkpoints() (n int) {
	for _, r := range b.bodies() {
		if _, ok := r.Body.(*fold.Checkpoint); ok {
			n++
		}
	}
	return n
}

func TestCheckpointsAreWrittenByRecordsAndByAge(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.CheckpointRecords = 10; o.CheckpointAge = time.Hour })
	for range 100 {
		b.Report(b.event(hexbid.Impression, hexbid.CPC, yuan))
	}
	if n := b.checkpoints(); n < 9 || n > 11 {
		t.Errorf("%d checkpoints in 100 records", n)
	}
	before := b.checkpoints()
	b.Clock.Pass(time.Hour)
	b.Wait("the checkpoint", func() bool { return b.checkpoints() == before+1 })
	b.Clock.Pass(24 * time.Hour)
	b.Report(b.event(hexbid.Conversion, hexbid.CPC, yuan))
	if n := b.checkpoints(); n != before+1 {
		t.Errorf("%d checkpoints although nothing happened", n-before)
	}
}

// TestUsedTokensAreInTheCheckpoint crashes right after a checkpoint, so that no record tells of the tokens.
func TestUsedTokensAreInTheCheckpoint(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.CheckpointRecords = 1 })
	clicks := make([]ledger.Event, 100)
	for i := range clicks {
		clicks[i] = b.click()
	}
	b.Report(clicks...)
	b.Crash()
	for i := range clicks {
		clicks[i] = as(clicks[i], hexbid.Click, "another")
	}
	for i, a := range b.Report(clicks...) {
		if a.Outcome != hexbid.EventDuplicate {
			t.Fatalf("click %d is %s", i, a.Outcome)
		}
	}
	if spent := b.spent(); spent != 100*yuan {
		t.Errorf("%s was charged", spent)
	}
}

func TestADamagedJournalDoesNotOpen(t *testing.T) {
	for what, damage := range map[string]func(b *bank) *journal.Batch{
		"a flipped bit": func(b *bank) *journal.Batch {
			return b.rewrite(2, func(encoded []byte) { encoded[len(encoded)/2] ^= 1 })
		},
		"a missing record": func(b *bank) *journal.Batch {
			return &journal.Batch{Erase: []journal.Range{{Table: journal.Records, From: fold.RecordKey(2),
				To: fold.RecordKey(3)}}}
		},
		"a missing account": func(b *bank) *journal.Batch {
			return &journal.Batch{Erase: []journal.Range{{Table: journal.Accounts, From: []byte{'c'}, To: []byte{'d'}}}}
		},
	} {
		b := openBank(t, nil)
		if what == "a missing account" {
			b.Restart() // which writes a checkpoint
		}
		b.Report(b.click())
		b.Memory = b.Memory.Restart()
		_ = b.Ledger.Close()
		batch := damage(b)
		v, err := b.Memory.View()
		if err != nil {
			t.Fatal(err)
		}
		batch.After = v.Last()
		if err := b.Memory.Commit(ctx, batch); err != nil {
			t.Fatal(err)
		}
		b.Options.Journal = b.Memory
		if _, err := ledger.Open(ctx, b.Options); hexbid.KindOf(err) != hexbid.DataLoss {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// rewrite is a batch that changes a record. Records are rewritten as a whole, because no batch puts one in the middle.
func (b *bank) rewrite(sequence uint64, change func(encoded []byte)) *journal.Batch {
	var records [][]byte
	b.scan(journal.Records, func(_, encoded []byte) { records = append(records, slices.Clone(encoded)) })
	change(records[sequence-1])
	fresh := journal.NewMemory()
	if err := fresh.Commit(ctx, &journal.Batch{Records: records}); err != nil {
		b.Fatal(err)
	}
	b.Memory = fresh
	return &journal.Batch{}
}

// TestEventsThatBilledNothingAreCompactedPastTheRetention keeps charges, balances and totals, opens again, and folds
// from the base.
func TestEventsThatBilledNothingAreCompactedPastTheRetention(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.Retention = 10 * 24 * time.Hour })
	var charged []ledger.Answer
	for range 50 {
		for range 200 {
			b.Report(b.event(hexbid.Impression, hexbid.CPC, yuan))
		}
		charged = append(charged, b.Report(b.click())...)
		b.Clock.Pass(time.Hour / 4)
	}
	before, err := b.Campaign(ctx, campaign)
	if err != nil {
		t.Fatal(err)
	}
	hours := b.rows(journal.Hours)
	b.Clock.Pass(9 * 24 * time.Hour)
	b.Report(b.event(hexbid.Click, hexbid.CPC, 0))
	before.Ever.Clicks, before.Ever.Impressions = before.Ever.Clicks+1, before.Ever.Impressions+1
	for range 2 { // the first may have begun before
		done := b.Compactions()
		b.Clock.Pass(time.Hour)
		b.Wait("the compactor", func() bool { return b.Compactions() > done })
	}
	if n := b.impressions(); n != 10_000 {
		t.Fatalf("%d impressions are left before the retention ends", n)
	}
	b.Clock.Pass(24 * time.Hour)
	b.Wait("the compaction", func() bool { return b.impressions() == 0 })
	for _, crash := range []func(){b.Crash, b.Restart, func() {}} {
		crash()
		b.checkCompacted(charged, before, hours)
	}
	b.outcomes(b.Report(b.click()), hexbid.EventCharged)
}

func (b *bank) impressions() (n int) {
	b.Helper()
	for _, r := range b.bodies() {
		if e, ok := r.Body.(*fold.Event); ok && e.Kind == hexbid.Impression {
			n++
		}
	}
	return n
}

// checkCompacted checks that charges and totals are there, and that the base with the records after it gives the books.
func (b *bank) checkCompacted(charged []ledger.Answer, before ledger.Standing, hours int) {
	b.Helper()
	v := b.Settled()
	for _, a := range charged {
		encoded, err := v.Get(journal.Records, fold.RecordKey(a.Sequence))
		if err != nil || fold.HashOf(encoded) != a.Hash {
			b.Errorf("charge %d is not there: %v", a.Sequence, err)
		}
	}
	after, err := b.Campaign(ctx, campaign)
	if err != nil || after.Ever != before.Ever || b.rows(journal.Hours) < hours {
		b.Errorf("%+v, %v; before %+v", after, err, before)
	}
	base, err := fold.RestoreBase(v)
	if err != nil || base.Last().Sequence == 0 {
		b.Fatalf("the base is of record %d: %v", base.Last().Sequence, err)
	}
	if err := v.Scan(journal.Records, fold.RecordKey(base.Last().Sequence+1), nil, func(_, encoded []byte) (bool, error) {
		record, err := fold.Decode(encoded)
		if err != nil {
			return false, err
		}
		return true, base.Apply(record, encoded, nil)
	}); err != nil {
		b.Fatal(err)
	}
	if folded, _ := base.Campaign(campaign); folded.Ever != after.Ever {
		b.Errorf("from the base %+v, in the books %+v", folded.Ever, after.Ever)
	}
}

// TestACompactionThatIsNotWrittenLeavesEverything fails its commits, and lets it go on later.
func TestACompactionThatIsNotWrittenLeavesEverything(t *testing.T) {
	b := openBank(t, func(o *ledger.Options) { o.Retention = 10 * 24 * time.Hour })
	for range 5000 / hexbid.MaxEvents {
		events := make([]ledger.Event, hexbid.MaxEvents)
		for i := range events {
			events[i] = b.event(hexbid.Impression, hexbid.CPC, yuan)
		}
		b.Report(events...)
	}
	b.Clock.Pass(time.Hour)
	b.Report(b.click())
	b.Restart()
	failed := make(chan struct{}, 100)
	steps := 0
	b.journal.onCommit(func(batch *journal.Batch) error {
		for _, e := range batch.Erase {
			if e.Table != journal.Records {
				continue
			}
			if steps++; steps == 2 { // the first step is written, the second is not
				failed <- struct{}{}
				return errDisk
			}
		}
		return nil
	})
	b.Clock.Pass(11 * 24 * time.Hour)
	<-failed
	b.Wait("the ledger", func() bool { _, err := b.Campaign(ctx, campaign); return err == nil })
	if n := b.impressions(); n == 0 || n == 5000 {
		t.Errorf("%d impressions are left after the first step", n)
	}
	b.Crash()
	b.Clock.Pass(time.Hour)
	b.Wait("the compaction", func() bool { return b.impressions() == 0 })
	if s, err := b.Campaign(ctx, campaign); err != nil || s.Ever.Impressions != 5001 {
		t.Errorf("%+v, %v", s, err)
	}
}
