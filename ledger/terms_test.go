package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// TestALowerBudgetIsInForceOnceItIsAcknowledged changes the budget between charges, and crashes after each change.
func TestALowerBudgetIsInForceOnceItIsAcknowledged(t *testing.T) {
	b := openBank(t, nil)
	b.outcomes(b.Report(b.click(), b.click(), b.click()), hexbid.EventCharged, hexbid.EventCharged, hexbid.EventCharged)
	b.setTerms(2, fold.Terms{DailyBudget: 2 * yuan}) // below what is spent
	b.Crash()
	b.outcomes(b.Report(b.click()), hexbid.EventBudgetExhausted)
	b.setTerms(3, fold.Terms{DailyBudget: 4 * yuan})
	b.outcomes(b.Report(b.click(), b.click()), hexbid.EventCharged, hexbid.EventBudgetExhausted)
	b.setTerms(4, fold.Terms{DailyBudget: 100 * yuan, TotalBudget: 4 * yuan})
	b.outcomes(b.Report(b.click()), hexbid.EventBudgetExhausted)
	if s, err := b.Campaign(ctx, campaign); err != nil || s.Left.Min != 0 || s.Left.Total != 0 ||
		s.Left.Daily != 96*yuan || s.Ever.Charged != 4*yuan || s.Ever.Free != 3*yuan {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestALowerBudgetIsNotAcknowledgedBeforeTheLedgerHasIt fails the commit of a lower budget. Whoever is told that it
// holds must find it after a crash.
func TestALowerBudgetIsNotAcknowledgedBeforeTheLedgerHasIt(t *testing.T) {
	b := openBank(t, nil)
	b.journal.onCommit(func(*journal.Batch) error { return errDisk })
	lower := []fold.Terms{filled(fold.Terms{DailyBudget: yuan / 2})}
	acknowledged := b.SetTerms(ctx, 2, lower, nil) == nil
	b.Crash()
	outcome := b.Report(b.click())[0].Outcome
	if acknowledged || outcome != hexbid.EventCharged {
		t.Errorf("acknowledged: %v; after the crash a click is %s", acknowledged, outcome)
	}
}

// TestTermsThatChangeNothingNeedNoSync also checks that they wait for what comes before them, and that the version
// reaches the disk with the next checkpoint.
func TestTermsThatChangeNothingNeedNoSync(t *testing.T) {
	b := openBank(t, nil)
	commits := 0
	b.journal.onCommit(func(b *journal.Batch) error {
		if len(b.Records) > 0 {
			commits++
		}
		return nil
	})
	for version := uint64(2); version < 50; version++ {
		b.setTerms(version, fold.Terms{DailyBudget: 100 * yuan})
		if got := b.CatalogueVersion(); got != version {
			t.Fatalf("version %d is acknowledged as %d", version, got)
		}
	}
	if commits != 0 {
		t.Errorf("%d commits for terms that change nothing", commits)
	}
	b.setTerms(0, fold.Terms{DailyBudget: 99 * yuan})
	b.setTerms(7, fold.Terms{DailyBudget: 98 * yuan})
	if got := b.CatalogueVersion(); got != 49 || commits != 2 {
		t.Errorf("version %d, %d commits", got, commits)
	}
	b.setTerms(50, fold.Terms{DailyBudget: 98 * yuan})
	b.journal.onCommit(nil)
	b.Restart() // which writes a checkpoint
	b.Crash()
	if got := b.CatalogueVersion(); got != 50 {
		t.Errorf("version %d after the restart", got)
	}
}

// TestTermsThatChangeNothingWaitForWhatComesBefore has an event under way, whose commit fails. Terms after it must
// not be acknowledged before that is known.
func TestTermsThatChangeNothingWaitForWhatComesBefore(t *testing.T) {
	b := openBank(t, nil)
	begun, end := make(chan struct{}), make(chan struct{})
	b.journal.onCommit(func(b *journal.Batch) error {
		if len(b.Records) == 0 {
			return nil
		}
		close(begun)
		<-end
		return errDisk
	})
	events, terms := make(chan error, 1), make(chan error, 1)
	click := b.click()
	go func() {
		_, err := b.Record(ctx, []ledger.Event{click})
		events <- err
	}()
	<-begun
	taken := b.Taken()
	go func() { terms <- b.SetTerms(ctx, 2, []fold.Terms{filled(fold.Terms{DailyBudget: 100 * yuan})}, nil) }()
	b.Wait("the terms", func() bool { return b.Taken() > taken })
	if got := b.CatalogueVersion(); got != 1 {
		t.Errorf("version %d before the events that it follows are on disk", got)
	}
	close(end)
	if err := <-events; err == nil {
		t.Error("the event was acknowledged")
	}
	if err := <-terms; err == nil {
		t.Error("terms were acknowledged that follow an event which is not on disk")
	}
}

func TestTermsAreRefusedThatNoCatalogueSends(t *testing.T) {
	b := openBank(t, nil)
	other := filled(fold.Terms{})
	other.Advertiser++
	nowhere := filled(fold.Terms{Zone: "Asia/Nowhere"})
	for what, terms := range map[string][]fold.Terms{"another advertiser": {other}, "no zone": {nowhere},
		"too many": make([]fold.Terms, ledger.MaxTerms+1)} {
		if err := b.SetTerms(ctx, 2, terms, nil); hexbid.KindOf(err) != hexbid.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	if b.CatalogueVersion() != 1 {
		t.Errorf("version %d", b.CatalogueVersion())
	}
	b.outcomes(b.Report(b.click()), hexbid.EventCharged)
}

// TestSpendBelongsToTheCampaignsLocalDate also moves the campaign to a zone where it is still yesterday: a date never
// goes back.
func TestSpendBelongsToTheCampaignsLocalDate(t *testing.T) {
	b := openBank(t, nil) // 20:00 in Shanghai
	b.setTerms(2, fold.Terms{DailyBudget: yuan})
	b.outcomes(b.Report(b.click(), b.click()), hexbid.EventCharged, hexbid.EventBudgetExhausted)
	today, err := b.Campaign(ctx, campaign)
	if err != nil {
		t.Fatal(err)
	}
	b.Clock.Pass(4*time.Hour - time.Millisecond)
	b.outcomes(b.Report(b.click()), hexbid.EventBudgetExhausted)
	b.Clock.Pass(time.Millisecond)
	tomorrow, err := b.Campaign(ctx, campaign)
	if err != nil || tomorrow.LocalDate != today.LocalDate+1 || tomorrow.Left.Min != yuan {
		t.Errorf("%+v, %v", tomorrow, err)
	}
	b.outcomes(b.Report(b.click(), b.click()), hexbid.EventCharged, hexbid.EventBudgetExhausted)
	b.setTerms(3, fold.Terms{DailyBudget: yuan, Zone: "America/Los_Angeles"})
	b.outcomes(b.Report(b.click()), hexbid.EventBudgetExhausted)
	if s, err := b.Campaign(ctx, campaign); err != nil || s.LocalDate != tomorrow.LocalDate || s.Left.Min != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestADeletedCampaignChargesItsTokensWithinItsLimits(t *testing.T) {
	b := openBank(t, nil)
	b.setTerms(2, fold.Terms{DailyBudget: yuan, Deleted: true})
	again := filled(fold.Terms{DailyBudget: 50 * yuan})
	again.Campaign++
	if err := b.SetTerms(ctx, 3, []fold.Terms{again}, nil); err != nil {
		t.Fatal(err)
	}
	b.outcomes(b.Report(b.click(), b.click()), hexbid.EventCharged, hexbid.EventBudgetExhausted)
	if s, err := b.Campaign(ctx, again.Campaign); err != nil || s.Ever != (fold.Totals{}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := b.Campaign(ctx, 999); hexbid.KindOf(err) != hexbid.NotFound {
		t.Error(err)
	}
	stranger := b.click()
	stranger.Award.Campaign = 999
	b.outcomes(b.Report(stranger), hexbid.EventRefused)
}

func TestARequestIDGetsItsFirstAnswerAgain(t *testing.T) {
	b := openBank(t, nil)
	first, err := b.Move(ctx, topUp("r1", 3*yuan))
	if err != nil || first.Balance != 3*yuan || first.Sequence == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	b.outcomes(b.Report(b.click()), hexbid.EventCharged)
	for range 2 {
		again, err := b.Move(ctx, topUp("r1", 3*yuan))
		want := first
		if want.Again = true; err != nil || again != want {
			t.Errorf("%+v, %v; first %+v", again, err, first)
		}
		b.Crash()
	}
	if _, err := b.Move(ctx, topUp("r1", 4*yuan)); hexbid.KindOf(err) != hexbid.AlreadyExists {
		t.Errorf("another amount: %v", err)
	}
	if _, err := b.Move(ctx, topUp("", yuan)); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("no request id: %v", err)
	}
	withdrawal := topUp("r2", 3*yuan)
	withdrawal.What = fold.Withdrawal
	if _, err := b.Move(ctx, withdrawal); hexbid.KindOf(err) != hexbid.InUse {
		t.Errorf("more than the balance: %v", err)
	}
	withdrawal.Amount = 2 * yuan
	if moved, err := b.Move(ctx, withdrawal); err != nil || moved.Balance != 0 {
		t.Errorf("%+v, %v", moved, err)
	}
	b.outcomes(b.Report(b.click()), hexbid.EventBudgetExhausted)
	if a, err := b.Advertiser(ctx, advertiser); err != nil || a.Ever.Balance != 0 || !a.Prepaid {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestTheSameRequestIDAtOnceMovesOnce sends one request from many callers.
func TestTheSameRequestIDAtOnceMovesOnce(t *testing.T) {
	b := openBank(t, nil)
	answers := make(chan ledger.Moved)
	for range 100 {
		go func() {
			moved, err := b.Move(ctx, topUp("r", yuan))
			if err != nil {
				t.Error(err)
			}
			answers <- moved
		}()
	}
	firsts := 0
	for range 100 {
		if moved := <-answers; !moved.Again {
			firsts++
		}
	}
	if a, err := b.Advertiser(ctx, advertiser); err != nil || a.Ever.Balance != yuan || firsts != 1 {
		t.Errorf("%+v, %v; %d first answers", a, err, firsts)
	}
}

func TestACreditGivesBackAtMostWhatWasCharged(t *testing.T) {
	b := openBank(t, nil)
	b.setTerms(2, fold.Terms{DailyBudget: 2 * yuan})
	charges := b.Report(b.click(), b.click(), b.click())
	b.outcomes(charges, hexbid.EventCharged, hexbid.EventCharged, hexbid.EventBudgetExhausted)
	credit := fold.Credit{Advertiser: advertiser, RequestID: "c1", Charges: []uint64{charges[1].Sequence,
		charges[0].Sequence}, Amounts: []hexbid.Money{0, yuan / 4}}
	first, err := b.Credit(ctx, credit)
	if err != nil || first.Amount != yuan+yuan/4 {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := b.Credit(ctx, credit); err != nil || !again.Again || again.Sequence != first.Sequence {
		t.Errorf("%+v, %v", again, err)
	}
	b.outcomes(b.Report(b.click()), hexbid.EventBudgetExhausted) // a credit reopens no date
	for what, c := range map[string]fold.Credit{
		"more than the charge": {RequestID: "c2", Charges: []uint64{charges[0].Sequence}, Amounts: []hexbid.Money{yuan}},
		"a charge that is credited": {RequestID: "c3", Charges: []uint64{charges[1].Sequence},
			Amounts: []hexbid.Money{0}},
		"more than the campaign": {RequestID: "c4", Campaign: campaign, Amount: yuan},
	} {
		c.Advertiser = advertiser
		if _, err := b.Credit(ctx, c); hexbid.KindOf(err) != hexbid.InUse {
			t.Errorf("%s: %v", what, err)
		}
	}
	free := fold.Credit{Advertiser: advertiser, RequestID: "c5", Charges: []uint64{charges[2].Sequence},
		Amounts: []hexbid.Money{1}}
	if _, err := b.Credit(ctx, free); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("an event that charged nothing: %v", err)
	}
	credit.Charges[0], credit.Amounts[0] = charges[0].Sequence, 1
	credit.Charges, credit.Amounts = credit.Charges[:1], credit.Amounts[:1]
	if _, err := b.Credit(ctx, credit); hexbid.KindOf(err) != hexbid.AlreadyExists {
		t.Errorf("other content: %v", err)
	}
}

func TestAWrongClockStopsAcknowledgementsUntilItIsRightAgain(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		b := openBank(t, nil)
		click := b.click()
		b.Clock.Step(jump)
		for name, call := range calls {
			if err := call(b); hexbid.KindOf(err) != hexbid.Unavailable {
				t.Errorf("%s after a jump of %s: %v", name, jump, err)
			}
		}
		if err := b.Failure(); hexbid.KindOf(err) != hexbid.Unavailable {
			t.Errorf("the ledger's health: %v", err)
		}
		if _, err := b.Campaign(ctx, campaign); err != nil {
			t.Errorf("reading: %v", err)
		}
		b.Clock.Step(-jump)
		b.outcomes(b.Report(click), hexbid.EventCharged)
		if err := b.Failure(); err != nil {
			t.Error(err)
		}
	}
}

func TestAJournalAheadOfTheClockOpensOnlyWhenThatIsAllowed(t *testing.T) {
	b := openBank(t, nil)
	first := b.Report(b.click())[0]
	_ = b.Ledger.Close()
	b.Clock.Step(-time.Hour)
	if _, err := ledger.Open(ctx, b.Options); hexbid.KindOf(err) != hexbid.Unavailable {
		t.Fatalf("an hour ahead: %v", err)
	}
	b.Options.AllowAhead = true
	b.Open()
	b.Clock.Pass(time.Minute)
	click := b.click()
	click.Award.ClickExpiry = b.Now().Add(time.Minute) // tokens are issued by the ledger's time
	b.outcomes(b.Report(click), hexbid.EventCharged)
	v := b.Settled()
	var last int64
	if err := v.Scan(journal.Records, fold.RecordKey(first.Sequence), nil, func(_, encoded []byte) (bool, error) {
		record, err := fold.Decode(encoded)
		if err != nil {
			return false, err
		}
		if record.At < last {
			t.Errorf("record %d is of %d, the one before of %d", record.Sequence, record.At, last)
		}
		last = record.At
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestANewEpochRefusesOlderTokens(t *testing.T) {
	for _, abandons := range []bool{false, true} {
		b := openBank(t, nil)
		used, unused := b.click(), b.click()
		first := b.Report(used)[0]
		if err := errors.Join(b.Ledger.Close()); err != nil {
			t.Fatal(err)
		}
		b.Clock.Pass(time.Minute)
		begun, err := ledger.BeginEpoch(ctx, b.Options, abandons)
		if err != nil || begun.Sequence == 0 {
			t.Fatal(err)
		}
		b.Open()
		b.Clock.Pass(time.Millisecond)
		want := hexbid.EventExpired
		if abandons {
			want = hexbid.EventCharged
		}
		answers := b.Report(unused, used, b.click())
		b.outcomes(answers, want, hexbid.EventCharged, hexbid.EventCharged)
		if !answers[1].Again || answers[1].Sequence != first.Sequence {
			t.Errorf("%+v, first %+v", answers[1], first)
		}
	}
}
