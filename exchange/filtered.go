package exchange

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	invalid "github.com/hexbid/hexbid/ledger/traffic" // its name is that of the pacer's traffic here
)

// filtered is the part of delivery that counts why events of a campaign were filtered on its present date. The ledger
// counts how many; reasons are no money and in no total. Campaigns without filtered events cost nothing.
type filtered struct {
	mu      sync.Mutex // guards the fields below; no search takes it
	days    map[hexbid.UID]*filteredDay
	changed map[hexbid.UID]struct{} // since rows were kept
	swept   time.Time
}

// filteredDay counts the filtered events of a local date by reason.
type filteredDay struct {
	date   int32 // days since 1970
	counts [invalid.ReasonCount]uint32
}

const (
	// mostFiltered bounds the campaigns whose reasons are known: some ten megabytes. While machines click on more, the
	// reasons of others stay unknown.
	mostFiltered = 100_000
	// filteredFormat is the first byte of a row: the date and the counts follow, four bytes each.
	filteredFormat = 1
	filteredHead   = 5
)

func newFiltered() *filtered {
	return &filtered{days: map[hexbid.UID]*filteredDay{}, changed: map[hexbid.UID]struct{}{}}
}

func (*filtered) letter() byte { return 't' }

func (f *filtered) happened(e *happening) {
	if e.outcome != hexbid.EventFiltered || e.reason >= invalid.ReasonCount {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	day := f.days[e.Award.Campaign]
	switch {
	case day == nil && len(f.days) >= mostFiltered:
		return
	case day == nil || day.date < e.date:
		day = &filteredDay{date: e.date}
		f.days[e.Award.Campaign] = day
	case day.date > e.date: // it was judged before midnight and is told after another one
		return
	}
	day.counts[e.reason]++
	f.changed[e.Award.Campaign] = struct{}{}
}

// of returns why events of a campaign were filtered on a date, the most frequent reason first.
func (f *filtered) of(campaign hexbid.UID, date hexbid.Date) (by []hexbid.FilteredEvents) {
	f.mu.Lock()
	defer f.mu.Unlock()
	day := f.days[campaign]
	if day == nil || hexbid.Date(day.date) != date {
		return nil
	}
	for reason, n := range day.counts {
		if n > 0 {
			by = append(by, hexbid.FilteredEvents{Reason: invalid.Reason(reason).String(), Events: int64(n)})
		}
	}
	slices.SortStableFunc(by, func(x, y hexbid.FilteredEvents) int { return cmp.Compare(y.Events, x.Events) })
	return by
}

// step forgets days that are over everywhere, once an hour.
func (f *filtered) step(_ context.Context, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since := now.Sub(f.swept); since >= 0 && since < time.Hour {
		return nil
	}
	f.swept = now
	yesterday := dateAt(time.UTC, now) - 1
	for campaign, day := range f.days {
		if day.date < yesterday {
			delete(f.days, campaign)
			f.changed[campaign] = struct{}{}
		}
	}
	return nil
}

func (f *filtered) rows() (rows []journal.Row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for campaign := range f.changed {
		row := journal.Row{Table: journal.Learned, Key: binary.BigEndian.AppendUint64([]byte{f.letter()}, uint64(campaign))}
		if day := f.days[campaign]; day != nil {
			row.Value = day.encode()
		}
		rows = append(rows, row)
	}
	clear(f.changed)
	return rows
}

func (d *filteredDay) encode() []byte {
	value := binary.BigEndian.AppendUint32([]byte{filteredFormat}, uint32(d.date))
	for _, n := range d.counts {
		value = binary.BigEndian.AppendUint32(value, n)
	}
	return value
}

// restore reads a row. One of a later version may have more reasons, and one of an earlier version fewer.
func (f *filtered) restore(latest time.Time, key, value []byte) error {
	if len(key) != 9 || len(value) < filteredHead || len(value)%4 != filteredHead%4 || value[0] != filteredFormat {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "a row of %d bytes counts no filtered events", len(value))
	}
	day := &filteredDay{date: int32(binary.BigEndian.Uint32(value[1:]))}
	if day.date < 0 || day.date > dateAt(time.UTC, latest)+1 {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "events of day %d since 1970 are not filtered yet", day.date)
	}
	for reason := range min(len(value[filteredHead:])/4, len(day.counts)) {
		day.counts[reason] = binary.BigEndian.Uint32(value[filteredHead+4*reason:])
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.days[hexbid.UID(binary.BigEndian.Uint64(key[1:]))] = day
	return nil
}
