package exchange

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// drawResource draws from few names and few contents, some of them in error,
// so that rows need, repeat and contradict each other.
func drawResource(t *rapid.T, prefix string) hexbid.Resource {
	advertiser := "advertisers/" + prefix + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "advertiser")
	program := advertiser + "/programs/" + rapid.SampledFrom([]string{"p", "q"}).Draw(t, "program")
	text := rapid.SampledFrom([]string{"x", "x", "y", strings.Repeat("z", 300)}).Draw(t, "text")
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		state := rapid.SampledFrom([]hexbid.ServingState{hexbid.Active, hexbid.Paused}).Draw(t, "state")
		return &hexbid.Advertiser{Meta: hexbid.Meta{Name: advertiser}, DisplayName: text, State: state}
	case 1:
		return &hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: text, Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}}
	case 2:
		return &hexbid.Place{Meta: hexbid.Meta{Name: program + "/places/l"}, DisplayName: text, Point: hub}
	}
	c := campaign(rapid.SampledFrom([]string{"c", "d"}).Draw(t, "id"))
	c.Name, c.Program, c.DisplayName = advertiser+"/campaigns/c", program, text
	return c
}

// copied makes nouns anew, for an upload stamps those it is given.
func copied(resources []hexbid.Resource) []Incoming {
	out := make([]Incoming, len(resources))
	for i, r := range resources {
		switch v := r.(type) {
		case *hexbid.Advertiser:
			c := *v
			out[i].Resource = &c
		case *hexbid.Program:
			c := *v
			out[i].Resource = &c
		case *hexbid.Place:
			c := *v
			out[i].Resource = &c
		case *hexbid.Campaign:
			c := *v
			out[i].Resource = &c
		}
	}
	return out
}

// upload runs batches and tells their outcomes, a line a row.
func upload(e *Exchange, batches [][]hexbid.Resource, validateOnly bool) (told []string) {
	u := newUpload(e, validateOnly)
	for _, batch := range batches {
		b, err := u.Prepare(ctx, copied(batch))
		if err != nil {
			panic(err)
		}
		b.Commit(ctx)
		for _, o := range b.Outcomes(ctx) {
			told = append(told, fmt.Sprintf("%s: %d %v %v %s %q", o.Resource.Metadata().Name, o.Action, o.Err, o.Serving,
				o.NotServingReason, o.Notices))
		}
	}
	return told
}

func TestADryRunTellsOfEachRowWhatTheRealRunWould(t *testing.T) {
	for _, manual := range []bool{false, true} {
		testDryRuns(t, open(t, func(c *Config) { c.ManualReview = manual }))
	}
}

func testDryRuns(t *testing.T, e *Exchange) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++ // each has advertisers of its own
		prefix := fmt.Sprintf("r%d-", round)
		batch := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) hexbid.Resource { return drawResource(rt, prefix) }), 1, 8)
		upload(e, [][]hexbid.Resource{batch.Draw(rt, "before")}, false)
		for _, id := range []string{"p", "q"} {
			verdict := rapid.SampledFrom([]hexbid.ReviewState{hexbid.InReview, hexbid.Approved, hexbid.Approved,
				hexbid.Hidden}).Draw(rt, "verdict")
			if _, err := e.Review(ctx, fmt.Sprintf("advertisers/%sa/programs/%s/places/l", prefix, id), store.AnyVersion,
				verdict); err != nil && hexbid.KindOf(err) != hexbid.NotFound {
				rt.Fatal(err)
			}
		}
		batches := rapid.SliceOfN(batch, 1, 4).Draw(rt, "batches")
		before := e.Size()
		dry := upload(e, batches, true)
		if after := e.Size(); after != before {
			rt.Fatalf("the dry run changed %+v to %+v", before, after)
		}
		for i, real := range upload(e, batches, false) {
			if dry[i] != real {
				rt.Errorf("row %d: the dry run said %q, then came %q, after %q", i, dry[i], real, dry[:i])
			}
		}
	})
}

func TestARowToldToBeInErrorIsJudgedAndNotStored(t *testing.T) {
	e := open(t, nil)
	fill(t, e)
	c := campaign("c")
	c.DisplayName, c.Program, c.Area = "", program+"-missing", hexbid.Area{Regions: []string{"1", "2"}}
	u := newUpload(e, false)
	b, err := u.Prepare(ctx, []Incoming{{Resource: campaign("d"), CheckOnly: true},
		{Resource: c, Err: hexbid.Invalidf("campaign.bid_micros", "could not be read")}})
	if err != nil {
		t.Fatal(err)
	}
	b.Commit(ctx)
	outcomes := b.Outcomes(ctx)
	if outcomes[0].Action != Created {
		t.Errorf("the checked row: %+v", outcomes[0])
	}
	all, _ := hexbid.ErrorsOf(outcomes[1].Err)
	var told strings.Builder
	for _, err := range all {
		fmt.Fprintln(&told, err)
	}
	for _, words := range []string{"campaign.bid_micros: could not", "campaign.display_name: is empty",
		`campaign.area.regions: "1"`, `campaign.area.regions: "2"`, `p-missing" does not exist`} {
		if !strings.Contains(told.String(), words) {
			t.Errorf("%q is not among\n%s", words, told.String())
		}
	}
	if size := e.Size(); size.Campaigns != 0 {
		t.Errorf("stored: %+v", size)
	}
}
