package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// print shows what became of the events that were answered.
func (c *eventsCommand) print(s *session, events []*pb.Event, results []*pb.EventResult) error {
	if c.Output == "json" {
		return printEventsJSON(s, events, results)
	}
	if len(results) == 0 {
		return nil
	}
	var t table
	t.add("KIND", "EVENT ID", "OUTCOME", "CHARGED", "RECORD")
	counts := make([]int, len(pb.EventOutcome_name))
	for i, r := range results {
		if o := int(r.GetOutcome()); o < len(counts) {
			counts[o]++
		}
		t.add(enumName(events[i].GetKind()), events[i].GetEventId(), outcomeText(r), money(r.GetChargedMicros()), recordOf(r))
	}
	t.print(s.Stdout)
	var parts []string
	for o, n := range counts {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, outcomeName(pb.EventOutcome(o))))
		}
	}
	if _, err := fmt.Fprintln(s.Stdout, strings.Join(parts, ", ")); err != nil {
		return err
	}
	for _, hint := range outcomeHints {
		if counts[hint.outcome] > 0 {
			fmt.Fprintf(s.Stderr, "hexbid: %s\n", hint.text)
		}
	}
	return nil
}

// outcomeHints say what to do about outcomes that surprise whoever tries a market by hand.
var outcomeHints = []struct {
	outcome pb.EventOutcome
	text    string
}{
	{pb.EventOutcome_EVENT_OUTCOME_FILTERED, "filtered events are taken for invalid traffic, as a click right after its " +
		"search is: \"hexbid ledger show CAMPAIGN\" says by which rule"},
	{pb.EventOutcome_EVENT_OUTCOME_REFUSED, "refused events have the token of another client: report them as the client " +
		"that searched"},
}

func outcomeName(o pb.EventOutcome) string { return strings.ReplaceAll(enumName(o), "_", " ") }

// outcomeText says an outcome, and whether it was given before.
func outcomeText(r *pb.EventResult) string {
	if r.GetRepeatedAnswer() {
		return outcomeName(r.GetOutcome()) + " (answered before)"
	}
	return outcomeName(r.GetOutcome())
}

func recordOf(r *pb.EventResult) string {
	if r.GetSequence() == 0 {
		return "-"
	}
	return recordName(r.GetSequence(), r.GetChainHash())
}

// answeredEvent is an event with its answer, each in the JSON of the contract.
type answeredEvent struct {
	Event  json.RawMessage `json:"event"`
	Result json.RawMessage `json:"result"`
}

func printEventsJSON(s *session, events []*pb.Event, results []*pb.EventResult) error {
	list := make([]answeredEvent, len(results))
	for i, r := range results {
		var err error
		if list[i].Event, err = contractJSON(events[i]); err != nil {
			return err
		}
		if list[i].Result, err = contractJSON(r); err != nil {
			return err
		}
	}
	return writeJSON(s.Stdout, map[string]any{"results": list})
}
