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
		"too much withdrawn":        func(_ *desk, r *Record) { r.Body = &Movement{Advertiser: 2, What: Withdrawal, Amount: 9e9} },
		"too much credited":         func(_ *desk, r *Record) { r.Body = &Credit{Advertiser: 2, Campaign: 1, Amount: 1001} },
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

func TestTheFirstRecordOpensAnEpoch(t *testing.T) {
	d := &desk{TB: t, Books: New()}
	refused(t, d, &Record{Sequence: 1, Body: &AdvertiserTerms{Advertiser: 1}}, "a chain without an epoch")
	if err := d.Apply(&Record{Sequence: 1, Body: &Epoch{Number: 1}}, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestMovementsAgainstTheRulesAreExplained(t *testing.T) {
	d := openDesk(t)
	d.write(&Movement{Advertiser: 2, What: TopUp, Amount: 100, Ruling: Ruling{Balance: 100}})
	d.take(d.event(hexbid.Click, token.Name{})) // costs more than the balance has
	d.write(&Movement{Advertiser: 2, What: TopUp, Amount: 2000, Ruling: Ruling{Balance: 2100}})
	d.take(d.event(hexbid.Click, token.Name{Sequence: 1})) // record 7 charges 1000
	charge := func(amounts ...hexbid.Money) *Credit {
		return &Credit{Advertiser: 2, Campaign: 1, Amount: amounts[0], Charges: []uint64{7}, Charged: []hexbid.Money{1000},
			Amounts: amounts}
	}
	kindOf := func(err error) hexbid.ErrorKind {
		var e *hexbid.Error
		if !errors.As(err, &e) || e.Detail == "" {
			t.Fatalf("%v explains nothing", err)
		}
		return e.Kind
	}
	for what, m := range map[string]*Movement{
		"NotFound nobody":  {Advertiser: 9, What: TopUp, Amount: 1},
		"Invalid nothing":  {Advertiser: 2, What: TopUp},
		"Invalid debt":     {Advertiser: 2, What: TopUp, Amount: -1},
		"Invalid too much": {Advertiser: 2, What: TopUp, Amount: MaxMovement + 1},
		"Invalid no kind":  {Advertiser: 2, What: movementKinds, Amount: 1},
		"Invalid amount":   {Advertiser: 2, What: ToPostpaid, Amount: 1},
		"InUse overdrawn":  {Advertiser: 2, What: Withdrawal, Amount: 1101},
	} {
		if got := kindOf(d.JudgeMovement(m)); kindNames[got]+what[len(kindNames[got]):] != what {
			t.Errorf("%s: %v", what, d.JudgeMovement(m))
		}
	}
	for what, r := range map[string]*Credit{
		"NotFound no campaign": {Advertiser: 2, Campaign: 9, Amount: 1},
		"Invalid another's":    {Advertiser: 3, Campaign: 1, Amount: 1},
		"Invalid nothing":      {Advertiser: 2, Campaign: 1},
		"InUse above charged":  {Advertiser: 2, Campaign: 1, Amount: 1001},
		"InUse above a charge": {Advertiser: 2, Campaign: 1, Amount: 2, Charges: []uint64{7}, Charged: []hexbid.Money{1}, Amounts: []hexbid.Money{2}},
		"Invalid sum":          {Advertiser: 2, Campaign: 1, Amount: 3, Charges: []uint64{7}, Charged: []hexbid.Money{1000}, Amounts: []hexbid.Money{2}},
		"Invalid amounts":      {Advertiser: 2, Campaign: 1, Amount: 3, Charges: []uint64{7}, Charged: []hexbid.Money{1000}},
		"Invalid twice":        {Advertiser: 2, Campaign: 1, Amount: 2, Charges: []uint64{7, 7}, Charged: []hexbid.Money{1000, 1000}, Amounts: []hexbid.Money{1, 1}},
		"Invalid no record":    {Advertiser: 2, Campaign: 1, Amount: 1, Charges: []uint64{99}, Charged: []hexbid.Money{1000}, Amounts: []hexbid.Money{1}},
	} {
		if got := kindOf(d.JudgeCredit(r)); kindNames[got]+what[len(kindNames[got]):] != what {
			t.Errorf("%s: %v", what, d.JudgeCredit(r))
		}
	}
	first := charge(600)
	if err := d.JudgeCredit(first); err != nil || first.Balance != 1700 {
		t.Fatalf("a credit leaves %d, %v", first.Balance, err)
	}
	d.write(first)
	if got := kindOf(d.JudgeCredit(charge(401))); got != hexbid.InUse || d.Credited(7) != 600 {
		t.Errorf("a charge is credited above what it charged")
	}
	other := charge(1)
	if other.Charged[0] = 999; kindOf(d.JudgeCredit(other)) != hexbid.Invalid {
		t.Error("a charge charged 1000 once and 999 now")
	}
	if err := d.JudgeCredit(charge(400)); err != nil {
		t.Error(err)
	}
}

var kindNames = map[hexbid.ErrorKind]string{hexbid.NotFound: "NotFound", hexbid.Invalid: "Invalid",
	hexbid.InUse: "InUse"}
