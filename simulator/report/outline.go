package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// outline is the outline of a region on a map.
type outline struct {
	Path template.HTMLAttr
	Name string // "" when the region's middle lies outside the map
	X, Y float64
}

// scaleBar shows a length on a map.
type scaleBar struct {
	Path template.HTMLAttr
	X, Y float64
	Says string
}

// mostPrefectures is the most prefectures that a map shows. A map with more shows the provinces instead.
const mostPrefectures = 12

// outlines returns the outlines of the regions that the cells lie in.
func (f *frame) outlines(cells []placed) (all []outline) {
	seen := map[geoindex.RegionID]bool{}
	prefectures := 0
	for i := range cells {
		over := geoindex.RegionsOver(cells[i].center)
		for _, id := range over.All() {
			if !seen[id] && id.Region().Province() != "" {
				prefectures++
			}
			seen[id] = true
		}
	}
	for _, id := range geoindex.RegionIDs() {
		r := id.Region()
		isProvince := r.Province() == ""
		if seen[id] && (isProvince && (prefectures > mostPrefectures || len(r.OtherCodes()) > 0 || prefectures == 0) ||
			!isProvince && prefectures <= mostPrefectures) {
			all = append(all, f.outline(r))
		}
	}
	return all
}

// outline draws the rings of a region. It leaves out points too close to the one before to be seen.
func (f *frame) outline(r *geoindex.Region) outline {
	const apart = 0.7 // pixels
	var b strings.Builder
	var xs, ys []float64
	for _, ring := range r.Rings() {
		lastX, lastY := math.Inf(1), math.Inf(1)
		move := "M"
		for i, p := range ring {
			x, y := f.xy(p)
			x, y = min(max(x, -mapWidth), 2*mapWidth), min(max(y, -f.height), 2*f.height) // bounds points far outside
			if math.Hypot(x-lastX, y-lastY) < apart && i < len(ring)-1 {
				continue
			}
			fmt.Fprintf(&b, "%s%.1f %.1f", move, x, y)
			move, lastX, lastY = "L", x, y
		}
		b.WriteString("Z")
	}
	o := outline{Path: template.HTMLAttr(`d="` + b.String() + `"`)}
	west, east, south, north := r.Bounds()
	for _, p := range []hexbid.Point{{Lat: south, Lng: west}, {Lat: north, Lng: east}} {
		x, y := f.xy(p)
		xs, ys = append(xs, min(max(x, 0), mapWidth)), append(ys, min(max(y, 0), f.height))
	}
	o.X, o.Y = math.Round((xs[0]+xs[1])/2), math.Round((ys[0]+ys[1])/2)
	if name, _, _ := strings.Cut(r.Latin, ","); math.Abs(xs[0]-xs[1]) > 60 && math.Abs(ys[0]-ys[1]) > 20 {
		o.Name = strings.TrimSpace(name)
	}
	return o
}

// scaleBar returns a bar of a round length, at most a quarter of the map's width.
func (f *frame) scaleBar() scaleBar {
	metres := hexbid.DegreeM / f.scale // in one pixel
	most := mapWidth / 4 * metres
	length := math.Pow(10, math.Floor(math.Log10(most)))
	for _, times := range []float64{5, 2} {
		if length*times <= most {
			length *= times
			break
		}
	}
	const left = 14.0
	bottom := f.height - 14
	says := fmt.Sprintf("%g km", length/1000)
	if length < 1000 {
		says = fmt.Sprintf("%g m", length)
	}
	path := fmt.Sprintf("M%.1f %.1fv6h%.1fv-6", left, bottom-6, length/metres)
	return scaleBar{template.HTMLAttr(`d="` + path + `"`), left + 6, math.Round(bottom - 6), says}
}
