package wire

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
)

// stored is a resource as an engine writes it.
func stored(t rapid.TB, r hexbid.Resource) []byte {
	t.Helper()
	b, err := proto.Marshal(Pack(r))
	if err != nil {
		t.Fatal(err)
	}
	return AppendNumbers(b, r.Metadata().UID, r.Metadata().Version)
}

func load(b []byte) (hexbid.Resource, error) {
	m := new(diskpb.Record)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, err
	}
	return Unpack(m)
}

func TestNounsComeBackFromTheDiskAsTheyWere(t *testing.T) {
	check := func(t rapid.TB, all []hexbid.Resource) {
		for _, r := range all {
			b := stored(t, r)
			if back, err := load(b); err != nil || !reflect.DeepEqual(r, back) {
				t.Fatalf("%v\ngone  %+v\ncame  %+v", err, r, back)
			}
			if back, err := UnpackResource(b); err != nil || !reflect.DeepEqual(r, back) {
				t.Fatalf("alone: %v\ngone  %+v\ncame  %+v", err, r, back)
			}
		}
	}
	check(t, nouns(distinct))
	rapid.Check(t, func(t *rapid.T) { check(t, nouns(func() *source { return drawn(t) })) })
}

// drawnPolygons have rings of any length and coordinates of any bits.
func drawnPolygons(t *rapid.T) (polygons []hexbid.Polygon) {
	coordinate := rapid.Map(rapid.Uint64(), math.Float64frombits)
	for range rapid.IntRange(0, 3).Draw(t, "polygons") {
		polygon := hexbid.Polygon{}
		for range rapid.IntRange(0, 3).Draw(t, "rings") {
			ring := []hexbid.Point{}
			for range rapid.IntRange(0, 4).Draw(t, "positions") {
				ring = append(ring, hexbid.Point{Lat: coordinate.Draw(t, "lat"), Lng: coordinate.Draw(t, "lng")})
			}
			polygon = append(polygon, ring)
		}
		polygons = append(polygons, polygon)
	}
	return polygons
}

// bitsOf is what tells two lists of polygons apart, NaNs and zeros with a sign too.
func bitsOf(polygons []hexbid.Polygon) (out [][][][2]uint64) {
	for _, polygon := range polygons {
		var rings [][][2]uint64
		for _, ring := range polygon {
			var positions [][2]uint64
			for _, at := range ring {
				positions = append(positions, [2]uint64{math.Float64bits(at.Lat), math.Float64bits(at.Lng)})
			}
			rings = append(rings, positions)
		}
		out = append(out, rings)
	}
	return out
}

func TestEveryBitOfAPolygonComesBackFromTheDisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &hexbid.Campaign{Area: hexbid.Area{Polygons: drawnPolygons(t)},
			Excluded: hexbid.Area{Polygons: drawnPolygons(t)}}
		r, err := load(stored(t, c))
		if err != nil {
			t.Fatal(err)
		}
		back := r.(*hexbid.Campaign)
		if !reflect.DeepEqual(bitsOf(c.Area.Polygons), bitsOf(back.Area.Polygons)) ||
			!reflect.DeepEqual(bitsOf(c.Excluded.Polygons), bitsOf(back.Excluded.Polygons)) {
			t.Fatalf("gone %v and %v\ncame %v and %v", c.Area.Polygons, c.Excluded.Polygons, back.Area.Polygons,
				back.Excluded.Polygons)
		}
	})
}

func TestPackedPolygonsThatAreDamagedAreAnError(t *testing.T) {
	whole := appendPolygons(nil, []hexbid.Polygon{{square(3, 1), square(3, 0.5)}, {square(9, 1)}})
	for _, damaged := range [][]byte{
		whole[:len(whole)-1], append(bytes.Clone(whole), 0), {1}, {1, 1, 1}, {0x80},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, {1, 0xff, 0xff, 0xff, 0xff, 0x0f}, {2, 0},
	} {
		var c conversion
		if polygons := c.unpackPolygons("area_polygons", damaged); polygons != nil ||
			hexbid.KindOf(c.err) != hexbid.DataLoss {
			t.Errorf("%x: %v, %v", damaged, polygons, c.err)
		}
	}
}

// storedThough are fields that the server alone sets and that are kept.
var storedThough = []protoreflect.Name{"create_time", "update_time", "review_state", "credential_id"}

func TestWhatOnlyAnswersHaveIsNotStored(t *testing.T) {
	for _, r := range nouns(distinct) {
		record := Pack(r)
		m := record.ProtoReflect()
		resource := m.Get(m.WhichOneof(m.Descriptor().Oneofs().ByName("resource"))).Message()
		resource.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if isOutputOnly(field) && !slices.Contains(storedThough, field.Name()) {
				t.Errorf("%T: %s is stored: %v", r, field.Name(), v)
			}
			return true
		})
		if n := len(record.GetCampaign().GetArea().GetPolygons()) +
			len(record.GetCampaign().GetExcludedArea().GetPolygons()); n > 0 {
			t.Errorf("%T: %d polygons are stored as text", r, n)
		}
	}
}

func TestTheNumbersOfARecordAreReadFromItsEnd(t *testing.T) {
	for _, r := range nouns(distinct) {
		b := stored(t, r)
		uid, version, ok := Numbers(b)
		if meta := r.Metadata(); !ok || uid != meta.UID || version != meta.Version {
			t.Errorf("%T: uid %d, version %d, %v", r, uid, version, ok)
		}
		whole, decoded := Pack(r), new(diskpb.Record)
		whole.Uid, whole.Version = uint64(uid), version
		if err := proto.Unmarshal(b, decoded); err != nil || !proto.Equal(whole, decoded) {
			t.Errorf("%T: what is appended does not decode as the message's numbers (%v)\n%v", r, err, decoded)
		}
		if _, _, ok := Numbers(b[:len(b)-1]); ok {
			t.Errorf("%T: numbers in a record that is cut off", r)
		}
	}
}

func TestARecordThatNoResourceCanHaveIsAnError(t *testing.T) {
	if r, err := Unpack(&diskpb.Record{Uid: 1, Version: 1}); hexbid.KindOf(err) != hexbid.DataLoss || r != nil {
		t.Errorf("a record of no kind: %v, %v", r, err)
	}
	later := Pack(&hexbid.Campaign{})
	later.GetCampaign().State = 99
	var e *hexbid.Error
	if _, err := Unpack(later); !errors.As(err, &e) || e.Field != "campaign.state" {
		t.Errorf("a state of a later program: %v", err)
	}
}

func TestVerdictsComeBackFromTheDiskAsTheyWere(t *testing.T) {
	var full Verdict
	distinct().fill(reflect.ValueOf(&full).Elem())
	for _, v := range []Verdict{full, {}} {
		b, err := proto.Marshal(PackVerdict(&v))
		if err != nil {
			t.Fatal(err)
		}
		m := new(diskpb.Verdict)
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		if back, err := UnpackVerdict(m); err != nil || !reflect.DeepEqual(v, back) {
			t.Errorf("%v\ngone  %+v\ncame  %+v", err, v, back)
		}
	}
	if v, err := UnpackVerdict(&diskpb.Verdict{Of: Pack(&hexbid.Program{})}); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("a verdict on a program: %+v, %v", v, err)
	}
}

// FuzzUnpack feeds damaged records: an error or a resource that packs again.
func FuzzUnpack(f *testing.F) {
	for _, r := range nouns(distinct) {
		f.Add(stored(f, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = UnpackResource(b)
		r, err := load(b)
		if err != nil {
			return
		}
		if back, err := load(stored(t, r)); err != nil || !reflect.DeepEqual(bitsOfAll(r), bitsOfAll(back)) {
			t.Errorf("%v: %+v\n%+v", err, r, back)
		}
	})
}

// bitsOfAll is a campaign's polygons by bits; of other resources, the name.
func bitsOfAll(r hexbid.Resource) any {
	if c, ok := r.(*hexbid.Campaign); ok {
		return [2]any{bitsOf(c.Area.Polygons), bitsOf(c.Excluded.Polygons)}
	}
	return r.Metadata().Name
}
