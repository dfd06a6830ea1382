package gateway

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// parsed returns JSON as values, with numbers as they are written.
func parsed(t testing.TB, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// TestATranscodedMessageIsWhatProtojsonWrites draws messages of every field of an answer to a search.
func TestATranscodedMessageIsWhatProtojsonWrites(t *testing.T) {
	seed := rand.Uint64()
	random, numbers := rand.New(rand.NewPCG(seed, 1)), 0
	for range 3000 {
		m := new(pb.SearchNearbyResponse)
		draw(random, m.ProtoReflect(), 0)
		encoded, err := proto.MarshalOptions{Deterministic: random.IntN(2) == 0}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want, err := encoding.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := answerPlan.append(nil, encoded)
		if !reflect.DeepEqual(parsed(t, got), parsed(t, want)) {
			t.Fatalf("seed %d: %s, want %s", seed, got, want)
		}
		numbers += bytes.Count(got, []byte("E")) + bytes.Count(got, []byte("e-"))
	}
	if numbers == 0 {
		t.Error("no number was very small")
	}
}

var (
	oddTexts = []string{"", "咖啡", `a "quoted" \ text`, "tab\tnew\nline\r\b\f\x01\x1f\x7f\u2028é😀", "</script>&"}
	doubles  = []float64{0, math.Copysign(0, -1), 1, -0.5, 1e-7, 1.5e-9, 1e-10, 123456789.25, 1e20, 1e21, -1e300,
		30.2499999,
		math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64}
)

// draw sets a random part of a message's fields.
func draw(random *rand.Rand, m protoreflect.Message, depth int) {
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if random.IntN(3) == 0 || f.Message() != nil && depth > 3 {
			continue
		}
		if f.IsList() {
			list := m.Mutable(f).List()
			for range random.IntN(4) {
				list.Append(value(random, f, list.NewElement(), depth))
			}
			continue
		}
		m.Set(f, value(random, f, m.NewField(f), depth))
	}
}

func value(random *rand.Rand, f protoreflect.FieldDescriptor, none protoreflect.Value, depth int) protoreflect.Value {
	large := int64(random.Uint64()) >> random.IntN(64)
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(oddTexts[random.IntN(len(oddTexts))])
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(doubles[random.IntN(len(doubles))])
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(random.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(random.Int32N(20) - 2))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(large))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(large)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(large))
	case protoreflect.MessageKind:
		switch m := none.Message().Interface().(type) {
		case *timestamppb.Timestamp:
			m.Seconds, m.Nanos = random.Int64N(200_000_000_000)-50_000_000_000, nanos(random)
		case *durationpb.Duration:
			m.Seconds, m.Nanos = random.Int64N(1000), nanos(random)
			if random.IntN(2) == 0 {
				m.Seconds, m.Nanos = -m.Seconds, -m.Nanos
			}
		default:
			draw(random, none.Message(), depth+1)
		}
		return none
	}
	panic("a field of a kind that answers did not have: " + f.FullName())
}

func nanos(random *rand.Rand) int32 {
	return []int32{0, 1, 120, 1000, 45_000, 1_000_000, 120_000_000, 999_999_999}[random.IntN(8)]
}

// TestNumbersOfAllKindsAreWritten covers the kinds that answers to searches do not have yet.
func TestNumbersOfAllKindsAreWritten(t *testing.T) {
	for _, m := range []proto.Message{
		&pb.ReceiptAward{PositionFactors: []int64{1, 0, -3, math.MaxInt64}, SumHigh: math.MaxUint64},
		&pb.Receipt{Record: []byte{0, 1, 255}, Path: [][]byte{{1}, {}}, LeafCount: 7, Pending: true},
		&pb.Audience{Hosts: []pb.Host{1, 2, 99}, Ages: []*pb.AgeRange{{MinAge: -1}, {}}}} {
		encoded, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		want, err := encoding.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := planOf(m.ProtoReflect().Descriptor(), map[protoreflect.FullName]*plan{}).append(nil, encoded)
		if !reflect.DeepEqual(parsed(t, got), parsed(t, want)) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
