package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type eventsCommand struct {
	Files       []string  `arg:"" optional:"" help:"JSON files, or - for standard input: answers of \"hexbid search -o json\", whose sponsored results are reported, or events such as {\"kind\": \"click\", \"token\": \"…\", \"event_id\": \"…\"}."`
	Token       string    `help:"In place of files: the token of one sponsored result." placeholder:"TOKEN"`
	Kind        []string  `help:"What happened to results that are given by token or by a search's answer: impression, click, conversion, claim; several, in this order." default:"impression" placeholder:"KIND"`
	Slot        int32     `help:"Only the result of this slot of a search's answer; 1 is the first." placeholder:"N"`
	EventID     string    `name:"event-id" help:"With --token and one --kind: your name for the event. The same one gets its first answer again. Drawn at random when left out, and printed." placeholder:"ID"`
	Value       moneyFlag `help:"What a conversion was worth, in currency." default:"0" placeholder:"AMOUNT"`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Help says what the flags cannot.
func (*eventsCommand) Help() string {
	return `Examples:
  hexbid search --lat 30.2553 --lng 120.1640 -o json | hexbid events --kind impression,click --slot 1 -
  hexbid events --token TOKEN --kind conversion --value 35.00
  hexbid events events.jsonl

A token admits one event of each kind. Every event has an event id. Sent again with the same id, an event gets its
first answer again and is charged once.`
}

// Run reports events and prints what became of each.
func (c *eventsCommand) Run(s *session) error {
	events, err := c.read(s)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return errors.New("there is nothing to report: give files of events or of search answers with sponsored results, " +
			"or --token")
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	var results []*pb.EventResult
	for batch := range slices.Chunk(events, hexbid.MaxEvents) {
		answers, err := c.report(s, conn, batch)
		if err != nil {
			return errors.Join(c.print(s, events, results), unanswered(s, events[len(results):], err))
		}
		results = append(results, answers...)
	}
	return c.print(s, events, results)
}

// report reports one batch, again while nobody answers.
func (c *eventsCommand) report(s *session, conn *client, batch []*pb.Event) (answers []*pb.EventResult, err error) {
	ctx, cancel := context.WithTimeout(c.named(s.ctx), c.Timeout)
	defer cancel()
	err = persist(ctx, func() error {
		response, err := conn.events.RecordEvents(ctx, &pb.RecordEventsRequest{Events: batch})
		answers = response.GetResults()
		return err
	})
	if err == nil && len(answers) != len(batch) {
		err = fmt.Errorf("the server answered %d of %d events", len(answers), len(batch))
	}
	return answers, err
}

// unanswered prints the events that got no answer, with their ids, so that they can be sent again.
func unanswered(s *session, events []*pb.Event, err error) error {
	if !isUnknown(err) {
		return err
	}
	fmt.Fprintf(s.Stderr, "hexbid: %d events got no answer. Report these lines again, and each is recorded once:\n",
		len(events))
	for _, e := range events {
		if err := printLine(s.Stderr, e); err != nil {
			return err
		}
	}
	return err
}

// read returns the events that flags and files give.
func (c *eventsCommand) read(s *session) ([]*pb.Event, error) {
	kinds, err := c.kinds()
	if err != nil {
		return nil, err
	}
	if c.EventID != "" && (c.Token == "" || len(kinds) != 1) {
		return nil, errors.New("--event-id: names one event: give it with --token and one --kind")
	}
	r := &eventReader{kinds: kinds, slot: c.Slot, valueMicros: int64(c.Value)}
	if c.Token != "" {
		r.happen(c.Token)
		if c.EventID != "" {
			r.events[0].EventId = c.EventID
		}
	}
	for _, file := range c.Files {
		if err := r.readFile(file, s.Stdin); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return r.events, nil
}

func (c *eventsCommand) kinds() (kinds []pb.EventKind, err error) {
	var e enumReader
	for _, name := range c.Kind {
		kinds = append(kinds, readEnum[pb.EventKind](&e, "--kind", name))
	}
	if c.Value > 0 && !slices.Contains(kinds, pb.EventKind_EVENT_KIND_CONVERSION) {
		return nil, errors.New("--value: is of a conversion: add --kind conversion")
	}
	return kinds, e.err
}

// eventReader collects events.
type eventReader struct {
	kinds       []pb.EventKind // of results that only have a token
	slot        int32          // 0: every one
	valueMicros int64          // of conversions
	events      []*pb.Event
}

// happen adds an event of each kind for a token.
func (r *eventReader) happen(token string) {
	for _, kind := range r.kinds {
		e := &pb.Event{Kind: kind, Token: token, EventId: newID()}
		if kind == pb.EventKind_EVENT_KIND_CONVERSION {
			e.ValueMicros = r.valueMicros
		}
		r.events = append(r.events, e)
	}
}

// readFile reads JSON values, one after another.
func (r *eventReader) readFile(path string, stdin io.Reader) error {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	decoder := json.NewDecoder(in)
	for n := 1; ; n++ {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = r.readValue(value)
		}
		if err != nil {
			return fmt.Errorf("value %d: %w", n, err)
		}
	}
}

// readValue reads a search's answer, a list of events, or one event.
func (r *eventReader) readValue(value json.RawMessage) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(value, &object); err != nil {
		return errors.New("is no JSON object: use an answer of \"hexbid search -o json\", or an event such as " +
			`{"kind": "click", "token": "…"}`)
	}
	if list, isList := object["events"]; isList {
		var entries []map[string]json.RawMessage
		if err := json.Unmarshal(list, &entries); err != nil {
			return fmt.Errorf("events: %w", err)
		}
		for i, entry := range entries {
			if err := r.readEvent(entry); err != nil {
				return fmt.Errorf("events[%d]: %w", i, err)
			}
		}
		return nil
	}
	if _, isEvent := object["token"]; isEvent {
		return r.readEvent(object)
	}
	return r.readAnswer(value)
}

// readAnswer reports the sponsored results of a search's answer.
func (r *eventReader) readAnswer(value json.RawMessage) error {
	var answer pb.SearchNearbyResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(value, &answer); err != nil {
		return err
	}
	if answer.GetRequestId() == "" {
		return errors.New("is neither an event (it has no token) nor an answer of \"hexbid search -o json\"")
	}
	for _, result := range answer.GetSponsored() {
		if r.slot == 0 || r.slot == result.GetSlot() {
			r.happen(result.GetToken())
		}
	}
	return nil
}

// readEvent reads one event. Its kind may be written as on the command line, and its id may be left out.
func (r *eventReader) readEvent(object map[string]json.RawMessage) error {
	var kind string
	if json.Unmarshal(object["kind"], &kind) == nil && !strings.HasPrefix(kind, "EVENT_KIND_") {
		parsed, err := parseEnum[pb.EventKind](kind)
		if err != nil {
			return fmt.Errorf("kind: %w", err)
		}
		object["kind"] = json.RawMessage(fmt.Sprint(int32(parsed)))
	}
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var event pb.Event
	if err := protojson.Unmarshal(text, &event); err != nil {
		return err
	}
	if event.GetEventId() == "" {
		event.EventId = newID()
	}
	r.events = append(r.events, &event)
	return nil
}
