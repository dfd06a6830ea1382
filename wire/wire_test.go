package wire

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// thereAndBack converts a noun to a message, as a caller would see it, and that as
// it would be read from our own disk.
func thereAndBack(r hexbid.Resource) (hexbid.Resource, error) {
	m := FromNoun(r)
	c := conversion{stored: true}
	back := c.resource(m)
	back.Metadata().UID = hexbid.UID(m.(resourceMessage).GetUid())
	back.Metadata().Version = r.Metadata().Version // which leaves the deployment in an etag alone
	if k, ok := back.(*hexbid.Key); ok {
		if k.SecretHash != [32]byte{} {
			return back, errors.New("a key's hash has left the deployment")
		}
		k.SecretHash = r.(*hexbid.Key).SecretHash
	}
	return back, c.err
}

func TestEveryFieldOfANounIsMapped(t *testing.T) {
	for _, r := range nouns(distinct) {
		if zero := firstZero(reflect.ValueOf(r).Elem(), ""); zero != "" {
			t.Fatalf("%T: %s was not filled", r, zero)
		}
		back, err := thereAndBack(r)
		if err != nil || !reflect.DeepEqual(r, back) {
			t.Errorf("%v\ngone  %+v\ncame  %+v", err, r, back)
		}
	}
}

// firstZero is the path of a field that has its zero value.
func firstZero(v reflect.Value, path string) string {
	if v.IsZero() {
		return path
	}
	if v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[hexbid.Place]().PkgPath() {
		for i := range v.NumField() {
			if zero := firstZero(v.Field(i), path+"."+v.Type().Field(i).Name); zero != "" {
				return zero
			}
		}
	}
	if v.Kind() == reflect.Slice {
		return firstZero(v.Index(0), path+"[0]")
	}
	return ""
}

func TestRandomNounsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, r := range nouns(func() *source { return drawn(t) }) {
			back, err := thereAndBack(r)
			if err != nil || !reflect.DeepEqual(r, back) {
				t.Fatalf("%v\ngone  %+v\ncame  %+v", err, r, back)
			}
		}
	})
}

// fromElsewhere are the fields of messages that no noun has: what the server says
// with an answer alone.
var fromElsewhere = map[protoreflect.FullName]bool{
	"hexbid.v1.Campaign.serving":            true,
	"hexbid.v1.Campaign.not_serving_reason": true,
	"hexbid.v1.Campaign.notices":            true,
	"hexbid.v1.Campaign.live_state":         true,
	"hexbid.v1.Campaign.spend":              true,
	"hexbid.v1.Campaign.delivery":           true,
	"hexbid.v1.Area.omitted_shapes":         true,
	"hexbid.v1.Key.last_use_time":           true,
	"hexbid.v1.Advertiser.holdings":         true,
	"hexbid.v1.Advertiser.limits":           true,
	"hexbid.v1.Market.in_force":             true,
	"hexbid.v1.Market.settings_not_taken":   true,
	"hexbid.v1.Market.forecast":             true,
}

func TestEveryFieldOfAMessageIsMapped(t *testing.T) {
	for _, m := range []proto.Message{new(pb.Advertiser), new(pb.Program), new(pb.Place), new(pb.Campaign),
		new(pb.User), new(pb.Client), new(pb.Key), new(pb.Market)} {
		n := 0
		fillMessage(m.ProtoReflect(), &n)
		m.ProtoReflect().Clear(m.ProtoReflect().Descriptor().Fields().ByName("etag")) // the server makes it
		c := conversion{stored: true}
		noun := c.resource(m)
		if c.err != nil {
			t.Fatal(c.err)
		}
		noun.Metadata().UID = hexbid.UID(m.(resourceMessage).GetUid())
		if back := FromNoun(noun); !proto.Equal(m, back) {
			t.Errorf("gone  %v\ncame  %v", m, back)
		}
	}
}

// fillMessage sets every field that a noun has, each to a value of its own.
func fillMessage(m protoreflect.Message, n *int) {
	switch v := m.Interface().(type) {
	case *timestamppb.Timestamp:
		*n++
		v.Seconds = int64(*n)
		return
	case *durationpb.Duration:
		*n++
		v.Seconds = int64(*n)
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case fromElsewhere[field.FullName()]:
		case field.IsList():
			list := m.Mutable(field).List()
			for range 2 {
				if field.Message() != nil {
					fillMessage(list.AppendMutable().Message(), n)
				} else {
					list.Append(fieldValue(field, n))
				}
			}
		case field.Message() != nil:
			fillMessage(m.Mutable(field).Message(), n)
		default:
			m.Set(field, fieldValue(field, n))
		}
	}
}

// fieldValue is a value that no other field has. Some texts and the datum have a form
// that they come back in.
func fieldValue(field protoreflect.FieldDescriptor, n *int) protoreflect.Value {
	*n++
	switch field.FullName() {
	case "hexbid.v1.Area.h3_cells":
		return protoreflect.ValueOfString("89309ab36abffff")
	case "hexbid.v1.Area.polygons":
		return protoreflect.ValueOfString(fmt.Sprintf(`{"type":"Polygon","coordinates":[[[%d,0],[%d,0],[%d,1],[%d,0]]]}`, *n,
			*n+1, *n+1, *n))
	}
	switch field.Kind() {
	case protoreflect.EnumKind:
		if field.Enum().Name() == "Datum" {
			return protoreflect.ValueOfEnum(pb.Datum_DATUM_WGS84.Number())
		}
		values := field.Enum().Values().Len()
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(1 + *n%(values-1)))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(*n) / 8)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(*n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(*n))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(*n))
	}
	return protoreflect.ValueOfString(fmt.Sprintf("v%x", *n)) // an etag is one of these
}

// isOutputOnly says whether the contract marks a field so. An etag is read from what
// comes, and is no field of a noun.
func isOutputOnly(field protoreflect.FieldDescriptor) bool {
	return proto.GetExtension(field.Options(), pb.E_OutputOnly).(bool) || field.Name() == "etag"
}

func TestWhatIsOutputOnlyIsNotTakenFromCallers(t *testing.T) {
	cleared := 0
	for _, m := range []proto.Message{new(pb.Advertiser), new(pb.Program), new(pb.Place), new(pb.Campaign),
		new(pb.User), new(pb.Client), new(pb.Key), new(pb.Market)} {
		n := 0
		fillMessage(m.ProtoReflect(), &n)
		full, _, err := ToNoun(m)
		if err != nil {
			t.Fatal(err)
		}
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if isOutputOnly(fields.Get(i)) {
				m.ProtoReflect().Clear(fields.Get(i))
				cleared++
			}
		}
		if bare, _, err := ToNoun(m); err != nil || !reflect.DeepEqual(full, bare) {
			t.Errorf("%v\nwith    %+v\nwithout %+v", err, full, bare)
		}
	}
	if cleared < 17 {
		t.Errorf("only %d fields are output only", cleared)
	}
}

func TestErrorsNameEveryFieldThatDoesNotConvert(t *testing.T) {
	bad := &pb.Campaign{
		State: 9, PricingModel: 9, Pacing: 9, StartTime: &timestamppb.Timestamp{Seconds: 1 << 62},
		EndTime: &timestamppb.Timestamp{Nanos: -1},
		Area: &pb.Area{Circles: []*pb.Circle{{Datum: 9}, {Latitude: 91, Longitude: 181}}, H3Cells: []string{"x"},
			Polygons: []string{"{}"}}, ExcludedArea: &pb.Area{OmittedShapes: 1},
		Audience: &pb.Audience{Genders: []pb.Gender{9}, Interests: []pb.Category{99}},
		Creatives: []*pb.Creative{{Host: 99,
			Coupon: &pb.Coupon{ValidUntilTime: &timestamppb.Timestamp{Seconds: -62135596800}}}},
		HostBids: []*pb.HostBid{{Host: 99}}, Keywords: []*pb.Keyword{{Match: 9}},
	}
	noun, _, err := ToNoun(bad)
	var named []string
	all, _ := hexbid.ErrorsOf(err)
	for _, e := range all {
		named = append(named, strings.TrimPrefix(e.Field, "campaign."))
	}
	slices.Sort(named)
	want := []string{"area.circles.datum", "area.circles.latitude", "area.circles.longitude", "area.h3_cells",
		"area.polygons", "audience.genders", "audience.interests",
		"creatives.coupon.valid_until_time", "creatives.host", "end_time", "excluded_area.omitted_shapes", "host_bids.host",
		"keywords.match", "pacing", "pricing_model", "start_time", "state"}
	if !slices.Equal(named, want) {
		t.Errorf("got  %v\nwant %v", named, want)
	}
	if noun == nil {
		t.Error("the rest of the noun is not there to be checked")
	}
}
