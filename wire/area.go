package wire

import (
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func areaFromNoun(a *hexbid.Area) *pb.Area {
	if a.IsEmpty() {
		return nil
	}
	return &pb.Area{
		AroundPlacesM: a.AroundPlacesM,
		Circles:       fromAll(a.Circles, circleFromNoun),
		H3Cells:       texts(a.Cells, func(cell uint64) string { return geoindex.Cell(cell).String() }),
		Regions:       a.Regions,
		Everywhere:    a.Everywhere,
		Polygons:      texts(a.Polygons, geoindex.FormatPolygon),
	}
}

func (c *conversion) area(field string, v *pb.Area) hexbid.Area {
	if v == nil {
		return hexbid.Area{}
	}
	if v.GetOmittedShapes() != 0 {
		c.note(hexbid.Invalidf(field+".omitted_shapes", "%v", OmittedError(v)))
		return hexbid.Area{}
	}
	out := hexbid.Area{AroundPlacesM: v.GetAroundPlacesM(), Regions: v.GetRegions(), Everywhere: v.GetEverywhere()}
	if !c.stored && (len(v.GetCircles()) > 1000 || len(v.GetH3Cells()) > 1000) { // before any of them is converted
		c.note(hexbid.Invalidf(field, "has %d circles and %d cells: at most 1000 of each", len(v.GetCircles()),
			len(v.GetH3Cells())))
		return out
	}
	out.Circles = c.circles(field+".circles", v.GetCircles())
	out.Cells = c.cells(field+".h3_cells", v.GetH3Cells())
	out.Polygons = c.polygons(field+".polygons", v.GetPolygons())
	return out
}

// OmittedError refuses to write an area that was read without its shapes, because writing it would lose them.
func OmittedError(a *pb.Area) error {
	return hexbid.Errorf(hexbid.Invalid, "", "has %d shapes that view BASIC left out, and a write would lose them: "+
		"read the campaign with GetCampaign or view FULL, or leave the area out of update_mask", a.GetOmittedShapes())
}

// texts converts each element of a list; an empty list stays unset.
func texts[T any](list []T, write func(T) string) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i := range list {
		out[i] = write(list[i])
	}
	return out
}

func circleFromNoun(v *hexbid.Circle) *pb.Circle {
	return &pb.Circle{Latitude: v.Center.Lat, Longitude: v.Center.Lng, Datum: pb.Datum_DATUM_WGS84, RadiusM: v.RadiusM}
}

func (c *conversion) circles(field string, circles []*pb.Circle) []hexbid.Circle {
	return toAll(c, circles, func(c *conversion, v *pb.Circle) hexbid.Circle {
		return hexbid.Circle{Center: c.point(field, v.GetLatitude(), v.GetLongitude(), v.GetDatum()), RadiusM: v.GetRadiusM()}
	})
}

func (c *conversion) cells(field string, texts []string) (cells []uint64) {
	for _, text := range texts {
		cell, err := geoindex.ParseCell(text)
		if err != nil {
			c.note(hexbid.Invalidf(field, "%v", err))
		}
		cells = append(cells, uint64(cell))
	}
	return cells
}

// polygons parses GeoJSON texts, each of which may hold several polygons.
func (c *conversion) polygons(field string, texts []string) (polygons []hexbid.Polygon) {
	for _, text := range texts {
		some, turned, err := geoindex.ParsePolygons(text)
		if err != nil {
			c.note(hexbid.Invalidf(field, "%v", err))
		}
		if turned > 0 {
			c.notices = append(c.notices, fmt.Sprintf("%s: %d rings wound the wrong way and were turned (RFC 7946, 3.1.6)",
				field, turned))
		}
		polygons = append(polygons, some...)
	}
	return polygons
}

// point checks coordinates in the caller's datum and converts them to WGS-84.
func (c *conversion) point(field string, lat, lng float64, datum pb.Datum) hexbid.Point {
	p := hexbid.Point{Lat: lat, Lng: lng}
	if c.stored {
		return p
	}
	d, err := Enum(field+".datum", datum, hexbid.DatumCount)
	if err == nil {
		err = p.Validate(field)
	}
	if err != nil {
		c.note(err)
		return hexbid.Point{}
	}
	return geoindex.ToWGS84(d, p)
}
