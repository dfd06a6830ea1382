package traffic

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
)

// Counts add up what answers contained.
type Counts struct {
	Answers     int          `json:"answers"`
	Slots       int          `json:"slots"`  // slots asked for
	Filled      int          `json:"filled"` // slots filled
	Nearby      int          `json:"nearby"` // programs listed
	Skipped     int          `json:"skipped"`
	Clicks      int          `json:"cpc_results"` // filled slots that pay by click
	ClickPrices hexbid.Money `json:"cpc_price_sum_micros"`
	Thousands   int          `json:"cpm_results"` // filled slots that pay by thousand
	ShownPrices hexbid.Money `json:"cpm_price_sum_micros"`
}

func (c *Counts) add(o *Counts) {
	c.Answers, c.Slots, c.Filled, c.Nearby, c.Skipped = c.Answers+o.Answers, c.Slots+o.Slots, c.Filled+o.Filled,
		c.Nearby+o.Nearby, c.Skipped+o.Skipped
	c.Clicks, c.ClickPrices, c.Thousands, c.ShownPrices = c.Clicks+o.Clicks, c.ClickPrices+o.ClickPrices,
		c.Thousands+o.Thousands, c.ShownPrices+o.ShownPrices
}

// FillRate returns the share of the slots asked for that were filled.
func (c *Counts) FillRate() float64 { return ratio(c.Filled, c.Slots) }

// ClickPrice returns the mean price of a click among filled slots, in currency.
func (c *Counts) ClickPrice() float64 {
	return ratio(int(c.ClickPrices), c.Clicks) / 1e6
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Tally counts answers in bounded memory. When the map has too many cells it makes them coarser.
type Tally struct {
	mu         sync.Mutex // guards the rest
	all        Counts
	since      Counts // counts since the last Take
	server     *hdrhistogram.Histogram
	bytes      sample
	resolution int
	cells      map[geoindex.Cell]*Counts
}

// sample adds up the sizes of some messages.
type sample struct{ n, request, response int }

func (s *sample) add(o sample) {
	s.n, s.request, s.response = s.n+o.n, s.request+o.request, s.response+o.response
}

const (
	finestOfMap = 8 // some 500 m across
	mostOfMap   = 1500
	sampleEvery = 16 // one answer in sixteen has its bytes counted
)

// NewTally returns an empty tally.
func NewTally() *Tally {
	return &Tally{server: load.NewHistogram(), resolution: finestOfMap, cells: map[geoindex.Cell]*Counts{}}
}

// Add counts an answer.
func (t *Tally) Add(q *pb.SearchNearbyRequest, r *pb.SearchNearbyResponse) {
	c := Counts{Answers: 1, Slots: hexbid.DefaultSlots, Filled: len(r.GetSponsored()), Nearby: len(r.GetNearby())}
	if q.SponsoredSlots != nil {
		c.Slots = int(q.GetSponsoredSlots())
	}
	if r.GetSponsoredSkipped() {
		c.Skipped = 1
	}
	for _, s := range r.GetSponsored() {
		if s.GetPricingModel() == pb.PricingModel_PRICING_MODEL_CPM {
			c.Thousands, c.ShownPrices = c.Thousands+1, c.ShownPrices+hexbid.Money(s.GetPriceMicros())
		} else {
			c.Clicks, c.ClickPrices = c.Clicks+1, c.ClickPrices+hexbid.Money(s.GetPriceMicros())
		}
	}
	at := geoindex.CellAt(geoindex.VecOf(hexbid.Point{Lat: q.GetLocation().GetLatitude(),
		Lng: q.GetLocation().GetLongitude()}))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all.Answers%sampleEvery == 0 {
		t.bytes.add(sample{1, proto.Size(q), proto.Size(r)})
	}
	t.all.add(&c)
	t.since.add(&c)
	_ = t.server.RecordValue(int64(r.GetServerDuration().AsDuration())) // at most a minute, so in range
	t.addToMap(at, &c)
}

func (t *Tally) addToMap(at geoindex.Cell, c *Counts) {
	cell := at.Parent(t.resolution)
	if in := t.cells[cell]; in != nil {
		in.add(c)
		return
	}
	sum := *c
	t.cells[cell] = &sum
	for len(t.cells) > mostOfMap && t.resolution > 0 {
		t.resolution--
		coarser := map[geoindex.Cell]*Counts{}
		for cell, c := range t.cells {
			parent := cell.Parent(t.resolution)
			if in := coarser[parent]; in != nil {
				in.add(c)
			} else {
				coarser[parent] = c
			}
		}
		t.cells = coarser
	}
}

// Take returns the counts since the last Take.
func (t *Tally) Take() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.since
	t.since = Counts{}
	return c
}

// Summary holds a tally at the end of a run.
type Summary struct {
	Counts
	RequestBytes  float64 `json:"request_bytes"`  // mean size of a message
	ResponseBytes float64 `json:"response_bytes"` // mean size of a message
	Resolution    int     `json:"map_resolution"`
	Cells         []Cell  `json:"map"`

	server *hdrhistogram.Histogram
	bytes  sample
}

// Cell is a hexagon of the map.
type Cell struct {
	Cell string `json:"cell"`
	Counts
}

// Summary returns the counts of the whole run.
func (t *Tally) Summary() *Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &Summary{Counts: t.all, RequestBytes: ratio(t.bytes.request, t.bytes.n),
		ResponseBytes: ratio(t.bytes.response, t.bytes.n), Resolution: t.resolution, server: t.server, bytes: t.bytes}
	for cell, c := range t.cells {
		s.Cells = append(s.Cells, Cell{cell.String(), *c})
	}
	return s
}

// AddTo adds the measures of answers: the server's own time, the fill rate, the share of auctions skipped, and the mean
// price of a click. It leaves out a measure that has no values.
func (s *Summary) AddTo(m load.Measures) {
	m.AddTimes("server_", s.server)
	if s.Answers > 0 {
		m["skipped"] = ratio(s.Skipped, s.Answers)
	}
	if s.Slots > 0 {
		m["fill"] = s.FillRate()
	}
	if s.Clicks > 0 {
		m["price"] = s.ClickPrice()
	}
}

// AddSummary adds the counts of another tally, without its map.
func (t *Tally) AddSummary(s *Summary) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.add(&s.Counts)
	t.bytes.add(s.bytes)
}
