package cli

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// notWritten are the fields that files do not have, because the server sets them.
var notWritten = map[protoreflect.Name]bool{"name": true, "uid": true, "etag": true, "create_time": true,
	"update_time": true, "review_state": true, "serving": true, "not_serving_reason": true, "notices": true,
	"omitted_shapes": true, "live_state": true, "spend": true, "delivery": true,
	"holdings": true, "limits": true}

// anyText contains texts that YAML and the notations of lists could distort.
var anyText = rapid.OneOf(rapid.String(),
	rapid.SampledFrom([]string{"a;b", " x ", "- y", "#z", "no", "1.0", "[k]", `"k"`, "-k", "@file", "a\nb", "'", "~", "面馆",
		"2026-01-01", "0x1f", "\t", "{a: b}", "k: v", "\u2028", "!!str x", "&a", "*a", "% x", "`"})).
	Filter(func(s string) bool { return s != "" && !strings.Contains(s, unreadable) })

// drawMessage fills every field that files may have, or leaves it out.
func drawMessage(t *rapid.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if notWritten[f.Name()] || rapid.IntRange(0, 3).Draw(t, "unset") == 0 {
			continue
		}
		if f.IsList() {
			list := m.Mutable(f).List()
			for range rapid.IntRange(1, 3).Draw(t, "entries") {
				list.Append(drawValue(t, f, list.NewElement))
			}
			continue
		}
		m.Set(f, drawValue(t, f, func() protoreflect.Value { return m.NewField(f) }))
	}
}

func drawValue(t *rapid.T, f protoreflect.FieldDescriptor, fresh func() protoreflect.Value) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.StringKind:
		if f.Name() == "polygons" {
			return protoreflect.ValueOfString(rapid.SampledFrom([]string{`{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,1]]]}`, `{"name":"a;b '@"}`}).Draw(t, "shape"))
		}
		return protoreflect.ValueOfString(anyText.Draw(t, "text"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.Float64Range(-1e9, 1e9).Draw(t, "number") + 0) // turns -0 into 0
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32Range(0, 23).Draw(t, "whole"))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64Range(1, 1e15).Draw(t, "amount"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(1,
			f.Enum().Values().Len()-1).Draw(t, "choice")))
	case protoreflect.MessageKind:
		switch fresh().Message().Interface().(type) {
		case *timestamppb.Timestamp:
			return protoreflect.ValueOfMessage((&timestamppb.Timestamp{Seconds: rapid.Int64Range(0, 4e9).Draw(t, "s"),
				Nanos: rapid.Int32Range(0, 999_999_999).Draw(t, "ns")}).ProtoReflect())
		case *durationpb.Duration:
			return protoreflect.ValueOfMessage(durationpb.New(3600e9 + 1).ProtoReflect())
		case *pb.AgeRange:
			low := rapid.Int32Range(0, 60).Draw(t, "low")
			return protoreflect.ValueOfMessage((&pb.AgeRange{MinAge: low,
				MaxAge: low + rapid.Int32Range(0, 60).Draw(t, "more")}).ProtoReflect())
		case *pb.WeeklyHours:
			start := rapid.Int32Range(0, 23).Draw(t, "start")
			return protoreflect.ValueOfMessage((&pb.WeeklyHours{Day: pb.DayOfWeek(rapid.Int32Range(1, 7).Draw(t, "day")),
				StartHour: start, EndHour: rapid.Int32Range(start+1, 24).Draw(t, "end")}).ProtoReflect())
		case *pb.HostBid:
			return protoreflect.ValueOfMessage((&pb.HostBid{Host: pb.Host(rapid.Int32Range(1, 11).Draw(t, "host")),
				MultiplierPpm: rapid.Int64Range(1, 1e7).Draw(t, "ppm")}).ProtoReflect())
		case *pb.Coupon:
			c := &pb.Coupon{ValidUntilTime: &timestamppb.Timestamp{Seconds: 1}}
			drawMessage(t, c.ProtoReflect())
			c.ValidUntilTime = &timestamppb.Timestamp{Seconds: 4e9, Nanos: 5}
			return protoreflect.ValueOfMessage(c.ProtoReflect())
		}
		v := fresh()
		drawMessage(t, v.Message())
		return v
	}
	panic(f.Kind())
}

// without drops empty messages, because a file does not write them.
func without(m protoreflect.Message) proto.Message {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Message() != nil && !f.IsList() {
			if proto.Size(without(v.Message())) == 0 && f.Message().FullName() != "google.protobuf.Timestamp" {
				m.Clear(f)
			}
		}
		return true
	})
	return m.Interface()
}

func TestADocumentReadsBackAsTheResourceItWasWrittenFrom(t *testing.T) {
	for _, kind := range []resource{&pb.Advertiser{Name: "advertisers/a"}, &pb.Program{Name: "advertisers/a/programs/p"},
		&pb.Place{Name: "advertisers/a/programs/p/places/l"}, &pb.Campaign{Name: "advertisers/a/campaigns/c"}} {
		t.Run(string(kind.ProtoReflect().Descriptor().Name()), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := proto.Clone(kind)
				drawMessage(t, m.ProtoReflect())
				if c, ok := m.(*pb.Campaign); ok && c.GetExcludedArea() != nil {
					c.ExcludedArea.Everywhere = false // no campaign may exclude everywhere
				}
				text, err := documentOf(m)
				if err != nil {
					t.Fatal(err)
				}
				read := 0
				readDocuments("x.yaml", strings.NewReader(string(text)), func(d *document) {
					read++
					u := newUpload(d)
					for _, e := range d.wrong {
						t.Fatalf("%v\n%s", e, text)
					}
					row := u.row.ProtoReflect()
					got := without(row.Get(row.WhichOneof(row.Descriptor().Oneofs().Get(0))).Message())
					if want := without(m.ProtoReflect()); !proto.Equal(got, want) {
						t.Fatalf("got  %v\nwant %v\n%s", got, want, text)
					}
				}, func(e *rowError) { t.Fatalf("%v\n%s", e, text) }, func(int, string) {})
				if read != 1 {
					t.Fatalf("%d documents of\n%s", read, text)
				}
			})
		})
	}
}
