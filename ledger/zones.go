package ledger

import (
	"sync"
	"time"

	"github.com/hexbid/hexbid"
)

// mostZones is how many time zones are kept. There are some six hundred names.
const mostZones = 1024

// zones finds time zones by name.
type zones struct {
	load func(name string) (*time.Location, error)

	mu    sync.Mutex // guards known
	known map[string]*time.Location
}

// location returns a time zone by its name. Names of no zone are not kept.
func (z *zones) location(name string) (*time.Location, error) {
	z.mu.Lock()
	zone := z.known[name]
	z.mu.Unlock()
	if zone != nil {
		return zone, nil
	}
	zone, err := z.load(name)
	if err != nil {
		return nil, hexbid.Invalidf("time_zone", "%q: %v; name a zone of the IANA database", hexbid.Shorten(name), err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.known == nil || len(z.known) >= mostZones {
		z.known = map[string]*time.Location{}
	}
	z.known[name] = zone
	return zone, nil
}

// dateIn returns the date that a clock in the zone shows at a stamp, in days since 1970.
func dateIn(zone *time.Location, stamp int64) int32 {
	t := time.UnixMicro(stamp)
	_, offset := t.In(zone).Zone()
	const secondsADay = 24 * 60 * 60
	seconds := t.Unix() + int64(offset)
	if seconds < 0 {
		seconds -= secondsADay - 1
	}
	return int32(seconds / secondsADay)
}

// localDate returns the present date of a campaign. One without terms has that of UTC.
func (o *owner) localDate(campaign hexbid.UID) (int32, error) {
	name, found := o.books.Zone(campaign)
	if !found {
		return dateIn(time.UTC, o.now), nil
	}
	zone, err := o.ledger.zones.location(name.Value())
	if err != nil {
		return 0, err
	}
	return dateIn(zone, o.now), nil
}

// postedDate returns the present date of statements.
func (o *owner) postedDate() int32 { return dateIn(o.ledger.options.Zone, o.now) }
