// Package peers does the work of an auction with what a user would pick instead of Hexbid. Of all circles that cover a
// point and whose audience has the viewer, a peer finds the ten with the highest bids. Each peer is a file. All answer
// the same queries, and a check compares their bids.
package peers

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hexbid/hexbid"
)

// Circle is a campaign as a peer holds it.
type Circle struct {
	ID             int
	Center         hexbid.Point
	RadiusM        float64
	MinAge, MaxAge int
	Genders        int // bit g: gender g
	Systems        int // bit o: system o
	Bid            int64
}

// Query is a viewer at a point.
type Query struct {
	At     hexbid.Point
	Age    int
	Gender int // bit of one gender
	System int // bit of one system
}

// Ten is the number of results.
const Ten = 10

// Peer finds circles. Many goroutines may call TopTen at once.
type Peer interface {
	Name() string
	// Load takes the circles, whose ids are their indices, and makes its indexes.
	Load(circles []Circle) error
	// TopTen appends the ids of the best to into, highest bid first.
	TopTen(q *Query, into []int) ([]int, error)
	// Close gives back what the peer has taken.
	Close() error
}

// CircleOf turns a campaign of one circle into a Circle.
func CircleOf(id int, c *hexbid.Campaign) Circle {
	out := Circle{ID: id, Center: c.Area.Circles[0].Center, RadiusM: c.Area.Circles[0].RadiusM, MaxAge: hexbid.MaxAge,
		Genders: everyone, Systems: everyone, Bid: int64(c.Bid)}
	if len(c.Audience.Ages) > 0 {
		out.MinAge, out.MaxAge = c.Audience.Ages[0].Min, c.Audience.Ages[0].Max
	}
	if len(c.Audience.Genders) > 0 {
		out.Genders = bits(c.Audience.Genders)
	}
	if len(c.Audience.OS) > 0 {
		out.Systems = bits(c.Audience.OS)
	}
	return out
}

// QueryOf turns a request into a peer's query.
func QueryOf(r *hexbid.Request) Query {
	return Query{r.Point, r.Viewer.Age, 1 << r.Viewer.Gender, 1 << r.Viewer.OS}
}

const everyone = 0xff

func bits[T ~uint8](values []T) (mask int) {
	for _, v := range values {
		mask |= 1 << v
	}
	return mask
}

// covers is the exact test, on the sphere.
func (c *Circle) covers(q *Query) bool {
	return c.MinAge <= q.Age && q.Age <= c.MaxAge && c.Genders&q.Gender != 0 && c.Systems&q.System != 0 &&
		c.Center.DistanceM(q.At) <= c.RadiusM
}

// box returns the box, in degrees, that holds a circle.
func (c *Circle) box() (low, high [2]float64) {
	lat := c.RadiusM / 111_000
	lng := lat / math.Cos((math.Abs(c.Center.Lat)+lat)*math.Pi/180)
	return [2]float64{c.Center.Lng - lng, c.Center.Lat - lat}, [2]float64{c.Center.Lng + lng, c.Center.Lat + lat}
}

// best keeps the ten highest bids.
type best struct {
	circles []Circle
	ids     [Ten]int
	n       int
}

func (b *best) offer(id int) {
	bid := b.circles[id].Bid
	if b.n == Ten && b.circles[b.ids[Ten-1]].Bid >= bid {
		return
	}
	b.n = min(b.n+1, Ten)
	i := b.n - 1
	for ; i > 0 && b.circles[b.ids[i-1]].Bid < bid; i-- {
		b.ids[i] = b.ids[i-1]
	}
	b.ids[i] = id
}

func (b *best) append(into []int) []int { return append(into, b.ids[:b.n]...) }

// Scan looks at every circle. The other peers are checked against it.
type Scan struct{ circles []Circle }

// Name implements Peer.
func (*Scan) Name() string { return "scan" }

// Load implements Peer.
func (s *Scan) Load(circles []Circle) error { s.circles = circles; return nil }

// TopTen implements Peer.
func (s *Scan) TopTen(q *Query, into []int) ([]int, error) {
	b := best{circles: s.circles}
	for i := range s.circles {
		if s.circles[i].covers(q) {
			b.offer(i)
		}
	}
	return b.append(into), nil
}

// Close implements Peer.
func (*Scan) Close() error { return nil }

// Check compares a peer with a scan on some queries. Both must find the same circles, except for circles of equal bids.
// A peer with another radius of the Earth may differ for circles whose edge is within a millionth of their radius; none
// did.
func Check(p Peer, circles []Circle, queries []Query) error {
	oracle := Scan{circles}
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		q := &queries[r.IntN(len(queries))]
		want, _ := oracle.TopTen(q, nil)
		got, err := p.TopTen(q, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name(), err)
		}
		if !slices.EqualFunc(got, want, func(a, b int) bool {
			return a == b ||
				circles[a].Bid == circles[b].Bid && circles[a].covers(q)
		}) {
			return fmt.Errorf("%s finds other circles for %+v:\n got %v\nwant %v", p.Name(), *q, got, want)
		}
	}
	return nil
}

// InProcess makes the peers that are libraries.
var InProcess = []func() (Peer, error){
	func() (Peer, error) { return &RTree{}, nil },
	func() (Peer, error) { return &S2{}, nil },
}

// Networked starts the peers that are servers, on loopback. The error of a peer that the machine lacks is
// ErrNotInstalled.
var Networked = []func() (Peer, error){
	func() (Peer, error) { return started(StartPostGIS()) },
	func() (Peer, error) { return started(StartRedis()) },
	func() (Peer, error) { return started(DialTile38()) },
}

// started returns a nil interface, not a nil peer in an interface, if the start has failed.
func started[P Peer](p P, err error) (Peer, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}
