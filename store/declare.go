package store

import "github.com/hexbid/hexbid"

// Entries measure what an advertiser keeps in the index. One entry is one cell of a covering, or one circle, cell,
// region or vertex that an area names. It takes some 30 to 130 bytes, the most for campaigns around the same places
// with different radii. A keyword takes one entry, and one more for every keywordBytesAnEntry of its text. A campaign
// around places takes EntriesAPlace more for every approved place of its program, so the product of places and
// campaigns counts.
const (
	// EntriesAPlace is the number of cells that cover a disc, on average over radii. A disc takes at most 20.
	EntriesAPlace = 8
	// keywordBytesAnEntry is the length of keyword text that takes as much memory as an entry when its words are as
	// short as possible.
	keywordBytesAnEntry = 8
)

// Declare returns the Record of a resource. It alone decides what a resource refers to and counts. For a campaign,
// entriesOfCovering is the number of cells of its covering; for other resources it is 0. The resource's name must
// parse.
func Declare(r hexbid.Resource, entriesOfCovering int) Record {
	d := Record{Resource: r}
	name, err := hexbid.ParseName(r.Metadata().Name)
	if err != nil {
		return d // which an engine refuses
	}
	parent, owner := name.Parent().String(), name.Owner().String()
	if parent != "" {
		d.Refers = []Reference{{Name: parent, Field: "name"}}
	}
	switch v := r.(type) {
	case *hexbid.Place:
		d.Counts = countsOfPlace(v, parent, owner)
	case *hexbid.Campaign:
		d.Refers = append(d.Refers, Reference{Name: v.Program, Field: "campaign.program"})
		d.Counts = countsOfCampaign(v, owner, entriesOfCovering)
	case *hexbid.Key:
		d.Counts = []Count{{Owner: owner, Counter: Keys, By: 1}}
	}
	return d
}

func countsOfPlace(p *hexbid.Place, program, advertiser string) []Count {
	counts := []Count{{Owner: program, Counter: Places, By: 1}}
	if p.Review == hexbid.Approved {
		counts = append(counts, Count{Owner: advertiser, Counter: Entries, By: EntriesAPlace, TimesOwner: program,
			Times: Around},
			Count{Owner: program, Counter: Approved, By: 1})
	}
	return counts
}

func countsOfCampaign(c *hexbid.Campaign, advertiser string, entriesOfCovering int) []Count {
	own := int64(entriesOfCovering) + entriesOf(&c.Area) + entriesOf(&c.Excluded) + entriesOfKeywords(c.Keywords)
	counts := []Count{{Owner: c.Program, Counter: Buyers, By: 1}, {Owner: advertiser, Counter: Entries, By: own}}
	if c.Area.AroundPlacesM > 0 {
		counts = append(counts, Count{Owner: advertiser, Counter: Entries, By: EntriesAPlace, TimesOwner: c.Program,
			Times: Approved},
			Count{Owner: c.Program, Counter: Around, By: 1})
	}
	return counts
}

// entriesOf returns the number of entries that the parts of an area take.
func entriesOf(a *hexbid.Area) int64 {
	return int64(len(a.Circles) + len(a.Cells) + len(a.Regions) + a.Vertices())
}

func entriesOfKeywords(keywords []hexbid.Keyword) (n int64) {
	for i := range keywords {
		n += 1 + int64(len(keywords[i].Text)/keywordBytesAnEntry)
	}
	return n
}
