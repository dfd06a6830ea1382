package main

import (
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/cespare/xxhash/v2"
	"github.com/uber/h3-go/v4"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// oracle evaluates a search by looping over everything that the API lists. It shares no code with the product: it
// implements geometry, targeting, auction and prices again, as plainly as the rules read.
type oracle struct {
	programs  map[string]*pb.Program
	places    map[string][]*pb.Place // by program
	campaigns []*pb.Campaign
	paused    map[string]bool // advertisers
	outlines  map[string][][][2]float64
	zones     map[string]*time.Location
	quality   func(pb.Category) int64
	reserve   func(*pb.SearchNearbyRequest, pb.Category) int64 // micros for a thousand impressions
	increment int64
	mechanism func(pb.Scene) string
	factors   []int64
}

type oracleSlot struct {
	campaign, program string
	price             int64
}

type oracleNear struct {
	program, place string
	distanceM      float64
}

func oracleDistance(lat1, lng1, lat2, lng2 float64) float64 {
	const rad = math.Pi / 180
	if math.Abs(lat1) == 90 || math.Abs(lat2) == 90 { // at a pole every longitude is the same point
		lng1, lng2 = 0, 0
	}
	a := math.Pow(math.Sin((lat2-lat1)*rad/2), 2) +
		math.Cos(lat1*rad)*math.Cos(lat2*rad)*math.Pow(math.Sin((lng2-lng1)*rad/2), 2)
	return 2 * 6371008.8 * math.Asin(math.Min(1, math.Sqrt(a)))
}

func (o *oracle) inside(a *pb.Area, program string, at *pb.Location) bool {
	if a == nil {
		return false
	}
	lat, lng := at.GetLatitude(), at.GetLongitude()
	if a.GetEverywhere() {
		return true
	}
	for _, c := range a.GetCircles() {
		if oracleDistance(lat, lng, c.GetLatitude(), c.GetLongitude()) <= c.GetRadiusM() {
			return true
		}
	}
	if a.GetAroundPlacesM() > 0 {
		for _, p := range o.places[program] {
			if oracleDistance(lat, lng, p.GetLatitude(), p.GetLongitude()) <= a.GetAroundPlacesM() {
				return true
			}
		}
	}
	for _, s := range a.GetH3Cells() {
		finest, err := h3.LatLngToCell(h3.LatLng{Lat: lat, Lng: lng}, 15)
		if err != nil {
			panic(err)
		}
		want := h3.CellFromString(s)
		if up, err := finest.Parent(want.Resolution()); err == nil && up == want {
			return true
		}
	}
	for _, text := range a.GetPolygons() {
		if evenOdd(oracleRings(text), lat, lng) {
			return true
		}
	}
	for _, code := range a.GetRegions() {
		if o.inRegion(code, lat, lng) {
			return true
		}
	}
	return false
}

// oracleRings returns the rings of a GeoJSON polygon. It reads each text once.
func oracleRings(text string) [][][2]float64 {
	if rings, known := ringsOfText.Load(text); known {
		return rings.([][][2]float64)
	}
	var g struct{ Coordinates [][][2]float64 }
	if err := json.Unmarshal([]byte(text), &g); err != nil {
		panic(err)
	}
	ringsOfText.Store(text, g.Coordinates)
	return g.Coordinates
}

var ringsOfText sync.Map

func (o *oracle) inRegion(code string, lat, lng float64) bool {
	return evenOdd(o.outlines[code], lat, lng)
}

// evenOdd counts the edges that a ray to the east crosses.
func evenOdd(rings [][][2]float64, lat, lng float64) bool {
	in := false
	for _, ring := range rings {
		for i := range ring {
			a, b := ring[i], ring[(i+1)%len(ring)]
			if (a[1] > lat) != (b[1] > lat) && lng < (b[0]-a[0])*(lat-a[1])/(b[1]-a[1])+a[0] {
				in = !in
			}
		}
	}
	return in
}

// names reports whether a dimension admits a value: the dimension is empty, or names the value, or the value is unknown
// and the audience includes the unknown.
func names[E cmp.Ordered](named []E, value E, audience *pb.Audience, dimension pb.AudienceDimension) bool {
	var unknown E
	if len(named) == 0 {
		return true
	}
	if value == unknown {
		return slices.Contains(audience.GetIncludeUnknown(), dimension)
	}
	return slices.Contains(named, value)
}

func (o *oracle) impersonal(r *pb.SearchNearbyRequest) bool {
	return r.GetPersonalization() == pb.Personalization_PERSONALIZATION_OFF ||
		r.GetViewer().Age != nil && r.GetViewer().GetAge() < 14
}

func (o *oracle) opens(p *pb.Program, r *pb.SearchNearbyRequest) bool {
	v := r.GetViewer()
	if r.GetHost() != 0 && !slices.Contains(p.GetHosts(), r.GetHost()) {
		return false
	}
	if len(p.GetOperatingSystems()) > 0 && !slices.Contains(p.GetOperatingSystems(), v.GetOperatingSystem()) {
		return false
	}
	if p.GetMinimumAge() > 0 && (o.impersonal(r) || v == nil || v.Age == nil || v.GetAge() < p.GetMinimumAge()) {
		return false
	}
	return r.GetCategory() == 0 || r.GetCategory() == p.GetCategory()
}

func (o *oracle) audience(c *pb.Campaign, r *pb.SearchNearbyRequest) bool {
	a, v := c.GetAudience(), r.GetViewer()
	if a == nil {
		a = &pb.Audience{}
	}
	personal := len(a.GetAges())+len(a.GetGenders())+len(a.GetInterests())+len(a.GetExcludedInterests())+
		len(a.GetCreditBands())+len(a.GetResidences()) > 0
	capped := c.GetFrequencyCap() != nil && !c.GetFrequencyCap().GetServeUncapped()
	if o.impersonal(r) && (personal || capped) || capped && v.GetUserKey() == "" {
		return false
	}
	if !names(a.GetOperatingSystems(), v.GetOperatingSystem(), a,
		pb.AudienceDimension_AUDIENCE_DIMENSION_OPERATING_SYSTEM) ||
		!names(a.GetHosts(), r.GetHost(), a, pb.AudienceDimension_AUDIENCE_DIMENSION_HOST) ||
		!names(a.GetScenes(), r.GetScene(), a, pb.AudienceDimension_AUDIENCE_DIMENSION_SCENE) ||
		!names(a.GetNetworks(), v.GetNetwork(), a, pb.AudienceDimension_AUDIENCE_DIMENSION_NETWORK) ||
		!names(a.GetCreditBands(), v.GetCreditBand(), a, pb.AudienceDimension_AUDIENCE_DIMENSION_CREDIT_BAND) ||
		!names(a.GetResidences(), o.residence(r), a, pb.AudienceDimension_AUDIENCE_DIMENSION_RESIDENCE) ||
		!names(a.GetGenders(), v.GetGender(), a, pb.AudienceDimension_AUDIENCE_DIMENSION_GENDER) {
		return false
	}
	if len(a.GetAges()) > 0 {
		if v == nil || v.Age == nil {
			if !slices.Contains(a.GetIncludeUnknown(), pb.AudienceDimension_AUDIENCE_DIMENSION_AGE) {
				return false
			}
		} else if !slices.ContainsFunc(a.GetAges(),
			func(g *pb.AgeRange) bool { return v.GetAge() >= g.GetMinAge() && v.GetAge() <= g.GetMaxAge() }) {
			return false
		}
	}
	if len(a.GetExcludedInterests()) > 0 {
		if len(v.GetInterests()) == 0 && !slices.Contains(a.GetIncludeUnknown(),
			pb.AudienceDimension_AUDIENCE_DIMENSION_INTEREST) {
			return false
		}
		if slices.ContainsFunc(v.GetInterests(),
			func(i pb.Category) bool { return slices.Contains(a.GetExcludedInterests(), i) }) {
			return false
		}
	}
	if len(a.GetInterests()) > 0 {
		if len(v.GetInterests()) == 0 {
			return slices.Contains(a.GetIncludeUnknown(), pb.AudienceDimension_AUDIENCE_DIMENSION_INTEREST)
		}
		return slices.ContainsFunc(v.GetInterests(), func(i pb.Category) bool { return slices.Contains(a.GetInterests(), i) })
	}
	return true
}

func (o *oracle) residence(r *pb.SearchNearbyRequest) pb.Residence {
	home := r.GetViewer().GetHomeRegion()
	switch {
	case home == "":
		return pb.Residence_RESIDENCE_UNSPECIFIED
	case o.inRegion(home, r.GetLocation().GetLatitude(), r.GetLocation().GetLongitude()):
		return pb.Residence_RESIDENCE_RESIDENT
	}
	return pb.Residence_RESIDENCE_VISITOR
}

func (o *oracle) onAir(c *pb.Campaign, at time.Time) bool {
	if c.GetState() == pb.ServingState_SERVING_STATE_PAUSED || o.paused[strings.SplitN(c.GetName(), "/campaigns/", 2)[0]] {
		return false
	}
	if c.GetStartTime() != nil && at.Before(c.GetStartTime().AsTime()) ||
		c.GetEndTime() != nil && !at.Before(c.GetEndTime().AsTime()) {
		return false
	}
	if len(c.GetWeeklyHours()) == 0 {
		return true
	}
	local := at.In(o.zones[c.GetTimeZone()])
	day := pb.DayOfWeek((int(local.Weekday())+6)%7 + 1)
	return slices.ContainsFunc(c.GetWeeklyHours(), func(h *pb.WeeklyHours) bool {
		return h.GetDay() == day && local.Hour() >= int(h.GetStartHour()) && local.Hour() < int(h.GetEndHour())
	})
}

func oracleHash(requestID string, uid uint64) uint64 {
	return xxhash.Sum64(binary.LittleEndian.AppendUint64([]byte(requestID), uid))
}

// oracleUnits cuts a text into words plainly: at spaces and other signs, and between Han and other characters. The
// words of the test need no folding except of case.
func oracleUnits(s string) (units []string) {
	unit, unitHan := "", false
	end := func() {
		if unit != "" {
			units = append(units, unit)
		}
		unit = ""
	}
	for _, r := range strings.ToLower(s) {
		han := unicode.Is(unicode.Han, r)
		if !han && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			end()
			continue
		}
		if han != unitHan {
			end()
		}
		unit, unitHan = unit+string(r), han
	}
	end()
	return units
}

// spaced writes every Han character and every other word of a text between spaces. A unit is then found in it exactly
// where its words and characters stand. The same texts occur thousands of times, so spaced caches its results.
func spaced(s string) string {
	if text, written := spacedTexts.Load(s); written {
		return text.(string)
	}
	var b strings.Builder
	for _, unit := range oracleUnits(s) {
		if first := []rune(unit)[0]; !unicode.Is(unicode.Han, first) {
			b.WriteString(" " + unit)
			continue
		}
		for _, r := range unit {
			b.WriteString(" " + string(r))
		}
	}
	text := b.String() + " "
	spacedTexts.Store(s, text)
	return text
}

var spacedTexts sync.Map

func (o *oracle) has(p *pb.Program, words string, more ...string) bool {
	texts := append([]string{p.GetDisplayName(), strings.TrimPrefix(p.GetCategory().String(), "CATEGORY_"),
		oracleChinese[p.GetCategory()]}, p.GetAlternativeNames()...)
	texts = append(append(texts, p.GetKeywords()...), more...)
	for _, unit := range oracleUnits(words) {
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(spaced(text), spaced(unit)) }) {
			return false
		}
	}
	return true
}

var oracleChinese = []string{"", "餐饮", "购物", "旅游", "影音休闲", "金融", "交通出行", "教育", "医疗健康", "政务民生", "生活服务", "丽人", "游戏",
	"体育健身", "汽车", "房产家居", "宠物"}

func (o *oracle) competes(c *pb.Campaign, p *pb.Program, words string) bool {
	wanted, hit := false, false
	for _, k := range c.GetKeywords() {
		matches := words != ""
		switch k.GetMatch() {
		case pb.KeywordMatch_KEYWORD_MATCH_EXACT:
			matches = matches && spaced(words) == spaced(k.GetText())
		case pb.KeywordMatch_KEYWORD_MATCH_PHRASE:
			matches = matches && strings.Contains(spaced(words), spaced(k.GetText()))
		default:
			for _, unit := range oracleUnits(k.GetText()) {
				matches = matches && strings.Contains(spaced(words), spaced(unit))
			}
		}
		if k.GetNegative() && matches {
			return false
		}
		wanted, hit = wanted || !k.GetNegative(), hit || matches && !k.GetNegative()
	}
	switch {
	case wanted && words == "":
		return slices.Contains(c.GetAudience().GetIncludeUnknown(), pb.AudienceDimension_AUDIENCE_DIMENSION_KEYWORD)
	case wanted:
		return hit
	}
	return o.has(p, words)
}

func bidOn(c *pb.Campaign, host pb.Host) int64 {
	for _, b := range c.GetHostBids() {
		if b.GetHost() == host {
			return c.GetBidMicros() * b.GetMultiplierPpm() / 1_000_000
		}
	}
	return c.GetBidMicros()
}

// unit returns the chance of a click on a program's campaign at a point, in parts per million. It falls with the
// distance to the program's nearest place, as the table of docs/operators.md says.
func (o *oracle) unit(p *pb.Program, at *pb.Location) int64 {
	table := []int64{1_000_000, 880_000, 720_000, 500_000, 330_000, 180_000, 100_000, 60_000}
	switch p.GetCategory() {
	case pb.Category_CATEGORY_FINANCE, pb.Category_CATEGORY_GAMES:
		table = []int64{1_000_000, 990_000, 980_000, 960_000, 940_000, 920_000, 910_000, 900_000}
	case pb.Category_CATEGORY_TRAVEL, pb.Category_CATEGORY_TRANSPORT, pb.Category_CATEGORY_EDUCATION,
		pb.Category_CATEGORY_HEALTH, pb.Category_CATEGORY_GOVERNMENT, pb.Category_CATEGORY_SHOPPING,
		pb.Category_CATEGORY_AUTOMOTIVE, pb.Category_CATEGORY_HOME:
		table = []int64{1_000_000, 940_000, 850_000, 700_000, 550_000, 360_000, 220_000, 140_000}
	}
	nearest := math.Inf(1)
	for _, place := range o.places[p.GetName()] {
		nearest = min(nearest, oracleDistance(at.GetLatitude(), at.GetLongitude(), place.GetLatitude(),
			place.GetLongitude()))
	}
	band := 0
	for _, endM := range []float64{500, 1000, 2000, 5000, 10_000, 30_000, 100_000} {
		if nearest > endM {
			band++
		}
	}
	return max(1, o.quality(p.GetCategory())*table[band]/1_000_000)
}

// auction ranks the entries and computes the prices.
func (o *oracle) auction(r *pb.SearchNearbyRequest, slots int, requestID string, at time.Time) []oracleSlot {
	type bidding struct {
		c              *pb.Campaign
		owner          string
		score, reserve int64
		unit, most     int64
	}
	var bids []bidding
	for _, c := range o.campaigns {
		p := o.programs[c.GetProgram()]
		if !o.onAir(c, at) || !o.inside(c.GetArea(), c.GetProgram(), r.GetLocation()) ||
			o.inside(c.GetExcludedArea(), c.GetProgram(), r.GetLocation()) ||
			!o.opens(p, r) || !o.audience(c, r) || !o.competes(c, p, r.GetWords()) {
			continue
		}
		b := bidding{c: c, owner: strings.SplitN(c.GetName(), "/campaigns/", 2)[0], unit: o.unit(p, r.GetLocation()),
			most: bidOn(c, r.GetHost()), reserve: 1000 * o.reserve(r, p.GetCategory())}
		if c.GetPricingModel() == pb.PricingModel_PRICING_MODEL_CPM {
			b.unit, b.most = 1000, b.most/1000*1000
		}
		b.score = b.most * b.unit
		if b.score >= max(b.reserve, 1) {
			bids = append(bids, b)
		}
	}
	slices.SortFunc(bids, func(a, b bidding) int {
		return cmp.Or(cmp.Compare(b.score, a.score),
			cmp.Compare(oracleHash(requestID, b.c.GetUid()), oracleHash(requestID, a.c.GetUid())),
			cmp.Compare(a.c.GetUid(), b.c.GetUid()))
	})
	seen := map[string]bool{}
	bids = slices.DeleteFunc(bids, func(b bidding) bool { again := seen[b.owner]; seen[b.owner] = true; return again })
	var won []oracleSlot
	for i := 0; i < min(slots, len(bids)); i++ {
		most := bids[i].most
		scoreOf := func(rank int) int64 {
			if rank < len(bids) {
				return bids[rank].score
			}
			return 0
		}
		var price int64
		switch o.mechanism(r.GetScene()) {
		case "first_price":
			price = most
		case "vcg":
			sum := new(big.Int)
			for j := i; j < slots; j++ {
				step := o.factors[j]
				if j+1 < slots {
					step -= o.factors[j+1]
				}
				sum.Add(sum, new(big.Int).Mul(big.NewInt(step), big.NewInt(max(scoreOf(j+1), bids[i].reserve))))
			}
			by := big.NewInt(o.factors[i] * bids[i].unit)
			price = sum.Add(sum, by).Sub(sum, big.NewInt(1)).Div(sum, by).Int64()
		default:
			price = (max(bids[i].reserve, scoreOf(i+1))+bids[i].unit-1)/bids[i].unit + o.increment
		}
		if bids[i].c.GetPricingModel() == pb.PricingModel_PRICING_MODEL_CPM {
			price = (price + 999) / 1000 * 1000
		}
		won = append(won, oracleSlot{bids[i].c.GetName(), bids[i].c.GetProgram(), min(price, most)})
	}
	return won
}

// nearby returns the list of programs by distance.
func (o *oracle) nearby(r *pb.SearchNearbyRequest, radiusM float64, sponsored []oracleSlot) []oracleNear {
	var list []oracleNear
	for name, p := range o.programs {
		if !o.opens(p, r) || slices.ContainsFunc(sponsored, func(s oracleSlot) bool { return s.program == name }) {
			continue
		}
		best, bestUID := oracleNear{distanceM: math.Inf(1)}, uint64(0)
		for _, at := range o.places[name] {
			if !o.has(p, r.GetWords(), at.GetDisplayName()) {
				continue
			}
			d := oracleDistance(r.GetLocation().GetLatitude(), r.GetLocation().GetLongitude(), at.GetLatitude(),
				at.GetLongitude())
			if d < best.distanceM || d == best.distanceM && at.GetUid() < bestUID {
				best, bestUID = oracleNear{name, at.GetName(), d}, at.GetUid()
			}
		}
		if best.distanceM <= radiusM {
			list = append(list, best)
		}
	}
	slices.SortFunc(list, func(a, b oracleNear) int {
		return cmp.Or(cmp.Compare(a.distanceM, b.distanceM),
			cmp.Compare(o.programs[a.program].GetUid(), o.programs[b.program].GetUid()))
	})
	return list
}

// readOutlines reads the outlines of the shipped regions. Where two files have one, the finer file counts.
func readOutlines(t *testing.T) map[string][][][2]float64 {
	t.Helper()
	outlines := map[string][][][2]float64{}
	for _, name := range []string{"provinces", "prefectures"} {
		f, err := os.Open("../../geoindex/data/" + name + ".geojson.gz")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		unzipped, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Features []struct {
				ID       string
				Geometry struct {
					Type        string
					Coordinates json.RawMessage
				}
			}
		}
		if err := json.NewDecoder(unzipped).Decode(&file); err != nil {
			t.Fatal(err)
		}
		for _, feature := range file.Features {
			polygons := [][][][2]float64{{}}
			target := any(&polygons)
			if feature.Geometry.Type == "Polygon" {
				target = &polygons[0]
			}
			if err := json.Unmarshal(feature.Geometry.Coordinates, target); err != nil {
				t.Fatal(err)
			}
			outlines[feature.ID] = slices.Concat(polygons...)
		}
	}
	return outlines
}
