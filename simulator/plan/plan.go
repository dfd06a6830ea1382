// Package plan computes how many machines a business needs from what one machine was measured to do. It is arithmetic
// on stated assumptions. Every figure says how it is computed, and the plan says what was not measured.
package plan

import (
	"fmt"
	"math"
	"reflect"

	"github.com/hexbid/hexbid"
)

// Inputs describe the business and the machine. The tags are those of the command line: help is the meaning and unit,
// default the value, and source the origin of the value.
type Inputs struct {
	PerSecond     float64 `name:"per-second" help:"Searches a second that a measured machine holds at its objective." default:"0" source:"measured: hexbid simulate capacity"`
	MeasuredCores int     `name:"measured-cores" help:"Cores that the measured server had." default:"0" source:"measured: hexbid simulate capacity"`
	ResponseBytes float64 `name:"response-bytes" help:"Bytes of an answer." default:"4200" source:"measured: three slots and 20 places"`
	RequestBytes  float64 `name:"request-bytes" help:"Bytes of a request." default:"70" source:"measured"`

	DailyUsers     float64 `name:"daily-users" help:"People who use mini-programs in a day." default:"450e6" source:"published: more than 450 million on one host"`
	NearbyShare    float64 `name:"nearby-share" help:"Share of them who open the nearby list that day." default:"0.1" source:"assumption"`
	SearchesAUser  float64 `name:"searches-a-user" help:"Searches a day by each of them." default:"4" source:"assumption"`
	PeakHourShare  float64 `name:"peak-hour-share" help:"Share of a day's searches in its busiest hour." default:"0.078" source:"assumption: the hours of hexbid simulate load --day"`
	PeakWithinHour float64 `name:"peak-within-hour" help:"Rate in the busiest second of that hour, as a multiple of the hour's mean." default:"1.3" source:"assumption"`
	FestivalPeak   float64 `name:"festival-peak" help:"Searches on a festival's day, as a multiple of an ordinary day's." default:"2.5" source:"assumption"`

	Campaigns    float64 `help:"Campaigns that serve." default:"1e6" source:"assumption: three times the largest published ceiling, 350,000"`
	Programs     float64 `help:"Mini-programs." default:"7e6" source:"published: more than 7 million over all hosts"`
	PlacesEach   float64 `name:"places-each" help:"Places of a program." default:"1" source:"assumption"`
	SlotsFilled  float64 `name:"slots-filled" help:"Sponsored results in an answer." default:"2" source:"assumption"`
	SeenShare    float64 `name:"seen-share" help:"Share of them that are seen." default:"0.7" source:"assumption"`
	ClickShare   float64 `name:"click-share" help:"Share of those that are clicked." default:"0.02" source:"assumption"`
	EventBytes   float64 `name:"event-bytes" help:"Bytes of an event on disk." default:"400" source:"assumption: the ledger is not built yet"`
	KeepDays     float64 `name:"keep-days" help:"Days that events are kept on a node's disk." default:"90" source:"assumption"`
	Regions      int     `help:"Regions, each with nodes of its own and the whole index." default:"3" source:"assumption"`
	LargestShare float64 `name:"largest-share" help:"Share of the searches in the largest region." default:"0.45" source:"assumption: use concentrates in the south-east"`
	SpareNodes   int     `name:"spare-nodes" help:"Nodes of a region that may be down while the others keep up." default:"1" source:"assumption"`

	NodeCores        int     `name:"node-cores" help:"Cores of a node; 0 for as many as were measured." default:"0" source:"assumption"`
	Headroom         float64 `help:"Share of the measured rate that is left unused at the festival's peak." default:"0.3" source:"assumption"`
	BytesACampaign   float64 `name:"bytes-a-campaign" help:"Bytes of memory for a campaign." default:"490" source:"measured: benchmarks/RESULTS.md, a million campaigns"`
	BytesAProgram    float64 `name:"bytes-a-program" help:"Bytes of memory for a program and its place." default:"900" source:"measured: seven million of each, the index takes some six gigabytes"`
	CollectorFactor  float64 `name:"collector-factor" help:"Memory given to the process, as a multiple of the index. With more the garbage collector runs less often." default:"2" source:"docs/operators.md"`
	CacheMB          float64 `name:"cache-mb" help:"Cache of display records, MiB." default:"512" source:"docs/operators.md"`
	DiskACampaign    float64 `name:"disk-a-campaign" help:"Bytes of disk for a campaign." default:"250" source:"measured: a data folder of a million"`
	DiskAProgram     float64 `name:"disk-a-program" help:"Bytes of disk for a program and its place." default:"250" source:"measured: a data folder of a million places"`
	DiskFactor       float64 `name:"disk-factor" help:"Disk with room for compactions and copies, as a multiple of the catalogue." default:"3" source:"assumption"`
	NodePrice        float64 `name:"node-price" help:"Price of a node for a month; 0 for no cost." default:"0" source:"your price list"`
	DiskPriceGB      float64 `name:"disk-price-gb" help:"Price of a GB of disk for a month." default:"0" source:"your price list"`
	NetworkPriceGB   float64 `name:"network-price-gb" help:"Price of a GB sent." default:"0" source:"your price list"`
	PeakDaysPerMonth float64 `name:"peak-days" help:"Days of a festival in a month, for network and cost." default:"1" source:"assumption"`
}

// check refuses inputs that allow no plan.
func (in *Inputs) check() error {
	if !(in.PerSecond > 0) || in.MeasuredCores < 1 {
		return hexbid.Invalidf("--capacity",
			"there is no measured capacity: give run.json of hexbid simulate capacity, or --per-second and --measured-cores")
	}
	if in.Regions < 1 || in.SpareNodes < 0 || in.NodeCores < 0 {
		return hexbid.Invalidf("--regions",
			"%d regions, %d spare nodes, %d cores: there is at least one region, and none of them is below 0", in.Regions,
			in.SpareNodes, in.NodeCores)
	}
	if in.LargestShare*float64(in.Regions) < 1-1e-9 {
		return hexbid.Invalidf("--largest-share", "%v of %d regions: the largest has at least %.3f", in.LargestShare,
			in.Regions, 1/float64(in.Regions))
	}
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Type.Kind() != reflect.Float64 {
			continue
		}
		value := v.Field(i).Float()
		if !(value >= 0) || math.IsInf(value, 0) {
			return hexbid.Invalidf("--"+flagName(f), "%v: it must not be below 0", value)
		}
		if isShare[f.Name] && value > 1 {
			return hexbid.Invalidf("--"+flagName(f), "%v: it is a share of 1", value)
		}
	}
	if in.Headroom >= 1 {
		return hexbid.Invalidf("--headroom", "%v: nothing would be used", in.Headroom)
	}
	return nil
}

var isShare = map[string]bool{"NearbyShare": true, "PeakHourShare": true, "SeenShare": true, "ClickShare": true,
	"LargestShare": true, "Headroom": true}

func flagName(f reflect.StructField) string {
	if name := f.Tag.Get("name"); name != "" {
		return name
	}
	return string(f.Name[0]+'a'-'A') + f.Name[1:]
}

// Assumption is one input with its meaning and source.
type Assumption struct {
	Flag    string  `json:"flag"`
	Value   float64 `json:"value"`
	Meaning string  `json:"meaning"`
	Source  string  `json:"source"`
}

// Assumptions returns all inputs. The source of an input that differs from its default is "given".
func (in *Inputs) Assumptions() (all []Assumption) {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		a := Assumption{Flag: "--" + flagName(f), Meaning: f.Tag.Get("help"), Source: f.Tag.Get("source")}
		if f.Type.Kind() == reflect.Int {
			a.Value = float64(v.Field(i).Int())
		} else {
			a.Value = v.Field(i).Float()
		}
		var standard float64
		if _, err := fmt.Sscan(f.Tag.Get("default"), &standard); err == nil && standard != a.Value && standard != 0 {
			a.Source = "given"
		}
		all = append(all, a)
	}
	return all
}

// Figure is one result and how it was computed.
type Figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Because string  `json:"because"`
}

// Names of the figures that the program looks up.
const (
	figureNodes  = "nodes"
	figureMemory = "memory of a node"
	figureDisk   = "disk of a node"
	figureCost   = "cost of a month"
)

// Region is a region with nodes of its own.
type Region struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"per_second"` // at the festival's peak
	Nodes     int     `json:"nodes"`      // spare nodes included
	Spare     int     `json:"spare"`
}

// Part is a part of a figure, in the figure's unit.
type Part struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Plan is what the business needs.
type Plan struct {
	Figures       []Figure      `json:"figures"`
	Regions       []Region      `json:"regions"`
	Memory        []Part        `json:"memory"`         // of a node, GB
	Disk          []Part        `json:"disk"`           // of a node, GB
	Cost          []Part        `json:"cost,omitempty"` // of a month
	Sensitivities []Sensitivity `json:"sensitivities"`
	Warnings      []string      `json:"warnings"`
	Assumptions   []Assumption  `json:"assumptions"`
}

func (p *Plan) add(name string, value float64, unit, because string, args ...any) {
	p.Figures = append(p.Figures, Figure{name, value, unit, fmt.Sprintf(because, args...)})
}

const (
	hour  = 3600.0
	day   = 24 * hour
	month = 30.0 // days
	giga  = 1e9
)

// Make computes a plan. Its error is Invalid and names the flag.
func Make(in Inputs) (*Plan, error) {
	if in.NodeCores == 0 {
		in.NodeCores = in.MeasuredCores
	}
	p, err := work(&in)
	if err != nil {
		return nil, err
	}
	p.Sensitivities = sensitivities(&in, p)
	p.Assumptions = in.Assumptions()
	return p, nil
}

// work does the arithmetic.
func work(in *Inputs) (*Plan, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	p := &Plan{}
	peak := p.traffic(in)
	nodes := p.nodes(in, peak)
	p.memory(in)
	disk := p.disk(in, nodes)
	sent := p.network(in, peak)
	p.cost(in, nodes, disk, sent)
	return p, nil
}

// traffic returns the searches in the festival's busiest second.
func (p *Plan) traffic(in *Inputs) (peak float64) {
	searches := in.DailyUsers * in.NearbyShare * in.SearchesAUser
	p.add("searches a day", searches, "", "daily users × nearby share × searches a user")
	p.add("mean rate", searches/day, "/s", "searches a day over 86,400 s")
	busy := searches * in.PeakHourShare / hour * in.PeakWithinHour
	p.add("peak of an ordinary day", busy, "/s", "peak hour's share over 3,600 s × peak within the hour")
	peak = busy * in.FestivalPeak
	p.add("peak of a festival", peak, "/s", "peak of an ordinary day × festival peak")
	return peak
}

// nodes returns the number of nodes over all regions.
func (p *Plan) nodes(in *Inputs, peak float64) float64 {
	perCore := in.PerSecond / float64(in.MeasuredCores)
	p.add("rate of a core", perCore, "/s", "measured rate over measured cores")
	perNode := perCore * float64(in.NodeCores) * (1 - in.Headroom)
	p.add("rate of a node", perNode, "/s", "rate of a core × %d cores × (1 − headroom)", in.NodeCores)
	if in.NodeCores > in.MeasuredCores {
		p.Warnings = append(p.Warnings,
			fmt.Sprintf("the plan assumes that a node of %d cores does %.1f times what was measured on %d cores. This was not "+
				"measured: measure a node as it will be, or plan with --node-cores=%d",
				in.NodeCores, float64(in.NodeCores)/float64(in.MeasuredCores), in.MeasuredCores, in.MeasuredCores))
	}
	largest := p.region(in, "the largest region", peak*in.LargestShare, perNode)
	p.add("nodes of the largest region", largest, "", "⌈festival's peak × its share ÷ rate of a node⌉ + spare")
	total := largest
	if in.Regions > 1 {
		others := float64(in.Regions - 1)
		each := 0.0
		for n := range min(in.Regions-1, mostRegions) {
			each = p.region(in, fmt.Sprintf("region %d", n+2), peak*(1-in.LargestShare)/others, perNode)
		}
		p.add("nodes of each other region", each, "", "the rest of the searches, shared evenly, + spare")
		total += others * each
	}
	p.add(figureNodes, total, "", "over %d regions", in.Regions)
	p.add("cores", total*float64(in.NodeCores), "", "nodes × cores")
	return total
}

// mostRegions is the most regions that a plan lists beside the largest. The others are like them.
const mostRegions = 50

// region returns the nodes of one region.
func (p *Plan) region(in *Inputs, name string, perSecond, perNode float64) float64 {
	nodes := math.Ceil(perSecond/perNode) + float64(in.SpareNodes)
	p.Regions = append(p.Regions, Region{name, perSecond, int(min(nodes, math.MaxInt32)), in.SpareNodes})
	return nodes
}

func (p *Plan) memory(in *Inputs) {
	index := in.Campaigns*in.BytesACampaign + in.Programs*max(1, in.PlacesEach)*in.BytesAProgram
	p.add("index of a node", index/giga, "GB", "campaigns × bytes + programs × places × bytes; every node holds all of it")
	const underWay = 0.5 // GB
	cache := in.CacheMB * (1 << 20) / giga
	p.Memory = []Part{{"index of campaigns", in.Campaigns * in.BytesACampaign / giga},
		{"index of programs", in.Programs * max(1, in.PlacesEach) * in.BytesAProgram / giga},
		{"room for the collector", index * (in.CollectorFactor - 1) / giga}, {"display cache", cache},
		{"calls under way", underWay}}
	p.add(figureMemory, index*in.CollectorFactor/giga+cache+underWay, "GB",
		"index × collector factor + cache + half a GB for calls under way")
}

// disk returns the disk of a node, in GB.
func (p *Plan) disk(in *Inputs, nodes float64) float64 {
	catalogue := (in.Campaigns*in.DiskACampaign + in.Programs*max(1, in.PlacesEach)*in.DiskAProgram) * in.DiskFactor / giga
	shown := in.DailyUsers * in.NearbyShare * in.SearchesAUser * in.SlotsFilled * in.SeenShare
	events := shown * (1 + in.ClickShare)
	p.add("events a day", events, "", "searches × slots filled × seen share × (1 + click share)")
	p.add("events a second at the festival's peak", events/day*in.PeakHourShare*24*in.PeakWithinHour*in.FestivalPeak, "/s",
		"spread over the day as the searches are")
	p.add("event log a day", events*in.EventBytes/giga, "GB", "events × bytes of an event")
	log := events * in.EventBytes * in.KeepDays / giga / nodes
	disk := catalogue + log
	p.Disk = []Part{{"catalogue", catalogue}, {"events", log}}
	p.add(figureDisk, disk, "GB", "catalogue × disk factor + its share of %.0f days of events", in.KeepDays)
	return disk
}

// network returns the GB sent in a month.
func (p *Plan) network(in *Inputs, peak float64) float64 {
	const bits = 8
	p.add("network out at the festival's peak", peak*in.ResponseBytes*bits/giga, "Gbit/s", "peak × bytes of an answer")
	p.add("network in at the festival's peak", peak*in.RequestBytes*bits/giga, "Gbit/s", "peak × bytes of a request")
	days := month + in.PeakDaysPerMonth*(in.FestivalPeak-1)
	sent := in.DailyUsers * in.NearbyShare * in.SearchesAUser * in.ResponseBytes * days / giga
	p.add("sent in a month", sent, "GB",
		"searches of %.0f days, festival days counted by their peak, × bytes of an answer", month)
	return sent
}

func (p *Plan) cost(in *Inputs, nodes, disk, sent float64) {
	parts := []Part{{"nodes", nodes * in.NodePrice}, {"disk", nodes * disk * in.DiskPriceGB},
		{"network", sent * in.NetworkPriceGB}}
	cost := parts[0].Value + parts[1].Value + parts[2].Value
	if cost > 0 {
		p.Cost = parts
		p.add(figureCost, cost, "", "nodes × (price + disk × price of a GB) + GB sent × price")
	}
}
