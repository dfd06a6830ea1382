package frequency

import (
	"cmp"
	"slices"
	"time"

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

// Allows reports whether the caps of a campaign and of its advertiser admit one more impression. Either may be nil. It
// allocates nothing.
func (h *History) Allows(campaign, advertiser hexbid.UID, own, owners *hexbid.FrequencyCap, now time.Time) bool {
	if len(h.seen) == 0 {
		return true
	}
	at := now.UnixMicro()
	return h.allows(campaign, own, at) && h.allows(advertiser, owners, at)
}

func (h *History) allows(subject hexbid.UID, limit *hexbid.FrequencyCap, at int64) bool {
	if limit == nil || limit.Impressions == 0 {
		return true
	}
	i, there := h.find(subject)
	return !there || h.seen[i].Allow(limit, at)
}

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

// With returns the history with one more impression of each subject, nil when that makes it too long.
func (h *History) With(at int64, subjects ...hexbid.UID) *History {
	seen := slices.Clone(h.seen)
	for _, subject := range subjects {
		grown := History{seen: seen}
		i, there := grown.find(subject)
		if !there {
			seen = slices.Insert(seen, i, Seen{Subject: subject})
		}
		x := &seen[i].Exposures
		x.Stamps = slices.Clip(x.Stamps) // the history before keeps its memory
		x.Add(at)
	}
	if len(seen) > MaxSubjects {
		return nil
	}
	return &History{seen: seen}
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
