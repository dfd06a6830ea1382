// Package traffic makes the requests of people and the edits of advertisers, and counts the answers. People are drawn
// from published figures: cities by population (GeoNames), age and sex (UN World Population Prospects 2019), phones
// (China, end of 2024). Figures without a source are called assumptions.
package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Config says which people ask, and for what.
type Config struct {
	Seed uint64
	// Where is the place of the people: "china", the name of a city in English or Chinese, or "lat,lng,km", which is a
	// point and the spread around it.
	Where string
	// Viewers is the number of different people.
	Viewers int
	// Slots, Limit and RadiusM go into each request. Nil means the server's default.
	Slots, Limit *int32
	RadiusM      *float64
}

// DefaultConfig puts the people into the city of the demo market.
func DefaultConfig() Config { return Config{Seed: 1, Where: demo.City, Viewers: 1_000_000} }

// Crowd draws requests. It draws each from the request's number, so equal seeds give equal requests in any order.
type Crowd struct {
	Config
	cities  *pick[City]
	spreadM float64        // around the centre of a city, or around the given point
	places  []hexbid.Point // of the demo market; people in its city go there
	ages    *pick[ageBand]
}

// Distances in metres from the centre of a city, or from a place that people visit, and the share of people who visit
// one. All are assumptions.
const (
	citySpreadM  = 6000
	placeSpreadM = 250
	atPlaces     = 0.6
)

// Shares of requests. Those of phones are published for the last quarter of 2024. The others are assumptions.
var (
	systems = shares(share[pb.OperatingSystem]{pb.OperatingSystem_OPERATING_SYSTEM_ANDROID, 64},
		share[pb.OperatingSystem]{pb.OperatingSystem_OPERATING_SYSTEM_HARMONYOS, 19},
		share[pb.OperatingSystem]{pb.OperatingSystem_OPERATING_SYSTEM_IOS, 17})
	hosts = shares(share[pb.Host]{pb.Host_HOST_WECHAT, 55}, share[pb.Host]{pb.Host_HOST_ALIPAY, 20},
		share[pb.Host]{pb.Host_HOST_DOUYIN, 10}, share[pb.Host]{pb.Host_HOST_MEITUAN, 6},
		share[pb.Host]{pb.Host_HOST_BAIDU, 4}, share[pb.Host]{pb.Host_HOST_XIAOHONGSHU, 3},
		share[pb.Host]{pb.Host_HOST_QQ, 2})
	scenes = shares(share[pb.Scene]{pb.Scene_SCENE_NEARBY_LIST, 75}, share[pb.Scene]{pb.Scene_SCENE_SEARCH, 15},
		share[pb.Scene]{pb.Scene_SCENE_SCAN, 5}, share[pb.Scene]{pb.Scene_SCENE_FEED, 3},
		share[pb.Scene]{pb.Scene_SCENE_SHARE, 2})
	networks = shares(share[pb.Network]{pb.Network_NETWORK_WIFI, 45}, share[pb.Network]{pb.Network_NETWORK_5G, 33},
		share[pb.Network]{pb.Network_NETWORK_4G, 21}, share[pb.Network]{pb.Network_NETWORK_SLOW, 1})
	words = shares(share[string]{"咖啡", 3}, share[string]{"火锅", 2}, share[string]{"药店", 2}, share[string]{"银行", 1},
		share[string]{"酒店", 1}, share[string]{"奶茶", 2}, share[string]{"充电", 1}, share[string]{"面馆", 1})
)

// Hours are the shares of a day's requests by hour of local time, in percent. Meals and above all the evening have more
// (an assumption).
var Hours = [24]float64{1.2, 0.7, 0.4, 0.3, 0.3, 0.6, 1.6, 3.2, 4.4, 4.5, 5.0, 6.6, 7.2, 5.8, 5.0, 5.0, 5.2, 6.2, 7.6,
	7.8, 7.2, 6.3, 5.0, 2.9}

// NewCrowd reads the tables. It returns an Invalid error when Where names no place.
func NewCrowd(config Config) (*Crowd, error) {
	if config.Viewers < 1 {
		return nil, hexbid.Invalidf("viewers", "%d: there must be at least one", config.Viewers)
	}
	c := &Crowd{Config: config, cities: &pick[City]{}, spreadM: citySpreadM, ages: &pick[ageBand]{}}
	bands, err := ageBands()
	if err != nil {
		return nil, err
	}
	for _, b := range bands {
		c.ages.add(b, b.thousands)
	}
	if err := c.readWhere(); err != nil {
		return nil, err
	}
	if c.places, err = demoPlaces(); err != nil {
		return nil, err
	}
	return c, nil
}

// readWhere turns Where into cities to draw from, or a point and its spread.
func (c *Crowd) readWhere() error {
	if center, km, isPoint := parsePoint(c.Where); isPoint {
		if err := center.Validate("where"); err != nil || !(km > 0 && km <= 5000) {
			return hexbid.Invalidf("where", "%q: write latitude,longitude,km with a spread above 0 and up to 5000 km", c.Where)
		}
		c.cities.add(City{Center: center}, 1)
		c.spreadM = km * 1000
		return nil
	}
	cities, err := Cities()
	if err != nil {
		return err
	}
	for _, city := range cities {
		if strings.EqualFold(c.Where, "china") || strings.EqualFold(c.Where, city.Name) ||
			c.Where == city.Chinese && c.Where != "" {
			c.cities.add(city, city.People)
		}
	}
	if len(c.cities.values) == 0 {
		return hexbid.Invalidf("where",
			"%q is not a city of over 15,000 people in China: write china, a city like Hangzhou or 杭州, or latitude,longitude,km",
			c.Where)
	}
	return nil
}

func parsePoint(text string) (p hexbid.Point, km float64, ok bool) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return p, 0, false
	}
	var err [3]error
	p.Lat, err[0] = strconv.ParseFloat(strings.TrimSpace(parts[0]), 64)
	p.Lng, err[1] = strconv.ParseFloat(strings.TrimSpace(parts[1]), 64)
	km, err[2] = strconv.ParseFloat(strings.TrimSpace(parts[2]), 64)
	return p, km, err == [3]error{}
}

// demoPlaces returns the real places of the demo market.
func demoPlaces() (points []hexbid.Point, err error) {
	market, err := demo.Resources()
	if err != nil {
		return nil, err
	}
	for _, r := range market {
		if place, is := r.(*hexbid.Place); is {
			points = append(points, place.Point)
		}
	}
	return points, nil
}

// Request returns the i-th request.
func (c *Crowd) Request(i int) *pb.SearchNearbyRequest {
	r := rand.New(rand.NewPCG(c.Seed, uint64(i)))
	at := c.point(r)
	q := &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: at.Lat, Longitude: at.Lng, Datum: pb.Datum_DATUM_WGS84},
		Viewer:   c.viewer(r), Host: hosts.draw(r), Scene: scenes.draw(r),
		SponsoredSlots: c.Slots, NearbyLimit: c.Limit, RadiusM: c.RadiusM,
	}
	if q.Scene == pb.Scene_SCENE_SEARCH {
		q.Words = words.draw(r)
	}
	return q
}

// point draws a point near a place that people visit, in the city whose places are known. In other cities it draws one
// near the centre.
func (c *Crowd) point(r *rand.Rand) hexbid.Point {
	city := c.cities.draw(r)
	center, spread := city.Center, c.spreadM
	if city.Name == demo.City && r.Float64() < atPlaces {
		center, spread = c.places[r.IntN(len(c.places))], placeSpreadM
	}
	north, east := spread*r.NormFloat64(), spread*r.NormFloat64()
	p := hexbid.Point{Lat: center.Lat + north/hexbid.DegreeM,
		Lng: center.Lng + east/hexbid.DegreeM/math.Cos(center.Lat*math.Pi/180)}
	p.Lat = max(-90, min(90, p.Lat))
	p.Lng -= 360 * math.Round(p.Lng/360)
	return p
}

// viewer draws age and sex from the table by the viewer's number, so a person stays the same. Children under seven have
// no phone.
func (c *Crowd) viewer(r *rand.Rand) *pb.Viewer {
	number := r.IntN(c.Viewers)
	of := rand.New(rand.NewPCG(c.Seed^0x76696577, uint64(number)))
	v := &pb.Viewer{UserKey: "viewer-" + strconv.Itoa(number), OperatingSystem: systems.draw(of),
		Network: networks.draw(r)}
	for {
		band := c.ages.draw(of)
		age := band.youngest + of.IntN(5)
		if age < 7 {
			continue
		}
		v.Age, v.Gender = proto.Int32(int32(age)), pb.Gender_GENDER_MALE
		if band.female {
			v.Gender = pb.Gender_GENDER_FEMALE
		}
		return v
	}
}

// Assumptions lists the assumptions about people that have no source.
func Assumptions() []string {
	return []string{
		fmt.Sprintf("people stand %d km around a city's centre, and in %s %.0f %% of them %d m around a place",
			citySpreadM/1000, demo.City, 100*atPlaces, placeSpreadM),
		"hosts: " + percentages(hosts), "scenes: " + percentages(scenes), "networks: " + percentages(networks),
		"hours of the day: the evening most, then noon",
		"every viewer asks as often as another; children under seven have no phone",
	}
}

func percentages[T fmt.Stringer](p *pick[T]) string {
	var parts []string
	last, total := 0.0, p.cumulative[len(p.cumulative)-1]
	for i, v := range p.values {
		name := strings.ToLower(v.String())
		name = name[strings.Index(name, "_")+1:]
		parts = append(parts, fmt.Sprintf("%s %.0f %%", name, 100*(p.cumulative[i]-last)/total))
		last = p.cumulative[i]
	}
	return strings.Join(parts, ", ")
}
