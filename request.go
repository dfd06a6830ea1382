package hexbid

// Bounds and defaults of a search.
const (
	DefaultRadiusM     = 3000.0
	MaxRadiusM         = 50_000.0
	DefaultNearbyLimit = 20
	MaxNearbyLimit     = 100
	MaxNearbyResults   = 1000 // over all pages of a nearby list
	DefaultSlots       = 3
	MaxSlots           = 10
	MaxClientIDBytes   = 64
	maxAccuracyM       = 100_000.0
	adultAge           = 14 // younger viewers are never personalised
)

// AgeUnknown is the age of a viewer who does not say.
const AgeUnknown = -1

// Request is one search, in WGS-84, with every default filled in.
type Request struct {
	Point           Point
	Datum           Datum // in which the answer is written
	AccuracyM       float64
	Viewer          Viewer
	Host            Host
	Scene           Scene
	Words           string
	Category        Category
	RadiusM         float64
	NearbyLimit     int
	PageToken       string
	Slots           int
	Personalization Personalization
	Trace           bool
	ClientID        string // of the search client, for its tokens
	ClientUID       UID    // of the Client; 0 for a caller that is known only by the name it gave itself
}

// Viewer is the person who searches. Zero values and AgeUnknown mean unknown.
type Viewer struct {
	UserKey    string
	Age        int
	Gender     Gender
	OS         OS
	Network    Network
	Interests  []Category
	Credit     CreditBand
	HomeRegion string // adcode
}

// Personalized reports whether the viewer's properties may choose the ads. The request must allow it, and the viewer
// must not be known to be under 14.
func (r *Request) Personalized() bool {
	return r.Personalization != PersonalizationOff && (r.Viewer.Age == AgeUnknown || r.Viewer.Age >= adultAge)
}

// Validate refuses a value out of bounds. The error is an *Error that names the field. Package wire checks coordinates
// before it converts them to WGS-84.
func (r *Request) Validate() error {
	if !(r.RadiusM > 0 && r.RadiusM <= MaxRadiusM) {
		return Invalidf("radius_m", "%v is out of range: use metres above 0 and at most %v", r.RadiusM, MaxRadiusM)
	}
	if !(r.AccuracyM >= 0 && r.AccuracyM <= maxAccuracyM) {
		return Invalidf("location.accuracy_m", "%v is out of range: use 0 to %v metres", r.AccuracyM, maxAccuracyM)
	}
	return JoinErrors(
		checkRange("nearby_limit", r.NearbyLimit, 0, MaxNearbyLimit),
		checkRange("sponsored_slots", r.Slots, 0, MaxSlots),
		checkText("words", r.Words, 0, maxNameBytes),
		checkText("page_token", r.PageToken, 0, maxURIBytes),
		checkEnum("host", r.Host, HostCount, true),
		checkEnum("scene", r.Scene, SceneCount, true),
		checkEnum("category", r.Category, CategoryCount, true),
		checkEnum("personalization", r.Personalization, PersonalizationCount, true),
		checkText("x-hexbid-client", r.ClientID, 0, MaxClientIDBytes),
		r.Viewer.validate(),
	)
}

func (v *Viewer) validate() error {
	if v.Age != AgeUnknown {
		if err := checkRange("viewer.age", v.Age, 0, MaxAge); err != nil {
			return err
		}
	}
	return JoinErrors(
		checkUserKey("viewer.user_key", v.UserKey),
		checkEnum("viewer.gender", v.Gender, GenderCount, true),
		checkEnum("viewer.operating_system", v.OS, OSCount, true),
		checkEnum("viewer.network", v.Network, NetworkCount, true),
		checkEnums("viewer.interests", v.Interests, CategoryCount, 0),
		checkEnum("viewer.credit_band", v.Credit, CreditBandCount, true),
	)
}
