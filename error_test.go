package hexbid

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestEveryErrorOfARecordIsTold(t *testing.T) {
	c := &Campaign{Meta: Meta{Name: "advertisers/a/campaigns/c"}, Program: "advertisers/b/programs/p", Pricing: CPC,
		Bid: -1, TimeZone: "Mars/Olympus", Hours: []WeeklyHours{{Day: 9, Start: 5, End: 4}},
		Audience:  Audience{Ages: []AgeRange{{30, 18}, {-1, 3}}},
		Creatives: []Creative{{Promotion: "一二三四五六七八九十一", Coupon: &Coupon{}}}, Keywords: []Keyword{{Text: "!"}, {}},
		Cap: FrequencyCap{Impressions: 0, Window: time.Minute}}
	all, omitted := ErrorsOf(c.Validate())
	var fields []string
	for _, e := range all {
		fields = append(fields, e.Field)
	}
	want := []string{"campaign.display_name", "campaign.program", "campaign.bid_micros", "campaign.daily_budget_micros",
		"campaign.time_zone", "campaign.weekly_hours.day", "campaign.weekly_hours", "campaign.area",
		"campaign.audience.ages", "campaign.audience.ages", "campaign.frequency_cap.impressions",
		"campaign.frequency_cap.window", "campaign.creatives.promotion", "campaign.creatives.coupon.text",
		"campaign.creatives.coupon.valid_until_time", "campaign.creatives.coupon.total_count", "campaign.keywords.text",
		"campaign.keywords.text"}
	if !slices.Equal(fields, want) || omitted != 0 {
		t.Errorf("got %q and %d more, want %q", fields, omitted, want)
	}
}

func TestAThousandErrorsAreTwentyAndACount(t *testing.T) {
	c := &Campaign{DisplayName: "c", Program: "advertisers/a/programs/p", Pricing: CPC, Bid: 1_000_000,
		DailyBudget: 1_000_000}
	for range 1000 {
		c.Area.Circles = append(c.Area.Circles, Circle{})
	}
	err := c.Validate()
	if all, omitted := ErrorsOf(err); len(all) != MaxErrors || omitted != 1000-MaxErrors {
		t.Errorf("%d errors and %d more", len(all), omitted)
	}
	if KindOf(err) != Invalid || len(err.Error()) > 200 {
		t.Errorf("kind %d, %q", KindOf(err), err)
	}
}

func TestAFieldThatCouldNotBeReadIsNotSaidToBeMissing(t *testing.T) {
	unread := JoinErrors(Invalidf("campaign.pricing_model", "77 is not a known value"),
		Invalidf("campaign.area.polygons", "is not GeoJSON"))
	found := JoinErrors(Invalidf("campaign.pricing_model", "is not stated"), Invalidf("campaign.area", "is empty"),
		Invalidf("campaign.display_name", "is empty"),
		Invalidf("campaign.area_of", "is another field"))
	if all, _ := ErrorsOf(WithoutFields(found, unread)); len(all) != 2 || all[0].Field != "campaign.display_name" {
		t.Errorf("left: %v", all)
	}
	if JoinErrors(nil, nil) != nil || WithoutFields(nil, unread) != nil {
		t.Error("nothing is an error")
	}
}

func TestNoErrorsCostNoMemory(t *testing.T) {
	request := &Request{RadiusM: 1, Viewer: Viewer{Age: 30}}
	if n := testing.AllocsPerRun(100, func() {
		if request.Validate() != nil {
			t.Fatal("it is valid")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnEndedContextIsToldAsSuch(t *testing.T) {
	for ended, kind := range map[error]ErrorKind{context.Canceled: Canceled, context.DeadlineExceeded: DeadlineExceeded,
		errors.New("x"): Internal} {
		err := fmt.Errorf("reading: %w", ended)
		all, _ := ErrorsOf(JoinErrors(nil, err))
		if KindOf(err) != kind || len(all) != 1 || all[0].Kind != kind || !errors.Is(all[0], ended) ||
			(all[0].Detail == "") != (kind == Internal) {
			t.Errorf("%v is of kind %d and told as %v", err, KindOf(err), all)
		}
	}
}
