package frequency

import (
	"cmp"
	"slices"

	"github.com/hexbid/hexbid"
)

// MaxSubjects bounds the campaigns and advertisers of a history, and MaxBytes the encoded size of their exposures. A
// viewer who has more counts as one whose history is not known.
const (
	MaxSubjects = 512
	MaxBytes    = 64 << 10
)

// History is what one viewer has seen of capped campaigns and of capped advertisers. It never changes. A nil History is
// not known.
type History struct {
	seen []Seen // ascending by subject
}

// Seen is what a viewer has seen of one subject: a campaign or an advertiser. No two resources share a uid.
type Seen struct {
	Subject hexbid.UID
	Exposures
}

// None is the history of a viewer who has seen nothing.
var None = &History{}

// NewHistory takes over what a viewer has seen, each subject once. It returns nil when there are too many subjects.
func NewHistory(seen []Seen) *History {
	if len(seen) > MaxSubjects {
		return nil
	}
	slices.SortFunc(seen, func(a, b Seen) int { return cmp.Compare(a.Subject, b.Subject) })
	return &History{seen: seen}
}

// Of returns the exposures of a subject, which are not to be changed.
func (h *History) Of(subject hexbid.UID) (x Exposures, there bool) {
	if i, there := h.find(subject); there {
		return h.seen[i].Exposures, true
	}
	return Exposures{}, false
}

// Subjects returns how many campaigns and advertisers the history has.
func (h *History) Subjects() int { return len(h.seen) }

// find returns where a subject is or would be. It is a binary search by hand, because a search of a slice by a function
// calls that function at each step.
func (h *History) find(subject hexbid.UID) (i int, there bool) {
	low, high := 0, len(h.seen)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if h.seen[middle].Subject < subject {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < len(h.seen) && h.seen[low].Subject == subject
}

// Impression is one impression, or an award that may become one.
type Impression struct {
	At                   int64      // its stamp
	Campaign, Advertiser hexbid.UID // 0 for one without a cap
}

// With returns the history with more impressions, nil when that makes it too long.
func (h *History) With(more ...Impression) *History {
	grown := &History{seen: slices.Clone(h.seen)}
	for i := range more {
		grown.add(more[i].Campaign, more[i].At)
		grown.add(more[i].Advertiser, more[i].At)
	}
	if len(grown.seen) > MaxSubjects {
		return nil
	}
	return grown
}

// add counts an impression of a subject. Another history may have the memory of its stamps.
func (h *History) add(subject hexbid.UID, at int64) {
	if subject == 0 {
		return
	}
	i, there := h.find(subject)
	if !there {
		h.seen = slices.Insert(h.seen, i, Seen{Subject: subject})
	}
	x := &h.seen[i].Exposures
	x.Stamps = slices.Clip(x.Stamps)
	x.Add(at)
}

// Bytes returns about how much memory the history takes.
func (h *History) Bytes() int64 {
	const ofOne = 48
	bytes := int64(ofOne)
	for i := range h.seen {
		bytes += ofOne + 8*int64(len(h.seen[i].Stamps))
	}
	return bytes
}
