package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
)

var writeGolden = flag.Bool("write-golden", false,
	"write the golden files that are missing; one that is there is never written over")

// golden are resources with every field that they had when their files were written.
// A field that is added later stays out of them: what is on disks today must decode
// for ever.
var golden = map[string]hexbid.Resource{
	"advertiser": &hexbid.Advertiser{Meta: goldenMeta("advertisers/tea", 1), DisplayName: "茶里 Tea House",
		State: hexbid.Paused},
	"program": &hexbid.Program{
		Meta: goldenMeta("advertisers/tea/programs/order", 2), DisplayName: "茶里点单",
		AlternativeNames: []string{"Tea Order", "茶裡點單"}, Category: 1, Hosts: []hexbid.Host{hexbid.WeChat, hexbid.Alipay},
		OS: []hexbid.OS{hexbid.IOS, hexbid.HarmonyOS}, MinimumAge: 14, Path: "pages/index",
		IconURI: "https://tea.example/icon.png", Keywords: []string{"奶茶", "tea"},
	},
	"place": &hexbid.Place{
		Meta: goldenMeta("advertisers/tea/programs/order/places/west-lake", 3), DisplayName: "西湖店",
		Point: hexbid.Point{Lat: 30.2489634, Lng: 120.1551456}, Address: "杭州市西湖区北山街 1 号", OpeningHours: "10:00–22:00",
		Review: hexbid.Approved,
	},
	"campaign": goldenCampaign(),
}

func goldenMeta(name string, uid hexbid.UID) hexbid.Meta {
	at := time.Date(2026, 11, 22, 8, 30, 0, 123456789, time.UTC)
	return hexbid.Meta{Name: name, UID: uid, Version: 40 + uint64(uid), CreatedAt: at, UpdatedAt: at.Add(time.Hour)}
}

func goldenCampaign() *hexbid.Campaign {
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	return &hexbid.Campaign{
		Meta: goldenMeta("advertisers/tea/campaigns/winter", 4), DisplayName: "冬季 winter",
		Program: "advertisers/tea/programs/order", State: hexbid.Active, Pricing: hexbid.CPM, Bid: 30_000_000,
		DailyBudget: 500_000_000, TotalBudget: 9_000_000_000, Pacing: 2, Start: at, End: at.Add(24 * time.Hour),
		TimeZone: "Asia/Urumqi", Hours: []hexbid.WeeklyHours{{Day: 1, Start: 7, End: 10}, {Day: 7, Start: 0, End: 24}},
		Area: hexbid.Area{
			AroundPlacesM: 1500, Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 30.25, Lng: 120.15}, RadiusM: 800}},
			Cells: []uint64{0x89309ab36abffff}, Regions: []string{"330100"},
			Polygons: []hexbid.Polygon{{square(30, 0.1), reversed(square(30, 0.05))}}, Everywhere: true,
		},
		Excluded: hexbid.Area{Polygons: []hexbid.Polygon{{square(31, 0.3)}}, Regions: []string{"110000"}},
		Audience: hexbid.Audience{
			Ages: []hexbid.AgeRange{{Min: 18, Max: 30}}, Genders: []hexbid.Gender{hexbid.Female},
			OS: []hexbid.OS{hexbid.Android}, Hosts: []hexbid.Host{hexbid.WeChat}, Scenes: []hexbid.Scene{hexbid.NearbyList},
			Networks: []hexbid.Network{hexbid.FiveG}, Interests: []hexbid.Category{1}, NotInterests: []hexbid.Category{2},
			Credit: []hexbid.CreditBand{hexbid.Credit700AndAbove}, Residences: []hexbid.Residence{hexbid.Visitor},
			IncludeUnknown: []hexbid.Dimension{1, 4},
		},
		Cap: hexbid.FrequencyCap{Impressions: 3, Window: 24 * time.Hour, ServeUncapped: true},
		Creatives: []hexbid.Creative{{Host: hexbid.WeChat, Title: "暖冬奶茶", Promotion: "第二杯半价", Path: "pages/winter",
			ImageURI: "https://tea.example/w.png", Coupon: &hexbid.Coupon{Text: "减 5 元", Terms: "满 20", ValidUntil: at,
				TotalCount: 1000}}, {Title: "Tea"}},
		HostBids: []hexbid.HostBid{{Host: hexbid.Alipay, MultiplierPPM: 1_200_000}},
		Keywords: []hexbid.Keyword{{Text: "奶茶", Match: 2}, {Text: "咖啡", Match: 3, Negative: true}},
	}
}

// goldenRecord is a record of a resource as an engine writes it, with all that an
// envelope has.
func goldenRecord(r hexbid.Resource) *diskpb.Record {
	m := Pack(r)
	m.Refers = []string{"advertisers/tea"}
	m.Counts = []*diskpb.Count{{Owner: "advertisers/tea", Counter: 1, By: 8, TimesOwner: "advertisers/tea/programs/order",
		TimesCounter: 3}, {Owner: "advertisers/tea", Counter: 1, By: -2}}
	return m
}

func TestGoldenRecordsAreReadAndWrittenForEver(t *testing.T) {
	for name, want := range golden {
		m := goldenRecord(want)
		now, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		now = AppendNumbers(now, want.Metadata().UID, want.Metadata().Version)
		kept := goldenFile(t, name, now)
		if !bytes.Equal(kept, now) {
			t.Errorf("%s is encoded otherwise than it was:\n%x\n%x", name, now, kept)
		}
		decoded := new(diskpb.Record)
		if err := proto.Unmarshal(kept, decoded); err != nil {
			t.Fatal(err)
		}
		if got, err := Unpack(decoded); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
		if got, err := UnpackResource(kept); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s, the resource alone: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
		m.Uid, m.Version = uint64(want.Metadata().UID), want.Metadata().Version
		if !proto.Equal(m, decoded) {
			t.Errorf("%s has another envelope: %v", name, decoded)
		}
	}
}

func TestGoldenVerdictsAreReadAndWrittenForEver(t *testing.T) {
	want := Verdict{State: hexbid.Hidden, At: time.Date(2026, 11, 23, 9, 0, 0, 5, time.UTC),
		Of: *golden["place"].(*hexbid.Place), Version: 44}
	now, err := proto.MarshalOptions{Deterministic: true}.Marshal(PackVerdict(&want))
	if err != nil {
		t.Fatal(err)
	}
	kept := goldenFile(t, "verdict", now)
	decoded := new(diskpb.Verdict)
	if err := proto.Unmarshal(kept, decoded); err != nil || !bytes.Equal(kept, now) {
		t.Fatalf("%v\n%x\n%x", err, now, kept)
	}
	if got, err := UnpackVerdict(decoded); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
}

func TestGoldenChangesAreReadForEver(t *testing.T) {
	place := goldenRecord(golden["place"])
	want := &diskpb.Change{At: fromInstant(time.Date(2026, 11, 23, 9, 0, 0, 5, time.UTC)), Who: "operator",
		From: "127.0.0.1:50000", Version: 45, Previous: bytes.Repeat([]byte{0xab}, 32),
		Entries: []*diskpb.Entry{{Name: golden["place"].Metadata().Name, Before: place, UidBefore: 3,
			VerdictBefore: &diskpb.Verdict{State: 2, Of: Pack(golden["place"]), Version: 44}},
			{Name: "advertisers/tea", UidAfter: 9}}}
	now, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	kept, decoded := goldenFile(t, "change", now), new(diskpb.Change)
	if err := proto.Unmarshal(kept, decoded); err != nil || !proto.Equal(decoded, want) || !bytes.Equal(kept, now) {
		t.Errorf("%v\ngot  %v\nwant %v", err, decoded, want)
	}
}

// goldenFile is what a file has that was written when the format was made.
func goldenFile(t *testing.T, name string, now []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *writeGolden {
		text = []byte(lines(hex.EncodeToString(now)))
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	kept, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// lines breaks a text into lines of 96.
func lines(text string) (out string) {
	for len(text) > 96 {
		out, text = out+text[:96]+"\n", text[96:]
	}
	return out + text + "\n"
}
