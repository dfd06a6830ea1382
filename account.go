package hexbid

import (
	"strings"
	"time"
)

// Date is a day of some time zone, counted from 1 January 1970.
type Date int32

// String writes the date as in 2026-11-22.
func (d Date) String() string { return time.Unix(int64(d)*24*60*60, 0).UTC().Format(time.DateOnly) }

// EventTotals counts records of events and adds up their money. Events without a record are not in it.
type EventTotals struct {
	Impressions, Clicks, Conversions, Claims int64
	Charged, Credited                        Money
	Free                                     Money // over-delivery: prices of events that were above what was left
	BudgetExhausted, Filtered, BeyondCap     int64 // events that cost nothing, by reason
	ConversionValue                          Money // as clients stated it
}

// CampaignSpend is what the ledger knows of a campaign.
type CampaignSpend struct {
	Name          string // the present one, or the last
	UID           UID
	AdvertiserUID UID
	DisplayName   string       // "" once deleted
	Pricing       PricingModel // unspecified once deleted
	Deleted       bool
	Paused        bool // it or its advertiser
	Zone          string
	LocalDate     Date // the date that Today is of
	DailyBudget   Money
	TotalBudget   Money // 0: no limit
	DailyLeft     Money
	TotalLeft     *Money // nil without a total budget
	BalanceLeft   *Money // nil for a postpaid advertiser
	BudgetSpent   bool   // out of auctions, because no budget or balance pays for another event
	Outstanding   Money  // expected cost of awards that are still out
	Today, Total  EventTotals
	LastCharge    LastCharge // zero before the first
	Hours         []HourTotals
	Days          []DayTotals
	AsOf          uint64    // the last record that the figures include
	OtherUIDs     []UID     // of the same name
	Delivery      *Delivery // nil for a deleted campaign
}

// LastCharge is the latest record that charged something.
type LastCharge struct {
	Sequence uint64
	At       time.Time
	Charged  Money
}

// HourTotals are the totals of an hour, UTC.
type HourTotals struct {
	Start  time.Time
	Totals EventTotals
}

// DayTotals are the totals of one of a campaign's local dates.
type DayTotals struct {
	LocalDate Date
	Totals    EventTotals
}

// Billing is how an advertiser pays.
type Billing uint8

// The ways to pay.
const (
	BillingUnspecified Billing = iota
	Postpaid                   // later, against a statement
	Prepaid                    // from a balance, which no charge exceeds
	BillingCount
)

// AdvertiserBalance is what an advertiser has, or owes.
type AdvertiserBalance struct {
	Name      string // the present one, or the last
	UID       UID
	Deleted   bool
	Billing   Billing
	Balance   Money // there to be spent or withdrawn
	Owed      Money // charges less credits of the times when the advertiser was postpaid
	ToppedUp  Money
	Withdrawn Money
	Charged   Money
	Credited  Money
	OtherUIDs []UID // of the same name
}

// MovementType is what a movement does.
type MovementType uint8

// The types of movement.
const (
	MovementUnspecified MovementType = iota
	TopUp
	Withdrawal
	Credit
	ToPrepaid
	ToPostpaid
	MovementTypeCount
)

// Movement is a change of an advertiser's account that somebody asked for, as recorded.
type Movement struct {
	Advertiser    string
	AdvertiserUID UID
	Type          MovementType
	Amount        Money // 0 for a change of billing
	RequestID     string
	Note          string
	Principal     string // who asked for it
	RecordedAt    time.Time
	LocalDate     Date // that statements list it under
	Sequence      uint64
	Hash          [32]byte
	Balance       Money // after it
	Billing       Billing
	Repeated      bool // the first answer to RequestID once more
}

// Account names an advertiser or a campaign of the ledger by its name or by its uid, which also reaches deleted ones
// whose name another has now. One of the two is set.
type Account struct {
	Name string
	UID  UID
}

// Transfer asks for a top-up or a withdrawal, by Type, or for another billing, without an amount.
type Transfer struct {
	Advertiser Account
	Type       MovementType
	RequestID  string
	Amount     Money
	Note       string
}

// CreditOrder asks to give charges back: the named ones, or an amount of what a campaign was charged.
type CreditOrder struct {
	Advertiser Account
	RequestID  string
	Charges    []CreditedCharge
	Campaign   Account
	Amount     Money // of the campaign
	Reason     string
}

// CreditedCharge is a charge to give back.
type CreditedCharge struct {
	Sequence uint64
	Amount   Money // 0: all that is not credited yet
}

// Backup is a copy of the catalogue, the ledger and the keys at one point.
type Backup struct {
	Directory        string
	CatalogueVersion uint64
	Sequence         uint64 // of the ledger's last record in it
	Hash             [32]byte
	CreatedAt        time.Time
}

// Limits of movements.
const (
	MaxRequestIDBytes  = 64
	MaxTransfer        = 1_000_000_000_000_000 // micros
	MaxNoteBytes       = 200
	MaxCreditedCharges = 1000
)

// Validate refuses a transfer out of bounds. Its error names the field, as in amount_micros.
func (t *Transfer) Validate() error {
	amount := checkAmount(t.Amount)
	if t.Type == ToPrepaid || t.Type == ToPostpaid {
		amount = nil
	}
	return JoinErrors(checkText("request_id", t.RequestID, 1, MaxRequestIDBytes), amount,
		checkText("note", t.Note, 0, MaxNoteBytes))
}

func checkAmount(amount Money) error {
	if amount < 1 || amount > MaxTransfer {
		return Invalidf("amount_micros", "%s is out of range: use 1 to %d", amount.Micros(), int64(MaxTransfer))
	}
	return nil
}

// Validate refuses an order out of bounds. Its error names the field, as in charges[3].sequence.
func (o *CreditOrder) Validate() error {
	errs := []error{checkText("request_id", o.RequestID, 1, MaxRequestIDBytes),
		checkText("reason", o.Reason, 0, MaxNoteBytes)}
	if strings.TrimSpace(o.Reason) == "" {
		errs = append(errs, Invalidf("reason", "is missing: say why, for whoever reads the statement"))
	}
	if len(o.Charges) > 0 {
		return JoinErrors(append(errs, o.checkCharges())...)
	}
	if o.Campaign == (Account{}) {
		return JoinErrors(append(errs, Invalidf("charges", "is empty: name charges, or a campaign and an amount"))...)
	}
	return JoinErrors(append(errs, checkAmount(o.Amount))...)
}

func (o *CreditOrder) checkCharges() error {
	if len(o.Charges) > MaxCreditedCharges {
		return Invalidf("charges", "has %d entries: at most %d; use several credits", len(o.Charges), MaxCreditedCharges)
	}
	if o.Campaign != (Account{}) || o.Amount != 0 {
		return Invalidf("charges", "stands beside a campaign or an amount: name either charges, or a campaign and an amount")
	}
	seen := make(map[uint64]bool, len(o.Charges))
	for i, c := range o.Charges {
		switch field := indexed("charges", i); {
		case c.Sequence == 0:
			return Invalidf(field+".sequence", "is missing: give the number of a charge's record")
		case seen[c.Sequence]:
			return Invalidf(field+".sequence", "%d stands there twice: name each charge once", c.Sequence)
		case c.Amount < 0 || c.Amount > MaxTransfer:
			return Invalidf(field+".amount_micros", "%s is out of range: use 1 to %d, or 0 for all that is left",
				c.Amount.Micros(),
				int64(MaxTransfer))
		}
		seen[c.Sequence] = true
	}
	return nil
}
