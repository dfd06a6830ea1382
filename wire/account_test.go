package wire

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// filled returns a noun whose fields all have values of their own.
func filled[T any](t *testing.T) *T {
	t.Helper()
	v := new(T)
	distinct().fill(reflect.ValueOf(v).Elem())
	if zero := firstZero(reflect.ValueOf(v).Elem(), ""); zero != "" {
		t.Fatalf("%T: %s was not filled", v, zero)
	}
	return v
}

func TestEveryFieldOfAnAnswerOfTheLedgerIsMapped(t *testing.T) {
	alert := filled[hexbid.Alert](t)
	alert.Type = hexbid.DailyBudgetAlert // other types have no date
	for _, noun := range []any{alert, filled[hexbid.EventResult](t), filled[hexbid.CampaignSpend](t),
		filled[hexbid.AdvertiserBalance](t), filled[hexbid.Movement](t), filled[hexbid.EventTotals](t),
		filled[hexbid.Backup](t), filled[hexbid.ViewerHistory](t), filled[hexbid.ViewerExport](t)} {
		checkMapped(t, noun)
	}
}

// checkMapped fails for a field of a message without a value, and for a value of a field of the noun that the message
// does not have.
func checkMapped(t *testing.T, noun any) {
	t.Helper()
	m := mapped(noun)
	if unset := firstUnset(m.ProtoReflect(), ""); unset != "" {
		t.Errorf("%T: %s is mapped from nothing", m, unset)
	}
	fields := reflect.ValueOf(noun).Elem()
	for i := range fields.NumField() {
		kept := reflect.New(fields.Field(i).Type()).Elem()
		kept.Set(fields.Field(i))
		fields.Field(i).SetZero()
		if proto.Equal(m, mapped(noun)) {
			t.Errorf("%T.%s is mapped to nothing", noun, fields.Type().Field(i).Name)
		}
		fields.Field(i).Set(kept)
	}
}

func mapped(noun any) proto.Message {
	switch v := noun.(type) {
	case *hexbid.Alert:
		return FromAlert(v)
	case *hexbid.EventResult:
		return eventResult(v)
	case *hexbid.CampaignSpend:
		return FromCampaignSpend(v)
	case *hexbid.AdvertiserBalance:
		return FromAdvertiserBalance(v)
	case *hexbid.Movement:
		return FromMovement(v)
	case *hexbid.ViewerHistory:
		return FromViewerHistory(v)
	case *hexbid.ViewerExport:
		return FromViewerExport(v)
	case *hexbid.Backup:
		return FromBackup(v)
	case *hexbid.EventTotals:
		return FromEventTotals(v)
	}
	panic(noun)
}

// firstUnset is the path of a field without a value.
func firstUnset(m protoreflect.Message, path string) string {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		at := path + "." + string(field.Name())
		if !m.Has(field) {
			return at
		}
		unset := ""
		switch {
		case field.Message() == nil || field.Message().FullName() == "google.protobuf.Timestamp":
		case field.IsList():
			unset = firstUnset(m.Get(field).List().Get(0).Message(), at)
		default:
			unset = firstUnset(m.Get(field).Message(), at)
		}
		if unset != "" {
			return unset
		}
	}
	return ""
}

// TestEveryFieldOfARequestOfTheLedgerIsMapped clears one field of a message after the other, and looks that the noun
// changes.
func TestEveryFieldOfARequestOfTheLedgerIsMapped(t *testing.T) {
	for _, c := range []struct {
		message proto.Message
		convert func(proto.Message) any
	}{
		{new(pb.Event), func(m proto.Message) any {
			events, err := ToEvents([]*pb.Event{m.(*pb.Event)})
			return []any{events, err}
		}},
		{new(pb.CreateTopUpRequest), func(m proto.Message) any { return ToTopUp(m.(*pb.CreateTopUpRequest)) }},
		{new(pb.CreateWithdrawalRequest), func(m proto.Message) any { return ToWithdrawal(m.(*pb.CreateWithdrawalRequest)) }},
		{new(pb.CreateCreditRequest), func(m proto.Message) any { return ToCredit(m.(*pb.CreateCreditRequest)) }},
		{new(pb.CreditedCharge), func(m proto.Message) any {
			return ToCredit(&pb.CreateCreditRequest{Charges: []*pb.CreditedCharge{m.(*pb.CreditedCharge)}})
		}},
		{new(pb.SetBillingRequest), func(m proto.Message) any {
			t, err := ToBilling(m.(*pb.SetBillingRequest))
			return []any{t, err}
		}},
	} {
		n := 0
		fillMessage(c.message.ProtoReflect(), &n)
		fields := c.message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			less := proto.Clone(c.message)
			less.ProtoReflect().Clear(fields.Get(i))
			if reflect.DeepEqual(c.convert(c.message), c.convert(less)) {
				t.Errorf("%s is mapped to nothing", fields.Get(i).FullName())
			}
		}
	}
}

func TestEventsThatDoNotConvertAreNamed(t *testing.T) {
	for _, c := range []struct {
		events []*pb.Event
		field  string
	}{
		{[]*pb.Event{{Kind: 1}, {Kind: 5}}, "events[1].kind"},
		{[]*pb.Event{{Kind: -1}}, "events[0].kind"},
		{make([]*pb.Event, hexbid.MaxEvents+1), "events"},
	} {
		_, err := ToEvents(c.events)
		if all, _ := hexbid.ErrorsOf(err); len(all) != 1 || all[0].Field != c.field {
			t.Errorf("%v: want it to name %s", err, c.field)
		}
	}
	for _, billing := range []pb.Billing{0, -1, 3} {
		if _, err := ToBilling(&pb.SetBillingRequest{Billing: billing}); err == nil ||
			!strings.HasPrefix(err.Error(), "billing") {
			t.Errorf("%v", err)
		}
	}
}

func TestTheNumbersOfEnumerationsAreThoseOfTheContract(t *testing.T) {
	for kind := hexbid.EventKind(1); kind < hexbid.EventKindCount; kind++ {
		if name := pb.EventKind(kind).String(); name != "EVENT_KIND_"+strings.ToUpper(kind.String()) {
			t.Errorf("%s is %s", kind, name)
		}
	}
	for outcome := hexbid.EventOutcome(1); outcome < hexbid.EventOutcomeCount; outcome++ {
		if name := pb.EventOutcome(outcome).String(); name != "EVENT_OUTCOME_"+strings.ToUpper(outcome.String()) {
			t.Errorf("%s is %s", outcome, name)
		}
	}
	for alert := hexbid.AlertType(1); alert < hexbid.AlertTypeCount; alert++ {
		if name := pb.AlertType(alert).String(); name != "ALERT_TYPE_"+strings.ToUpper(alert.String()) {
			t.Errorf("%s is %s", alert, name)
		}
	}
	for _, e := range []struct {
		count  int
		values protoreflect.EnumDescriptor
	}{{int(hexbid.EventKindCount), pb.EventKind(0).Descriptor()},
		{int(hexbid.EventOutcomeCount), pb.EventOutcome(0).Descriptor()},
		{int(hexbid.BillingCount), pb.Billing(0).Descriptor()},
		{int(hexbid.MovementTypeCount), pb.MovementType(0).Descriptor()},
		{int(hexbid.AlertTypeCount), pb.AlertType(0).Descriptor()}} {
		if n := e.values.Values().Len(); n != e.count {
			t.Errorf("%s has %d values, and the noun %d", e.values.Name(), n, e.count)
		}
	}
}
