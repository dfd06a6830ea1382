package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/cli"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// run runs a command line against a server, inside this process.
func (s *testServer) run(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(testContext(t), append(args, "--server", s.main.Address()),
		cli.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Version: "test"})
	return code, out.String(), errs.String()
}

func (s *testServer) mustRun(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	code, out, errs := s.run(t, stdin, args...)
	if code != 0 {
		t.Fatalf("hexbid %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryTemplateAppliesAsItIsAndTwiceChangesNothing(t *testing.T) {
	for _, format := range []string{"yaml", "jsonl", "csv"} {
		t.Run(format, func(t *testing.T) {
			s := boot(t, nil)
			file := write(t, "template."+format, s.mustRun(t, "", "apply", "--template", format))
			if out := s.mustRun(t, "", "apply", "-f", file, "--dry-run"); !strings.Contains(out,
				"nothing changed: would accept 4") {
				t.Errorf("dry run: %q", out)
			}
			if size := s.main.exchange.Size(); size.Programs != 0 {
				t.Errorf("the dry run stored %+v", size)
			}
			if out := s.mustRun(t, "", "apply", "-f", file); !strings.Contains(out,
				"accepted 4 (4 new, 0 changed, 0 unchanged), serving 1, not serving 0") {
				t.Errorf("first: %q", out)
			}
			version := s.main.exchange.Size().Version
			if out := s.mustRun(t, "", "apply", "-f", file); !strings.Contains(out,
				"accepted 4 (0 new, 0 changed, 4 unchanged)") {
				t.Errorf("second: %q", out)
			}
			if after := s.main.exchange.Size().Version; after != version {
				t.Errorf("the second time wrote version %d over %d", after, version)
			}
			out := s.mustRun(t, "", "search", "--lat", "30.2553", "--lng", "120.1640", "--age", "30", "--os",
				"ios", "--host", "wechat")
			if !strings.Contains(out, "满30减8") || !strings.Contains(out, "样板面馆") {
				t.Errorf("the ad does not show: %s", out)
			}
		})
	}
}

const goodDocuments = `kind: advertiser
name: advertisers/a
display_name: A
---
kind: program
name: advertisers/a/programs/p
display_name: P
category: catering
hosts: [wechat]
`

func goodYAML(bid string) string {
	return fmt.Sprintf(`---
kind: campaign
name: advertisers/a/campaigns/c
display_name: C
program: advertisers/a/programs/p
pricing: cpc
bid: %s
daily_budget: 20
area: {everywhere: true}
`, bid)
}

func TestARowInErrorIsNamedByFileLineAndField(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		words      []string
		accepted   int // good rows that were accepted all the same
	}{
		"1.2.3 yuan": {"x.yaml", goodDocuments + goodYAML("1.2.3"), []string{"x.yaml:16: bid: ", `"1.2.3"`, "1.20"},
			2},
		"negative money": {"x.yaml", goodDocuments + goodYAML("-1"), []string{"x.yaml:16: bid: ", `"-1"`}, 2},
		"overflowing money": {"x.yaml", goodDocuments + goodYAML("99999999999999999999"),
			[]string{"x.yaml:16: bid: ", "too large"}, 2},
		"a bid too high": {"x.yaml", goodDocuments + goodYAML("5000"),
			[]string{"x.yaml:16: bid: ", "5000.00 is out", "1000.00 for cpc"}, 2},
		"truncated YAML": {"x.yaml", goodDocuments + "---\nkind: campaign\nname: \"advertisers/a/camp",
			[]string{"x.yaml:1", "is not YAML"}, 2},
		"not YAML":    {"x.yaml", "kind: [unclosed", []string{"x.yaml:1: is not YAML"}, 0},
		"a bare word": {"x.yaml", "hello", []string{"x.yaml:1:", "mapping"}, 0},
		"unknown kind": {"x.yaml", "kind: shop\nname: advertisers/a",
			[]string{"x.yaml:1: kind: ", `"shop"`, "advertiser, program"}, 0},
		"unknown field": {"x.yaml", "kind: advertiser\nname: advertisers/a\ncolour: red",
			[]string{"x.yaml:3: colour: ", "not a field"}, 0},
		"no name": {"x.yaml", "kind: advertiser\ndisplay_name: A", []string{"x.yaml:1: name: ", "missing"}, 0},
		"bad name": {"x.yaml", "kind: advertiser\nname: advertisers/A B\ndisplay_name: A",
			[]string{"x.yaml:2: name: ", "a-z"}, 0},
		"unknown program": {"x.yaml", "kind: advertiser\nname: advertisers/a\ndisplay_name: A\n" + goodYAML("1"),
			[]string{"x.yaml:8: program: ", "create it first"}, 1},
		"bad circle": {"x.yaml", goodDocuments + strings.Replace(goodYAML("1"), "everywhere: true",
			"circles: [30 120]", 1), []string{"x.yaml:18: area.circles: ", "radius"}, 2},
		"bad hours": {"x.yaml", goodDocuments + goodYAML("1") + "hours: [funday 1-2]\n",
			[]string{"x.yaml:19: hours: ", "mon-fri 11-14"}, 2},
		"bad JSON line": {"x.jsonl", `{"kind": "advertiser", "name": "advertisers/a", "display_name": "A"}` +
			"\n{\"kind\": \n", []string{"x.jsonl:2:", "JSON"}, 1},
		"wrong CSV header": {"x.csv", "kind,name,colour\nadvertiser,advertisers/a,red\n",
			[]string{"x.csv:1:", `"colour"`, "--template csv"}, 0},
		"CSV without names": {"x.csv", "kind,display_name\nadvertiser,A\n", []string{"x.csv:1:", "name"}, 0},
		"a CSV row too long": {"x.csv", "kind,name,display_name\nadvertiser,advertisers/a,A,B\nadvertiser,advertisers/b,B\n",
			[]string{"x.csv:2:", "4 cells"}, 1},
		"a CSV cell": {"x.csv",
			"kind,name,display_name,bid\nadvertiser,advertisers/a,A,\ncampaign,advertisers/a/campaigns/c,C,1.2.3\n",
			[]string{"x.csv:3: bid: ", "1.2.3"}, 1},
		"nothing at all": {"x.yaml", "", []string{"hold no resource"}, 0},
		"invalid UTF-8": {"x.yaml", "kind: advertiser\nname: advertisers/a\ndisplay_name: \"\xff\"",
			[]string{"x.yaml:3: display_name: ", "UTF-8"}, 0},
		"a megabyte": {"x.yaml", "kind: advertiser\nname: advertisers/a\ndisplay_name: " + strings.Repeat("x", 1<<20),
			[]string{"x.yaml:3: display_name: ", "at most 200"}, 0},
		"unknown category": {"x.yaml", strings.Replace(goodDocuments, "catering", "cooking", 1),
			[]string{"x.yaml:8: category: ", `"cooking"`, "catering"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := boot(t, nil)
			code, out, errs := s.run(t, "", "apply", "-f", write(t, c.file, c.text))
			if code != 1 {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			for _, w := range c.words {
				if !strings.Contains(errs, w) {
					t.Errorf("%q does not say %q", errs, w)
				}
			}
			if want := fmt.Sprintf("accepted %d ", c.accepted); c.accepted > 0 && !strings.Contains(out, want) {
				t.Errorf("%q does not say %q", out, want)
			}
			if len(errs) > 2000 {
				t.Errorf("%d bytes of errors", len(errs))
			}
		})
	}
}

func TestPolygonsComeFromFilesMappingsAndText(t *testing.T) {
	s := boot(t, nil)
	s.mustRun(t, goodDocuments, "apply", "-f", "-")
	// clockwise, so it must be turned
	square := `{"type":"Polygon","coordinates":[[[120,30],[120,31],[121,31],[121,30],[120,30]]]}`
	file := write(t, "square.geojson", square)
	for _, form := range []string{"polygons: ['" + square + "']", "polygons: " + square, "polygons: [" + square + "]",
		"polygons: ['@" + file + "']", "polygons: '@" + file + "'"} {
		code, out, errs := s.run(t, strings.Replace(goodYAML("1.00"), "everywhere: true", form, 1), "apply", "-f", "-")
		if code != 0 || !strings.Contains(out, "accepted 1") ||
			!strings.Contains(errs, "notice: area.polygons: 1 rings wound the wrong way") {
			t.Errorf("%s: exit %d, %q, %q", form, code, out, errs)
		}
		if out := s.mustRun(t, "", "search", "--lat", "30.5", "--lng", "120.5"); !strings.Contains(out,
			"advertisers/a/campaigns/c") {
			t.Errorf("%s: the ad does not show inside: %s", form, out)
		}
		if out := s.mustRun(t, "", "explain", "advertisers/a/campaigns/c", "--lat", "31.01", "--lng",
			"120.5"); !strings.Contains(out, "1112 m outside its area") {
			t.Errorf("%s: outside: %s", form, out)
		}
	}
	code, _, errs := s.run(t, strings.Replace(goodYAML("1.00"), "everywhere: true",
		`polygons: '{"type":"Polygon","coordinates":[[[0,0],[3,2],[3,0],[0,1],[0,0]]]}'`, 1), "apply", "-f", "-")
	if code != 1 || !strings.Contains(errs, "area.polygons: ") || !strings.Contains(errs, "crosses itself") {
		t.Errorf("a bow tie: exit %d, %q", code, errs)
	}
}

func TestApplyReadsFoldersInAnyOrderAndStandardInput(t *testing.T) {
	s := boot(t, nil)
	dir := t.TempDir()
	for name, text := range map[string]string{"1-campaign.yaml": goodYAML("1.00"), "2-rest.yaml": goodDocuments,
		"notes.txt": "not a resource"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out := s.mustRun(t, "", "apply", "-f", dir); !strings.Contains(out, "accepted 3 (3 new") ||
		!strings.Contains(out, "serving 1,") {
		t.Errorf("the folder: %q", out)
	}
	paused := strings.Replace(goodYAML("1.00"), "daily_budget", "state: paused\ndaily_budget", 1)
	if out := s.mustRun(t, paused, "apply", "-f", "-"); !strings.Contains(out, "1 changed") ||
		!strings.Contains(out, "not serving 1: the campaign is paused (1)") {
		t.Errorf("standard input: %q", out)
	}
}

func TestCommandsThatReadAndChange(t *testing.T) {
	s := boot(t, func(c *ServeConfig) { c.ManualReview = true })
	smallCatalogue(t, testContext(t), s)
	const place = "advertisers/a/programs/p/places/l"
	if out := s.mustRun(t, "", "get", "places"); !strings.Contains(out, place) || !strings.Contains(out, "in_review") {
		t.Errorf("get places: %q", out)
	}
	if out := s.mustRun(t, "", "search", "--lat", "30.2553", "--lng", "120.1640"); !strings.Contains(out,
		"Nearby: nothing") {
		t.Errorf("a place in review shows: %q", out)
	}
	if out := s.mustRun(t, "", "approve", place); !strings.Contains(out, "is approved: 30.2") {
		t.Errorf("approve: %q", out)
	}
	if out := s.mustRun(t, "", "search", "--lat", "30.2653", "--lng", "120.1640", "--slots",
		"0"); !strings.Contains(out, "1.1 km") {
		t.Errorf("search: %q", out)
	}
	if out := s.mustRun(t, "", "search", "--lat", "30.2553", "--lng", "120.1640", "--trace"); !strings.Contains(out,
		"1 whose area holds the point") {
		t.Errorf("trace: %q", out)
	}
	if out := s.mustRun(t, "", "explain", "advertisers/a/campaigns/c", "--lat", "30.2853", "--lng",
		"120.1640"); !strings.Contains(out, "m outside its area") {
		t.Errorf("explain: %q", out)
	}
	if out := s.mustRun(t, "", "get", "advertisers/a/campaigns/c"); !strings.Contains(out, `"bid_micros"`) {
		t.Errorf("get: %q", out)
	}
	if code, _, errs := s.run(t, "", "delete", "advertisers/a/programs/p"); code != 1 ||
		!strings.Contains(errs, "delete that first") {
		t.Errorf("delete of what is needed: %d, %q", code, errs)
	}
	s.mustRun(t, "", "delete", "advertisers/a/campaigns/c", place, "advertisers/a/programs/p", "advertisers/a")
	if code, _, errs := s.run(t, "", "get", "advertisers/a"); code != 1 || !strings.Contains(errs, "does not exist") {
		t.Errorf("get of what is deleted: %d, %q", code, errs)
	}
	if code, _, errs := s.run(t, "", "search", "--lat", "91", "--lng", "0"); code != 1 ||
		!strings.Contains(errs, "location.latitude: 91") {
		t.Errorf("bad latitude: %d, %q", code, errs)
	}
	if code, _, errs := s.run(t, "", "search", "--lat", "30", "--lng", "0", "--host", "myspace"); code != 1 ||
		!strings.Contains(errs, "wechat") {
		t.Errorf("bad host: %d, %q", code, errs)
	}
	s.stop()
	if code, _, errs := s.run(t, "", "search", "--lat", "30", "--lng", "0"); code != 1 ||
		!strings.Contains(errs, "hexbid serve") {
		t.Errorf("no server: %d, %q", code, errs)
	}
}

func TestAnUploadTellsWhichPlacesDoNotShow(t *testing.T) {
	s := boot(t, func(c *ServeConfig) { c.ManualReview = true })
	smallCatalogue(t, testContext(t), s)
	const name = "advertisers/a/programs/p/places/l"
	place := func(text string) string {
		return "kind: place\nname: " + name + "\nlat: 30.2553\nlng: 120.1640\ndisplay_name: " + text
	}
	apply := func(text, want string, flags ...string) {
		t.Helper()
		code, out, errs := s.run(t, place(text), append([]string{"apply", "-f", "-"}, flags...)...)
		if told := strings.Contains(errs, "notice"); code != 0 || told != (want != "") || !strings.Contains(errs, want) {
			t.Errorf("%d\n%s%s: want %q", code, out, errs, want)
		}
	}
	const inReview, hidden = "-:1: notice: the place is in review: it shows once",
		"-:1: notice: the operator has hidden the place: it does not show"
	apply("A", inReview)
	s.mustRun(t, "", "approve", name)
	apply("A", "")
	apply("B", inReview, "--dry-run")
	apply("B", inReview)
	if out := s.mustRun(t, "", "approve", "--hide", name); !strings.Contains(out, `is hidden: 30.25530, 120.16400; "B"`) {
		t.Errorf("hide: %q", out)
	}
	s.mustRun(t, "", "delete", name)
	apply("C", hidden, "--dry-run")
	apply("C", hidden)
	if out := s.mustRun(t, "", "search", "--lat", "30.2553", "--lng", "120.1640"); !strings.Contains(out,
		"Nearby: nothing") {
		t.Errorf("a hidden place shows: %q", out)
	}
}

func TestAConfigFileTheEnvironmentAndFlagsFillOneConfig(t *testing.T) {
	file := write(t, "hexbid.yaml", `listen: 127.0.0.1:1
auction-budget: 7ms
minimum-bid-cpc: 0.50
cache-mb: 9
market:
  prior_ppm: {catering: 40000}
  reserves:
    - {host: alipay, category: finance, region: "330100", per_thousand: 12.5}
`)
	t.Setenv("HEXBID_CACHE_MB", "11")
	var got *ServeConfig
	env := cli.Env{Stdout: &bytes.Buffer{}, Stderr: os.Stderr,
		Commands: commands(func(_ context.Context, c *ServeConfig, _ func(string)) error { got = c; return nil })}
	if code := cli.Run(testContext(t), []string{"serve", "--config", file, "--listen", "127.0.0.1:2"}, env); code != 0 {
		t.Fatalf("exit %d", code)
	}
	market, err := got.BuildMarket()
	if err != nil {
		t.Fatal(err)
	}
	if got.Listen != "127.0.0.1:2" || got.CacheMB != 11 || got.AuctionBudget.Milliseconds() != 7 ||
		market.MinimumBidCPC != 500_000 || len(market.Priors) != 1 ||
		market.Priors[0].PPM != 40_000 || len(market.Reserves) != 1 || market.Reserves[0].PerThousand != 12_500_000 {
		t.Errorf("config %+v, market %+v", got, market)
	}
	for text, word := range map[string]string{"colour: red": "colour", "market: {colour: 1}": "colour",
		"market: {reserves: [{host: myspace}]}": "myspace",
		"market: 7":                             "market section", "auction-budget: soon": "soon", "cache-mb: [": "config",
		"drain-timeout: [1]": "drain-timeout"} {
		var errs bytes.Buffer
		env.Stderr = &errs
		env.Commands = commands(func(_ context.Context, c *ServeConfig, _ func(string)) error {
			_, err := c.BuildMarket()
			return err
		})
		if code := cli.Run(testContext(t), []string{"serve", "--config", write(t, "bad.yaml", text)}, env); code == 0 ||
			!strings.Contains(errs.String(), word) {
			t.Errorf("%q: exit %d, %q", text, code, errs.String())
		}
	}
}

// TestTheMinimumBidIsCheckedAtUpload uses the operator's setting.
func TestTheMinimumBidIsCheckedAtUpload(t *testing.T) {
	s := boot(t, func(c *ServeConfig) { c.MinimumBidCPC = 500_000 })
	smallCatalogue(t, testContext(t), s)
	err := create(func(c *pb.Campaign) { c.BidMicros = 499_999 })(testContext(t), s)
	if err == nil || !strings.Contains(err.Error(), "minimum of 500000") {
		t.Errorf("below the minimum: %v", err)
	}
}
