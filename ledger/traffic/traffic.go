// Package traffic decides which impressions and clicks are invalid traffic: not of a person who looks at an ad, or who
// wants what it shows. A Filter looks at an impression, or at a click and at when its award was issued, and at what
// was counted before. It gives the first rule that it breaks. It is pure apart from its counts: it reads no clock, and
// instants are stamps of the ledger, microseconds since 1970.
//
// Counts are of rolling windows, in tables of bounded size. They begin anew with each Filter. What a viewer has
// clicked of a campaign is not kept here: the ledger keeps it on disk and passes it in, so that this rule outlives a
// restart.
package traffic

import (
	"fmt"
	"time"
)

// Reason is the rule that a filtered event breaks. Records of the ledger hold its number, so no number ever changes
// its meaning.
type Reason uint8

const (
	// Valid is no reason. A filtered event whose record has it is the click of an impression that was filtered.
	Valid Reason = iota
	// TooSoon is a click that came too soon after its award was issued. No person sees an ad and opens it in that time.
	TooSoon
	// Repeated is a click of a viewer who has clicked the campaign as often as the limit allows.
	Repeated
	// ViewerBurst is a click of a viewer who clicks more ads than a person can open.
	ViewerBurst
	// WithoutImpression is a click whose impression was not reported, of a client many of whose clicks are so.
	WithoutImpression
	// CellBurst is a click in a cell where far more is clicked than usual, and more than people click of what they see.
	CellBurst
	// ViewerImpressions is an impression of a viewer who sees more ads than a person can look at.
	ViewerImpressions
	// CellImpressions is an impression in a cell where far more is seen than usual, and next to nothing clicked.
	CellImpressions

	// ReasonCount is the number of reasons, Valid included.
	ReasonCount
)

var reasonNames = [ReasonCount]string{"of_impression", "too_soon", "repeated", "viewer_burst", "without_impression",
	"cell_burst", "viewer_impressions", "cell_impressions"}

// String returns the reason's name in metrics. That of Valid is the one of a filtered event's record.
func (r Reason) String() string {
	if r < ReasonCount {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason_%d", uint8(r)) // of a later version
}

// Click is a click to be judged.
type Click struct {
	At            int64 // its stamp
	IssuedAt      int64 // its award's, by the ledger's time
	Client        string
	Cell          uint64 // H3, resolution 7; 0 if it is not known
	HasImpression bool   // reported before the click
	HasViewer     bool
	Viewer        [16]byte
	// Earlier are the stamps of the viewer's clicks on the campaign that were not filtered, ascending.
	Earlier []int64
}

// How many keys a generation of each table holds. Two generations of all tables take some 50 MB at the most.
const (
	viewersKept = 1 << 17
	cellsKept   = 1 << 16
	clientsKept = 1 << 12
)

// Filter counts clicks and judges by the counts. One goroutine uses it.
type Filter struct {
	limits  Limits
	viewers window[[16]byte] // clicks in a minute
	cells   window[uint64]   // clicks and impressions in a minute
	usual   window[uint64]   // clicks in a day
	clients window[string]   // clicks in a day, and those without an impression
	lookers window[[16]byte] // impressions in a minute, apart: there are far more of them than of viewers who click
	looks   window[uint64]   // impressions in a day, by cell
}

// NewFilter makes a filter that has counted nothing.
func NewFilter(l Limits) *Filter {
	return &Filter{limits: l, viewers: newWindow[[16]byte](time.Minute, viewersKept),
		cells: newWindow[uint64](time.Minute, cellsKept), usual: newWindow[uint64](day, cellsKept),
		clients: newWindow[string](day, clientsKept), lookers: newWindow[[16]byte](time.Minute, viewersKept),
		looks: newWindow[uint64](day, cellsKept)}
}

// Forget drops what was counted of a viewer.
func (f *Filter) Forget(viewer [16]byte) {
	f.viewers.forget(viewer)
	f.lookers.forget(viewer)
}

const day = 24 * time.Hour

// Judge returns the first rule that a click breaks, Valid if it breaks none. It counts nothing. Rules that look at the
// click and its viewer come before those that look at many people.
func (f *Filter) Judge(c *Click) Reason {
	switch {
	case f.limits.TooSoon > 0 && c.At-c.IssuedAt < f.limits.TooSoon.Microseconds():
		return TooSoon
	case f.isRepeated(c):
		return Repeated
	case f.isViewerBurst(c):
		return ViewerBurst
	case f.isWithoutImpression(c):
		return WithoutImpression
	case f.isCellBurst(c):
		return CellBurst
	}
	return Valid
}

func (f *Filter) isRepeated(c *Click) bool {
	first := len(c.Earlier) - f.limits.RepeatClicks
	return f.limits.RepeatClicks > 0 && c.HasViewer && first >= 0 &&
		c.Earlier[first] > c.At-f.limits.RepeatWindow.Microseconds()
}

func (f *Filter) isViewerBurst(c *Click) bool {
	if f.limits.ViewerClicks == 0 || !c.HasViewer {
		return false
	}
	clicks, _ := f.viewers.sums(c.Viewer, c.At)
	return clicks >= float64(f.limits.ViewerClicks)
}

func (f *Filter) isWithoutImpression(c *Click) bool {
	if f.limits.ImpliedPercent == 0 || c.HasImpression {
		return false
	}
	clicks, implied := f.clients.sums(c.Client, c.At)
	return clicks >= float64(f.limits.ImpliedClicks) && 100*implied > float64(f.limits.ImpliedPercent)*clicks
}

// isCellBurst looks for what a crowd never does. An honest crowd of any size clicks a small part of what it sees.
// Where impressions are not reported, the cell's own day says what is usual.
func (f *Filter) isCellBurst(c *Click) bool {
	if f.limits.CellClicks == 0 || c.Cell == 0 {
		return false
	}
	clicks, impressions := f.cells.sums(c.Cell, c.At)
	if clicks < float64(f.limits.CellClicks) || 100*clicks <= float64(f.limits.CellPercent)*impressions {
		return false
	}
	// A day is divided by all its minutes, also when the counts began later: what a cell had before a start is taken as
	// nothing. Otherwise a machine that is at work during a restart would be what the cell usually has. It costs people
	// little, because a crowd does not come to this point: it clicks too small a part of the impressions.
	aDay, _ := f.usual.sums(c.Cell, c.At)
	return clicks >= float64(f.limits.CellFactor)*aDay/day.Minutes()
}

// Clicked counts a click that was recorded, with what Judge gave. A filtered click counts too, so that a machine that
// goes on stays filtered. But what another rule has caught does not count for the cell, so that it does not harm
// people there; and filtered clicks are not what a cell usually has.
func (f *Filter) Clicked(c *Click, r Reason) {
	if c.HasViewer && f.limits.ViewerClicks > 0 {
		f.viewers.add(c.Viewer, c.At, 1, 0)
	}
	if f.limits.ImpliedPercent > 0 {
		implied := uint32(1)
		if c.HasImpression {
			implied = 0
		}
		f.clients.add(c.Client, c.At, 1, implied)
	}
	if c.Cell == 0 {
		return
	}
	if f.countsCells() && (r == Valid || r == CellBurst) {
		f.cells.add(c.Cell, c.At, 1, 0)
	}
	if f.limits.CellClicks > 0 && r == Valid {
		f.usual.add(c.Cell, c.At, 1, 0)
	}
}
