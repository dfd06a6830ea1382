package store

import (
	"strings"

	"github.com/hexbid/hexbid"
)

// ListQuery asks for the records of one kind in order of name.
type ListQuery struct {
	Kind   hexbid.ResourceKind
	Parent hexbid.Name // the zero Name for any; an id may be hexbid.AnyID
	// Owners are the names of the advertisers whose records are asked for; nil for all.
	// Engines seek their ranges and look at no name of another advertiser.
	Owners []string
	After  string // names above this one
	// Names bounds the names that one call looks at, those of other parents
	// included; 0 is no bound.
	Names int
}

// Prefix is what every name that a query may find begins with.
func (q *ListQuery) Prefix() string {
	switch {
	case q.Parent.Kind == 0 || q.Parent.Advertiser == hexbid.AnyID:
		return "advertisers/"
	case q.Parent.Program == hexbid.AnyID:
		return q.Parent.Owner().String() + "/"
	}
	return q.Parent.String() + "/"
}

// Course is how an engine goes through the names of a list. As long as there is
// More it seeks the least name of the query's kind that is not below From, and
// ends where there is none below End. It shows that name to Finds, which says
// whether the query asks for it and sets From to where the next may be.
type Course struct {
	From, End string
	// Next is where another call goes on, as ListQuery.After: the last name
	// looked at.
	Next string

	query  ListQuery
	looked int
}

// NewCourse begins a list.
func NewCourse(q ListQuery) *Course {
	prefix := q.Prefix()
	c := &Course{From: prefix, End: above(prefix), Next: q.After, query: q}
	if next := q.After + "\x00"; q.After != "" && next > prefix {
		c.From = next
	}
	return c
}

// above is the least text above every text with a prefix that ends in '/'.
func above(prefix string) string { return prefix[:len(prefix)-1] + "0" }

// More says whether the call may look at another name.
func (c *Course) More() bool { return c.query.Names == 0 || c.looked < c.query.Names }

// Finds says whether the query asks for a name.
func (c *Course) Finds(name string) bool {
	c.looked++
	c.Next = name
	if UnderParent(name, c.query.Parent) {
		c.From = name + "\x00"
		return true
	}
	c.From = c.query.beyond(name)
	return false
}

// beyond is where the first name after one of another parent may stand. Places of
// one program id under any advertiser lie apart: what an advertiser has of other
// programs is leapt over.
func (q *ListQuery) beyond(name string) string {
	n, err := hexbid.ParseName(name)
	if err != nil || q.Parent.Kind != hexbid.KindProgram || q.Parent.Program == hexbid.AnyID {
		return name + "\x00"
	}
	wanted := hexbid.Name{Kind: hexbid.KindProgram, Advertiser: n.Advertiser, Program: q.Parent.Program}.String() + "/"
	if wanted > name {
		return wanted
	}
	return above(n.Owner().String() + "/")
}

// UnderParent says whether a name lies under the parent of a list.
func UnderParent(name string, parent hexbid.Name) bool {
	if parent.Kind == 0 {
		return true
	}
	n, err := hexbid.ParseName(name)
	if err != nil {
		return false
	}
	up := n.Parent()
	return up.Kind == parent.Kind &&
		(parent.Advertiser == hexbid.AnyID || parent.Advertiser == up.Advertiser) &&
		(parent.Program == hexbid.AnyID || parent.Program == up.Program)
}

// MayFollow says whether a name may be Next of a query: of its kind, and where
// its names stand.
func (q *ListQuery) MayFollow(name string) bool {
	n, err := hexbid.ParseName(name)
	return err == nil && n.Kind == q.Kind && strings.HasPrefix(name, q.Prefix())
}
