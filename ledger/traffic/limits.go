package traffic

import (
	"time"

	"github.com/hexbid/hexbid"
)

// Limits are what a click or an impression may not exceed. The zero Limits filter nothing, and a rule whose first
// limit is 0 is off.
type Limits struct {
	TooSoon time.Duration // the least time from the issue of an award to its click

	RepeatClicks int           // clicks of a viewer on a campaign that count in any RepeatWindow, at most
	RepeatWindow time.Duration // rolling, at most MaxRepeatWindow

	ViewerClicks int // of a viewer on all campaigns in a minute, at most

	// A client's clicks without an impression are filtered while they are more than ImpliedPercent of its clicks of a
	// day, once it has ImpliedClicks.
	ImpliedPercent int
	ImpliedClicks  int

	// A cell's clicks are filtered while a minute has at least CellClicks of them, and CellFactor times what the cell
	// had a minute over the last day, and they are more than CellPercent of the impressions of that minute.
	CellClicks  int
	CellFactor  int
	CellPercent int

	ViewerImpressions int // of a viewer of all campaigns in a minute, at most

	// A cell's impressions are filtered while a minute has at least CellImpressions of them, and CellFactor times what
	// the cell had a minute over the last day, and fewer clicks than CellClicksPerThousand of them.
	CellImpressions       int
	CellClicksPerThousand int
}

// DefaultLimits are far above what people do. The comments say why each is where it is.
func DefaultLimits() Limits {
	return Limits{
		// The answer has to travel to the app, be drawn, seen and touched. Reaction alone takes people some 250 ms.
		TooSoon: 500 * time.Millisecond,
		// Who wants a shop opens it a few times a day, also to come back; more is not worth paying for again.
		RepeatClicks: 5, RepeatWindow: day,
		// One each six seconds: opening a mini-program and coming back takes longer.
		ViewerClicks: 10,
		// Reports of impressions get lost on mobile networks, one in some ten or twenty.
		ImpliedPercent: 30, ImpliedClicks: 100,
		// People click a few per cent of what they see. Ten clicks of at most 25 impressions are no chance.
		CellClicks: 10, CellFactor: 10, CellPercent: 40,
		// Two each second: nobody looks at ads so fast for a minute.
		ViewerImpressions: 120,
		// Crowds click a few in a hundred. Of 2000 impressions on which five in a thousand are clicked, ten clicks are
		// expected, and fewer than two are no chance.
		CellImpressions: 2000, CellClicksPerThousand: 1,
	}
}

// MaxRepeatWindow is the longest RepeatWindow: the ledger keeps the stamps of clicks no longer.
const MaxRepeatWindow = 30 * day

// MaxRepeatClicks is the highest RepeatClicks. It bounds what the ledger keeps of a viewer and a campaign.
const MaxRepeatClicks = 100

const maxCount = 1_000_000 // of clicks

// Validate refuses limits that are out of range, with the names of the flags of "hexbid serve".
func (l *Limits) Validate() error {
	if l.TooSoon < 0 || l.TooSoon > time.Minute {
		return hexbid.Invalidf("filter-too-soon", "%s is out of range: use 0 (off) to 1m", l.TooSoon)
	}
	if l.RepeatClicks > 0 && (l.RepeatWindow < time.Minute || l.RepeatWindow > MaxRepeatWindow) {
		return hexbid.Invalidf("filter-repeat-window", "%s is out of range: use 1m to %s", l.RepeatWindow, MaxRepeatWindow)
	}
	for _, c := range []struct {
		field        string
		value, limit int
	}{
		{"filter-repeat-clicks", l.RepeatClicks, MaxRepeatClicks},
		{"filter-viewer-clicks", l.ViewerClicks, maxCount},
		{"filter-implied-percent", l.ImpliedPercent, 100},
		{"filter-implied-clicks", l.ImpliedClicks, maxCount},
		{"filter-cell-clicks", l.CellClicks, maxCount},
		{"filter-cell-factor", l.CellFactor, maxCount},
		{"filter-cell-percent", l.CellPercent, 100},
		{"filter-viewer-impressions", l.ViewerImpressions, maxCount},
		{"filter-cell-impressions", l.CellImpressions, maxCount},
		{"filter-cell-clicks-per-thousand", l.CellClicksPerThousand, 1000},
	} {
		if c.value < 0 || c.value > c.limit {
			return hexbid.Invalidf(c.field, "%d is out of range: use 0 to %d", c.value, c.limit)
		}
	}
	return nil
}
