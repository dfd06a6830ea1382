package targeting

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

func drawSome[T ~uint8](t *rapid.T, label string, count T) []T {
	if rapid.IntRange(0, 2).Draw(t, label+"?") > 0 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) T {
		return T(rapid.IntRange(1, int(count)-1).Draw(t,
			label))
	}),
		1, int(count)-1, rapid.ID[T]).Draw(t, label+"s")
}

func drawCampaign(t *rapid.T) (*hexbid.Campaign, *hexbid.Program) {
	c, p := &hexbid.Campaign{}, &hexbid.Program{Category: hexbid.Category(rapid.IntRange(1, 16).Draw(t, "category"))}
	p.Hosts = append(drawSome(t, "programHost", hexbid.HostCount), hexbid.WeChat)
	p.OS = drawSome(t, "programOS", hexbid.OSCount)
	p.MinimumAge = rapid.SampledFrom([]int{0, 0, 0, 14, 18}).Draw(t, "minimumAge")
	a := &c.Audience
	for range rapid.IntRange(0, 2).Draw(t, "ranges") {
		low := rapid.IntRange(0, hexbid.MaxAge).Draw(t, "low")
		a.Ages = append(a.Ages, hexbid.AgeRange{Min: low, Max: rapid.IntRange(low, hexbid.MaxAge).Draw(t, "high")})
	}
	a.Genders = drawSome(t, "gender", hexbid.GenderCount)
	a.OS = drawSome(t, "os", hexbid.OSCount)
	a.Hosts = drawSome(t, "host", hexbid.HostCount)
	a.Scenes = drawSome(t, "scene", hexbid.SceneCount)
	a.Networks = drawSome(t, "network", hexbid.NetworkCount)
	a.Interests = drawSome(t, "interest", hexbid.CategoryCount)
	a.NotInterests = drawSome(t, "notInterest", hexbid.CategoryCount)
	a.Credit = drawSome(t, "credit", hexbid.CreditBandCount)
	a.Residences = drawSome(t, "residence", hexbid.ResidenceCount)
	a.IncludeUnknown = drawSome(t, "unknown", hexbid.DimensionCount)
	for range rapid.IntRange(0, 3).Draw(t, "keywords") {
		c.Keywords = append(c.Keywords, hexbid.Keyword{Text: rapid.SampledFrom(vocabulary).Draw(t, "keyword"),
			Match: hexbid.KeywordMatch(rapid.IntRange(0, 3).Draw(t, "match")), Negative: rapid.Bool().Draw(t, "negative")})
	}
	p.DisplayName = rapid.SampledFrom(vocabulary).Draw(t, "name")
	c.Cap.Impressions = rapid.IntRange(0, 1).Draw(t, "cap")
	c.Cap.ServeUncapped = rapid.Bool().Draw(t, "uncapped")
	return c, p
}

var vocabulary = []string{"牛肉面", "面", "coffee", "咖啡 coffee", "hot pot", "火锅", "滷肉飯", "ＣＯＦＦＥＥ", "pot"}

func drawWords(t *rapid.T) *Words {
	w := ParseWords(strings.Join(rapid.SliceOfN(rapid.SampledFrom(vocabulary), 0, 3).Draw(t, "words"), " "))
	return &w
}

func gated(c *hexbid.Campaign, p *hexbid.Program) Rule {
	audience, gate := Compile(c), Gate(p)
	return audience.And(&gate)
}

func drawProfile(t *rapid.T) Profile {
	return ProfileOf(drawRequest(t), hexbid.Residence(rapid.IntRange(0, 2).Draw(t, "rResidence")), drawWords(t))
}

func drawRequest(t *rapid.T) *hexbid.Request {
	return &hexbid.Request{
		Host:            hexbid.Host(rapid.IntRange(0, int(hexbid.HostCount)-1).Draw(t, "rHost")),
		Scene:           hexbid.Scene(rapid.IntRange(0, int(hexbid.SceneCount)-1).Draw(t, "rScene")),
		Category:        hexbid.Category(rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(t, "rCategory")),
		Personalization: hexbid.Personalization(rapid.IntRange(0, 2).Draw(t, "rPersonal")),
		Viewer: hexbid.Viewer{
			UserKey: rapid.SampledFrom([]string{"", "u"}).Draw(t, "key"), Age: rapid.IntRange(-1, hexbid.MaxAge).Draw(t, "age"),
			Gender: hexbid.Gender(rapid.IntRange(0, 2).Draw(t, "rGender")), OS: hexbid.OS(rapid.IntRange(0, 4).Draw(t, "rOS")),
			Network:   hexbid.Network(rapid.IntRange(0, 4).Draw(t, "rNetwork")),
			Interests: drawSome(t, "rInterest", hexbid.CategoryCount),
			Credit:    hexbid.CreditBand(rapid.IntRange(0, 5).Draw(t, "rCredit")),
		},
	}
}

func TestABlockMatchesAsItsRulesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := make([]*Rule, rapid.IntRange(1, BlockSize).Draw(t, "n"))
		for i := range rules {
			c, p := drawCampaign(t)
			r := gated(c, p)
			rules[i] = &r
		}
		block := CompileBlock(rules)
		for range 8 {
			profile := drawProfile(t)
			alive := rapid.Uint64().Draw(t, "alive") & (1<<len(rules) - 1)
			if len(rules) == 64 {
				alive = rapid.Uint64().Draw(t, "alive64")
			}
			got := block.Match(&profile, alive)
			for i, r := range rules {
				want := alive>>i&1 == 1 && r.Matches(&profile)
				if got>>i&1 == 1 != want {
					t.Fatalf("rule %d of %d: block says %v, rule says %v", i, len(rules), !want, want)
				}
			}
		}
	})
}

func TestNothingPersonalDecidesWithoutPersonalisation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := drawCampaign(t)
		rule := gated(c, p)
		one, other := drawRequest(t), drawRequest(t)
		one.Personalization, other.Personalization = hexbid.PersonalizationOff, hexbid.PersonalizationOff
		other.Host, other.Scene, other.Category = one.Host, one.Scene, one.Category
		other.Viewer.OS, other.Viewer.Network = one.Viewer.OS, one.Viewer.Network
		a, b := ProfileOf(one, hexbid.Resident, &Words{}), ProfileOf(other, hexbid.Visitor, &Words{})
		if rule.Matches(&a) != rule.Matches(&b) {
			t.Fatalf("%+v and %+v differ", one, other)
		}
		audience := &c.Audience
		names := len(audience.Ages)+len(audience.Genders)+len(audience.Interests)+len(audience.NotInterests)+
			len(audience.Credit)+len(audience.Residences) > 0
		if rule.Matches(&a) && (names || c.Cap.Impressions > 0 && !c.Cap.ServeUncapped) {
			t.Fatal("a campaign that names something personal takes part")
		}
	})
}

func TestUnknownValues(t *testing.T) {
	program := &hexbid.Program{Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}
	unknown := ProfileOf(&hexbid.Request{Viewer: hexbid.Viewer{Age: hexbid.AgeUnknown}}, hexbid.ResidenceUnknown, &Words{})
	for _, c := range []struct {
		name     string
		audience hexbid.Audience
		want     bool
	}{
		{"nobody named", hexbid.Audience{}, true},
		{"age named", hexbid.Audience{Ages: []hexbid.AgeRange{{Min: 0, Max: 120}}}, false},
		{"age named, unknown included", hexbid.Audience{Ages: []hexbid.AgeRange{{Min: 18, Max: 30}},
			IncludeUnknown: []hexbid.Dimension{hexbid.DimAge}}, true},
		{"unknown included of another dimension", hexbid.Audience{Ages: []hexbid.AgeRange{{Min: 18, Max: 30}},
			IncludeUnknown: []hexbid.Dimension{hexbid.DimGender}}, false},
		{"host named", hexbid.Audience{Hosts: []hexbid.Host{hexbid.WeChat}}, false},
	} {
		rule := gated(&hexbid.Campaign{Audience: c.audience}, program)
		if got := rule.Matches(&unknown); got != c.want {
			t.Errorf("%s: an unknown viewer matches: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestExcludedInterestsShutOutWhoHasAny(t *testing.T) {
	rule := gated(&hexbid.Campaign{Audience: hexbid.Audience{NotInterests: []hexbid.Category{hexbid.Games,
		hexbid.Finance}}},
		&hexbid.Program{Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}})
	for _, c := range []struct {
		has  []hexbid.Category
		want bool
	}{{nil, false}, {[]hexbid.Category{hexbid.Travel}, true}, {[]hexbid.Category{hexbid.Travel, hexbid.Games}, false},
		{[]hexbid.Category{hexbid.Finance}, false}} {
		p := ProfileOf(&hexbid.Request{Viewer: hexbid.Viewer{Age: 30, Interests: c.has}}, hexbid.ResidenceUnknown, &Words{})
		if rule.Matches(&p) != c.want {
			t.Errorf("a viewer who likes %v matches: %v, want %v", c.has, !c.want, c.want)
		}
	}
}

func TestAMinimumAgeNeedsAKnownAge(t *testing.T) {
	gate := Gate(&hexbid.Program{Category: hexbid.Games, Hosts: []hexbid.Host{hexbid.WeChat}, MinimumAge: 18})
	for age, want := range map[int]bool{hexbid.AgeUnknown: false, 17: false, 18: true, 120: true} {
		p := ProfileOf(&hexbid.Request{Viewer: hexbid.Viewer{Age: age}}, hexbid.ResidenceUnknown, &Words{})
		if gate.Matches(&p) != want {
			t.Errorf("age %d may open it: %v, want %v", age, !want, want)
		}
	}
}

func TestHoursFollowTheCampaignsZone(t *testing.T) {
	c := &hexbid.Campaign{TimeZone: "Asia/Shanghai", Hours: []hexbid.WeeklyHours{{Day: 1, Start: 0, End: 2},
		{Day: 7, Start: 23, End: 24}},
		Start: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	s, err := CompileSchedule(c)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{
		"2026-11-15T14:59:59Z": false, // Sunday 22:59:59 in Shanghai
		"2026-11-15T15:00:00Z": true,  // Sunday 23:00
		"2026-11-15T16:30:00Z": true,  // Monday 00:30
		"2026-11-15T18:00:00Z": false, // Monday 02:00
		"2026-12-06T16:30:00Z": false, // Monday 00:30, after the end
	} {
		instant, _ := time.Parse(time.RFC3339, at)
		if s.On(instant) != want {
			t.Errorf("on at %s: %v, want %v", at, !want, want)
		}
	}
}

func TestHoursOverDaylightSavingChanges(t *testing.T) {
	s, err := CompileSchedule(&hexbid.Campaign{TimeZone: "America/New_York",
		Hours: []hexbid.WeeklyHours{{Day: 7, Start: 1, End: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	hoursOn := func(from string) (n int) {
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		for quarter := range 24 * 4 {
			if s.On(at.Add(time.Duration(quarter) * Quarter)) {
				n++
			}
		}
		return n
	}
	// 8 March 2026: two o'clock becomes three. 1 November: one o'clock comes twice.
	for from, quarters := range map[string]int{"2026-03-01T05:00:00Z": 8, "2026-03-08T05:00:00Z": 4,
		"2026-11-01T04:00:00Z": 12, "2026-11-08T05:00:00Z": 8} {
		if got := hoursOn(from); got != quarters {
			t.Errorf("on the Sunday from %s it serves %d quarter hours, want %d", from, got, quarters)
		}
	}
}

func TestAQuarterIsReadAheadAsItsInstants(t *testing.T) {
	zones := []string{"Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"}
	rapid.Check(t, func(t *rapid.T) {
		quarter := time.Unix(900*rapid.Int64Range(1_900_000, 2_000_000).Draw(t, "quarter"), 0)
		c := &hexbid.Campaign{TimeZone: rapid.SampledFrom(zones).Draw(t, "zone")}
		for range rapid.IntRange(0, 4).Draw(t, "runs") {
			start := rapid.IntRange(0, 23).Draw(t, "start")
			c.Hours = append(c.Hours, hexbid.WeeklyHours{Day: rapid.IntRange(1, 7).Draw(t, "day"), Start: start,
				End: rapid.IntRange(start+1, 24).Draw(t, "end")})
		}
		if rapid.Bool().Draw(t, "starts") {
			c.Start = quarter.Add(time.Duration(rapid.IntRange(-1200, 1200).Draw(t, "startAt")) * time.Second)
		}
		if rapid.Bool().Draw(t, "ends") {
			c.End = quarter.Add(time.Duration(rapid.IntRange(-1200, 1200).Draw(t, "endAt")) * time.Second)
		}
		s, err := CompileSchedule(c)
		if err != nil {
			t.Fatal(err)
		}
		some, all := s.DuringQuarter(quarter)
		sawOn, sawOff := false, false
		for at := quarter; at.Before(quarter.Add(Quarter)); at = at.Add(time.Second) {
			if s.On(at) {
				sawOn = true
			} else {
				sawOff = true
			}
		}
		if sawOn && !some || sawOff && all || c.End.IsZero() && c.Start.IsZero() && some != sawOn {
			t.Fatalf("%s: some %v, all %v; saw on %v, off %v", quarter, some, all, sawOn, sawOff)
		}
	})
}

func TestFoldMakesWidthCaseAndTraditionalCharactersEqual(t *testing.T) {
	if got := Fold("ＳＴＡＲbucks 星巴克Ｃafé 滷肉飯餐廳"); got != "starbucks 星巴克café 卤肉饭餐厅" {
		t.Errorf("got %q", got)
	}
}

func TestTokensCutHanCharactersAndRuns(t *testing.T) {
	if got := Tokens("  KFC肯德基, Café-Bar 24h! "); !slices.Equal(got,
		[]string{"kfc", "肯", "德", "基", "café", "bar", "24h"}) {
		t.Errorf("got %q", got)
	}
}

func TestKeywordsMeetWords(t *testing.T) {
	for _, c := range []struct {
		keyword string
		match   hexbid.KeywordMatch
		words   string
		want    bool
	}{
		{"牛肉面", hexbid.MatchBroad, "附近牛肉面馆", true},
		{"牛肉面", hexbid.MatchBroad, "牛 肉面", true}, // a viewer's spaces mean nothing between Han characters
		{"牛肉面", hexbid.MatchBroad, "面 牛肉", false},
		{"面 牛肉", hexbid.MatchBroad, "牛肉面", true}, // the advertiser's do
		{"面 牛肉", hexbid.MatchPhrase, "牛肉面", false},
		{"beef noodles", hexbid.MatchBroad, "noodles with beef", true},
		{"beef noodles", hexbid.MatchPhrase, "noodles with beef", false},
		{"beef noodles", hexbid.MatchPhrase, "hot BEEF Noodles near me", true},
		{"beef noodles", hexbid.MatchExact, "hot beef noodles", false},
		{"beef noodles", hexbid.MatchExact, "Ｂeef  noodles!", true},
		{"off", hexbid.MatchBroad, "coffee", false}, // whole words
		{"滷肉飯", hexbid.MatchExact, "卤肉饭", true},
		{"coffee 咖啡", hexbid.MatchBroad, "咖啡店 coffee", true},
	} {
		k := CompileKeywords([]hexbid.Keyword{{Text: c.keyword, Match: c.match}})
		w := ParseWords(c.words)
		if got := k.Compete(&w, ""); got != c.want {
			t.Errorf("%q (match %d) meets %q: %v, want %v", c.keyword, c.match, c.words, got, c.want)
		}
	}
}

// TestASignatureNeverShutsOutWhatCompetes: the bits of tokens may let through
// too much, never too little; rows say what the signatures say.
func TestASignatureNeverShutsOutWhatCompetes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := drawWords(t)
		if words.None() {
			return
		}
		signatures := make([]Signature, rapid.IntRange(1, BlockSize).Draw(t, "n"))
		for i := range signatures {
			c, program := drawCampaign(t)
			keywords, text := CompileKeywords(c.Keywords), NewText(program.DisplayName, program.Category.Chinese())
			signatures[i] = SignatureOf(keywords, text)
			if keywords.Compete(words, text) && !signatures[i].MayCompete(words) {
				t.Fatalf("%+v of %q competes on %q, and its signature shuts it out", c.Keywords, program.DisplayName, words.tokens)
			}
		}
		matching := CompileWordRows(signatures).Match(words, 1<<len(signatures)-1)
		for i, s := range signatures {
			if matching>>i&1 == 1 != s.MayCompete(words) {
				t.Fatalf("signature %d of %d: the rows say %v", i, len(signatures), !s.MayCompete(words))
			}
		}
	})
}

func TestAMaskAdmitsAsItsRuleDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := drawCampaign(t)
		rule := gated(c, p)
		mask := rule.Mask()
		audience, gate := Compile(c), Gate(p)
		if joined, ok := audience.Mask().And(gate.Mask()); ok && joined != mask {
			t.Fatalf("%+v of %+v: masks join to %x, rules to %x", c.Audience, p, joined, mask)
		}
		if again := mask.Rule(); !mask.More() && again.Mask() != mask {
			t.Fatalf("%+v: mask %x makes a rule of mask %x", c.Audience, mask, again.Mask())
		}
		for range 8 {
			profile := drawProfile(t)
			want := profile.Want()
			matches, admits := rule.Matches(&profile), want.Admits(mask)
			if matches && !admits || admits && !matches && !mask.More() {
				t.Fatalf("%+v: the mask says %v (more: %v), the rule %v", c.Audience, admits, mask.More(), matches)
			}
			again := mask.Rule()
			missed, misses := rule.FirstMiss(&profile)
			if missedAgain, missesAgain := again.FirstMiss(&profile); !mask.More() &&
				(missed != missedAgain || misses != missesAgain) {
				t.Fatalf("%+v: the rule misses at %s, its mask's rule at %s", c.Audience, missed, missedAgain)
			}
		}
	})
}

func BenchmarkMatch64(b *testing.B) {
	rules := make([]*Rule, BlockSize)
	for i := range rules {
		r := gated(&hexbid.Campaign{Audience: hexbid.Audience{Ages: []hexbid.AgeRange{{Min: i % 30, Max: 30 + i}},
			Genders: []hexbid.Gender{hexbid.Gender(1 + i%2)}}},
			&hexbid.Program{Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}})
		rules[i] = &r
	}
	block := CompileBlock(rules)
	p := ProfileOf(&hexbid.Request{Viewer: hexbid.Viewer{Age: 30, Gender: hexbid.Female}, Host: hexbid.WeChat},
		hexbid.ResidenceUnknown, &Words{})
	for b.Loop() {
		block.Match(&p, ^uint64(0))
	}
}
