package hexbid

import (
	"slices"
	"strings"
	"testing"
)

// report returns one with two good events, and changes the second.
func report(change func(*Event)) *EventReport {
	r := &EventReport{ClientID: "tests", Events: []Event{
		{Kind: Conversion, Token: "t", ID: "1", Value: MaxEventValue},
		{Kind: Click, Token: strings.Repeat("t", MaxEventTokenBytes), ID: strings.Repeat("i", MaxEventIDBytes)}}}
	if change != nil {
		change(&r.Events[1])
	}
	return r
}

func TestAReportThatIsOutOfBoundsNamesTheEventAndTheField(t *testing.T) {
	if err := report(nil).Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*Event)
		fields []string
	}{
		{func(e *Event) { e.Kind = 0 }, []string{"events[1].kind"}},
		{func(e *Event) { e.Kind = EventKindCount }, []string{"events[1].kind"}},
		{func(e *Event) { e.Token = "" }, []string{"events[1].token"}},
		{func(e *Event) { e.Token += "t" }, []string{"events[1].token"}},
		{func(e *Event) { e.ID = "" }, []string{"events[1].event_id"}},
		{func(e *Event) { e.ID += "i" }, []string{"events[1].event_id"}},
		{func(e *Event) { e.ID = "\xff" }, []string{"events[1].event_id"}},
		{func(e *Event) { e.Value = 1 }, []string{"events[1].value_micros"}},
		{func(e *Event) { e.Kind, e.Value = Conversion, -1 }, []string{"events[1].value_micros"}},
		{func(e *Event) { e.Kind, e.Value = Conversion, MaxEventValue+1 }, []string{"events[1].value_micros"}},
		{func(e *Event) { *e = Event{} }, []string{"events[1].kind", "events[1].token", "events[1].event_id"}},
	} {
		all, _ := ErrorsOf(report(c.change).Validate())
		var fields []string
		for _, e := range all {
			fields = append(fields, e.Field)
		}
		if !slices.Equal(fields, c.fields) {
			t.Errorf("%v: want %v", all, c.fields)
		}
	}
}

func TestAReportHasAClientAndAtMostAThousandEvents(t *testing.T) {
	for field, r := range map[string]*EventReport{
		"events":          {Events: make([]Event, MaxEvents+1)},
		"x-hexbid-client": {ClientID: strings.Repeat("c", MaxClientIDBytes+1), Events: report(nil).Events},
	} {
		if all, _ := ErrorsOf(r.Validate()); len(all) != 1 || all[0].Field != field {
			t.Errorf("%v: want it to name %s", all, field)
		}
	}
	if all, _ := ErrorsOf(new(EventReport).Validate()); len(all) != 1 || all[0].Field != "events" {
		t.Errorf("no event: %v", all)
	}
}
