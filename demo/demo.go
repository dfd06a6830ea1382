// Package demo makes the demo market: real places of Hangzhou from OpenStreetMap, and chains from the
// name-suggestion-index. The map lacks most shops, hotels and places of leisure, so the package puts some at seeded
// positions and labels them synthetic. Campaigns are drawn from one seed. The package makes nouns only, and always the
// same ones.
package demo

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/hexbid/hexbid"
)

// City is the city of the demo market.
const City = "Hangzhou"

// Center is Hubin, on the east shore of the West Lake.
var Center = hexbid.Point{Lat: 30.2553, Lng: 120.1640}

// RadiusM is the radius of a circle that holds the prefecture, whose places lie up to 200 km from the centre.
const RadiusM = 220_000

// seed is the seed of everything that is drawn.
const seed = 4

// shop is a program with its places, before it has a resource name.
type shop struct {
	id         string // of the advertiser and the program
	name       string
	otherNames []string
	category   hexbid.Category
	chain      bool
	synthetic  bool
	places     []spot
}

type spot struct {
	id, name string
	point    hexbid.Point
}

// Resources returns the whole demo market: advertisers, programs, places and campaigns. Each resource follows those
// that it refers to. An error means that an embedded file is damaged.
func Resources() ([]hexbid.Resource, error) {
	shops, err := realShops()
	if err != nil {
		return nil, err
	}
	brands, err := readBrands()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, 1))
	shops = append(shops, syntheticShops(r, brands, shops)...)
	var market []hexbid.Resource
	for i := range shops {
		market = append(market, shops[i].resources(r)...)
	}
	for i := range shops {
		market = append(market, shops[i].campaigns(r)...)
	}
	return market, nil
}

func (s *shop) advertiser() string { return "advertisers/" + s.id }

func (s *shop) program() string { return s.advertiser() + "/programs/main" }

// resources returns the advertiser, the program and its places.
func (s *shop) resources(r *rand.Rand) []hexbid.Resource {
	display := s.name
	if s.synthetic {
		display += " (synthetic)"
	}
	out := []hexbid.Resource{
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: s.advertiser()}, DisplayName: display},
		&hexbid.Program{Meta: hexbid.Meta{Name: s.program()}, DisplayName: display, AlternativeNames: s.otherNames,
			Category: s.category, Hosts: drawHosts(r, s.chain), Path: "pages/index",
			IconURI: "https://icons.example/" + s.id + ".png"},
	}
	for _, at := range s.places {
		place := &hexbid.Place{Meta: hexbid.Meta{Name: s.program() + "/places/" + at.id}, DisplayName: at.name,
			Point: at.point, Address: "浙江省杭州市", OpeningHours: openingHours[s.category]}
		if s.synthetic {
			place.Address = "synthetic position"
		}
		out = append(out, place)
	}
	return out
}

var openingHours = map[hexbid.Category]string{hexbid.Catering: "Mo-Su 10:00-22:00", hexbid.Finance: "Mo-Fr 09:00-17:00",
	hexbid.Shopping: "Mo-Su 09:00-21:30", hexbid.Leisure: "Mo-Su 12:00-24:00", hexbid.Travel: "24/7",
	hexbid.Automotive: "24/7"}

// drawHosts draws the hosts of a shop. Every shop runs on WeChat, and fewer on Alipay, Douyin and Meituan.
func drawHosts(r *rand.Rand, chain bool) []hexbid.Host {
	hosts := []hexbid.Host{hexbid.WeChat}
	for _, more := range []struct {
		host  hexbid.Host
		share float64
	}{{hexbid.Alipay, 0.6}, {hexbid.Douyin, 0.3}, {hexbid.Meituan, 0.3}, {hexbid.Baidu, 0.15}, {hexbid.Xiaohongshu, 0.1}} {
		if chain || r.Float64() < more.share {
			hosts = append(hosts, more.host)
		}
	}
	return hosts
}

// slug makes an id from a name: its Latin letters, or a hash where it has none.
func slug(prefix, name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	id := strings.Trim(b.String(), "-")
	if len(id) < 3 {
		h := fnv.New32a()
		h.Write([]byte(name))
		id = fmt.Sprintf("%08x", h.Sum32())
	}
	return (prefix + id)[:min(len(prefix+id), 60)]
}
