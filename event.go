package hexbid

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// Event is what a client reports of a sponsored result that it has shown.
type Event struct {
	Kind  EventKind
	Token string // of the sponsored result
	ID    string // the client's own name for the event, 1 to MaxEventIDBytes; the same one gets its first answer again
	Value Money  // of a conversion, 0 if none is stated; nothing else has a value
}

// Limits of events.
const (
	MaxEventIDBytes    = 64
	MaxEventTokenBytes = 1024
	MaxEvents          = 1000    // of a call
	MaxEventValue      = 1 << 53 // micros; an exact number in every client's language
)

// EventReport is what one call of a client reports.
type EventReport struct {
	ClientID string // as in the client's searches
	Events   []Event
}

// EventResult is what became of an event.
type EventResult struct {
	Outcome  EventOutcome
	Charged  Money
	Sequence uint64   // of its record, 0 without one
	Hash     [32]byte // of its record
	Repeated bool     // the first answer to the event once more
	Pricing  PricingModel
}

// Validate refuses a report that is out of bounds, so that nothing of it is recorded. Its error names all fields of the
// first event that is wrong, as in events[3].event_id.
func (r *EventReport) Validate() error {
	if err := checkText("x-hexbid-client", r.ClientID, 0, MaxClientIDBytes); err != nil {
		return err
	}
	if n := len(r.Events); n == 0 || n > MaxEvents {
		return Invalidf("events", "has %d entries: use 1 to %d", n, MaxEvents)
	}
	for i := range r.Events {
		if err := r.Events[i].validate(i); err != nil {
			return err
		}
	}
	return nil
}

func (e *Event) validate(i int) error {
	if e.Kind > 0 && e.Kind < EventKindCount && e.Token != "" && len(e.Token) <= MaxEventTokenBytes && e.ID != "" &&
		len(e.ID) <= MaxEventIDBytes && utf8.ValidString(e.ID) && e.Value == 0 {
		return nil // without a name for each field, which most events do not need
	}
	field := indexed("events", i)
	return JoinErrors(checkEnum(field+".kind", e.Kind, EventKindCount, false),
		checkText(field+".token", e.Token, 1, MaxEventTokenBytes), checkText(field+".event_id", e.ID, 1, MaxEventIDBytes),
		e.checkValue(field+".value_micros"))
}

func (e *Event) checkValue(field string) error {
	switch {
	case e.Value < 0 || e.Value > MaxEventValue:
		return Invalidf(field, "%s is out of range: use 0 to %d", e.Value.Micros(), int64(MaxEventValue))
	case e.Value != 0 && e.Kind != Conversion:
		return Invalidf(field, "%s is the value of no conversion: leave it out", e.Value.Micros())
	}
	return nil
}

// indexed names an entry of a list.
func indexed(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// ConversionWindow is how long after its recorded click a token admits a conversion.
const ConversionWindow = 7 * 24 * time.Hour

// EventKind says what happened to a sponsored result. A token admits one event of each kind.
type EventKind uint8

// The kinds of event.
const (
	Impression EventKind = 1 + iota // seen: at least half of it on the screen for a second
	Click
	Conversion
	Claim // of the creative's coupon
	EventKindCount
)

var eventKindNames = [EventKindCount]string{Impression: "impression", Click: "click", Conversion: "conversion",
	Claim: "claim"}

// String returns the kind's name in files and on the command line.
func (k EventKind) String() string { return nameIn(eventKindNames[:], uint8(k)) }

// EventOutcome is the answer to an event.
type EventOutcome uint8

// The outcomes. Those up to EventFiltered, and those of a claim but EventNoViewer, use up the token's kind. They are
// recorded and final: the same event gets the same answer again. The others record nothing and use up nothing. An event
// with one of them is judged anew when it comes again, and may then be taken: a conversion once its click is recorded
// (EventNoClick), any event once the right client returns it (EventRefused).
const (
	EventCharged         EventOutcome = 1 + iota
	EventRecorded                     // counted; there is nothing to pay for
	EventBudgetExhausted              // shown free: the price is above what is left of a budget or the balance
	EventBeyondCap                    // shown free: the viewer had seen the campaign as often as its cap allows
	EventFiltered                     // invalid traffic, or a conversion of a click that was
	EventDuplicate                    // the token's event of this kind has another event id
	EventExpired                      // the token admits no such event any more
	EventForged                       // the token is not of this deployment, or was altered
	EventRefused                      // the token was given to another client
	EventNoClick                      // a conversion without a recorded click
	EventGranted                      // a coupon is the viewer's
	EventGone                         // no coupon is left, or it is no longer valid
	EventAlready                      // the viewer has one
	EventNoViewer                     // the search named no viewer who could have one
	EventOutcomeCount
)

var eventOutcomeNames = [EventOutcomeCount]string{EventCharged: "charged", EventRecorded: "recorded",
	EventBudgetExhausted: "budget_exhausted", EventBeyondCap: "beyond_cap", EventFiltered: "filtered",
	EventDuplicate: "duplicate", EventExpired: "expired", EventForged: "forged", EventRefused: "refused",
	EventNoClick: "no_click", EventGranted: "granted", EventGone: "gone", EventAlready: "already",
	EventNoViewer: "no_viewer"}

// String returns the outcome's name in metrics and on the command line.
func (o EventOutcome) String() string { return nameIn(eventOutcomeNames[:], uint8(o)) }
