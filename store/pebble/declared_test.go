package pebble

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
)

// decodePlainly decodes a record as a message, and converts that.
func decodePlainly(kind hexbid.ResourceKind, value []byte) (store.Record, error) {
	m := new(diskpb.Record)
	if err := proto.Unmarshal(value, m); err != nil {
		return store.Record{}, err
	}
	return unpack(kind, m)
}

func TestWhatARecordDeclaresComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"", "advertisers/a", "advertisers/a/campaigns/c", "advertisers/a/programs/p",
			"advertisers/a/programs/other", "x"})
		r := store.Record{Resource: &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c", UID: 1, Version: 2},
			Program: "advertisers/a/programs/p"}}
		for range rapid.IntRange(0, 4).Draw(t, "references") {
			r.Refers = append(r.Refers, store.Reference{Name: names.Draw(t, "name")})
		}
		for range rapid.IntRange(0, 6).Draw(t, "counts") {
			r.Counts = append(r.Counts, store.Count{Owner: names.Draw(t, "owner"),
				Counter: store.Counter(rapid.Uint8().Draw(t, "counter")), By: rapid.Int64().Draw(t, "by"),
				TimesOwner: names.Draw(t, "times owner"), Times: store.Counter(rapid.Uint8().Draw(t, "times"))})
		}
		r.CompleteCounts()
		value, err := encode(&r)
		if err != nil {
			t.Fatal(err)
		}
		for _, decode := range []func(hexbid.ResourceKind, []byte) (store.Record, error){decode, decodePlainly} {
			if back, err := decode(hexbid.KindCampaign, value); err != nil || !reflect.DeepEqual(r, back) {
				t.Fatalf("%v\ngone %+v\ncame %+v", err, r, back)
			}
		}
	})
}

// FuzzDecodeDeclared compares with the plain form: what that decodes comes out the same.
func FuzzDecodeDeclared(f *testing.F) {
	declared := store.Declare(&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c", UID: 1, Version: 2},
		Program: "advertisers/a/programs/p", Area: hexbid.Area{AroundPlacesM: 100}}, 3)
	value, err := encode(&declared)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Fuzz(func(t *testing.T, value []byte) {
		fast, err := decode(hexbid.KindCampaign, value)
		plain, plainErr := decodePlainly(hexbid.KindCampaign, value)
		if plainErr != nil || err != nil {
			return
		}
		if !reflect.DeepEqual(fast.Refers, plain.Refers) || len(fast.Counts) != len(plain.Counts) {
			t.Errorf("%+v\n%+v", fast, plain)
		}
	})
}

// BenchmarkDecode decodes a campaign as a start does, and plainly.
func BenchmarkDecode(b *testing.B) {
	c := store.Declare(&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a1234/campaigns/c56789", UID: 1, Version: 2},
		Program: "advertisers/a1234/programs/p1234", Area: hexbid.Area{AroundPlacesM: 500,
			Circles: []hexbid.Circle{{RadiusM: 300}}}, Creatives: []hexbid.Creative{{Title: "A cup of tea"}}}, 8)
	value, err := encode(&c)
	if err != nil {
		b.Fatal(err)
	}
	for name, decode := range map[string]func(hexbid.ResourceKind, []byte) (store.Record, error){"start": decode,
		"plainly": decodePlainly} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(hexbid.KindCampaign, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
