package traffic

import "time"

// Impression is an impression to be judged.
type Impression struct {
	At        int64  // its stamp
	Cell      uint64 // H3, resolution 7; 0 if it is not known
	HasViewer bool
	Viewer    [16]byte
}

// JudgeImpression returns the first rule that an impression breaks, Valid if it breaks none. It counts nothing.
func (f *Filter) JudgeImpression(i *Impression) Reason {
	switch {
	case f.isViewerImpressions(i):
		return ViewerImpressions
	case f.isCellImpressions(i):
		return CellImpressions
	}
	return Valid
}

func (f *Filter) isViewerImpressions(i *Impression) bool {
	if f.limits.ViewerImpressions == 0 || !i.HasViewer {
		return false
	}
	_, impressions := f.lookers.sums(i.Viewer, i.At)
	return impressions >= float64(f.limits.ViewerImpressions)
}

// isCellImpressions looks for impressions that nobody looks at. A crowd of any size clicks some of what it sees, and a
// place where people never click has as many impressions every day.
func (f *Filter) isCellImpressions(i *Impression) bool {
	if f.limits.CellImpressions == 0 || i.Cell == 0 {
		return false
	}
	clicks, impressions := f.cells.sums(i.Cell, i.At)
	if impressions < float64(f.limits.CellImpressions) ||
		1000*clicks >= float64(f.limits.CellClicksPerThousand)*impressions {
		return false
	}
	_, usual := f.looks.sums(i.Cell, i.At)
	minutes := max(f.looks.covered(i.At).Minutes(), 1)
	return impressions >= float64(f.limits.CellFactor)*usual/minutes
}

// Seen counts a recorded impression, with what JudgeImpression gave. A filtered one counts too, so that a machine that
// goes on stays filtered. But what its viewer's rule has caught does not count for the cell, and filtered impressions
// are not what a cell usually has.
func (f *Filter) Seen(i *Impression, r Reason) {
	if i.HasViewer && f.limits.ViewerImpressions > 0 {
		f.lookers.add(i.Viewer, i.At, 0, 1)
	}
	if i.Cell == 0 {
		return
	}
	if f.countsCells() && (r == Valid || r == CellImpressions) {
		f.cells.add(i.Cell, i.At, 0, 1)
	}
	if f.limits.CellImpressions > 0 && r == Valid {
		f.looks.add(i.Cell, i.At, 0, 1)
	}
}

// countsCells reports whether some rule looks at a cell's minute.
func (f *Filter) countsCells() bool { return f.limits.CellClicks > 0 || f.limits.CellImpressions > 0 }

// covered returns the time that sums are of.
func (w *window[K]) covered(at int64) time.Duration {
	w.turn(at)
	older := float64(w.from-w.olderFrom) * max(0, 1-float64(at-w.from)/float64(w.length))
	return time.Duration(float64(at-w.from)+older) * time.Microsecond
}
