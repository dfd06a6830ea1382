package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// auditTotals compares the totals of every campaign with the ledger's. Nobody calls meanwhile.
func (e *era) auditTotals(ctx context.Context) error {
	e.tally.audits.Add(1)
	have, err := e.spends(ctx)
	if err != nil {
		return err
	}
	for _, owner := range e.auditor.advertisers {
		want := e.auditor.walk(owner, nil, e.tally.fall)
		for c, t := range want.totals {
			t.compare(c.name, totalsOf(have[c.uid].GetTotal()), e.tally.fall)
		}
	}
	return nil
}

// spends returns what the ledger says of each campaign, deleted ones too, by uid.
func (e *era) spends(ctx context.Context) (map[uint64]*pb.CampaignSpend, error) {
	have := map[uint64]*pb.CampaignSpend{}
	for spend, err := range hexbid.Pages(func(token string) ([]*pb.CampaignSpend, string, error) {
		page, err := e.crowd.ledger.ListCampaignSpend(ctx, &pb.ListCampaignSpendRequest{Parent: "advertisers/-",
			ShowDeleted: true, PageToken: token})
		return page.GetCampaigns(), page.GetNextPageToken(), err
	}) {
		if err != nil {
			return nil, err
		}
		have[spend.GetUid()] = spend
	}
	return have, nil
}

func totalsOf(t *pb.EventTotals) totals {
	return totals{impressions: t.GetImpressions(), clicks: t.GetClicks(), conversions: t.GetConversions(),
		exhausted: t.GetBudgetExhausted(), beyondCap: t.GetBeyondCap(), filtered: t.GetFiltered(),
		chargedMicros: t.GetChargedMicros(), creditedMicros: t.GetCreditedMicros(),
		freeMicros: t.GetFreeMicros(), valueMicros: t.GetConversionValueMicros()}
}

// auditAll compares everything that the ledger tells with everything that clients were told.
func (e *era) auditAll(ctx context.Context) error {
	e.tally.audits.Add(1)
	have, err := e.spends(ctx)
	if err != nil {
		return err
	}
	for _, owner := range e.auditor.advertisers {
		dates := datesOf{}
		for _, c := range owner.campaigns {
			auditAwards(c, e.tally.fall)
			charges, err := e.charges(ctx, c)
			if err != nil {
				return err
			}
			compareCharges(c, charges, e.tally.fall)
			for sequence, charge := range charges {
				dates[sequence] = charge.date
			}
		}
		want := e.auditor.walk(owner, dates, e.tally.fall)
		e.tally.judged.Add(want.judged)
		e.tally.eitherWay.Add(want.eitherWay)
		for c, t := range want.totals {
			t.compare(c.name, totalsOf(have[c.uid].GetTotal()), e.tally.fall)
			e.compareToday(have[c.uid], want.spentOn[c])
		}
		if err := e.compareAccount(ctx, owner, want); err != nil {
			return err
		}
	}
	if err := e.compareReceipts(ctx); err != nil {
		return err
	}
	return e.verifyAtLast(ctx)
}

// charges returns the charges of a campaign by sequence.
func (e *era) charges(ctx context.Context, c *campaign) (map[uint64]ledgerCharge, error) {
	have := map[uint64]ledgerCharge{}
	for charge, err := range hexbid.Pages(func(token string) ([]*pb.Charge, string, error) {
		page, err := e.crowd.ledger.ListCharges(ctx, &pb.ListChargesRequest{Uid: c.uid, PageSize: hexbid.MaxPageSize,
			PageToken: token})
		return page.GetCharges(), page.GetNextPageToken(), err
	}) {
		if err != nil {
			return nil, err
		}
		sequence := charge.GetSequence()
		if _, twice := have[sequence]; twice {
			e.tally.fall(doubled, "charge %d of %s is listed twice", sequence, c.name)
		}
		have[sequence] = ledgerCharge{charge.GetChargedMicros(), charge.GetKind(), charge.GetLocalDate()}
	}
	return have, nil
}

// compareToday checks what the ledger says of a campaign's present date.
func (e *era) compareToday(have *pb.CampaignSpend, spentOn map[string]int64) {
	want := spentOn[have.GetLocalDate()]
	if got := have.GetToday().GetChargedMicros(); got != want {
		e.tally.fall(wrong, "%s has spent %d on %s in the ledger, and %d by the answers", have.GetName(), got,
			have.GetLocalDate(), want)
	}
	if left := max(0, have.GetDailyBudgetMicros()-want); have.GetDailyLeftMicros() != left {
		e.tally.fall(wrong, "%s has %d left of its day in the ledger, and %d by the answers", have.GetName(),
			have.GetDailyLeftMicros(), left)
	}
}

// compareAccount checks that no money came from nowhere: an advertiser's balance and its statement add up.
func (e *era) compareAccount(ctx context.Context, owner *advertiser, want *purse) error {
	balance, err := e.crowd.ledger.GetAdvertiserBalance(ctx, &pb.GetAdvertiserBalanceRequest{Name: owner.name})
	if err != nil {
		return err
	}
	owed := balance.GetOwedMicros() // of a postpaid advertiser
	if net := balance.GetBalanceMicros() - owed; net != want.balanceMicros || owner.prepaid && owed != 0 {
		e.tally.fall(wrong, "%s has a balance of %d and owes %d in the ledger, and by the answers it has %d", owner.name,
			balance.GetBalanceMicros(), owed, want.balanceMicros)
	}
	if owner.prepaid != (balance.GetBilling() == pb.Billing_BILLING_PREPAID) {
		e.tally.fall(wrong, "%s is %v", owner.name, balance.GetBilling())
	}
	s, err := e.crowd.ledger.GetStatement(ctx, &pb.GetStatementRequest{Name: owner.name,
		Month: time.Now().In(e.auditor.zone).Format("2006-01")})
	if err != nil {
		return err
	}
	sum := s.GetOpeningMicros() + s.GetToppedUpMicros() + s.GetCreditedMicros() - s.GetWithdrawnMicros() -
		s.GetChargedMicros()
	if sum != s.GetClosingMicros() || sum != want.balanceMicros {
		e.tally.fall(wrong, "the statement of %s closes with %d, its parts add up to %d, and the answers to %d", owner.name,
			s.GetClosingMicros(), sum, want.balanceMicros)
	}
	return nil
}

// receiptsChecked is how many receipts an audit reads.
const receiptsChecked = 30

// compareReceipts reads the receipts of some charges: each is of the record that the client was told of.
func (e *era) compareReceipts(ctx context.Context) error {
	for range receiptsChecked {
		one := e.auditor.events[e.random.IntN(len(e.auditor.events))]
		if one.answer.GetChargedMicros() == 0 {
			continue
		}
		receipt, err := e.crowd.ledger.GetReceipt(ctx,
			&pb.GetReceiptRequest{Sequence: one.answer.GetSequence()})
		if err != nil {
			return fmt.Errorf("the receipt of record %d: %w", one.answer.GetSequence(), err)
		}
		if receipt.GetCharge().GetSequence() != one.answer.GetSequence() ||
			receipt.GetCharge().GetChargedMicros() != one.answer.GetChargedMicros() ||
			receipt.GetAward().GetPriceMicros() != one.award.priceMicros {
			e.tally.fall(wrong, "the receipt of record %d is %v, and the answer was %v", one.answer.GetSequence(), receipt,
				one.answer)
		}
	}
	return nil
}

// verifyAtLast kills the server a last time and verifies its folder.
func (e *era) verifyAtLast(ctx context.Context) error {
	if err := e.stop(); err != nil {
		return err
	}
	e.tally.kills.Add(1)
	return e.verify(ctx)
}
