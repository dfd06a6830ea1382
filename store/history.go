package store

import (
	"strings"
	"time"

	"github.com/hexbid/hexbid"
)

// HistoryQuery asks for changes in the log, the newest first.
type HistoryQuery struct {
	// Of leaves only the changes of these threads. Nil leaves all changes, and an empty list none.
	Of []Thread
	// Before leaves only changes before a version; 0 begins with the newest change.
	Before uint64
	// Matches leaves out changes by what is cheap to read of them. Nil matches all.
	Matches func(*Headline) bool
	// Looks bounds the changes that one call looks at, matching or not; 0 sets no bound.
	Looks int
}

// HistoryBytes bounds what one call of History reads of the log. It reads at least one change, and what Past.Lost says
// of its verdicts.
const HistoryBytes = 16 << 20

// Thread is the changes of one name in the log.
type Thread struct {
	Name string
	// Whole adds the changes of everything that belongs to the advertiser, user or client of that name.
	Whole bool
	// After leaves only changes after a version.
	After uint64
}

// Headline is what is cheap to read of a change.
type Headline struct {
	Version uint64
	At      time.Time
	Who     string
	Names   []string // what the change touched
}

// Past is a change as History tells it.
type Past struct {
	Change
	// Set holds the verdicts that the change set. They are in the order of Verdicts, which holds those before.
	Set []PastVerdict
	// Lost are the resources of which the log no longer tells what the change did: what a change put is in the record of
	// the next change of the name, and that one is damaged. The same goes for a verdict that a change set. An engine also
	// gives up where so many other changes of the name lie between that one call does not look through them.
	Lost []LostEntry
	// Damaged reports that the change's own record was altered or is missing, or that the one after it was. Its Version
	// is known and nothing else; Version is 0 where the record of the change before is missing and nothing leads to it.
	Damaged bool
	// Stretch reports that a damaged part of a file hides which changes of a thread there were from Version on, up to
	// the last one of it told before: any number, perhaps none. Damaged is set too. Version is then a position and names
	// no change.
	Stretch bool
}

// LostEntry is a name that a change touched, with its uid before and after; 0 for none.
type LostEntry struct {
	Name          string
	Before, After hexbid.UID
}

// DamagedPast returns a change of which an engine can read nothing but the version, if err says that its record is
// damaged, so that a history goes on past it. Other errors stay.
func DamagedPast(version uint64, err error) (*Past, error) {
	if hexbid.KindOf(err) != hexbid.DataLoss {
		return nil, err
	}
	return &Past{Change: Change{Version: version}, Damaged: true}, nil
}

// OwnerOf returns the advertiser, user or client that a name belongs to. Every other name belongs to itself.
func OwnerOf(name string) string {
	collection := strings.IndexByte(name, '/')
	if collection < 0 {
		return name
	}
	if id := strings.IndexByte(name[collection+1:], '/'); id >= 0 {
		return name[:collection+1+id]
	}
	return name
}

// BeginsLife reports whether a change of a name from one uid to another makes an advertiser, a user or a client.
func BeginsLife(name string, before, after hexbid.UID) bool {
	return before != after && after != 0 && OwnerOf(name) == name
}

// Stop is where a descent looks next: a change, or a stretch (Past.Stretch) that begins at a version. The zero Stop is
// the end.
type Stop struct {
	Version uint64
	Stretch bool
}

// Descent leads an engine through the changes that a query asks for, the newest first. Below returns the last change of
// a thread before a version; the thread without a name has all changes.
type Descent struct {
	Below   func(of *Thread, before uint64) (Stop, error)
	threads []Thread
	heads   []head
	looks   int // that are left; negative for any number
}

// head is the next stop of a thread, if it is known, and otherwise where to seek it.
type head struct {
	Stop
	known  bool
	before uint64
}

// NewDescent begins a history whose newest change has a version. The caller sets Below.
func NewDescent(q *HistoryQuery, newest uint64) *Descent {
	d := &Descent{threads: q.Of, looks: q.Looks}
	if q.Of == nil {
		d.threads = []Thread{{}}
	}
	if q.Looks == 0 {
		d.looks = -1
	}
	before := newest + 1
	if q.Before != 0 {
		before = min(before, q.Before)
	}
	for range d.threads {
		d.heads = append(d.heads, head{before: before})
	}
	return d
}

// More reports whether the call may look at another change.
func (d *Descent) More() bool { return d.looks != 0 }

// Next returns the next stop. Of a change and a stretch at one version, the change comes first.
func (d *Descent) Next() (next Stop, err error) {
	for i := range d.heads {
		h := &d.heads[i]
		if err := d.find(h, &d.threads[i]); err != nil {
			return Stop{}, err
		}
		if h.Version > next.Version || h.Version == next.Version && !h.Stretch {
			next = h.Stop
		}
	}
	for i := range d.heads {
		if h := &d.heads[i]; next.Version > 0 && h.Stop == next {
			*h = head{before: next.Version}
		}
	}
	d.looks--
	return next, nil
}

// find seeks the next stop of a thread unless it is known.
func (d *Descent) find(h *head, of *Thread) (err error) {
	if h.known {
		return nil
	}
	if h.before <= of.After+1 {
		h.Stop, h.known = Stop{}, true
		return nil
	}
	if h.Stop, err = d.Below(of, h.before); err != nil {
		return err
	}
	if h.known = true; h.Version <= of.After {
		h.Version = 0
		if h.Stretch {
			h.Version = of.After + 1
		}
	}
	return nil
}
