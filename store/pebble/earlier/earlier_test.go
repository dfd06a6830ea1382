package earlier

import (
	"archive/zip"
	"encoding/hex"
	"io"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/wire"
)

// folders are catalogues that the programs of their time wrote: an advertiser, a
// program, a place, a campaign with every field, one of a circle, and a place that was
// deleted. The last has verdicts, and a loss that was accepted.
var folders = []string{"format-1", "format-2-with-places", "format-2", "format-3"}

// content is what a folder has, by key.
func content(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files, err := zip.OpenReader(filepath.Join("testdata", folder+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open(filepath.Join(dir, "catalogue"),
		&pebble.Options{ReadOnly: true, Logger: quiet{log.New(io.Discard, "", 0)}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	iter, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	found := map[string][]byte{}
	for ok := iter.First(); ok; ok = iter.Next() {
		found[string(iter.Key())] = slices.Clone(iter.Value())
	}
	return found
}

type quiet struct{ *log.Logger }

func (q quiet) Infof(format string, args ...any)  { q.Printf(format, args...) }
func (q quiet) Errorf(format string, args ...any) { q.Printf(format, args...) }

// golden is a resource with every field, which package wire keeps a file of.
func golden(t *testing.T, name string, uid hexbid.UID, version uint64) hexbid.Resource {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "wire", "testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	m := new(diskpb.Record)
	if err == nil {
		err = proto.Unmarshal(encoded, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.Unpack(m)
	if err != nil {
		t.Fatal(err)
	}
	r.Metadata().UID, r.Metadata().Version = uid, version
	return r
}

func circle(t *testing.T) hexbid.Resource {
	meta := *golden(t, "campaign", 5, 4).Metadata()
	meta.Name = "advertisers/tea/campaigns/circle"
	return &hexbid.Campaign{Meta: meta, DisplayName: "circle", Program: "advertisers/tea/programs/order",
		Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 100_000_000,
		Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 30.25, Lng: 120.15}, RadiusM: 800}}}}
}

func TestRecordsOfEveryEarlierFormatAreRead(t *testing.T) {
	covering := []geoindex.Posting{{Key: 0x85309ab3fffffff, Touched: 0x7f},
		{Key: 0x87309ab36ffffff, Touched: 0x7f, Full: 5}}
	for _, folder := range folders {
		placeVersion := uint64(2)
		if folder == "format-3" {
			placeVersion = 7 // approved then
		}
		want := []hexbid.Resource{golden(t, "advertiser", 1, 1), golden(t, "program", 2, 2),
			golden(t, "place", 3, placeVersion), golden(t, "campaign", 4, 3), circle(t)}
		found := 0
		for key, value := range content(t, folder) {
			name, isRecord := strings.CutPrefix(key, "r/")
			if !isRecord {
				continue
			}
			found++
			r, err := DecodeRecord(hexbid.ResourceKind(name[0]), value)
			if err != nil {
				t.Fatalf("%s, %q: %v", folder, name, err)
			}
			at := slices.IndexFunc(want, func(r hexbid.Resource) bool { return r.Metadata().Name == name[1:] })
			if at < 0 || !reflect.DeepEqual(r.Resource, want[at]) {
				t.Errorf("%s, %q\ngot  %+v\nwant %+v", folder, name, r.Resource, want)
			}
			wantCovering := covering
			switch {
			case hexbid.ResourceKind(name[0]) != hexbid.KindCampaign, folder == "format-1",
				folder == "format-2-with-places" && !strings.HasSuffix(name, "circle"):
				wantCovering = nil
			}
			if !slices.Equal(r.Covering, wantCovering) {
				t.Errorf("%s, %q: covering %v", folder, name, r.Covering)
			}
		}
		if found != len(want) {
			t.Errorf("%s has %d records", folder, found)
		}
	}
}

func TestVerdictsAndLossesOfTheThirdFormatAreRead(t *testing.T) {
	keys := content(t, "format-3")
	at := time.Date(2026, 11, 23, 9, 0, 0, 5, time.UTC)
	v, err := DecodeVerdict(keys["v/advertisers/tea/programs/order/places/west-lake"])
	if want := (wire.Verdict{State: hexbid.Approved, At: at, Of: *golden(t, "place", 3, 2).(*hexbid.Place),
		Version: 7}); err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, v, want)
	}
	v, err = DecodeVerdict(keys["v/advertisers/tea/programs/order/places/gone"])
	if err != nil || v.State != hexbid.Hidden || !v.At.Equal(at.Add(time.Minute)) || v.Version != 8 ||
		v.Of.DisplayName != "旧店" || v.Of.UID != 6 {
		t.Errorf("%v: %+v", err, v)
	}
	losses, err := DecodeLosses(keys["m/losses"])
	if err != nil || len(losses) != 1 || losses[0].Acknowledged != 10 || losses[0].Found != 9 ||
		losses[0].At.Year() != 2026 || losses[0].What == "" {
		t.Errorf("%v: %+v", err, losses)
	}
}

func TestDamageIsAnError(t *testing.T) {
	for key, value := range content(t, "format-3") {
		if kind, isRecord := strings.CutPrefix(key, "r/"); isRecord {
			if _, err := DecodeRecord(hexbid.ResourceKind(kind[0]), value[:len(value)-1]); err == nil {
				t.Errorf("%q is read though its end is missing", key)
			}
		}
	}
	if _, err := DecodeRecord(9, nil); err == nil {
		t.Error("a record of a kind that there is not is read")
	}
	if _, err := DecodeVerdict([]byte{0xff}); err == nil {
		t.Error("a verdict that is damaged is read")
	}
	if _, err := DecodeLosses([]byte{0xff}); err == nil {
		t.Error("losses that are damaged are read")
	}
}
