package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/hexbid/hexbid"
)

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
	case *hexbid.Advertiser:
		d.Counts = countsOfQuota(v.Name, &v.Quota)
	case *hexbid.Place:
		d.Counts = countsOfPlace(v, parent, owner)
	case *hexbid.Campaign:
		d.Refers = append(d.Refers, Reference{Name: v.Program, Field: "campaign.program"})
		d.Counts = countsOfCampaign(v, owner, entriesOfCovering)
	case *hexbid.Key:
		d.Counts = []Count{{Owner: owner, Counter: Keys, By: 1}}
	case *hexbid.User:
		d.Counts = countsOfAliases(v.CertificateNames, v.Identities)
	case *hexbid.Client:
		d.Counts = countsOfAliases(v.CertificateNames, v.Identities)
	}
	d.Counts = append(d.Counts, countsOfHolding(r, owner)...)
	return d
}

// countsOfAliases counts by what else than keys a user or a client is known.
func countsOfAliases(certificateNames []string, identities []hexbid.Identity) (counts []Count) {
	for _, name := range certificateNames {
		counts = append(counts, Count{Owner: CertificateAlias(name), Counter: Aliases, By: 1})
	}
	for _, identity := range identities {
		counts = append(counts, Count{Owner: IdentityAlias(identity), Counter: Aliases, By: 1})
	}
	return counts
}

// CertificateAlias returns the owner of the counter of a name in certificates. It is a hash, because a name may hold
// bytes that a key cannot, and be long.
func CertificateAlias(name string) string { return "certificate " + hashOf(name) }

// IdentityAlias returns the owner of the counter of a subject of an OpenID provider.
func IdentityAlias(i hexbid.Identity) string {
	return "identity " + hashOf(strconv.Itoa(len(i.Issuer)), i.Issuer, i.Subject)
}

func hashOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
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
