package wire

import (
	"fmt"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// ToEvents converts the events of a call. Its error names the field of the first one that does not convert, as in
// events[3].kind. EventReport.Validate then checks the bounds.
func ToEvents(events []*pb.Event) ([]hexbid.Event, error) {
	if len(events) > hexbid.MaxEvents { // so that nothing is allocated for more
		return nil, hexbid.Invalidf("events", "has %d entries: use 1 to %d", len(events), hexbid.MaxEvents)
	}
	out := make([]hexbid.Event, len(events))
	for i, e := range events {
		kind := e.GetKind()
		if kind < 0 || kind >= pb.EventKind(hexbid.EventKindCount) {
			_, err := Enum(fmt.Sprintf("events[%d].kind", i), kind, hexbid.EventKindCount)
			return nil, err
		}
		out[i] = hexbid.Event{Kind: hexbid.EventKind(kind), Token: e.GetToken(), ID: e.GetEventId(),
			Value: hexbid.Money(e.GetValueMicros())}
	}
	return out, nil
}

// FromEventResults converts the answers to the events of a call.
func FromEventResults(results []hexbid.EventResult) []*pb.EventResult {
	return fromAll(results, eventResult)
}

func eventResult(r *hexbid.EventResult) *pb.EventResult {
	return &pb.EventResult{
		Outcome:        pb.EventOutcome(r.Outcome),
		ChargedMicros:  int64(r.Charged),
		Sequence:       r.Sequence,
		ChainHash:      fromHash(r.Hash),
		RepeatedAnswer: r.Repeated,
		PricingModel:   pb.PricingModel(r.Pricing),
	}
}

// fromHash converts a hash; one of zeros stays unset.
func fromHash(h [32]byte) []byte {
	if h == ([32]byte{}) {
		return nil
	}
	return h[:]
}
