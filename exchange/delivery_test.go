package exchange

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/outstanding"
)

// manual makes a market that moves by steps alone.
func manual(c *Config) { c.Manual = true }

// step steps a market in virtual time.
func (m *till) step() {
	m.Helper()
	if err := m.Step(ctx); err != nil {
		m.Fatal(err)
	}
}

// notebook is a part of delivery that writes down what it hears.
type notebook struct {
	heard    []string
	restored map[string]string
	kept     []journal.Row
	first    []bidder.LiveUpdate
	due      []bidder.LiveUpdate
	rooms    []int
}

func (*notebook) letter() byte                           { return 'n' }
func (*notebook) owner() bidder.Owner                    { return bidder.OwnerQuality }
func (n *notebook) opened(time.Time) []bidder.LiveUpdate { return n.first }

func (n *notebook) restore(_ time.Time, key, value []byte) error {
	if len(value) == 0 {
		return fmt.Errorf("an empty row")
	}
	n.restored[string(key)] = string(value)
	return nil
}

func (n *notebook) awarded(a *outstanding.Award, at int64) {
	n.heard = append(n.heard, fmt.Sprintf("award of %d at %d", a.Campaign, at))
}

func (n *notebook) happened(e *happening) {
	n.heard = append(n.heard, fmt.Sprintf("%s %s implied %t of %d at %d", e.Kind, e.outcome, e.implied, e.Award.Campaign,
		e.at.UnixMilli()))
}

func (n *notebook) value(_ context.Context, _ time.Time, room int) ([]bidder.LiveUpdate, error) {
	n.rooms = append(n.rooms, room)
	due := n.due
	n.due = nil
	return due, nil
}

// alone is a delivery's parts with no other one.
func (n *notebook) alone() parts {
	return parts{all: []part{n}, keepers: []keeper{n}, ofAwards: []awardLearner{n}, ofEvents: []eventLearner{n},
		valuers: []valuer{n}}
}

func (n *notebook) rows() []journal.Row {
	kept := n.kept
	n.kept = nil
	return kept
}

// TestDeliveryHearsOfAwardsAndFirstAnswers: once each, with the ledger's time.
func TestDeliveryHearsOfAwardsAndFirstAnswers(t *testing.T) {
	m := openTill(t, manual)
	c := campaign("c")
	fill(t, m.Exchange, c, place("l", hub))
	n := new(notebook)
	m.delivery.parts = n.alone()
	won := m.awards()[0]
	if len(n.heard) > 0 {
		t.Fatalf("before a step it heard %q", n.heard)
	}
	m.step()
	m.pass(3 * time.Second)
	tell := func(kind hexbid.EventKind, id string) {
		if _, err := m.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app", Events: []hexbid.Event{{Kind: kind,
			Token: won.Token, ID: id}}}); err != nil {
			t.Fatal(err)
		}
	}
	tell(hexbid.Click, "1")
	tell(hexbid.Click, "1")      // is answered again
	tell(hexbid.Impression, "2") // the click has implied it
	start := now.UnixMilli()
	want := []string{fmt.Sprintf("award of %d at %d", won.Campaign, start),
		fmt.Sprintf("click charged implied true of %d at %d", won.Campaign, start+3000),
		fmt.Sprintf("impression duplicate implied false of %d at %d", won.Campaign, start+3000)}
	if !slices.Equal(n.heard, want) {
		t.Errorf("heard\n%q, want\n%q", n.heard, want)
	}
}

// TestWhatDeliveryHandsInIsInForceAfterTheStep, the first of it before the first search.
func TestWhatDeliveryHandsInIsInForceAfterTheStep(t *testing.T) {
	m := openTill(t, manual)
	c := campaign("c")
	fill(t, m.Exchange, c, place("l", hub))
	uid := m.awards()[0].Campaign
	n := &notebook{due: []bidder.LiveUpdate{{Campaign: uid, QualityPPM: 77_000}}}
	m.delivery.parts = n.alone()
	m.pass(50 * time.Millisecond)
	m.step()
	if q := m.live(c.Name).QualityPPM; q != 77_000 {
		t.Errorf("searches see a quality of %d", q)
	}
	m.pass(time.Hour)
	m.step()
	if want := []int{500, 10_000}; !slices.Equal(n.rooms, want) {
		t.Errorf("after 50 ms and after an hour there was room for %v updates, want %v", n.rooms, want)
	}
	m.delivery.parts = (&notebook{due: []bidder.LiveUpdate{{Campaign: uid}}}).alone()
	if err := m.Step(ctx); err == nil {
		t.Error("an update that the index refuses made no error")
	}
}

// failingStep is a part whose steps fail.
type failingStep struct{}

func (failingStep) step(context.Context, time.Time) error { return fmt.Errorf("the step fails") }

// TestAPartThatFailsHoldsUpNoOther: what others know is handed in and kept all the same, and the step tells of it.
func TestAPartThatFailsHoldsUpNoOther(t *testing.T) {
	m := openTill(t, manual)
	c := campaign("c")
	fill(t, m.Exchange, c, place("l", hub))
	n := &notebook{due: []bidder.LiveUpdate{{Campaign: m.awards()[0].Campaign, QualityPPM: 77_000}}}
	n.kept = []journal.Row{{Table: journal.Learned, Key: []byte("n"), Value: []byte("kept")}}
	m.delivery.parts = n.alone()
	m.delivery.steppers = []stepper{failingStep{}}
	m.pass(keepEvery)
	if err := m.Step(ctx); err == nil || !strings.Contains(err.Error(), "the step fails") {
		t.Errorf("the step of a part that fails: %v", err)
	}
	if q := m.live(c.Name).QualityPPM; q != 77_000 || n.kept != nil {
		t.Errorf("searches see a quality of %d, and rows left to keep are %v", q, n.kept)
	}
}

// TestWhatIsLearnedIsKept: each second, and at the end; a start hands it to the part that has kept it.
func TestWhatIsLearnedIsKept(t *testing.T) {
	m := openTill(t, manual)
	fill(t, m.Exchange, campaign("c"), place("l", hub))
	n := new(notebook)
	m.delivery.parts = n.alone()
	row := func(key, value string) journal.Row {
		return journal.Row{Table: journal.Learned, Key: []byte(key), Value: []byte(value)}
	}
	n.kept = []journal.Row{row("n1", "one"), row("n2", ""), row("o", "another's"), row("m\xff", "another's")}
	m.pass(keepEvery - time.Millisecond)
	m.step()
	if n.kept == nil {
		t.Error("rows were kept before a second has passed")
	}
	m.pass(time.Millisecond)
	m.step()
	n.kept = []journal.Row{row("n3", "at the end")}
	m.stop()
	m.start()
	again := &notebook{restored: map[string]string{}}
	d := &delivery{ledger: m.ledger, indexer: m.indexer, log: m.config.Log, parts: again.alone()}
	if err := d.restore(ctx); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(again.restored); got != "map[n1:one n3:at the end]" {
		t.Errorf("after a restart it has %s", got)
	}
}

// TestAMarketInVirtualTimeMovesByStepsAlone: a spent budget, its alert and its midnight.
func TestAMarketInVirtualTimeMovesByStepsAlone(t *testing.T) {
	m := openTill(t, func(c *Config) { firstPrice(c); manual(c) })
	c := campaign("c")
	c.DailyBudget = 1_050_000
	fill(t, m.Exchange, c, place("l", hub))
	won := m.awards()
	m.step()
	if r := m.click(&won[0]); r.Outcome != hexbid.EventCharged {
		t.Fatal(r.Outcome)
	}
	if m.live(c.Name).BudgetSpent {
		t.Error("it is spent without a step")
	}
	m.step()
	if !m.live(c.Name).BudgetSpent || m.Alerts().InForce[hexbid.DailyBudgetAlert] != 2 {
		t.Errorf("after the step %+v, %+v", m.live(c.Name), m.Alerts())
	}
	m.pass(24 * time.Hour)
	if !m.live(c.Name).BudgetSpent {
		t.Error("it is back without a step")
	}
	m.step()
	if m.live(c.Name).BudgetSpent || m.Alerts().InForce[hexbid.DailyBudgetAlert] != 0 {
		t.Errorf("on the next day %+v, %+v", m.live(c.Name), m.Alerts())
	}
}

func TestOnlyAMarketInVirtualTimeIsStepped(t *testing.T) {
	m := openTill(t, nil)
	if err := m.Step(ctx); hexbid.KindOf(err) != hexbid.Invalid {
		t.Error(err)
	}
}
