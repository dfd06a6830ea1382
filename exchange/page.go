package exchange

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/token"
)

// A page token pins four things: where the previous page ended, the request that it belongs to, how many results came
// before, and what the first page sponsored. It is a version byte, then squared chord, program uid, fingerprint and
// count, then the uids of at most hexbid.MaxSlots programs. Each field takes eight bytes. The token is sealed.
const (
	pageVersion     = 1
	pageHeaderBytes = 1 + 4*8
	maxPageBytes    = pageHeaderBytes + 8*hexbid.MaxSlots
)

// page is the content of a page token.
type page struct {
	pin       bidder.Pin
	depth     int          // results on earlier pages
	sponsored []hexbid.UID // programs on the first page
}

func (e *Exchange) sealPage(r *hexbid.Request, p *page) string {
	var buffer [maxPageBytes]byte
	plain := append(buffer[:0], pageVersion)
	plain = binary.BigEndian.AppendUint64(plain, math.Float64bits(p.pin.Chord2))
	plain = binary.BigEndian.AppendUint64(plain, uint64(p.pin.ProgramUID))
	plain = binary.BigEndian.AppendUint64(plain, fingerprint(r))
	plain = binary.BigEndian.AppendUint64(plain, uint64(p.depth))
	for _, uid := range p.sponsored {
		plain = binary.BigEndian.AppendUint64(plain, uint64(uid))
	}
	return e.keys.Ring().Seal(token.PagePurpose, plain)
}

// openPage opens a request's page token. It returns nil when the request has none.
func (e *Exchange) openPage(r *hexbid.Request) (*page, error) {
	if r.PageToken == "" {
		return nil, nil
	}
	plain, _, err := e.keys.Ring().Open(token.PagePurpose, r.PageToken)
	if err == nil && (len(plain) < pageHeaderBytes || len(plain) > maxPageBytes || (len(plain)-pageHeaderBytes)%8 != 0 ||
		plain[0] != pageVersion) {
		err = token.ErrNotSealedHere
	}
	if err != nil {
		return nil, hexbid.Invalidf("page_token",
			"%q %v: send next_page_token as it came, or leave it out for the first page",
			hexbid.Shorten(r.PageToken), err)
	}
	if binary.BigEndian.Uint64(plain[17:]) != fingerprint(r) {
		return nil, hexbid.Invalidf("page_token",
			"belongs to another request: send the same fields with every page, or leave it out for the first page")
	}
	return decodePage(plain), nil
}

func decodePage(plain []byte) *page {
	var numbers [4 + hexbid.MaxSlots]uint64
	n := 0
	for at := 1; at < len(plain); at += 8 {
		numbers[n] = binary.BigEndian.Uint64(plain[at:])
		n++
	}
	p := &page{pin: bidder.Pin{Chord2: math.Float64frombits(numbers[0]), ProgramUID: hexbid.UID(numbers[1])},
		depth: int(numbers[3])}
	for _, uid := range numbers[4:n] {
		p.sponsored = append(p.sponsored, hexbid.UID(uid))
	}
	return p
}

// fingerprint hashes the client, and the fields that decide the nearby list, except its limit, which may change from
// page to page. Another client cannot use the token, and so does not learn what the first page sponsored.
func fingerprint(r *hexbid.Request) uint64 {
	age := r.Viewer.Age
	if !r.Personalized() {
		age = hexbid.AgeUnknown
	}
	var fields [256]byte
	b := fields[:0]
	for _, v := range [...]float64{r.Point.Lat, r.Point.Lng, r.RadiusM} {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
	}
	b = append(b, byte(r.Host), byte(r.Category), byte(r.Viewer.OS), byte(age))
	b = binary.BigEndian.AppendUint64(b, uint64(r.ClientUID))
	b = append(append(b, byte(len(r.ClientID))), r.ClientID...)
	return xxhash.Sum64(append(b, r.Words...))
}

func checkRegion(field, code string) error {
	if code == "" {
		return nil
	}
	if _, err := geoindex.RegionByCode(code); err != nil {
		return hexbid.Invalidf(field, "%v", err)
	}
	return nil
}

// notice tells a search outside a demo market where the market is.
func (e *Exchange) notice(p hexbid.Point) string {
	home := e.config.Home
	if home == nil {
		return ""
	}
	away := home.Center.DistanceM(p)
	if away <= home.RadiusM {
		return ""
	}
	return fmt.Sprintf("this market's places are in %s: search around %.4f, %.4f, %.0f km from here", home.Name,
		home.Center.Lat, home.Center.Lng, away/1000)
}
