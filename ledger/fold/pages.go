package fold

import (
	"slices"

	"github.com/hexbid/hexbid"
)

// ordered lists uids in ascending order. Uids are added and never removed. They wait apart until somebody asks for a
// page, because most books are filled once and paged through seldom.
type ordered struct {
	sorted []hexbid.UID
	added  []hexbid.UID // in any order, none of sorted
}

func (o *ordered) add(uid hexbid.UID) { o.added = append(o.added, uid) }

// page returns up to limit uids above after.
func (o *ordered) page(after hexbid.UID, limit int) []hexbid.UID {
	if len(o.added) > 0 {
		slices.Sort(o.added)
		o.sorted, o.added = merged(o.sorted, o.added), nil
	}
	from, found := slices.BinarySearch(o.sorted, after)
	if found {
		from++
	}
	return o.sorted[from:min(from+max(limit, 0), len(o.sorted))]
}

// merged returns two ascending lists as one. Most often all of the second follows the first.
func merged(a, b []hexbid.UID) []hexbid.UID {
	if len(a) == 0 || a[len(a)-1] < b[0] {
		return append(a, b...)
	}
	all := make([]hexbid.UID, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// Campaigns returns up to limit campaigns with a uid above after, in the order of uids, deleted ones too.
func (b *Books) Campaigns(after hexbid.UID, limit int) []CampaignAccount {
	var page []CampaignAccount
	for _, uid := range b.campaignOrder.page(after, limit) {
		page = append(page, b.campaigns[uid].account())
	}
	return page
}

// Advertisers returns up to limit advertisers with a uid above after, in the order of uids, deleted ones too.
func (b *Books) Advertisers(after hexbid.UID, limit int) []AdvertiserAccount {
	var page []AdvertiserAccount
	for _, uid := range b.advertiserOrder.page(after, limit) {
		page = append(page, b.advertisers[uid].AdvertiserAccount)
	}
	return page
}

// Credited returns what has been credited of a charge, by a credit that named it.
func (b *Books) Credited(charge uint64) hexbid.Money {
	if known := b.credited[charge]; known != nil {
		return known.credited
	}
	return 0
}
