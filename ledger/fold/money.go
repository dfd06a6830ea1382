package fold

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Limits of movements and credits.
const (
	MaxMovement      hexbid.Money = 1 << 53 // an exact number in every client's language
	MaxBalance       hexbid.Money = 1 << 60
	MaxCreditCharges              = 1000
)

// JudgeMovement fills in a movement's date, put forward, and the balance after it. Its error says what forbids it:
// NotFound, Invalid, or InUse for more than the balance has or can hold.
func (b *Books) JudgeMovement(m *Movement) error {
	a := b.advertisers[m.Advertiser]
	if a == nil {
		return hexbid.Errorf(hexbid.NotFound, "advertiser", "%d is no advertiser", m.Advertiser)
	}
	balance, err := a.balanceAfter(m)
	if err != nil {
		return err
	}
	m.Ruling = Ruling{Posted: max(b.state.posted, m.Posted), Balance: balance}
	return nil
}

func (a *advertiser) balanceAfter(m *Movement) (hexbid.Money, error) {
	balance := a.Ever.Balance
	switch m.What {
	case ToPrepaid, ToPostpaid:
		if m.Amount != 0 {
			return 0, hexbid.Invalidf("amount_micros", "%s do not move when only the billing changes: leave it out",
				m.Amount.Micros())
		}
		return balance, nil
	case TopUp, Withdrawal:
	default:
		return 0, hexbid.Invalidf("movement", "%d is no kind of movement", m.What)
	}
	if m.Amount < 1 || m.Amount > MaxMovement {
		return 0, hexbid.Invalidf("amount_micros", "%s is out of range: use 1 to %s", m.Amount.Micros(),
			MaxMovement.Micros())
	}
	if m.What == TopUp {
		if balance > MaxBalance-m.Amount {
			return 0, hexbid.Errorf(hexbid.InUse, "amount_micros", "%s is too much: the balance is %s, and %s at the most",
				m.Amount.Micros(), balance.Micros(), MaxBalance.Micros())
		}
		return balance + m.Amount, nil
	}
	if m.Amount > balance {
		return 0, hexbid.Errorf(hexbid.InUse, "amount_micros", "%s is more than the balance: withdraw at most %s",
			m.Amount.Micros(), balance.Micros())
	}
	return balance - m.Amount, nil
}

func (b *Books) takeMovement(m *Movement, now *Point, w *journal.Batch) error {
	stated := m.Ruling
	err := b.JudgeMovement(m)
	judged := m.Ruling
	if m.Ruling = stated; err != nil {
		return faulty(now.Sequence, "moves a balance against the rules: %v", err)
	}
	if judged != stated {
		return faulty(now.Sequence, "says %+v of a movement; the books say %+v", stated, judged)
	}
	a := b.advertisers[m.Advertiser]
	b.state.posted = m.Posted
	b.settleOn(a, m.Posted, w)
	switch m.What {
	case TopUp:
		a.Prepaid = true
		a.Today.ToppedUp, a.Ever.ToppedUp = plus(a.Today.ToppedUp, m.Amount), plus(a.Ever.ToppedUp, m.Amount)
	case Withdrawal:
		a.Today.Withdrawn, a.Ever.Withdrawn = plus(a.Today.Withdrawn, m.Amount), plus(a.Ever.Withdrawn, m.Amount)
	case ToPrepaid, ToPostpaid:
		a.Prepaid = m.What == ToPrepaid
	}
	a.Ever.Balance = m.Balance
	a.Today.Balance, a.Today.Owed = a.Ever.Balance, a.Ever.Owed
	putMovement(w, a.Advertiser, m.RequestID, m.Posted, now.Sequence)
	return nil
}

// putMovement puts the rows that find a movement or a credit by its date and by its request id.
func putMovement(w *journal.Batch, advertiser hexbid.UID, requestID string, posted int32, sequence uint64) {
	if w == nil {
		return
	}
	put(w, journal.Movements, MovementKey(advertiser, posted, sequence), nothing)
	if requestID != "" {
		put(w, journal.Requests, RequestKey(advertiser, requestID), key64(sequence))
	}
}

// JudgeCredit fills in a credit's dates, put forward, and the balance after it. Its error says what forbids it:
// NotFound, Invalid, or InUse for more than was charged and is not credited yet.
func (b *Books) JudgeCredit(r *Credit) error {
	c := b.campaigns[r.Campaign]
	if c == nil {
		return hexbid.Errorf(hexbid.NotFound, "campaign", "%d is no campaign", r.Campaign)
	}
	if c.advertiser.Advertiser != r.Advertiser {
		return hexbid.Invalidf("campaign", "%d is not of advertiser %d", r.Campaign, r.Advertiser)
	}
	var ever Totals
	if c.activity != nil {
		ever = c.activity.ever
	}
	if err := checkCredit("amount_micros", r.Amount, ever.Charged, ever.Credited); err != nil {
		return err
	}
	if err := b.checkCharges(r); err != nil {
		return err
	}
	r.Ruling = Ruling{Date: c.dateFrom(r.Date), Posted: max(b.state.posted, r.Posted), Balance: c.advertiser.Ever.Balance}
	if c.advertiser.Prepaid {
		if r.Balance > MaxBalance-r.Amount {
			return hexbid.Errorf(hexbid.InUse, "amount_micros", "%s is too much: the balance is %s, and %s at the most",
				r.Amount.Micros(), r.Balance.Micros(), MaxBalance.Micros())
		}
		r.Balance += r.Amount
	}
	return nil
}

func checkCredit(field string, amount, charged, credited hexbid.Money) error {
	if amount < 1 {
		return hexbid.Invalidf(field, "%s is out of range: credit 1 micro at least", amount.Micros())
	}
	if amount > charged-credited {
		return hexbid.Errorf(hexbid.InUse, field, "%s is more than what was charged: %s, of which %s are credited",
			amount.Micros(), charged.Micros(), credited.Micros())
	}
	return nil
}

// checkCharges checks the charges that a credit names.
func (b *Books) checkCharges(r *Credit) error {
	n := len(r.Charges)
	if n > MaxCreditCharges || len(r.Charged) != n || len(r.Amounts) != n {
		return hexbid.Invalidf("charges", "has %d entries with %d amounts of %d: at most %d, each with its amounts", n,
			len(r.Amounts), len(r.Charged), MaxCreditCharges)
	}
	if n == 0 {
		return nil
	}
	var last uint64
	var sum hexbid.Money
	for i, sequence := range r.Charges {
		if sequence <= last || sequence > b.last.Sequence {
			return hexbid.Invalidf("charges", "%d is out of order, stands twice or is no record: list them in ascending order",
				sequence)
		}
		var credited hexbid.Money
		if known := b.credited[sequence]; known != nil {
			credited = known.credited
			if known.campaign != r.Campaign || known.charged != r.Charged[i] {
				return hexbid.Invalidf("charges", "%d is a charge of %s of campaign %d", sequence, known.charged.Micros(),
					known.campaign)
			}
		}
		if err := checkCredit("charges.amount_micros", r.Amounts[i], r.Charged[i], credited); err != nil {
			return err
		}
		last, sum = sequence, plus(sum, r.Amounts[i])
	}
	if sum != r.Amount {
		return hexbid.Invalidf("amount_micros", "%s is not the sum of the charges' amounts, %s", r.Amount.Micros(),
			sum.Micros())
	}
	return nil
}

func (b *Books) takeCredit(r *Credit, now *Point, w *journal.Batch) error {
	stated := r.Ruling
	err := b.JudgeCredit(r)
	judged := r.Ruling
	if r.Ruling = stated; err != nil {
		return faulty(now.Sequence, "credits against the rules: %v", err)
	}
	if judged != stated {
		return faulty(now.Sequence, "says %+v of a credit; the books say %+v", stated, judged)
	}
	c := b.campaigns[r.Campaign]
	for i, sequence := range r.Charges {
		b.creditCharge(sequence, r, i)
	}
	b.state.posted = r.Posted
	b.add(c, r.Date, &Totals{Credited: r.Amount}, w)
	b.post(c, r.Posted, 0, r.Amount, w)
	a := c.advertiser
	b.settleOn(a, r.Posted, w)
	a.Ever.Credited, a.Today.Credited = a.Ever.Credited+r.Amount, a.Today.Credited+r.Amount
	if a.Prepaid {
		a.Ever.Balance = r.Balance
	} else {
		a.Ever.Owed -= r.Amount
	}
	a.Today.Balance, a.Today.Owed = a.Ever.Balance, a.Ever.Owed
	putMovement(w, a.Advertiser, r.RequestID, r.Posted, now.Sequence)
	return nil
}

// creditCharge remembers what is credited of a charge. Only charges that a credit has named are remembered.
func (b *Books) creditCharge(sequence uint64, r *Credit, i int) {
	k := b.credited[sequence]
	if k == nil {
		k = &creditedCharge{sequence: sequence, campaign: r.Campaign, charged: r.Charged[i]}
		b.credited[sequence] = k
	}
	b.rows.touch(k)
	k.credited += r.Amounts[i]
}
