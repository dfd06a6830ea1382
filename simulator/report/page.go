package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
)

// Apache ECharts 5.6.0, the whole build, Apache License 2.0; see NOTICE. Every page contains it, so that a page needs
// no network.
//
//go:embed assets/echarts.min.js
var echarts string

//go:embed assets/page.css
var style string

//go:embed assets/page.js
var script string

//go:embed assets/page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is the input of the template, which makes one page for every kind of artifact.
type page struct {
	Title, Verdict, Says string
	Compared             string // describes the baseline; "" without one
	Warnings             []string
	Tiles                []tile
	Gates                []Gate
	Regions              []regionBox
	NodesASquare         int
	Charts               []chart
	Map                  *hexMap
	Tables               []dataTable

	Pictures, Library, Script template.JS
	Style                     template.CSS
}

// mostTiles is the most tiles in a row.
const mostTiles = 8

// TileColumns returns the number of columns that makes the rows of tiles equally long.
func (p *page) TileColumns() int {
	if len(p.Tiles) <= mostTiles {
		return max(1, len(p.Tiles))
	}
	return (len(p.Tiles) + 1) / 2
}

// chart is the place of a picture in the page.
type chart struct {
	*picture
	Wide bool
}

// tile shows one figure in large type, and its value in a baseline.
type tile struct {
	Name, Value string
	Was         *was
}

// was shows the value in a baseline.
type was struct{ Says, Class string }

// dataTable is a table with a title, with named figures below it.
type dataTable struct {
	Title string
	Head  []string
	Rows  [][]tableCell
	Pairs []tile
}

type tableCell struct {
	Text, Class string
	Code        bool
}

// texts returns plain cells.
func texts(all ...string) (row []tableCell) {
	for _, text := range all {
		row = append(row, tableCell{Text: text})
	}
	return row
}

// write fills in the template. With an odd number of charts the first is wide, so that no half of a row is empty.
func (p *page) write(w io.Writer, pictures []*picture) error {
	text, err := json.Marshal(pictures)
	if err != nil {
		return fmt.Errorf("pictures: %w", err)
	}
	for i, picture := range pictures {
		p.Charts = append(p.Charts, chart{picture, i == 0 && len(pictures)%2 == 1})
	}
	p.Pictures, p.Library, p.Script, p.Style = template.JS(text), template.JS(echarts), template.JS(script),
		template.CSS(style)
	return pageTemplate.Execute(w, p)
}
