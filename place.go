package hexbid

import (
	"math"
	"time"
)

// Meta holds what every resource of the catalogue has.
type Meta struct {
	Name      string    // resource name
	UID       UID       // never used twice
	Version   uint64    // version of the commit that last wrote it; the etag
	CreatedAt time.Time // UTC
	UpdatedAt time.Time // UTC
}

// Metadata returns the Meta of a resource.
func (m *Meta) Metadata() *Meta { return m }

// Resource is an Advertiser, a Program, a Place or a Campaign of the catalogue, or a User, a Client or a Key.
type Resource interface {
	Metadata() *Meta
	// Validate checks the resource by itself. Its error is an *Error that names the field, or *Errors. Package exchange
	// checks the resources that it refers to.
	Validate() error
}

// Point is a position in WGS-84, in degrees.
type Point struct{ Lat, Lng float64 }

// Validate refuses coordinates that are not on the globe. The argument field is the path of the pair.
func (p Point) Validate(field string) error {
	var lat, lng error
	if !(p.Lat >= -90 && p.Lat <= 90) { // in this form NaN fails too
		lat = Invalidf(field+".latitude", "%v is not a latitude: use degrees from -90 to 90", p.Lat)
	}
	if !(p.Lng >= -180 && p.Lng <= 180) {
		lng = Invalidf(field+".longitude", "%v is not a longitude: use degrees from -180 to 180", p.Lng)
	}
	return JoinErrors(lat, lng)
}

// EarthRadiusM is the mean radius of the Earth in metres. Distances are measured on the sphere of that radius.
const EarthRadiusM = 6371008.8

// DegreeM is the length in metres of one degree of latitude on that sphere.
const DegreeM = EarthRadiusM * math.Pi / 180

// DistanceM returns the great-circle distance to q in metres (haversine).
func (p Point) DistanceM(q Point) float64 {
	const rad = math.Pi / 180
	sinLat := math.Sin((q.Lat - p.Lat) * rad / 2)
	sinLng := math.Sin((q.Lng - p.Lng) * rad / 2)
	h := sinLat*sinLat + math.Cos(p.Lat*rad)*math.Cos(q.Lat*rad)*sinLng*sinLng
	return 2 * EarthRadiusM * math.Asin(math.Sqrt(min(h, 1)))
}

// Advertiser owns programs and campaigns.
type Advertiser struct {
	Meta
	DisplayName string
	State       ServingState
	Cap         FrequencyCap // of its campaigns together
	// Quota is the most that it may have. The operator alone sets it. 0 stands for the market's default.
	Quota Holdings
}

// Holdings are what an advertiser has, or the most that it may have.
type Holdings struct {
	Campaigns int64
	Places    int64
	Vertices  int64 // of the polygons that its campaigns name
	Entries   int64 // in the index, as its campaigns' areas and keywords take them
	Keywords  int64 // of its programs and campaigns
	Bytes     int64 // of its programs, places and campaigns
}

// MaxHoldings bounds each of an advertiser's quotas.
const MaxHoldings = 1_000_000_000_000

// Validate implements Resource.
func (a *Advertiser) Validate() error {
	q := &a.Quota
	return JoinErrors(
		checkRange("advertiser.quota.campaigns", q.Campaigns, 0, MaxHoldings),
		checkRange("advertiser.quota.places", q.Places, 0, MaxHoldings),
		checkRange("advertiser.quota.vertices", q.Vertices, 0, MaxHoldings),
		checkRange("advertiser.quota.entries", q.Entries, 0, MaxHoldings),
		checkRange("advertiser.quota.keywords", q.Keywords, 0, MaxHoldings),
		checkRange("advertiser.quota.bytes", q.Bytes, 0, MaxHoldings),
		checkText("advertiser.display_name", a.DisplayName, 1, maxNameBytes),
		checkEnum("advertiser.state", a.State, StateCount, true),
		a.Cap.validate("advertiser.frequency_cap"),
	)
}

// Program is a mini-program.
type Program struct {
	Meta
	DisplayName      string
	AlternativeNames []string
	Category         Category
	Hosts            []Host
	OS               []OS // empty means all
	MinimumAge       int  // years; above 0 the viewer's age must be known
	Path             string
	IconURI          string
	Keywords         []string
}

// Validate implements Resource.
func (p *Program) Validate() error {
	return JoinErrors(
		checkText("program.display_name", p.DisplayName, 1, maxNameBytes),
		checkTexts("program.alternative_names", p.AlternativeNames, 20, maxNameBytes),
		checkEnum("program.category", p.Category, CategoryCount, false),
		checkEnums("program.hosts", p.Hosts, HostCount, 1),
		checkEnums("program.operating_systems", p.OS, OSCount, 0),
		checkRange("program.minimum_age", p.MinimumAge, 0, MaxAge),
		checkText("program.path", p.Path, 0, maxURIBytes),
		checkText("program.icon_uri", p.IconURI, 0, maxURIBytes),
		checkTexts("program.keywords", p.Keywords, 50, maxNameBytes),
	)
}

// Place is a location where a program can be visited.
type Place struct {
	Meta
	DisplayName  string
	Point        Point
	Address      string
	OpeningHours string // for people to read; it filters nothing
	Review       ReviewState
}

// Validate implements Resource.
func (p *Place) Validate() error {
	return JoinErrors(
		checkText("place.display_name", p.DisplayName, 0, maxNameBytes),
		p.Point.Validate("place"),
		checkText("place.address", p.Address, 0, 500),
		checkText("place.opening_hours", p.OpeningHours, 0, maxNameBytes),
		checkEnum("place.review_state", p.Review, ReviewCount, true),
	)
}
