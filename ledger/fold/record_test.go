package fold

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/token"
)

// fill sets every field of a message to a drawn value that its encoding can have: no negative number where none may be.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		fill(t, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "Host" && v.Addr().Type() == reflect.TypeFor[*Coupon]() {
				v.Field(i).SetUint(rapid.Uint64Range(0, 200).Draw(t, "host"))
			} else if v.Field(i).CanSet() {
				fill(t, v.Field(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "length")
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString(rapid.StringN(0, 300, 1000).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "flag"))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "date")))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.OneOf(rapid.Int64Range(1, 300), rapid.Int64Range(0, math.MaxInt64)).Draw(t, "number"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Uint8().Draw(t, "small")))
	case reflect.Uint32:
		v.SetUint(uint64(rapid.Uint32().Draw(t, "hour")))
	case reflect.Uint64:
		v.SetUint(rapid.Uint64Min(1).Draw(t, "number")) // a uid or a sequence; a record has neither of 0
	default:
		t.Fatalf("%s is not drawn", v.Kind())
	}
}

func bodies() []Body {
	return []Body{new(Event), new(Terms), new(AdvertiserTerms), new(Movement), new(Credit), new(HourOpened),
		new(HourClosed), new(Checkpoint), new(Compacted), new(Epoch)}
}

// drawRecord draws a record of any kind.
func drawRecord(t *rapid.T) *Record {
	r := &Record{Body: rapid.SampledFrom(bodies()).Draw(t, "body")}
	fill(t, reflect.ValueOf(r).Elem().FieldByName("Sequence"))
	r.At = rapid.Int64Range(1, math.MaxInt64).Draw(t, "at")
	fill(t, reflect.ValueOf(r).Elem().FieldByName("Previous"))
	fill(t, reflect.ValueOf(r.Body))
	return r
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecord(t)
		got, err := Decode(want.Encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\ngot  %+v %+v\nwant %+v %+v", err, got, got.Body, want, want.Body)
		}
	})
}

// TestRecordsAreTheMessagesThatTheContractOfTheDiskDescribes compares the encoding with that of the generated code.
func TestRecordsAreTheMessagesThatTheContractOfTheDiskDescribes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		encoded := drawRecord(t).Encode()
		m := new(diskpb.LedgerRecord)
		if err := proto.Unmarshal(encoded, m); err != nil {
			t.Fatal(err)
		}
		if len(m.ProtoReflect().GetUnknown()) > 0 {
			t.Fatalf("%v has unknown fields", m)
		}
		// The generated code writes the same bytes, with the body, a oneof, at the end.
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		_, _, n := protowire.ConsumeField(encoded)
		if want := slices.Concat(encoded[n:], encoded[:n]); err != nil || !bytes.Equal(again, want) {
			t.Fatalf("%v\n%x\n%x", err, again, want)
		}
	})
}

// TestDamagedRecordsDoNotDecodeToOthers flips bits and cuts ends. What decodes still is another record with other
// bytes, never a second form of the same.
func TestDamagedRecordsDoNotDecodeToOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawRecord(t).Encode()
		if rapid.Bool().Draw(t, "cut") {
			b = b[:rapid.IntRange(0, len(b)-1).Draw(t, "length")]
		} else {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		checkCanonical(t, b)
	})
}

func checkCanonical(t interface{ Fatalf(string, ...any) }, b []byte) {
	r, err := Decode(b)
	if err != nil {
		if e, ok := err.(*hexbid.Error); !ok || e.Kind != hexbid.DataLoss {
			t.Fatalf("%x fails with %#v", b, err)
		}
		return
	}
	if again := r.Encode(); !bytes.Equal(again, b) {
		t.Fatalf("a record has two forms\n%x\n%x", b, again)
	}
}

// TestARecordHasOneFormOnly decodes forms of one record that other encoders might write, or that hide something.
func TestARecordHasOneFormOnly(t *testing.T) {
	rest := (&Record{Sequence: 1, At: 2, Body: &AdvertiserTerms{Advertiser: 5}}).Encode()[4:] // after 1a 02 08 05
	for what, body := range map[string][]byte{
		"":                       {0x1a, 2, 0x08, 5},
		"a number with a zero":   {0x1a, 3, 0x08, 0x85, 0},
		"a length with a zero":   {0x1a, 0x82, 0, 0x08, 5},
		"a false flag":           {0x1a, 4, 0x08, 5, 0x18, 0},
		"a flag of two":          {0x1a, 4, 0x08, 5, 0x18, 2},
		"an empty text":          {0x1a, 4, 0x08, 5, 0x12, 0},
		"an empty body":          {0x1a, 0},
		"an empty ruling":        {0x22, 2, 0x08, 5, 0x62, 0},
		"fields in disorder":     {0x1a, 4, 0x18, 1, 0x08, 5},
		"a field twice":          {0x1a, 4, 0x08, 5, 0x08, 5},
		"a field to come":        {0x1a, 4, 0x08, 5, 0x78, 1},
		"another wire type":      {0x1a, 3, 0x0a, 1, 5},
		"a body cut short":       {0x1a, 3, 0x08, 5},
		"a number without end":   {0x1a, 2, 0x08, 0x85},
		"a number of 65 bits":    {0x1a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02},
		"a number that is zero":  {0x1a, 2, 0x08, 0},
		"a body of a later kind": {0x5a, 2, 0x08, 5},
	} {
		if _, err := Decode(slices.Concat(body, rest)); (err == nil) != (what == "") {
			t.Errorf("%q: %v", what, err)
		}
	}
	if r, err := Decode((&Record{Sequence: 1, At: -1, Body: &AdvertiserTerms{Advertiser: 5}}).Encode()); err == nil {
		t.Errorf("a stamp before 1970 decodes: %+v", r)
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range bodies() {
		f.Add((&Record{Sequence: 1, At: 2, Body: body}).Encode())
	}
	f.Add((&Record{Sequence: 3, At: 4, Body: anEvent()}).Encode())
	f.Add((&Record{Body: &Terms{Campaign: 1, Coupons: []Coupon{{Host: 1, Total: 2}, {}}}}).Encode())
	f.Add((&Record{Body: &Credit{Charges: []uint64{1, 300}, Amounts: []hexbid.Money{5, 1 << 40}}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) { checkCanonical(t, b) })
}

// anEvent is a click as a real token brings it.
func anEvent() *Event {
	award := token.Award{RequestID: "4f1d2c3b-request", Campaign: 7_000_001, Advertiser: 5_000_001, Price: 1_234_567,
		Slot: 1, Host: hexbid.WeChat, Scene: 2, Cell: 0x87_283_472_ffffff, MarketVersion: 12, ClientID: "nearby-gateway",
		HasViewer: true, Viewer: [16]byte{1, 2, 3}, IssuedAt: time.UnixMilli(1_795_000_000_000),
		ClickExpiry: time.UnixMilli(1_795_001_800_000), Basis: auction.Basis{Mechanism: hexbid.MechanismGSP,
			Pricing: hexbid.CPC, Bid: 2_000_000,
			MultiplierPPM: 900_000, QualityPPM: 31_000, Reserve: 20_000_000_000, Increment: 10_000, Next: 38_000_000_000,
			Factors: []int64{1_000_000}}}
	name := token.Name{Issuer: token.Issuer{9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1}, Sequence: 123_456}
	return &Event{Kind: hexbid.Click, Token: name, EventID: HashEventID(name, hexbid.Click, "e-1"), Award: AwardOf(&award)}
}

// TestRecordsHoldNothingOfAViewer encodes the same event of two viewers, in two cells.
func TestRecordsHoldNothingOfAViewer(t *testing.T) {
	encode := func(change func(*token.Award)) []byte {
		award := token.Award{Campaign: 1, Advertiser: 2, Price: 3, HasViewer: true, Viewer: [16]byte{1}, Cell: 4}
		change(&award)
		e := anEvent()
		e.Award = AwardOf(&award)
		return (&Record{Sequence: 1, Body: e}).Encode()
	}
	one := encode(func(a *token.Award) {})
	for what, change := range map[string]func(*token.Award){
		"another viewer": func(a *token.Award) { a.Viewer = [16]byte{2} },
		"no viewer":      func(a *token.Award) { a.Viewer, a.HasViewer = [16]byte{}, false },
		"another cell":   func(a *token.Award) { a.Cell = 5 },
	} {
		if !bytes.Equal(encode(change), one) {
			t.Errorf("a record differs with %s", what)
		}
	}
	if bytes.Equal(encode(func(a *token.Award) { a.Price = 4 }), one) {
		t.Error("a record does not hold the price: this test sees nothing")
	}
}

func TestAnEventIDIsItsTokensAlone(t *testing.T) {
	name := token.Name{Sequence: 1}
	seen := map[[16]byte]bool{}
	for _, id := range [][16]byte{HashEventID(name, hexbid.Click, "a"), HashEventID(name, hexbid.Click, "b"),
		HashEventID(name, hexbid.Impression, "a"), HashEventID(token.Name{Sequence: 2}, hexbid.Click, "a"),
		HashEventID(token.Name{Issuer: token.Issuer{1}, Sequence: 1}, hexbid.Click, "a")} {
		if seen[id] {
			t.Errorf("%x stands for two events", id)
		}
		seen[id] = true
	}
}

// TestRecordsCountMechanismsFromGSP: records of earlier programs are read, and receipts hash the same bytes.
func TestRecordsCountMechanismsFromGSP(t *testing.T) {
	for mechanism, want := range map[hexbid.Mechanism][]byte{hexbid.MechanismGSP: nil,
		hexbid.MechanismVCG: {13 << 3, 1}, hexbid.MechanismFirstPrice: {13 << 3, 2}} {
		a := Award{Basis: auction.Basis{Mechanism: mechanism}}
		written := codec{}
		if a.fields(&written); !bytes.Equal(written.bytes, want) {
			t.Errorf("%s is written as %v, want %v", mechanism, written.bytes, want)
		}
		var got Award
		read := codec{bytes: want, decoding: true}
		if got.fields(&read); got.Basis.Mechanism != mechanism {
			t.Errorf("%v is read as %s, want %s", want, got.Basis.Mechanism, mechanism)
		}
	}
}
