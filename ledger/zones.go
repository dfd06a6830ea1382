package ledger

import (
	"sync"
	"time"
	"unique"

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

// dates remembers the present dates of zones, each until it may change. The owner asks for one with every event.
type dates map[unique.Handle[string]]dated

// dated is a date, and the stamps at which it is the date: from the first on, before the second.
type dated struct {
	date        int32
	from, until int64
}

// dayIn returns the date that a clock in the zone shows at a stamp, with stamps that surely have the same one: up to
// the next midnight of the present offset, or up to where the offset changes.
func dayIn(zone *time.Location, stamp int64) dated {
	const daySeconds = 24 * 60 * 60
	t := time.UnixMicro(stamp).In(zone)
	_, offset := t.Zone()
	d := dated{date: dateIn(zone, stamp), from: stamp}
	d.until = ((int64(d.date)+1)*daySeconds - int64(offset)) * time.Second.Microseconds()
	if _, end := t.ZoneBounds(); !end.IsZero() {
		d.until = min(d.until, end.UnixMicro())
	}
	return d
}

// localDate returns the present date of a campaign. One without terms has that of UTC.
func (o *owner) localDate(campaign hexbid.UID) (int32, error) {
	name, found := o.books.Zone(campaign)
	if !found {
		return dateIn(time.UTC, o.now), nil
	}
	if known := o.dates[name]; known.from <= o.now && o.now < known.until {
		return known.date, nil
	}
	zone, err := o.ledger.zones.location(name.Value())
	if err != nil {
		return 0, err
	}
	if o.dates == nil || len(o.dates) >= mostZones {
		o.dates = dates{}
	}
	o.dates[name] = dayIn(zone, o.now)
	return o.dates[name].date, nil
}

// postedDate returns the present date of statements.
func (o *owner) postedDate() int32 { return dateIn(o.ledger.options.Zone, o.now) }
