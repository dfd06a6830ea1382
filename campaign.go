package hexbid

import (
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Campaign buys clicks or impressions for a program.
type Campaign struct {
	Meta
	DisplayName string
	Program     string // resource name
	State       ServingState
	Pricing     PricingModel
	Bid         Money
	DailyBudget Money
	TotalBudget Money // 0 means no limit
	Pacing      Pacing
	Goal        Goal
	TargetCost  Money     // of a click on average, with GoalTargetCost alone
	Start, End  time.Time // zero means unbounded; End is excluded
	TimeZone    string    // IANA; empty means DefaultTimeZone
	Hours       []WeeklyHours
	Area        Area
	Excluded    Area
	Audience    Audience
	Cap         FrequencyCap
	Creatives   []Creative
	HostBids    []HostBid
	Keywords    []Keyword
}

// Keyword is a word or a phrase that a campaign competes on. A Negative keyword keeps the campaign out of the searches
// that match it.
type Keyword struct {
	Text     string
	Match    KeywordMatch
	Negative bool
}

// DefaultTimeZone is the zone of a campaign that names none.
const DefaultTimeZone = "Asia/Shanghai"

// WeeklyHours is a run of whole hours on one day of the week, in the campaign's time zone.
type WeeklyHours struct {
	Day        int // 1 Monday … 7 Sunday
	Start, End int // hours; End is excluded
}

// Area is the union of its shapes.
type Area struct {
	AroundPlacesM float64 // metres around each approved place of the program; 0 means not used
	Circles       []Circle
	Cells         []uint64 // H3 indexes
	Regions       []string // adcodes
	Polygons      []Polygon
	Everywhere    bool
}

// Circle is a disc on the sphere of EarthRadiusM.
type Circle struct {
	Center  Point
	RadiusM float64
}

// Audience restricts who sees a campaign, dimension by dimension. An empty dimension admits everyone.
type Audience struct {
	Ages           []AgeRange
	Genders        []Gender
	OS             []OS
	Hosts          []Host
	Scenes         []Scene
	Networks       []Network
	Interests      []Category // the viewer has one of them
	NotInterests   []Category // the viewer has none of them
	Credit         []CreditBand
	Residences     []Residence
	IncludeUnknown []Dimension
}

// AgeRange is a range of ages in years. Both ends are included.
type AgeRange struct{ Min, Max int }

// FrequencyCap limits the impressions that one user gets. Impressions 0 means no limit.
type FrequencyCap struct {
	Impressions   int
	Window        time.Duration // any window of this length; 0 is for ever
	ServeUncapped bool          // serve viewers too whose history is not known
}

// MaxCapImpressions is the most impressions that a cap may admit.
const MaxCapImpressions = 1000

// Creative is what a viewer sees of a campaign. A creative with Host 0 serves every host that has none of its own.
type Creative struct {
	Host                             Host
	Title, Promotion, Path, ImageURI string
	Coupon                           *Coupon // nil when the creative has none
}

// Coupon is an offer that a creative carries. A viewer can take it once.
type Coupon struct {
	Text, Terms string
	ValidUntil  time.Time // excluded
	TotalCount  int64
}

// MaxCoupons is the most coupons that a creative may offer.
const MaxCoupons = 1_000_000_000

// IsEmpty reports whether the area has no shape at all.
func (a *Area) IsEmpty() bool {
	return a.AroundPlacesM == 0 && len(a.Circles) == 0 && len(a.Cells) == 0 && len(a.Regions) == 0 &&
		len(a.Polygons) == 0 && !a.Everywhere
}

// OnlyAroundPlaces reports whether the area consists of the surroundings of the program's places alone.
func (a *Area) OnlyAroundPlaces() bool {
	rest := *a
	rest.AroundPlacesM = 0
	return a.AroundPlacesM > 0 && rest.IsEmpty()
}

// GoesAroundPlaces reports whether the program's places decide where the campaign serves.
func (c *Campaign) GoesAroundPlaces() bool {
	return c.Area.AroundPlacesM > 0 || c.Excluded.AroundPlacesM > 0
}

// CreativeFor returns the creative for a host. If the host has none of its own it returns the one without a host, or
// the zero Creative if there is none either.
func (c *Campaign) CreativeFor(host Host) Creative {
	var fallback Creative
	for _, creative := range c.Creatives {
		if creative.Host == host {
			return creative
		}
		if creative.Host == HostUnknown {
			fallback = creative
		}
	}
	return fallback
}

// Validate implements Resource.
func (c *Campaign) Validate() error {
	return JoinErrors(
		checkText("campaign.display_name", c.DisplayName, 1, maxNameBytes),
		c.validateProgram(),
		checkEnum("campaign.state", c.State, StateCount, true),
		c.validateMoney(),
		checkEnum("campaign.pacing", c.Pacing, PacingCount, true),
		c.validateGoal(),
		c.validateSchedule(),
		c.validateAreas(),
		c.Audience.validate(),
		c.Cap.validate("campaign.frequency_cap"),
		c.validateCreatives(),
		c.validateKeywords(),
	)
}

func (c *Campaign) validateProgram() error {
	name, err := ParseNameOf(KindProgram, "campaign.program", c.Program)
	if err != nil {
		return err
	}
	if own, err := ParseName(c.Name); err == nil && own.Advertiser != name.Advertiser {
		return Invalidf("campaign.program",
			"%q belongs to another advertiser: a campaign buys for its own advertiser's programs", c.Program)
	}
	return nil
}

func (c *Campaign) validateSchedule() error {
	var flight error
	if !c.Start.IsZero() && !c.End.IsZero() && !c.End.After(c.Start) {
		flight = Invalidf("campaign.end_time", "%s is not after start_time %s", c.End.Format(time.RFC3339),
			c.Start.Format(time.RFC3339))
	}
	_, zone := c.Location()
	return JoinErrors(checkInstant("campaign.start_time", c.Start), checkInstant("campaign.end_time", c.End), flight, zone,
		c.validateHours())
}

func (c *Campaign) validateHours() error {
	if len(c.Hours) > 7*24 {
		return Invalidf("campaign.weekly_hours", "has %d entries: at most 168", len(c.Hours))
	}
	var errs []error
	for _, h := range c.Hours {
		if h.Day < 1 || h.Day > 7 {
			errs = append(errs, Invalidf("campaign.weekly_hours.day",
				"%d is not a day: use 1 for Monday to 7 for Sunday", h.Day))
		}
		if h.Start < 0 || h.End > 24 || h.Start >= h.End {
			errs = append(errs, Invalidf("campaign.weekly_hours",
				"%d to %d is not a run of hours: start 0 to 23, end above start and at most 24", h.Start, h.End))
		}
	}
	return JoinErrors(errs...)
}

// Location returns the campaign's time zone.
func (c *Campaign) Location() (*time.Location, error) {
	zone := c.TimeZone
	if zone == "" {
		zone = DefaultTimeZone
	}
	return TimeZone("campaign.time_zone", zone)
}

// TimeZone finds a time zone by its IANA name. It refuses names that mean the zone of this machine, or no zone. The
// error names the field.
func TimeZone(field, name string) (*time.Location, error) {
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, Invalidf(field, "%q is not a time zone: use an IANA name such as %s", Shorten(name), DefaultTimeZone)
	}
	zones.Store(name, loc)
	return loc, nil
}

// zones caches the time zones loaded so far, because loading one reads a file. There are some hundreds at most.
var zones sync.Map

func (c *Campaign) validateAreas() error {
	var empty, whole error
	if c.Area.IsEmpty() {
		empty = Invalidf("campaign.area",
			"is empty: name circles, h3_cells, regions, polygons, around_places_m or everywhere")
	}
	if c.Excluded.Everywhere {
		whole = Invalidf("campaign.excluded_area.everywhere", "excludes the whole world: leave it out, or pause the campaign")
	}
	return JoinErrors(empty, c.Area.validate("campaign.area"), whole, c.Excluded.validate("campaign.excluded_area"))
}

// Limits of a circle's radius in metres.
const (
	MinCircleM = 10
	MaxCircleM = 10_000_000
)

func (a *Area) validate(field string) error {
	var around error
	if a.AroundPlacesM != 0 && !(a.AroundPlacesM >= MinCircleM && a.AroundPlacesM <= MaxCircleM) {
		around = Invalidf(field+".around_places_m", "%v is out of range: use %d to %d metres",
			a.AroundPlacesM, MinCircleM, MaxCircleM)
	}
	if len(a.Circles) > 1000 || len(a.Cells) > 1000 || len(a.Regions) > 400 {
		return JoinErrors(around, Invalidf(field, "has %d circles, %d cells and %d regions: at most 1000, 1000 and 400",
			len(a.Circles), len(a.Cells), len(a.Regions)))
	}
	errs := []error{around, validatePolygons(field+".polygons", a.Polygons)}
	for _, circle := range a.Circles {
		errs = append(errs, circle.Center.Validate(field+".circles"))
		if !(circle.RadiusM >= MinCircleM && circle.RadiusM <= MaxCircleM) {
			errs = append(errs, Invalidf(field+".circles.radius_m", "%v is out of range: use %d to %d metres", circle.RadiusM,
				MinCircleM, MaxCircleM))
		}
	}
	return JoinErrors(errs...)
}

func (a *Audience) validate() error {
	const field = "campaign.audience."
	return JoinErrors(
		a.validateAges(field+"ages"),
		checkEnums(field+"genders", a.Genders, GenderCount, 0),
		checkEnums(field+"operating_systems", a.OS, OSCount, 0),
		checkEnums(field+"hosts", a.Hosts, HostCount, 0),
		checkEnums(field+"scenes", a.Scenes, SceneCount, 0),
		checkEnums(field+"networks", a.Networks, NetworkCount, 0),
		checkEnums(field+"interests", a.Interests, CategoryCount, 0),
		checkEnums(field+"excluded_interests", a.NotInterests, CategoryCount, 0),
		checkEnums(field+"credit_bands", a.Credit, CreditBandCount, 0),
		checkEnums(field+"residences", a.Residences, ResidenceCount, 0),
		checkEnums(field+"include_unknown", a.IncludeUnknown, DimensionCount, 0),
	)
}

func (a *Audience) validateAges(field string) error {
	if len(a.Ages) > 20 {
		return Invalidf(field, "has %d ranges: at most 20", len(a.Ages))
	}
	var errs []error
	for _, r := range a.Ages {
		if r.Min < 0 || r.Max > MaxAge || r.Min > r.Max {
			errs = append(errs, Invalidf(field, "%d to %d is not a range of ages: use 0 to %d, the youngest first", r.Min, r.Max,
				MaxAge))
		}
	}
	return JoinErrors(errs...)
}

// validate refuses a cap that counts nothing. Its error names the field.
func (f *FrequencyCap) validate(field string) error {
	if *f == (FrequencyCap{}) {
		return nil
	}
	var window error
	if f.Window != 0 && (f.Window < time.Hour || f.Window > 30*24*time.Hour) {
		window = Invalidf(field+".window", "%s is out of range: use one hour to 30 days, or leave it out for ever", f.Window)
	}
	return JoinErrors(checkRange(field+".impressions", f.Impressions, 1, MaxCapImpressions), window)
}

// validateGoal refuses a goal that the campaign's bids cannot follow.
func (c *Campaign) validateGoal() error {
	known := checkEnum("campaign.goal", c.Goal, GoalCount, true)
	byClick := c.Goal == GoalTargetCost || c.Goal == GoalMostClicks
	var pricing, pacing, target error
	if byClick && c.Pricing != CPC {
		pricing = Invalidf("campaign.goal", "is about clicks: only a campaign that pays by click has it")
	}
	if byClick && c.Pacing == PaceThrottle {
		pacing = Invalidf("campaign.pacing", "THROTTLE keeps the full bid, and the goal lowers it: use EVEN or ASAP")
	}
	switch {
	case c.Goal != GoalTargetCost && c.TargetCost != 0:
		target = Invalidf("campaign.target_cost_micros", "goes with the goal TARGET_COST alone: leave it out")
	case c.Goal == GoalTargetCost && (c.TargetCost <= 0 || c.TargetCost > c.Bid):
		target = Invalidf("campaign.target_cost_micros", "%s is out of range: use more than 0 and at most the bid, %s",
			c.TargetCost, c.Bid)
	}
	return JoinErrors(known, pricing, pacing, target)
}

func (c *Campaign) validateCreatives() error {
	const field = "campaign.creatives."
	var seen [HostCount]bool
	var errs []error
	for i := range c.Creatives {
		creative := &c.Creatives[i]
		errs = append(errs, creative.validate(field))
		if creative.Host >= HostCount {
			continue
		}
		if seen[creative.Host] {
			errs = append(errs, Invalidf(field+"host", "%s has two creatives: give one per host", creative.Host))
		}
		seen[creative.Host] = true
	}
	return JoinErrors(errs...)
}

func (c *Creative) validate(field string) error {
	promotion := checkText(field+"promotion", c.Promotion, 0, maxNameBytes)
	if n := utf8.RuneCountInString(c.Promotion); promotion == nil && n > 10 {
		promotion = Invalidf(field+"promotion", "%q has %d characters: at most 10", c.Promotion, n)
	}
	return JoinErrors(
		checkEnum(field+"host", c.Host, HostCount, true),
		checkText(field+"title", c.Title, 0, 120),
		promotion,
		checkText(field+"path", c.Path, 0, maxURIBytes),
		checkText(field+"image_uri", c.ImageURI, 0, maxURIBytes),
		c.Coupon.validate(field+"coupon."))
}

func (c *Coupon) validate(field string) error {
	if c == nil {
		return nil
	}
	var count error
	until := checkInstant(field+"valid_until_time", c.ValidUntil)
	if c.ValidUntil.IsZero() {
		until = Invalidf(field+"valid_until_time", "is missing: a coupon is valid until some instant")
	}
	if c.TotalCount < 1 || c.TotalCount > MaxCoupons {
		count = Invalidf(field+"total_count", "%d is out of range: use 1 to %d", c.TotalCount, int64(MaxCoupons))
	}
	return JoinErrors(checkText(field+"text", c.Text, 1, 60), checkText(field+"terms", c.Terms, 0, 500), until, count)
}

func (c *Campaign) validateKeywords() error {
	if len(c.Keywords) > 200 {
		return Invalidf("campaign.keywords", "has %d entries: at most 200", len(c.Keywords))
	}
	var errs []error
	for i := range c.Keywords {
		errs = append(errs, c.Keywords[i].validate("campaign.keywords."))
	}
	return JoinErrors(errs...)
}

func (k *Keyword) validate(field string) error {
	text := checkText(field+"text", k.Text, 1, 80)
	letterOrDigit := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	if text == nil && !strings.ContainsFunc(k.Text, letterOrDigit) {
		text = Invalidf(field+"text", "%q has no letter and no digit: nothing could match it", k.Text)
	}
	return JoinErrors(text, checkEnum(field+"match", k.Match, MatchCount, true))
}
