package hexbid

import "fmt"

// The enumerations are dense and start at 0, which is the unknown or unstated value. So package targeting can use a
// value as a bit number. The numbers are those of the wire contract.

// Gender is the gender of a viewer.
type Gender uint8

// The genders.
const (
	GenderUnknown Gender = iota
	Female
	Male
	GenderCount
)

// OS is the operating system of a viewer's phone.
type OS uint8

// The operating systems.
const (
	OSUnknown OS = iota
	IOS
	Android
	HarmonyOS
	OtherOS
	OSCount
)

// Network is how the viewer's phone is connected.
type Network uint8

// The networks. SlowNetwork is the third generation or older.
const (
	NetworkUnknown Network = iota
	WiFi
	FiveG
	FourG
	SlowNetwork
	NetworkCount
)

// Host is a super-app that runs mini-programs.
type Host uint8

// The hosts.
const (
	HostUnknown Host = iota
	WeChat
	QQ
	Alipay
	Baidu
	Douyin
	Toutiao
	Xiaohongshu
	Kuaishou
	Meituan
	Taobao
	BaiduLeague // a member app of Baidu's open league
	HostCount
)

// Scene is the way by which a viewer opened the list.
type Scene uint8

// The scenes.
const (
	SceneUnknown Scene = iota
	NearbyList
	Search
	Scan
	Share
	MessageLink
	WebLink
	Feed
	SceneCount
)

// CreditBand is a band of credit that the viewer agreed to share, never a score.
type CreditBand uint8

// The bands.
const (
	CreditUnknown CreditBand = iota
	CreditBelow550
	Credit550To599
	Credit600To649
	Credit650To699
	Credit700AndAbove
	CreditBandCount
)

// Residence compares a viewer's home region with the region of the point.
type Residence uint8

// The residences; unknown is without a home region.
const (
	ResidenceUnknown Residence = iota
	Visitor
	Resident
	ResidenceCount
)

// Datum is the geodetic system that coordinates are written in.
type Datum uint8

// The datums; DatumUnspecified is taken as WGS84.
const (
	DatumUnspecified Datum = iota
	WGS84
	GCJ02
	BD09
	DatumCount
)

// PricingModel is what an advertiser pays for.
type PricingModel uint8

// The pricing models.
const (
	PricingUnspecified PricingModel = iota
	CPC                             // per click
	CPM                             // per thousand impressions
	PricingCount
)

// Personalization reports whether who the viewer is may choose the ads.
type Personalization uint8

// Personalization; unspecified is on.
const (
	PersonalizationUnspecified Personalization = iota
	PersonalizationOn
	PersonalizationOff
	PersonalizationCount
)

// ServingState is what the owner wants of a campaign or an advertiser.
type ServingState uint8

// The serving states; unspecified is taken as active.
const (
	StateUnspecified ServingState = iota
	Active
	Paused
	StateCount
)

// ReviewState is the operator's verdict on a place.
type ReviewState uint8

// The review states.
const (
	ReviewUnspecified ReviewState = iota
	InReview
	Approved
	Hidden
	ReviewCount
)

// Pacing is how a daily budget is spread over the day.
type Pacing uint8

// The pacings; unspecified is taken as even.
const (
	PacingUnspecified Pacing = iota
	PaceEven
	PaceASAP
	PaceThrottle
	PacingCount
)

// Goal is what a campaign's bids aim at.
type Goal uint8

// The goals; unspecified is taken as the bid.
const (
	GoalUnspecified Goal = iota
	GoalBid              // a click or a thousand impressions are worth the bid
	GoalTargetCost       // a click costs Campaign.TargetCost on average, or less
	GoalMostClicks       // as many clicks as the day's budget buys
	GoalCount
)

// Dimension is one dimension of an audience.
type Dimension uint8

// The dimensions.
const (
	DimensionUnspecified Dimension = iota
	DimAge
	DimGender
	DimOS
	DimHost
	DimScene
	DimNetwork
	DimInterest
	DimCreditBand
	DimResidence
	DimKeyword
	DimensionCount
)

// KeywordMatch is how a keyword meets what a viewer typed.
type KeywordMatch uint8

// The matches; unspecified is taken as broad.
const (
	MatchUnspecified KeywordMatch = iota
	MatchBroad                    // every word of it, in any order
	MatchPhrase                   // its words one after another
	MatchExact                    // it is the whole query
	MatchCount
)

// MaxAge is the highest age in years; ages are single years from 0.
const MaxAge = 120

var (
	genderNames  = [...]string{"unknown", "female", "male"}
	osNames      = [...]string{"unknown", "ios", "android", "harmonyos", "other"}
	networkNames = [...]string{"unknown", "wifi", "5g", "4g", "slow"}
	hostNames    = [...]string{"unknown", "wechat", "qq", "alipay", "baidu", "douyin", "toutiao", "xiaohongshu",
		"kuaishou", "meituan", "taobao", "baidu_league"}
	sceneNames     = [...]string{"unknown", "nearby_list", "search", "scan", "share", "message_link", "web_link", "feed"}
	pricingNames   = [...]string{"unspecified", "cpc", "cpm"}
	dimensionNames = [...]string{"unspecified", "age", "gender", "operating_system", "host", "scene", "network",
		"interest", "credit_band", "residence", "keyword"}
	creditNames    = [...]string{"unknown", "below_550", "550_to_599", "600_to_649", "650_to_699", "700_and_above"}
	residenceNames = [...]string{"unknown", "visitor", "resident"}
	reviewNames    = [...]string{"unspecified", "in_review", "approved", "hidden"}
)

func nameIn(names []string, value uint8) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprintf("undefined(%d)", value)
}

// String returns the name as files and flags write it.
func (g Gender) String() string { return nameIn(genderNames[:], uint8(g)) }

// String returns the name as files and flags write it.
func (o OS) String() string { return nameIn(osNames[:], uint8(o)) }

// String returns the name as files and flags write it.
func (n Network) String() string { return nameIn(networkNames[:], uint8(n)) }

// String returns the name as files and flags write it.
func (h Host) String() string { return nameIn(hostNames[:], uint8(h)) }

// String returns the name as files and flags write it.
func (s Scene) String() string { return nameIn(sceneNames[:], uint8(s)) }

// String returns the name as files and flags write it.
func (p PricingModel) String() string { return nameIn(pricingNames[:], uint8(p)) }

// String returns the name as files and flags write it.
func (c CreditBand) String() string { return nameIn(creditNames[:], uint8(c)) }

// String returns the name as files and flags write it.
func (r Residence) String() string { return nameIn(residenceNames[:], uint8(r)) }

// String returns the name as files and flags write it.
func (d Dimension) String() string { return nameIn(dimensionNames[:], uint8(d)) }

// String returns the name as files and flags write it.
func (r ReviewState) String() string { return nameIn(reviewNames[:], uint8(r)) }

// ParseHost reads a host's name.
func ParseHost(s string) (Host, error) { return parseName[Host](hostNames[1:], "host", s) }

// ParseScene reads a scene's name.
func ParseScene(s string) (Scene, error) { return parseName[Scene](sceneNames[1:], "scene", s) }

func parseName[T ~uint8](names []string, what, s string) (T, error) {
	for i, name := range names {
		if name == s {
			return T(i + 1), nil
		}
	}
	return 0, fmt.Errorf("%q is not a %s: use one of %v", Shorten(s), what, names)
}
