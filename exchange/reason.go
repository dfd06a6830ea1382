package exchange

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/targeting"
)

// reasonOf contrasts what a campaign or its program demands with what the request has. It returns an empty string when
// the verdict alone says it all.
func reasonOf(v *bidder.Verdict, c *hexbid.Campaign, p *hexbid.Program, r *hexbid.Request, now time.Time) string {
	switch v.Rule {
	case bidder.RuleSchedule:
		return flightReason(c, now)
	case bidder.RuleHours:
		return hoursReason(c, now)
	case bidder.RuleCategory:
		return fmt.Sprintf("the request wants %s, its program is in %s", r.Category, p.Category)
	case bidder.RuleProgram:
		return programReason(v.Dimension, p, r)
	case bidder.RulePersonal:
		return personalReason(c, r)
	case bidder.RuleAudience:
		return audienceReason(v.Dimension, &c.Audience, r)
	case bidder.RuleWords:
		return wordsReason(c, r.Words)
	}
	return ""
}

// flightReason says when a campaign's flight begins or ended; empty while it lasts.
func flightReason(c *hexbid.Campaign, now time.Time) string {
	switch {
	case !c.Start.IsZero() && now.Before(c.Start):
		return "its flight begins at " + c.Start.UTC().Format(time.RFC3339)
	case !c.End.IsZero() && !now.Before(c.End):
		return "its flight ended at " + c.End.UTC().Format(time.RFC3339)
	}
	return ""
}

func hoursReason(c *hexbid.Campaign, now time.Time) string {
	zone, err := c.Location()
	if err != nil {
		return "" // stored zones are known
	}
	return fmt.Sprintf("it does not serve at this hour of the week: it is %s in %s",
		now.In(zone).Format("Monday 15:04"), zone)
}

// programReason contrasts what the program demands of every viewer with what the request has.
func programReason(d targeting.Dim, p *hexbid.Program, r *hexbid.Request) string {
	switch d {
	case targeting.Host:
		return fmt.Sprintf("the request is from %s, its program runs on %s", r.Host, list(p.Hosts))
	case targeting.OS:
		return fmt.Sprintf("the viewer's system is %s, its program supports %s", r.Viewer.OS, list(p.OS))
	}
	return fmt.Sprintf("the viewer's age is %s, its program asks for a known age of %d or more", ageOf(r), p.MinimumAge)
}

// personalReason says why the request is not personal, and what personal demand the campaign makes.
func personalReason(c *hexbid.Campaign, r *hexbid.Request) string {
	if r.Personalized() {
		return "it caps frequency without serve_uncapped, and the request has no user key to count by"
	}
	why := "the request is without personalization"
	if r.Personalization != hexbid.PersonalizationOff {
		why = "a viewer under 14 gets nothing personal"
	}
	named := personalIn(&c.Audience)
	if c.Cap.Impressions > 0 && !c.Cap.ServeUncapped {
		named = append(named, "a frequency cap without serve_uncapped")
	}
	return fmt.Sprintf("%s, and it names %s", why, strings.Join(named, ", "))
}

// personalIn lists the personal dimensions that an audience restricts.
func personalIn(a *hexbid.Audience) (named []string) {
	for _, d := range []struct {
		name   string
		values int
	}{
		{"ages", len(a.Ages)}, {"genders", len(a.Genders)}, {"interests", len(a.Interests) + len(a.NotInterests)},
		{"credit bands", len(a.Credit)}, {"residences", len(a.Residences)},
	} {
		if d.values > 0 {
			named = append(named, d.name)
		}
	}
	return named
}

// audienceReason contrasts what the campaign demands with what the viewer has.
func audienceReason(d targeting.Dim, a *hexbid.Audience, r *hexbid.Request) string {
	v := &r.Viewer
	switch d {
	case targeting.Host:
		return fmt.Sprintf("the request is from %s, its audience is %s", r.Host, list(a.Hosts))
	case targeting.OS:
		return miss(d, v.OS, a.OS)
	case targeting.Gender:
		return miss(d, v.Gender, a.Genders)
	case targeting.Scene:
		return fmt.Sprintf("the viewer came by %s, its audience by %s", r.Scene, list(a.Scenes))
	case targeting.Network:
		return miss(d, v.Network, a.Networks)
	case targeting.CreditBand:
		return miss(d, v.Credit, a.Credit)
	case targeting.Residence:
		return fmt.Sprintf("the viewer's home region is %s, its audience is %s", cmp.Or(v.HomeRegion, "unknown"),
			list(a.Residences))
	case targeting.Age:
		return fmt.Sprintf("the viewer's age is %s, its audience is %s", ageOf(r), ageRanges(a.Ages))
	case targeting.Interest:
		return fmt.Sprintf("the viewer's interests are %s, its audience is %s", cmp.Or(list(v.Interests), "unknown"),
			list(a.Interests))
	}
	return fmt.Sprintf("the viewer's interests are %s, its audience is without %s", cmp.Or(list(v.Interests), "unknown"),
		list(a.NotInterests))
}

// wordsReason contrasts the campaign's keywords with the typed words.
func wordsReason(c *hexbid.Campaign, words string) string {
	var wanted, unwanted []string
	for _, k := range c.Keywords {
		if k.Negative {
			unwanted = append(unwanted, k.Text)
		} else {
			wanted = append(wanted, k.Text)
		}
	}
	reason := fmt.Sprintf("its keywords (%s) do not match %q", strings.Join(wanted, ", "), words)
	switch {
	case words == "":
		return fmt.Sprintf("the viewer typed no words, its keywords are %s", strings.Join(wanted, ", "))
	case len(wanted) == 0:
		reason = fmt.Sprintf("the program's names, keywords and category do not have %q", words)
	}
	if len(unwanted) > 0 {
		reason += fmt.Sprintf(", or a negative one (%s) does", strings.Join(unwanted, ", "))
	}
	return reason
}

func miss[T fmt.Stringer](d targeting.Dim, has T, audience []T) string {
	return fmt.Sprintf("the viewer's %s is %s, its audience is %s", d, has, list(audience))
}

// ageOf returns the viewer's age as rules see it.
func ageOf(r *hexbid.Request) string {
	switch {
	case r.Viewer.Age == hexbid.AgeUnknown:
		return "unknown"
	case !r.Personalized():
		return "not to be used without personalization"
	}
	return strconv.Itoa(r.Viewer.Age)
}

func ageRanges(ages []hexbid.AgeRange) string {
	ranges := make([]string, len(ages))
	for i, g := range ages {
		ranges[i] = fmt.Sprintf("%d-%d", g.Min, g.Max)
	}
	return strings.Join(ranges, ", ")
}

func list[T fmt.Stringer](values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.String()
	}
	return strings.Join(names, ", ")
}
