package fold

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/token"
)

// next makes the books of a short chain, and the record of a body that goes on from it. It checks that the record is
// good as it is.
func next(t *testing.T, body func(d *desk) Body) (*desk, *Record) {
	t.Helper()
	d := openDesk(t)
	d.write(&Movement{Advertiser: 2, What: TopUp, Amount: 5000, Ruling: Ruling{Balance: 5000}})
	d.take(d.event(hexbid.Click, token.Name{Sequence: 1}))
	b := body(d)
	r := d.Next(b)
	return d, &r
}

// bodiesThatFollow make a body of each kind that may follow.
var bodiesThatFollow = map[string]func(d *desk) Body{
	"click": func(d *desk) Body {
		e := d.event(hexbid.Click, token.Name{Sequence: 2})
		_ = d.Judge(e)
		return e
	},
	"coupon": func(d *desk) Body {
		e := d.event(hexbid.Claim, token.Name{Sequence: 2})
		_ = d.Judge(e)
		return e
	},
	"withdrawal": func(d *desk) Body {
		m := &Movement{Advertiser: 2, What: Withdrawal, Amount: 100}
		_ = d.JudgeMovement(m)
		return m
	},
	"credit": func(d *desk) Body {
		r := &Credit{Advertiser: 2, Campaign: 1, Amount: 10, Charges: []uint64{5}, Charged: []hexbid.Money{1000},
			Amounts: []hexbid.Money{10}}
		_ = d.JudgeCredit(r)
		return r
	},
	"end of an hour": func(d *desk) Body {
		d.Advance(d.at+hourMicros, d.batch)
		return d.HourToClose()
	},
	"checkpoint": func(d *desk) Body { return d.Checkpoint(7, d.batch) },
}

// TestARecordThatSaysOtherThanTheBooksIsRefused changes each number that the owner decides, and each hash, in a record
// that would be taken in as it is.
func TestARecordThatSaysOtherThanTheBooksIsRefused(t *testing.T) {
	for name, body := range bodiesThatFollow {
		d, r := next(t, body)
		if err := d.Apply(r, r.Encode(), d.batch); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		decided := func(r *Record) reflect.Value {
			if ruling := r.Body.ruling(); ruling != nil {
				return reflect.ValueOf(ruling).Elem()
			}
			return reflect.ValueOf(r.Body).Elem()
		}
		changes := 0
		for i := range decided(r).NumField() {
			field := decided(r).Type().Field(i).Name
			if field == "CatalogueVersion" || field == "Verdict" || field == "Reason" || field == "Date" || field == "Posted" {
				continue // the owner's own; those of the dates are in the next test
			}
			d, r := next(t, body)
			change(decided(r).Field(i))
			refused(t, d, r, name+" with another "+field)
			changes++
		}
		if changes < 3 {
			t.Errorf("%s: only %d fields were changed", name, changes)
		}
	}
}

// change sets a value to another one.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Array:
		change(v.Index(0))
	default:
		panic(fmt.Sprint(v.Kind()))
	}
}

// refused applies a record as a replay reads it. The books must refuse it.
func refused(t *testing.T, d *desk, r *Record, what string) {
	t.Helper()
	encoded := r.Encode()
	r, err := Decode(encoded)
	if err != nil {
		t.Fatalf("%s does not decode: %v", what, err)
	}
	last := d.Last()
	var e *hexbid.Error
	if err := d.Apply(r, encoded, d.batch); !errors.As(err, &e) || e.Kind != hexbid.DataLoss {
		t.Errorf("%s is taken in: %v", what, err)
	}
	if d.Last() != last {
		t.Errorf("%s is refused and is the last record", what)
	}
}

func TestARecordThatDoesNotFollowIsRefused(t *testing.T) {
	click := bodiesThatFollow["click"]
	for what, spoil := range map[string]func(d *desk, r *Record){
		"a record sooner":          func(_ *desk, r *Record) { r.Sequence-- },
		"a record later":           func(_ *desk, r *Record) { r.Sequence++ },
		"another hash before":      func(_ *desk, r *Record) { r.Previous[31] ^= 1 },
		"an earlier stamp":         func(_ *desk, r *Record) { r.At-- },
		"a charge in another hour": func(_ *desk, r *Record) { r.At += 25 * minuteMicros },
		"a date behind":            func(_ *desk, r *Record) { r.Body.ruling().Date-- },
		"a posting date behind":    func(_ *desk, r *Record) { r.Body.ruling().Posted-- },
		"a used token":             func(_ *desk, r *Record) { r.Body.(*Event).Token.Sequence = 1 },
		"an expired token":         func(_ *desk, r *Record) { r.Body.(*Event).Award.ClickExpiry = r.At / 1000 },
		"another's campaign":       func(_ *desk, r *Record) { r.Body.(*Event).Award.Advertiser = 3 },
		"an unknown campaign":      func(_ *desk, r *Record) { r.Body.(*Event).Award.Campaign = 3 },
		"another price":            func(_ *desk, r *Record) { r.Body.(*Event).Award.Price++ },
		"an event of no kind":      func(_ *desk, r *Record) { r.Body.(*Event).Kind = hexbid.EventKindCount },
		"no outcome":               func(_ *desk, r *Record) { r.Body.ruling().Outcome = 0 },
		"a duplicate": func(_ *desk, r *Record) {
			r.Body.(*Event).Token.Sequence = 1
			*r.Body.ruling() = Ruling{Outcome: hexbid.EventDuplicate}
		},
		"terms without a uid":       func(_ *desk, r *Record) { r.Body = &Terms{Advertiser: 2} },
		"an advertiser without one": func(_ *desk, r *Record) { r.Body = &AdvertiserTerms{Name: "x"} },
		"a campaign that moves":     func(_ *desk, r *Record) { r.Body = &Terms{Campaign: 1, Advertiser: 3} },
		"an hour that is open":      func(d *desk, r *Record) { r.Body = &HourOpened{Hour: HourOf(d.at)} },
		"another hour":              func(d *desk, r *Record) { r.Body = &HourOpened{Hour: HourOf(d.at) + 1} },
		"an hour that goes on":      func(d *desk, r *Record) { r.Body = &HourClosed{Hour: HourOf(d.at)} },
		"an epoch again":            func(_ *desk, r *Record) { r.Body = &Epoch{Number: 1} },
		"an epoch later":            func(_ *desk, r *Record) { r.Body = &Epoch{Number: 3} },
		"what is to come removed":   func(_ *desk, r *Record) { r.Body = &Compacted{Upto: r.Sequence} },
		"a checkpoint of others":    func(d *desk, r *Record) { k := d.Checkpoint(1, nil); k.Campaigns++; r.Body = k },
		"a checkpoint of more":      func(d *desk, r *Record) { k := d.Checkpoint(1, nil); k.Advertisers++; r.Body = k },
		"too much withdrawn": func(_ *desk, r *Record) {
			r.Body = &Movement{Advertiser: 2, What: Withdrawal, Amount: 9e9}
		},
		"too much credited": func(_ *desk, r *Record) { r.Body = &Credit{Advertiser: 2, Campaign: 1, Amount: 1001} },
	} {
		d, r := next(t, func(d *desk) Body {
			d.state.posted++ // so that there is a date to be behind of
			d.campaigns[1].activity.date++
			return click(d)
		})
		spoil(d, r)
		refused(t, d, r, what)
	}
}

// TestAJudgementHoldsForItsOwnMomentOnly applies the very event that was judged, after something has changed.
func TestAJudgementHoldsForItsOwnMomentOnly(t *testing.T) {
	for what, meanwhile := range map[string]func(d *desk, e *Event){
		"a lower budget": func(d *desk, _ *Event) { d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 1, Version: 2}) },
		"its expiry": func(d *desk, e *Event) {
			e.Award.ClickExpiry = d.at/1000 + 60_000
			_ = d.Judge(e)
			d.Advance(d.at+minuteMicros, d.batch)
		},
		"another ruling": func(_ *desk, e *Event) { e.Charged-- },
		"the same event": func(d *desk, e *Event) { d.write(e) },
		"another judged": func(d *desk, e *Event) { _ = d.Judge(d.event(hexbid.Click, token.Name{Sequence: 3})); e.Free++ },
	} {
		d, r := next(t, bodiesThatFollow["click"])
		meanwhile(d, r.Body.(*Event))
		again := d.Next(r.Body)
		var e *hexbid.Error
		if err := d.Apply(&again, again.Encode(), d.batch); !errors.As(err, &e) || e.Kind != hexbid.DataLoss {
			t.Errorf("after %s a record is taken in that was judged before: %v", what, err)
		}
	}
}

func TestTheFirstRecordOpensAnEpoch(t *testing.T) {
	d := &desk{TB: t, Books: New()}
	refused(t, d, &Record{Sequence: 1, Body: &AdvertiserTerms{Advertiser: 1}}, "a chain without an epoch")
	if err := d.Apply(&Record{Sequence: 1, Body: &Epoch{Number: 1}}, nil, nil); err != nil {
		t.Error(err)
	}
}

// funded is a desk whose advertiser has 1100 left, with a charge of 1000 in record 7.
func funded(t *testing.T) *desk {
	d := openDesk(t)
	d.write(&Movement{Advertiser: 2, What: TopUp, Amount: 100, Ruling: Ruling{Balance: 100}})
	if outcome := d.take(d.event(hexbid.Click, token.Name{})); outcome != hexbid.EventBudgetExhausted {
		t.Fatalf("a click above the balance is %s", outcome)
	}
	d.write(&Movement{Advertiser: 2, What: TopUp, Amount: 2000, Ruling: Ruling{Balance: 2100}})
	d.take(d.event(hexbid.Click, token.Name{Sequence: 1}))
	return d
}

// aCredit names the charge in record 7.
func aCredit(amounts ...hexbid.Money) *Credit {
	return &Credit{Advertiser: 2, Campaign: 1, Amount: amounts[0], Charges: []uint64{7}, Charged: []hexbid.Money{1000},
		Amounts: amounts}
}

// explained checks that an error is of a kind and says why.
func explained(t *testing.T, what string, err error, kind hexbid.ErrorKind) {
	t.Helper()
	var e *hexbid.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Field == "" || e.Detail == "" {
		t.Errorf("%s: %v", what, err)
	}
}

func TestMovementsAgainstTheRulesAreExplained(t *testing.T) {
	d := funded(t)
	for what, m := range map[string]*Movement{
		"no amount":       {Advertiser: 2, What: TopUp},
		"a debt":          {Advertiser: 2, What: TopUp, Amount: -1},
		"too much":        {Advertiser: 2, What: TopUp, Amount: MaxMovement + 1},
		"no kind":         {Advertiser: 2, What: movementKinds, Amount: 1},
		"a needless sum":  {Advertiser: 2, What: ToPostpaid, Amount: 1},
		"zero withdrawal": {Advertiser: 2, What: Withdrawal},
	} {
		explained(t, what, d.JudgeMovement(m), hexbid.Invalid)
	}
	explained(t, "nobody", d.JudgeMovement(&Movement{Advertiser: 9, What: TopUp, Amount: 1}), hexbid.NotFound)
	overdrawn := &Movement{Advertiser: 2, What: Withdrawal, Amount: 1101}
	explained(t, "overdrawn", d.JudgeMovement(overdrawn), hexbid.InUse)
	if overdrawn.Amount--; d.JudgeMovement(overdrawn) != nil || overdrawn.Balance != 0 {
		t.Errorf("all of a balance cannot be withdrawn: %+v", overdrawn)
	}
}

func TestABalanceHasAnEnd(t *testing.T) {
	d := funded(t)
	for d.advertisers[2].Ever.Balance <= MaxBalance-MaxMovement {
		m := &Movement{Advertiser: 2, What: TopUp, Amount: MaxMovement}
		if err := d.JudgeMovement(m); err != nil {
			t.Fatal(err)
		}
		d.write(m)
	}
	explained(t, "a top-up", d.JudgeMovement(&Movement{Advertiser: 2, What: TopUp, Amount: MaxMovement}), hexbid.InUse)
}

func TestCreditsAgainstTheRulesAreExplained(t *testing.T) {
	d := funded(t)
	change := func(with func(r *Credit)) *Credit {
		r := aCredit(1)
		with(r)
		return r
	}
	for what, r := range map[string]*Credit{
		"another's campaign": change(func(r *Credit) { r.Advertiser = 3 }),
		"no amount":          {Advertiser: 2, Campaign: 1},
		"another sum":        change(func(r *Credit) { r.Amount = 2 }),
		"no amounts":         change(func(r *Credit) { r.Amounts = nil }),
		"no charged amounts": change(func(r *Credit) { r.Charged = nil }),
		"what is no record":  change(func(r *Credit) { r.Charges[0] = 99 }),
		"nothing of a charge": {Advertiser: 2, Campaign: 1, Amount: 1, Charges: []uint64{6, 7},
			Charged: []hexbid.Money{1, 1}, Amounts: []hexbid.Money{0, 1}},
		"a charge twice": {Advertiser: 2, Campaign: 1, Amount: 2, Charges: []uint64{7, 7},
			Charged: []hexbid.Money{1, 1}, Amounts: []hexbid.Money{1, 1}},
		"too many charges": change(func(r *Credit) {
			r.Charges, r.Charged, r.Amounts = make([]uint64, MaxCreditCharges+1), make([]hexbid.Money, MaxCreditCharges+1),
				make([]hexbid.Money, MaxCreditCharges+1)
		}),
	} {
		explained(t, what, d.JudgeCredit(r), hexbid.Invalid)
	}
	explained(t, "no campaign", d.JudgeCredit(&Credit{Advertiser: 2, Campaign: 9, Amount: 1}), hexbid.NotFound)
	explained(t, "above all charges", d.JudgeCredit(&Credit{Advertiser: 2, Campaign: 1, Amount: 1001}), hexbid.InUse)
	above := change(func(r *Credit) { r.Amount, r.Amounts[0], r.Charged[0] = 2, 2, 1 })
	explained(t, "above the charge", d.JudgeCredit(above), hexbid.InUse)
}

func TestAChargeIsCreditedOnce(t *testing.T) {
	d := funded(t)
	first := aCredit(600)
	if err := d.JudgeCredit(first); err != nil || first.Balance != 1700 {
		t.Fatalf("a credit leaves %d, %v", first.Balance, err)
	}
	d.write(first)
	explained(t, "more than is left of the charge", d.JudgeCredit(aCredit(401)), hexbid.InUse)
	other := aCredit(1)
	other.Charged[0] = 999
	explained(t, "a charge of 1000 as one of 999", d.JudgeCredit(other), hexbid.Invalid)
	if err := d.JudgeCredit(aCredit(400)); err != nil || d.Credited(7) != 600 {
		t.Errorf("what is left of the charge cannot be credited: %v", err)
	}
	account, _ := d.Campaign(1)
	if left := d.Left(1, 0); account.Today.Charged != 1000 || left.Daily != 1<<50-1000 {
		t.Errorf("a credit reopens the daily budget: %+v, %+v left", account.Today, left)
	}
}
