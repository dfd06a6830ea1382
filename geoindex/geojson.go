package geoindex

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hexbid/hexbid"
)

// ParsePolygons reads a GeoJSON geometry (RFC 7946): a Polygon or a
// MultiPolygon, or a Feature or FeatureCollection of them. Positions are
// longitude, latitude, in WGS-84; an altitude is dropped. Rings that wind the
// wrong way are turned round, and the number of them is returned. What bounds
// nothing is left to validation.
func ParsePolygons(text string) (polygons []hexbid.Polygon, turned int, err error) {
	var g geometry
	if err := json.Unmarshal([]byte(text), &g); err != nil {
		return nil, 0, fmt.Errorf("%q is not GeoJSON: %w", hexbid.Shorten(text), err)
	}
	if polygons, err = g.polygons(0); err != nil {
		return nil, 0, err
	}
	for _, p := range polygons {
		turned += wind(p)
	}
	return polygons, turned, nil
}

// geometry is any of the GeoJSON objects that can hold polygons.
type geometry struct {
	Type        string          `json:"type"`
	Coordinates json.RawMessage `json:"coordinates"`
	Geometry    *geometry       `json:"geometry"`
	Features    []geometry      `json:"features"`
}

func (g *geometry) polygons(depth int) ([]hexbid.Polygon, error) {
	switch {
	case depth > 2:
		return nil, errors.New("the GeoJSON nests features in features")
	case g.Type == "Feature" && g.Geometry != nil:
		return g.Geometry.polygons(depth + 1)
	case g.Type == "FeatureCollection":
		var all []hexbid.Polygon
		for i := range g.Features {
			some, err := g.Features[i].polygons(depth + 1)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	case g.Type == "Polygon":
		var rings [][][]float64
		if err := json.Unmarshal(g.Coordinates, &rings); err != nil {
			return nil, fmt.Errorf("the Polygon's coordinates are not rings of positions: %w", err)
		}
		p, err := toPolygon(rings)
		return []hexbid.Polygon{p}, err
	case g.Type == "MultiPolygon":
		var members [][][][]float64
		if err := json.Unmarshal(g.Coordinates, &members); err != nil {
			return nil, fmt.Errorf("the MultiPolygon's coordinates are not polygons: %w", err)
		}
		polygons := make([]hexbid.Polygon, len(members))
		for i, rings := range members {
			var err error
			if polygons[i], err = toPolygon(rings); err != nil {
				return nil, err
			}
		}
		return polygons, nil
	}
	return nil, fmt.Errorf("GeoJSON type %q is not an area: use Polygon or MultiPolygon", hexbid.Shorten(g.Type))
}

func toPolygon(rings [][][]float64) (hexbid.Polygon, error) {
	p := make(hexbid.Polygon, len(rings))
	for i, ring := range rings {
		for _, position := range ring {
			if len(position) < 2 {
				return nil, fmt.Errorf("position %v is not longitude and latitude", position)
			}
			p[i] = append(p[i], hexbid.Point{Lng: position[0], Lat: position[1]})
		}
	}
	return p, nil
}

// wind turns the outer ring counter-clockwise and holes clockwise.
func wind(p hexbid.Polygon) (turned int) {
	for i, ring := range p {
		if len(ring) < 4 {
			continue
		}
		if area := hexbid.RingArea(ring); area != 0 && (area > 0) != (i == 0) {
			for a, b := 0, len(ring)-1; a < b; a, b = a+1, b-1 {
				ring[a], ring[b] = ring[b], ring[a]
			}
			turned++
		}
	}
	return turned
}

// FormatPolygon writes a polygon as a GeoJSON geometry.
func FormatPolygon(p hexbid.Polygon) string {
	rings := make([][][2]float64, len(p))
	for i, ring := range p {
		for _, v := range ring {
			rings[i] = append(rings[i], [2]float64{v.Lng, v.Lat})
		}
	}
	text, err := json.Marshal(struct {
		Type        string         `json:"type"`
		Coordinates [][][2]float64 `json:"coordinates"`
	}{"Polygon", rings})
	if err != nil {
		return "" // validated numbers always encode
	}
	return string(text)
}
