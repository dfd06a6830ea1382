package traffic

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/hexbid/hexbid"
)

// GeoNames, CC BY 4.0; see NOTICE.
//
//go:embed data/cities_cn_geonames.csv
var citiesCSV string

// City is a city of China, Hong Kong, Macao or Taiwan of over 15,000 people.
type City struct {
	Name, Chinese string
	Center        hexbid.Point
	People        float64
}

// Cities lists the cities, the largest first. An error means that the embedded file is damaged.
func Cities() ([]City, error) {
	rows, err := csv.NewReader(strings.NewReader(citiesCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("embedded cities: %w", err)
	}
	cities := make([]City, 0, len(rows))
	for _, row := range rows[1:] {
		lat, err1 := strconv.ParseFloat(row[3], 64)
		lng, err2 := strconv.ParseFloat(row[4], 64)
		people, err3 := strconv.ParseFloat(row[9], 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("embedded cities: %q", row)
		}
		cities = append(cities, City{row[1], row[2], hexbid.Point{Lat: lat, Lng: lng}, people})
	}
	return cities, nil
}

// UN World Population Prospects 2019, CC BY 3.0 IGO; see NOTICE.
//
//go:embed data/demog_wpp2019_china_age_sex_thousands.csv
var agesCSV string

// ageBand is a band of five years of one sex, with its people in thousands in 2020.
type ageBand struct {
	female    bool
	youngest  int
	thousands float64
}

// ageBands reads the table. An error means that the embedded file is damaged.
func ageBands() (bands []ageBand, err error) {
	rows, err := csv.NewReader(strings.NewReader(agesCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("embedded table of ages: %w", err)
	}
	for _, row := range rows[1:] {
		first, _, _ := strings.Cut(strings.TrimSuffix(row[1], "+"), "-")
		youngest, err1 := strconv.Atoi(first)
		thousands, err2 := strconv.ParseFloat(row[3], 64)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("embedded table of ages: %q", row)
		}
		bands = append(bands, ageBand{row[0] == "F", youngest, thousands})
	}
	return bands, nil
}
