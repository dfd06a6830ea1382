package exchange

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	invalid "github.com/hexbid/hexbid/ledger/traffic"
	"github.com/hexbid/hexbid/token"
)

// filteredToday is why events of a campaign were filtered today, as its spend says.
func (m *till) filteredToday(name string) []hexbid.FilteredEvents {
	m.Helper()
	spend, err := m.CampaignSpend(ctx, hexbid.Account{Name: name})
	if err != nil {
		m.Fatal(err)
	}
	var all int64
	for _, f := range spend.Delivery.Filtered {
		all += f.Events
	}
	if all != spend.Today.Filtered && all > 0 {
		m.Errorf("the reasons add up to %d of %d events", all, spend.Today.Filtered)
	}
	return spend.Delivery.Filtered
}

// TestACampaignSaysWhyItsEventsWereFiltered today, after a restart too, and not on the next day.
func TestACampaignSaysWhyItsEventsWereFiltered(t *testing.T) {
	m := openTill(t, unexplored)
	m.limits = invalid.Limits{TooSoon: 500 * time.Millisecond, RepeatClicks: 1, RepeatWindow: time.Hour}
	m.stop()
	m.start()
	c := campaign("c")
	c.DailyBudget = 1_000_000_000
	other := campaign("other")
	other.Bid = c.Bid / 2
	fill(t, m.Exchange, c, other, place("l", hub))
	if by := m.filteredToday(c.Name); by != nil {
		t.Errorf("before any event it says %v", by)
	}
	m.tell(hexbid.Click, &m.awards()[0]) // at once
	for range 3 {
		won := m.awards()
		m.pass(time.Second)
		m.tell(hexbid.Impression, &won[0])
		m.tell(hexbid.Click, &won[0])
	}
	want := []hexbid.FilteredEvents{{Reason: "repeated", Events: 2}, {Reason: "too_soon", Events: 1}}
	if by := m.filteredToday(c.Name); !slices.Equal(by, want) {
		t.Errorf("it says %v, want %v", by, want)
	}
	m.pass(time.Minute)
	m.step()
	m.stop()
	m.start()
	if by := m.filteredToday(c.Name); !slices.Equal(by, want) {
		t.Errorf("after a restart it says %v, want %v", by, want)
	}
	if by := m.filteredToday("advertisers/a/campaigns/other"); by != nil {
		t.Errorf("a campaign without filtered events says %v", by)
	}
	m.pass(24 * time.Hour)
	if by := m.filteredToday(c.Name); by != nil {
		t.Errorf("the next day it says %v", by)
	}
	m.pass(24 * time.Hour)
	m.step()
	if n := len(m.filtered.days); n != 0 {
		t.Errorf("%d campaigns are remembered after days", n)
	}
}

// TestReasonsAreBounded: by the number of campaigns, and by what a row may hold.
func TestReasonsAreBounded(t *testing.T) {
	f := newFiltered()
	at := func(campaign hexbid.UID, date int32, reason invalid.Reason) {
		f.happened(&happening{Event: &ledger.Event{Award: &token.Award{Campaign: campaign}}, outcome: hexbid.EventFiltered,
			reason: reason, date: date})
	}
	for campaign := range hexbid.UID(mostFiltered + 10) {
		at(campaign+1, 20_000, invalid.TooSoon)
	}
	at(1, 20_000, invalid.ReasonCount) // of no rule that there is
	at(1, 19_999, invalid.Repeated)    // of the day before
	if len(f.days) != mostFiltered || f.of(1, 20_000)[0].Events != 1 || len(f.of(1, 20_000)) != 1 {
		t.Errorf("%d campaigns are counted, the first as %v", len(f.days), f.of(1, 20_000))
	}
	rows := f.rows()
	again := newFiltered()
	for _, row := range rows[:10] {
		if err := again.restore(now, row.Key, row.Value); err != nil {
			t.Fatal(err)
		}
		for n := range row.Value {
			if err := newFiltered().restore(now, row.Key, row.Value[:n]); err == nil && n%4 != filteredHead%4 {
				t.Errorf("a row is read from %d of %d bytes", n, len(row.Value))
			}
		}
		if err := again.restore(now, row.Key, append(row.Value, 0, 0, 0, 9)); err != nil {
			t.Errorf("a row with a reason of a later version: %v", err)
		}
	}
	for campaign, day := range again.days {
		if !reflect.DeepEqual(day, f.days[campaign]) {
			t.Errorf("campaign %d is restored as %+v", campaign, day)
		}
	}
}
