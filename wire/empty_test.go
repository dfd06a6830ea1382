package wire

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// sound returns resources that could be stored.
func sound() []proto.Message {
	cap := &pb.FrequencyCap{Impressions: 3, Window: durationpb.New(24 * 3600e9)}
	return []proto.Message{
		&pb.Advertiser{Name: "advertisers/a", DisplayName: "A", FrequencyCap: proto.CloneOf(cap)},
		&pb.Campaign{Name: "advertisers/a/campaigns/c", Program: "advertisers/a/programs/p", DisplayName: "C",
			PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: 1, DailyBudgetMicros: 1,
			Area: &pb.Area{Everywhere: true}, FrequencyCap: cap,
			Creatives: []*pb.Creative{{Title: "T"}}},
	}
}

// saysNothing are the parts whose empty form the contract declares to be the same as none.
var saysNothing = map[protoreflect.FullName]bool{
	"hexbid.v1.Advertiser.quota":       true, // the market's defaults
	"hexbid.v1.Campaign.audience":      true, // everyone
	"hexbid.v1.Campaign.excluded_area": true, // nowhere
	"hexbid.v1.Campaign.creatives":     true, // the program's own
	"hexbid.v1.Audience.ages":          true, // 0 to 0 are those in their first year
}

// A caller who sends a part of a resource meant something by it. A part that is there and empty is refused by its name,
// or comes back; none turns silently into the opposite, as a cap of 0 impressions into no cap.
func TestAnEmptyPartIsRefusedByNameOrKept(t *testing.T) {
	looked := 0
	for _, m := range sound() {
		if r, _, err := ToNoun(m); err != nil || r.Validate() != nil {
			t.Fatal(err, r.Validate())
		}
		emptied(m, m.ProtoReflect(), func(f protoreflect.FieldDescriptor) {
			looked++
			r, _, err := ToNoun(m)
			if err == nil {
				err = r.Validate()
			}
			if err == nil && saysNothing[f.FullName()] || proto.Equal(m, FromNoun(r)) {
				return
			}
			if !isAbout(err, f) {
				t.Errorf("an empty %s: %v", f.FullName(), err)
			}
		})
	}
	if looked < 12 {
		t.Errorf("only %d parts were looked at", looked)
	}
}

// isAbout reports whether an error names a field, or a part of it.
func isAbout(err error, f protoreflect.FieldDescriptor) bool {
	all, _ := hexbid.ErrorsOf(err)
	return slices.ContainsFunc(all, func(e *hexbid.Error) bool {
		return strings.Contains(e.Field+".", "."+string(f.Name())+".")
	})
}

// emptied calls f with each part of a message that a caller may set, while that part is there and empty.
func emptied(whole proto.Message, m protoreflect.Message, f func(protoreflect.FieldDescriptor)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil || field.IsMap() || isOutputOnly(field) {
			continue
		}
		before := m.Get(field)
		wasSet := m.Has(field)
		part := m.NewField(field)
		inner := part
		if field.IsList() {
			part.List().Append(part.List().NewElement())
			inner = part.List().Get(0)
		}
		m.Set(field, part)
		f(field)
		if !strings.HasPrefix(string(field.Message().FullName()), "google.") {
			emptied(whole, inner.Message(), f)
		}
		if m.Clear(field); wasSet {
			m.Set(field, before)
		}
	}
}

// A window of 0 seconds is no window without end, and a cap without impressions no cap.
func TestACapThatSaysNothingIsRefused(t *testing.T) {
	for field, cap := range map[string]*pb.FrequencyCap{
		".frequency_cap.impressions": {},
		".frequency_cap.window":      {Impressions: 3, Window: &durationpb.Duration{}},
	} {
		campaign, advertiser := sound()[1].(*pb.Campaign), sound()[0].(*pb.Advertiser)
		campaign.FrequencyCap, advertiser.FrequencyCap = cap, cap
		for kind, m := range map[string]proto.Message{"campaign": campaign, "advertiser": advertiser} {
			_, _, err := ToNoun(m)
			if hexbid.KindOf(err) != hexbid.Invalid || !strings.Contains(err.Error(), kind+field) {
				t.Errorf("%s%s: %v", kind, field, err)
			}
		}
	}
}
