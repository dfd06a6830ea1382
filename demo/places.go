package demo

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hexbid/hexbid"
)

// © OpenStreetMap contributors, Open Database License 1.0; see NOTICE.
//
//go:embed data/poi_osm_hangzhou.csv
var placesCSV []byte

// name-suggestion-index, BSD-3-Clause; see NOTICE.
//
//go:embed data/brands_cn_nsi.csv
var brandsCSV []byte

// categories maps the OpenStreetMap amenities that could be a business with a mini-program to their category. It leaves
// out benches, bicycle stands, toilets, schools and public offices.
var categories = map[string]hexbid.Category{
	"restaurant": hexbid.Catering, "cafe": hexbid.Catering, "fast_food": hexbid.Catering, "food_court": hexbid.Catering,
	"ice_cream": hexbid.Catering, "bar": hexbid.Catering, "pub": hexbid.Catering,
	"cinema": hexbid.Leisure, "theatre": hexbid.Leisure, "arts_centre": hexbid.Leisure, "nightclub": hexbid.Leisure,
	"internet_cafe": hexbid.Leisure, "studio": hexbid.Leisure,
	"bank": hexbid.Finance, "bureau_de_change": hexbid.Finance,
	"pharmacy": hexbid.Health, "clinic": hexbid.Health, "dentist": hexbid.Health, "doctors": hexbid.Health,
	"hospital": hexbid.Health, "fuel": hexbid.Automotive, "charging_station": hexbid.Automotive,
	"car_wash": hexbid.Automotive, "vehicle_inspection": hexbid.Automotive, "car_rental": hexbid.Transport,
	"taxi": hexbid.Transport, "ferry_terminal": hexbid.Transport, "driving_school": hexbid.Education,
	"driver_training": hexbid.Education, "prep_school": hexbid.Education, "language_school": hexbid.Education,
	"marketplace": hexbid.Shopping, "post_office": hexbid.LifeServices, "parcel_locker": hexbid.LifeServices,
	"public_bath": hexbid.Beauty, "veterinary": hexbid.Pets, "kindergarten": hexbid.Education,
	"exhibition_centre": hexbid.Leisure, "conference_centre": hexbid.Leisure,
}

// brand is a chain that trades in China.
type brand struct{ name, english, key, value string }

func readBrands() ([]brand, error) {
	rows, err := readRows(brandsCSV, "brands_cn_nsi.csv")
	if err != nil {
		return nil, err
	}
	var brands []brand
	for _, row := range rows {
		name, _, _ := strings.Cut(row[0], " (") // as in 必胜客 (中国)
		brands = append(brands, brand{name, row[1], row[2], row[3]})
	}
	return brands, nil
}

func readRows(file []byte, name string) ([][]string, error) {
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("embedded %s: %d rows, %w", name, len(rows), err)
	}
	return rows[1:], nil
}

// realShops reads the map. Each row becomes a shop, except that all places of one chain become one shop.
func realShops() ([]shop, error) {
	brands, err := readBrands()
	if err != nil {
		return nil, err
	}
	rows, err := readRows(placesCSV, "poi_osm_hangzhou.csv")
	if err != nil {
		return nil, err
	}
	var shops []shop
	chains := map[string]int{} // brand to index of shops
	for _, row := range rows {
		category, keep := categories[row[5]]
		if name := row[1]; name == "" || !keep {
			continue
		}
		lat, latErr := strconv.ParseFloat(row[2], 64)
		lng, lngErr := strconv.ParseFloat(row[3], 64)
		if latErr != nil || lngErr != nil {
			return nil, fmt.Errorf("embedded poi_osm_hangzhou.csv: %q, %q are no coordinates", row[2], row[3])
		}
		at := spot{id: slug("", strings.ReplaceAll(row[0], "/", "-")), name: cutName(row[1]),
			point: hexbid.Point{Lat: lat, Lng: lng}}
		of := brandOf(row[1], row[5], brands)
		if of == nil {
			shops = append(shops, shop{id: "osm-" + at.id, name: at.name, category: category, places: []spot{at}})
			continue
		}
		i, known := chains[of.name]
		if !known {
			i = len(shops)
			chains[of.name] = i
			shops = append(shops, chainShop(of, category))
		}
		shops[i].places = append(shops[i].places, at)
	}
	return shops, nil
}

func chainShop(b *brand, category hexbid.Category) shop {
	s := shop{id: slug("brand-", b.english), name: b.name, category: category, chain: true}
	if b.english == "" {
		s.id = slug("brand-", b.name)
	} else if b.english != b.name {
		s.otherNames = []string{b.english}
	}
	return s
}

// brandOf returns the brand of a place. Candidates are brands of a similar amenity, and brands of any amenity whose
// name is exactly the place's. It picks the longest whose Chinese or English name begins the place's name.
func brandOf(name, value string, brands []brand) *brand {
	var best *brand
	longest := 0
	folded := strings.ToLower(name)
	for i := range brands {
		b := &brands[i]
		if b.key != "amenity" || b.value == "atm" {
			continue
		}
		for _, alias := range []string{b.name, b.english} {
			alias = strings.ToLower(alias)
			if utf8.RuneCountInString(alias) < 2 || len(alias) <= longest || !strings.HasPrefix(folded, alias) {
				continue
			}
			if folded == alias || len(alias) >= 5 && similar(b.value, value) {
				best, longest = b, len(alias)
			}
		}
	}
	return best
}

// similar reports whether two amenities are so close that mappers use either.
func similar(a, b string) bool { return a == b || categories[a] != 0 && categories[a] == categories[b] }

func cutName(s string) string {
	const most = 150 // bytes; some names on the map are essays
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// lacking maps the kinds of business that the map of Hangzhou lacks to their category here.
var lacking = map[string]hexbid.Category{
	"shop/convenience": hexbid.Shopping, "shop/supermarket": hexbid.Shopping, "shop/clothes": hexbid.Shopping,
	"shop/jewelry": hexbid.Shopping, "shop/shoes": hexbid.Shopping, "shop/department_store": hexbid.Shopping,
	"shop/books": hexbid.Shopping, "shop/electronics": hexbid.Shopping, "shop/sports": hexbid.Sports,
	"shop/bakery": hexbid.Catering, "tourism/hotel": hexbid.Travel, "tourism/theme_park": hexbid.Leisure,
	"shop/cosmetics": hexbid.Beauty, "shop/hairdresser": hexbid.Beauty, "shop/furniture": hexbid.HomeLiving,
	"shop/pet": hexbid.Pets, "leisure/fitness_centre": hexbid.Sports, "shop/optician": hexbid.Health,
	"shop/toys": hexbid.Shopping,
}

// syntheticShops puts chains of the lacking kinds near real places.
func syntheticShops(r *rand.Rand, brands []brand, near []shop) []shop {
	var shops []shop
	for i := range brands {
		b := &brands[i]
		category, wanted := lacking[b.key+"/"+b.value]
		if !wanted {
			continue
		}
		s := chainShop(b, category)
		s.id, s.synthetic = slug(fmt.Sprintf("synthetic-%d-", i), s.id[len("brand-"):]), true
		for n := range 1 + r.IntN(6) {
			from := near[r.IntN(len(near))].places[0].point
			s.places = append(s.places, spot{id: fmt.Sprintf("s%d", n), name: fmt.Sprintf("%s %d", s.name, n+1),
				point: hexbid.Point{Lat: from.Lat + 0.004*r.NormFloat64(), Lng: from.Lng + 0.004*r.NormFloat64()}})
		}
		shops = append(shops, s)
	}
	return shops
}
