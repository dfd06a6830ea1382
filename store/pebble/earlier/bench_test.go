package earlier

import (
	"testing"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/wire"
)

// typical is a campaign as most are: a circle, a few numbers, a creative.
func typical() *hexbid.Campaign {
	return &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a1234/campaigns/c56789", UID: 1_234_567,
		Version: 2_345_678}, DisplayName: "campaign 56789", Program: "advertisers/a1234/programs/p1234", State: hexbid.Active,
		Pricing: hexbid.CPC, Bid: 1_200_000, DailyBudget: 100_000_000,
		Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 30.251234, Lng: 120.151234},
			RadiusM: 1834}}},
		Audience:  hexbid.Audience{Ages: []hexbid.AgeRange{{Min: 18, Max: 35}}, OS: []hexbid.OS{hexbid.IOS}},
		Creatives: []hexbid.Creative{{Title: "A cup of tea", Promotion: "半价"}}}
}

// BenchmarkDecode compares a start's decoding, of the earlier formats and of the
// present one, without coverings.
func BenchmarkDecode(b *testing.B) {
	encoding := must(cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode())
	before, err := encoding.Marshal(struct {
		Noun hexbid.Resource `cbor:"noun"`
	}{typical()})
	if err != nil {
		b.Fatal(err)
	}
	m := wire.Pack(typical())
	m.Refers = []string{"advertisers/a1234", "advertisers/a1234/programs/p1234"}
	m.Counts = []*diskpb.Count{{Owner: "advertisers/a1234/programs/p1234", Counter: 5, By: 1},
		{Owner: "advertisers/a1234", Counter: 1, By: 9}}
	now, err := proto.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	now = wire.AppendNumbers(now, 1_234_567, 2_345_678)
	b.Logf("%d bytes then, %d now", len(before), len(now))
	b.Run("earlier", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeRecord(hexbid.KindCampaign, before); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("resource", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.UnpackResource(now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("present", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := new(diskpb.Record)
			if err := proto.Unmarshal(now, m); err != nil {
				b.Fatal(err)
			}
			if _, err := wire.Unpack(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
