package store

import "github.com/hexbid/hexbid"

// What an advertiser keeps in the index is counted in entries. One entry is one cell
// of a covering, or one circle, cell, region or vertex that an area names: some 30 to
// 130 bytes, the most where campaigns go around the same places at radii of their own.
// A keyword takes one, and one more for every keywordBytesAnEntry of its text. A
// campaign around places has EntriesAPlace more for every approved place of
// its program, so that places times campaigns count.
const (
	// EntriesAPlace is the number of cells that a disc is covered by, on average over
	// radii; at most 20.
	EntriesAPlace = 8
	// keywordBytesAnEntry is the text of a keyword that takes an entry's memory where
	// its words are as short as they can be.
	keywordBytesAnEntry = 8
)

// Declare is the one place that says what a resource refers to and counts. Of a
// campaign entriesOfCovering is the number of cells of its covering; of others it is
// 0. The name of the resource must parse.
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

// entriesOf counts what an area names.
func entriesOf(a *hexbid.Area) int64 {
	return int64(len(a.Circles) + len(a.Cells) + len(a.Regions) + a.Vertices())
}

func entriesOfKeywords(keywords []hexbid.Keyword) (n int64) {
	for i := range keywords {
		n += 1 + int64(len(keywords[i].Text)/keywordBytesAnEntry)
	}
	return n
}
