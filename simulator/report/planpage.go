package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hexbid/hexbid/simulator/plan"
)

// regionBox shows a region in the diagram of a plan.
type regionBox struct {
	Name, Says string
	Squares    []bool // one for each square: whether it stands for spare nodes
}

// mostSquares is the most squares of a region. In a larger region one square stands for several nodes.
const mostSquares = 120

// WritePlan writes a plan's artifact into a folder, which it makes: plan.json and plan.html. The function written
// formats numbers for people. The argument command is the command that was typed.
func WritePlan(dir string, p *plan.Plan, command string, written func(float64) string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the artifact's folder: %w", err)
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{{"plan.json", func(w io.Writer) error { return WritePlanJSON(w, p) }},
		{"plan.html", func(w io.Writer) error { return WritePlanPage(w, p, command, written) }}} {
		if err := writeFile(filepath.Join(dir, file.name), file.write); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
	}
	return nil
}

// WritePlanJSON writes the whole plan.
func WritePlanJSON(w io.Writer, p *plan.Plan) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(p)
}

// WritePlanPage writes a plan's page.
func WritePlanPage(w io.Writer, p *plan.Plan, command string, written func(float64) string) error {
	v := &page{Title: "Hexbid plan",
		Says: "hexbid simulate plan: arithmetic on the assumptions at the end of this page, each of which is a flag"}
	for _, warning := range p.Warnings {
		v.Warnings = append(v.Warnings, "Warning: "+warning)
	}
	values := map[string]string{}
	for _, f := range p.Figures {
		values[f.Name] = strings.TrimSpace(written(f.Value) + " " + f.Unit)
	}
	v.Verdict = fmt.Sprintf("%s nodes in %d regions carry %s searches a second at a festival's peak.", values["nodes"],
		regionsOf(p), strings.TrimSuffix(values["peak of a festival"], " /s"))
	for _, name := range []string{"nodes", "cores", "searches a day", "peak of a festival", "rate of a node",
		"memory of a node", "disk of a node", "network out at the festival's peak", "cost of a month"} {
		if text, known := values[name]; known {
			v.Tiles = append(v.Tiles, tile{Name: name, Value: text})
		}
	}
	v.Regions, v.NodesASquare = regionBoxes(p.Regions, written)
	v.Tables = []dataTable{figuresTable(p, written), assumptionsTable(p, written),
		{Title: "How it was planned", Rows: [][]tableCell{{{Text: "command"}, {Text: command, Class: "wide", Code: true}}}}}
	return v.write(w, planPictures(p, written))
}

// regionsOf returns the number of a plan's regions. The plan itself lists only some of them.
func regionsOf(p *plan.Plan) int {
	for _, a := range p.Assumptions {
		if a.Flag == "--regions" {
			return int(a.Value)
		}
	}
	return len(p.Regions)
}

func regionBoxes(regions []plan.Region, written func(float64) string) (boxes []regionBox, nodesASquare int) {
	most := 1
	for _, r := range regions {
		most = max(most, r.Nodes)
	}
	nodesASquare = (most + mostSquares - 1) / mostSquares
	for _, r := range regions {
		squares := (r.Nodes + nodesASquare - 1) / nodesASquare
		box := regionBox{Name: strings.ToUpper(r.Name[:1]) + r.Name[1:], Squares: make([]bool, squares),
			Says: fmt.Sprintf("%s searches a second, %s nodes, %d of them spare", written(r.PerSecond),
				written(float64(r.Nodes)), r.Spare)}
		for i := range box.Squares {
			box.Squares[i] = i >= squares-r.Spare/nodesASquare
		}
		boxes = append(boxes, box)
	}
	return boxes, nodesASquare
}

func figuresTable(p *plan.Plan, written func(float64) string) dataTable {
	t := dataTable{Title: "What is needed, and why", Head: []string{"what", "needed", "", "because"}}
	for _, f := range p.Figures {
		t.Rows = append(t.Rows, []tableCell{{Text: f.Name}, {Text: written(f.Value), Class: "number"}, {Text: f.Unit},
			{Text: f.Because, Class: "wide"}})
	}
	return t
}

func assumptionsTable(p *plan.Plan, written func(float64) string) dataTable {
	t := dataTable{Title: "Assumptions", Head: []string{"flag", "value", "meaning", "from"}}
	for _, a := range p.Assumptions {
		t.Rows = append(t.Rows, []tableCell{{Text: a.Flag, Code: true}, {Text: written(a.Value), Class: "number"},
			{Text: a.Meaning, Class: "wide"}, {Text: a.Source, Class: "wide"}})
	}
	return t
}

// planPictures shows what the answer depends on, and what it consists of.
func planPictures(p *plan.Plan, written func(float64) string) (all []*picture) {
	for i := range p.Sensitivities {
		all = append(all, swingPicture(&p.Sensitivities[i], written))
	}
	const bytesAGB = 1e9
	all = append(all,
		partsPicture(picture{ID: "memory", Title: "What a node's memory is for", Says: "Every node holds the whole index.",
			X: axis{Name: "memory", Unit: "bytes"}}, bytesAGB, p.Memory),
		partsPicture(picture{ID: "disk", Title: "What a node's disk is for",
			Says: "Events are shared among the nodes, the catalogue is on each.", X: axis{Name: "disk", Unit: "bytes"}},
			bytesAGB, p.Disk))
	if len(p.Cost) > 0 {
		return append(all, partsPicture(picture{ID: "cost", Title: "Cost of a month",
			Says: "In the currency of the prices that were given.", X: axis{Name: "cost", Unit: "money"}}, 1, p.Cost))
	}
	return append(all, &picture{ID: "cost", Title: "Cost of a month", Says: "What nodes, disk and network cost.",
		Advice: "No prices were given. Give those of your provider with --node-price, --disk-price-gb and " +
			"--network-price-gb."})
}

// mostSwings is the most swings that a picture shows.
const mostSwings = 10

func swingPicture(s *plan.Sensitivity, written func(float64) string) *picture {
	p := &picture{ID: "swing " + s.Figure, Title: "What changes the " + s.Figure + " most",
		X: axis{Name: s.Figure, Unit: "count"}}
	scale := 1.0
	switch {
	case s.Unit == "GB":
		p.X.Unit, scale = "bytes", 1e9
	case s.Figure == "nodes":
		p.Title = "What changes the number of nodes most"
	}
	p.Base = round(s.Value * scale)
	p.Says = fmt.Sprintf("Each assumption halved and doubled by itself, shares up to 1. The line is the plan; %d of %d "+
		"that matter are shown.", min(len(s.Swings), mostSwings), len(s.Swings))
	for i := range s.Swings[:min(len(s.Swings), mostSwings)] {
		swing := &s.Swings[i]
		p.Bars = append(p.Bars, bar{Name: strings.TrimPrefix(swing.Flag, "--"),
			Values: []float64{round(swing.Halved * scale), round(swing.Doubled * scale)},
			Says:   fmt.Sprintf("%s from %s to %s", swing.Flag, written(swing.Low), written(swing.High))})
	}
	return p
}

// partsPicture draws the parts of a figure. It multiplies each value by scale to get the unit of the axis.
func partsPicture(p picture, scale float64, parts []plan.Part) *picture {
	for _, part := range parts {
		p.Bars = append(p.Bars, bar{Name: part.Name, Values: []float64{round(part.Value * scale)}})
	}
	return &p
}
