package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// TestARowNeverCostsItsNeighbours puts rows that could not even be sent among good ones.
func TestARowNeverCostsItsNeighbours(t *testing.T) {
	s := boot(t, nil)
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("kind,name,display_name\n" +
		"advertiser,advertisers/a,面馆\nadvertiser,advertisers/b,西湖\nadvertiser,advertisers/c,联通\n")
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "gbk.csv", gbk+"advertiser,advertisers/d,\xff\n")
	code, out, errs := s.run(t, "", "apply", "-f", file)
	if code != 1 || !strings.Contains(out, "accepted 3 (3 new") ||
		!strings.Contains(errs, "gbk.csv:5: display_name: is neither UTF-8 nor GB18030") ||
		strings.Count(errs, "notice:") != 1 || !strings.Contains(errs, "gbk.csv:2: notice: the text is GB18030") ||
		!strings.Contains(errs, "(3 times, here first)") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	if out := s.mustRun(t, "", "get", "advertisers"); !strings.Contains(out, "面馆") || !strings.Contains(out, "联通") {
		t.Errorf("stored: %s", out)
	}
	large := "kind: advertiser\nname: advertisers/x\ndisplay_name: X\n---\nkind: advertiser\nname: " +
		"advertisers/y\ndisplay_name: " +
		strings.Repeat("y", 9<<20) + "\n---\nkind: advertiser\nname: advertisers/z\ndisplay_name: Z\n"
	code, out, errs = s.run(t, "", "apply", "-f", write(t, "large.yaml", large))
	if code != 1 || !strings.Contains(out, "accepted 2 (2 new") ||
		!strings.Contains(errs, "large.yaml:5: the server does not take its 94372") {
		t.Errorf("a row larger than a message: exit %d, %q, %.500q", code, out, errs)
	}
}

const manyErrors = `kind: campaign
name: advertisers/a/campaigns/c
program: advertisers/a/programs/missing
pricing: cpx
start: tomorrow
bid: 5000
daily_budget: 0
area: {circles: [30 120 1], regions: ["123456"]}
host_bids: [alipay 1200%]
`

func TestAllErrorsOfARowAreToldAtOnceInTheFilesWords(t *testing.T) {
	s := boot(t, nil)
	s.mustRun(t, goodDocuments, "apply", "-f", "-")
	file := write(t, "x.yaml", manyErrors)
	code, _, errs := s.run(t, "", "apply", "-f", file)
	for _, words := range []string{"x.yaml:4: pricing: ", "x.yaml:5: start: ", "x.yaml:1: display_name: is empty",
		"x.yaml:3: program: \"advertisers/a/programs/missing\" does not exist",
		"x.yaml:7: daily_budget: 0.00 does not pay for one event", "x.yaml:8: area.circles.radius_m: ",
		"x.yaml:8: area.regions: \"123456\""} {
		if code != 1 || !strings.Contains(errs, words) {
			t.Errorf("%q is not in\n%s", words, errs)
		}
	}
	for _, field := range []string{"pricing: ", "start: "} {
		if strings.Count(errs, field) != 1 {
			t.Errorf("%s is told twice:\n%s", field, errs)
		}
	}
	code, _, errs = s.run(t, "", "apply", "-f",
		write(t, "x.yaml", strings.NewReplacer("cpx", "cpc", "tomorrow", "2026-11-01T00:00:00+08:00").Replace(manyErrors)))
	if code != 1 || !strings.Contains(errs, "x.yaml:6: bid: 5000.00 is out of range: use 0.000001 to 1000.00 for cpc") ||
		strings.Contains(errs, "micros") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	err := create(func(c *pb.Campaign) { c.DisplayName, c.BidMicros, c.TimeZone = "", -1, "Mars" })(testContext(t), s)
	var fields []string
	for _, detail := range status.Convert(err).Details() {
		for _, v := range detail.(*errdetails.BadRequest).GetFieldViolations() {
			fields = append(fields, v.GetField())
		}
	}
	if want := []string{"campaign.display_name", "campaign.bid_micros",
		"campaign.time_zone"}; !reflect.DeepEqual(fields, want) {
		t.Errorf("the status names %q, want %q", fields, want)
	}
}

// uploadOfSeveralBatches returns an upload whose rows need rows of earlier batches. It also refers to a missing
// program, has names twice, and pauses an advertiser.
func uploadOfSeveralBatches() string {
	var b strings.Builder
	b.WriteString("kind,name,display_name,category,hosts,lat,lng,program,pricing,bid,daily_budget," +
		"area.around_places_m,state\n")
	b.WriteString("advertiser,advertisers/a,A,,,,,,,,,,\nadvertiser,advertisers/p,P,,,,,,,,,,paused\n")
	b.WriteString("program,advertisers/a/programs/p,P,catering,wechat,,,,,,,,\n" +
		"program,advertisers/p/programs/p,P,catering,wechat,,,,,,,,\n")
	for i := range 700 {
		fmt.Fprintf(&b, "place,advertisers/a/programs/p/places/l%d,,,,30.25,%f,,,,,,\n", i, 120+float64(i)/1000)
	}
	campaign := func(name, program string) {
		fmt.Fprintf(&b, "campaign,%s,C,,,,,%s,cpc,1,20,1000,\n", name, program)
	}
	campaign("advertisers/a/campaigns/good", "advertisers/a/programs/p")
	campaign("advertisers/a/campaigns/none", "advertisers/a/programs/missing")
	campaign("advertisers/p/campaigns/paused", "advertisers/p/programs/p")
	campaign("advertisers/x/campaigns/c", "advertisers/x/programs/p")
	b.WriteString("place,advertisers/a/programs/p/places/l5,,,,30.25,120.005000,,,,,,\n")
	b.WriteString("place,advertisers/a/programs/p/places/l6,,,,31,121,,,,,,\n")
	return b.String()
}

func TestADryRunSaysWhatTheRealRunDoes(t *testing.T) {
	s := boot(t, nil)
	file := write(t, "x.csv", uploadOfSeveralBatches())
	upload := func(args ...string) (map[string]any, string) {
		code, out, errs := s.run(t, "", append([]string{"apply", "-f", file, "-o", "json"}, args...)...)
		var summary map[string]any
		if err := json.Unmarshal([]byte(out), &summary); err != nil || code != 1 {
			t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
		}
		delete(summary, "dry_run")
		return summary, errs
	}
	dry, dryErrs := upload("--dry-run")
	if size := s.main.exchange.Size(); size.Places != 0 {
		t.Fatalf("the dry run stored %+v", size)
	}
	real, realErrs := upload()
	if !reflect.DeepEqual(dry, real) || dryErrs != realErrs {
		t.Errorf("the dry run said\n%v\n%s\nthen came\n%v\n%s", dry, dryErrs, real, realErrs)
	}
	if real["created"] != 706.0 || real["unchanged"] != 1.0 || real["rejected"] != 3.0 || real["serving"] != 1.0 ||
		real["not_serving"] != 1.0 {
		t.Errorf("%v", real)
	}
	for _, words := range []string{`x.csv:707: program: "advertisers/a/programs/missing" does not exist`,
		`x.csv:709: name: "advertisers/x" does not exist`,
		`x.csv:709: program: "advertisers/x/programs/p" does not exist`,
		"x.csv:711: name: \"advertisers/a/programs/p/places/l6\" stands twice in this upload, first at " + file + ":12",
		"x.csv:710: notice: stands twice in this upload, with equal content"} {
		if !strings.Contains(realErrs, words) {
			t.Errorf("%q is not in\n%s", words, realErrs)
		}
	}
}

func TestWhatGetPrintsAsYAMLAppliesUnchanged(t *testing.T) {
	s := boot(t, nil)
	s.mustRun(t, "", "apply", "-f", "../../docs/every-dimension.yaml", "-f", "testdata/every-field.yaml")
	var all string
	for _, kind := range []string{"advertisers", "programs", "places", "campaigns"} {
		all += s.mustRun(t, "", "get", kind, "-o", "yaml", "--page-size", "1") + "---\n"
	}
	version := s.main.exchange.Size().Version
	if out := s.mustRun(t, all, "apply", "-f", "-"); !strings.Contains(out, "accepted 7 (0 new, 0 changed, 7 unchanged)") {
		t.Errorf("%q\n%s", out, all)
	}
	if after := s.main.exchange.Size().Version; after != version {
		t.Errorf("it wrote version %d over %d", after, version)
	}
	one := s.mustRun(t, "", "get", "advertisers/every/campaigns/field", "-o", "yaml")
	if out := s.mustRun(t, one, "apply", "-f", "-"); !strings.Contains(out, "1 unchanged") {
		t.Errorf("%q\n%s", out, one)
	}
}

func TestPruneRemovesWhatIsGoneFromTheFilesOfAnAdvertiser(t *testing.T) {
	s := boot(t, nil)
	other := strings.ReplaceAll(goodDocuments, "advertisers/a", "advertisers/b")
	s.mustRun(t, goodDocuments+goodYAML("1")+strings.Replace(goodYAML("1"), "campaigns/c", "campaigns/old",
		1)+"---\n"+other, "apply", "-f", "-")
	file := write(t, "x.yaml", goodDocuments+goodYAML("1"))
	const old = "advertisers/a/campaigns/old"
	if out := s.mustRun(t, "", "apply", "-f", file, "--prune", "--dry-run"); !strings.Contains(out, "would delete "+old) ||
		strings.Count(out, "would delete") != 1 {
		t.Errorf("dry run: %q", out)
	}
	if code, out, errs := s.run(t, "", "apply", "-f", file, "--prune"); code != 1 || out != "" ||
		!strings.Contains(errs, "--yes") {
		t.Errorf("unasked: exit %d, %q, %q", code, out, errs)
	}
	if code, _, errs := s.run(t, "", "apply", "-f", write(t, "bad.yaml", goodDocuments+goodYAML("x")), "--prune",
		"--yes"); code != 1 || !strings.Contains(errs, "nothing was pruned") {
		t.Errorf("with a row in error: exit %d, %q", code, errs)
	}
	if out := s.mustRun(t, goodYAML("1"), "apply", "-f", "-", "--prune", "--yes"); strings.Contains(out, "deleted") {
		t.Errorf("a file without the advertiser's own row: %q", out)
	}
	s.mustRun(t, "", "get", old)
	if out := s.mustRun(t, "", "apply", "-f", file, "--prune", "--yes"); !strings.Contains(out, "deleted "+old) {
		t.Errorf("prune: %q", out)
	}
	if out := s.mustRun(t, "", "get", "campaigns"); strings.Contains(out, "old") || !strings.Contains(out, "campaigns/c") {
		t.Errorf("left: %s", out)
	}
	s.mustRun(t, "", "get", "advertisers/b/programs/p")
}

func TestDeleteCascadeShowsAndRemovesWhatNeedsAResource(t *testing.T) {
	s := boot(t, nil)
	smallCatalogue(t, testContext(t), s)
	if code, _, errs := s.run(t, "", "delete", "--cascade", "advertisers/a/programs/p"); code != 1 ||
		!strings.Contains(errs, "--yes") {
		t.Errorf("unasked: exit %d, %q", code, errs)
	}
	want := []any{"advertisers/a/campaigns/c", "advertisers/a/programs/p/places/l", "advertisers/a/programs/p",
		"advertisers/a"}
	for _, flag := range []string{"--dry-run", "--yes"} {
		code, out, errs := s.run(t, "", "delete", "--cascade", "advertisers/a", flag, "-o", "json")
		var told map[string]any
		if err := json.Unmarshal([]byte(out), &told); err != nil || code != 0 || !reflect.DeepEqual(told["deleted"], want) {
			t.Errorf("%s: exit %d, %v: %s%s", flag, code, err, out, errs)
		}
		if flag == "--yes" && !strings.Contains(errs, "1 campaign, 1 place, 1 program, 1 advertiser") {
			t.Errorf("it shows %q", errs)
		}
	}
	if code, out, errs := s.run(t, "", "delete", "advertisers/none", "advertisers/b/programs/p"); code != 1 ||
		!strings.Contains(out, "deleted advertisers/b/programs/p") || !strings.Contains(errs, "advertisers/none") {
		t.Errorf("one that is not there holds up the other: exit %d, %q, %q", code, out, errs)
	}
	if out := s.mustRun(t, "", "get", "programs"); strings.Contains(out, "advertisers/") {
		t.Errorf("left: %s", out)
	}
}

func TestRegionsAreListedAndAMunicipalityWorksByItsOwnCode(t *testing.T) {
	s := boot(t, nil)
	if out := s.mustRun(t, "", "regions", "hangzhou"); !strings.Contains(out, "330100") || !strings.Contains(out, "杭州") ||
		strings.Count(out, "\n") != 2 {
		t.Errorf("regions hangzhou: %s", out)
	}
	if out := s.mustRun(t, "", "regions", "浙江", "-o", "json"); strings.Count(out, `"adcode"`) != 12 {
		t.Errorf("regions of Zhejiang: %s", out)
	}
	folder := t.TempDir()
	square := `{"type":"Polygon","coordinates":[[[120,30],[121,30],[121,31],[120,31],[120,30]]]}`
	if err := os.WriteFile(filepath.Join(folder, "square.geojson"), []byte(square), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, goodDocuments, "apply", "-f", "-")
	row := "kind,name,display_name,program,pricing,bid,daily_budget,area.regions,area.polygons,hours\n" +
		`campaign,advertisers/a/campaigns/c,C,advertisers/a/programs/p,cpc,1,20,310100,@square.geojson; @square.geojson,22-2` + "\n"
	if err := os.WriteFile(filepath.Join(folder, "x.csv"), []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustRun(t, "", "apply", "-f", filepath.Join(folder, "x.csv"))
	out := s.mustRun(t, "", "get", "advertisers/a/campaigns/c", "-o", "yaml")
	if strings.Count(out, "Polygon") != 2 || !strings.Contains(out, "mon 22-24") ||
		!strings.Contains(out, "sun 22-24, mon 0-2") {
		t.Errorf("stored: %s", out)
	}
	if out := s.mustRun(t, "", "explain", "advertisers/a/campaigns/c", "--lat", "31.2304", "--lng",
		"121.4737"); strings.Contains(out, "outside its area") {
		t.Errorf("in Shanghai: %s", out)
	}
}
