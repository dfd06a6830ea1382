package hexbid

import (
	"strings"
	"testing"
)

func TestMovementsThatAreOutOfBoundsNameTheField(t *testing.T) {
	good := Transfer{Type: TopUp, RequestID: "r", Amount: 1}
	credit := CreditOrder{RequestID: "r", Reason: "why", Charges: []CreditedCharge{{Sequence: 7}}}
	ofCampaign := CreditOrder{RequestID: "r", Reason: "why", Campaign: Account{UID: 1}, Amount: 1}
	for _, c := range []struct {
		change func(t *Transfer, o, p *CreditOrder)
		field  string
	}{
		{func(*Transfer, *CreditOrder, *CreditOrder) {}, ""},
		{func(t *Transfer, _, _ *CreditOrder) { t.RequestID = "" }, "request_id"},
		{func(t *Transfer, _, _ *CreditOrder) { t.RequestID = strings.Repeat("r", MaxRequestIDBytes+1) }, "request_id"},
		{func(t *Transfer, _, _ *CreditOrder) { t.Amount = 0 }, "amount_micros"},
		{func(t *Transfer, _, _ *CreditOrder) { t.Amount = MaxTransfer + 1 }, "amount_micros"},
		{func(t *Transfer, _, _ *CreditOrder) { t.Note = strings.Repeat("n", MaxNoteBytes+1) }, "note"},
		{func(t *Transfer, _, _ *CreditOrder) { t.Type, t.Amount = ToPrepaid, 0 }, ""},
		{func(_ *Transfer, o, _ *CreditOrder) { o.Reason = " " }, "reason"},
		{func(_ *Transfer, o, _ *CreditOrder) { o.Charges = nil }, "charges"},
		{func(_ *Transfer, o, _ *CreditOrder) { o.Amount = 1 }, "charges"},
		{func(_ *Transfer, o, _ *CreditOrder) { o.Charges = make([]CreditedCharge, MaxCreditedCharges+1) }, "charges"},
		{func(_ *Transfer, o, _ *CreditOrder) { o.Charges = []CreditedCharge{{1, 0}, {}} }, "charges[1].sequence"},
		{func(_ *Transfer, o, _ *CreditOrder) { o.Charges = []CreditedCharge{{1, 0}, {1, 0}} }, "charges[1].sequence"},
		{func(_ *Transfer, o, _ *CreditOrder) { o.Charges = []CreditedCharge{{1, -1}} }, "charges[0].amount_micros"},
		{func(_ *Transfer, _, p *CreditOrder) { p.Amount = 0 }, "amount_micros"},
	} {
		transfer, order, other := good, credit, ofCampaign
		c.change(&transfer, &order, &other)
		all, _ := ErrorsOf(JoinErrors(transfer.Validate(), order.Validate(), other.Validate()))
		if c.field == "" && len(all) == 0 {
			continue
		}
		if len(all) != 1 || all[0].Field != c.field {
			t.Errorf("%v: want it to name %q", all, c.field)
		}
	}
}

func TestADateIsWrittenAsPeopleDo(t *testing.T) {
	for date, want := range map[Date]string{0: "1970-01-01", 20779: "2026-11-22", 59: "1970-03-01"} {
		if got := date.String(); got != want {
			t.Errorf("%d is %s: want %s", date, got, want)
		}
	}
}
