package store

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hexbid/hexbid"
)

// ListQuery asks for the records of one kind in order of name.
type ListQuery struct {
	Kind   hexbid.ResourceKind
	Parent hexbid.Name // the zero Name for any; an id may be hexbid.AnyID
	// Owners names the advertisers, users or clients whose records to list; nil lists all. An engine seeks the range of
	// each and looks at no name of another owner.
	Owners []string
	After  string // lists names above this one
	// Names bounds the names that one call looks at, those of other parents included; 0 sets no bound. A call may look
	// at one more name for each of Owners.
	Names int
}

// Prefix returns the common beginning of all names that a query may find. A list of keys needs a parent.
func (q *ListQuery) Prefix() string {
	switch {
	case q.Kind == hexbid.KindUser || q.Parent.User == hexbid.AnyID:
		return "users/"
	case q.Kind == hexbid.KindClient || q.Parent.Client == hexbid.AnyID:
		return "clients/"
	case q.Parent.Kind == 0 || q.Parent.Advertiser == hexbid.AnyID:
		return "advertisers/"
	case q.Parent.Program == hexbid.AnyID:
		return q.Parent.Owner().String() + "/"
	}
	return q.Parent.String() + "/"
}

// span is a range of names, without to.
type span struct{ from, to string }

// spans returns the ranges that hold all names a query may find, in order. Any two are equal or disjoint.
func (q *ListQuery) spans() []span {
	prefix := q.Prefix()
	all := span{prefix, above(prefix)}
	if q.Owners == nil {
		return []span{all}
	}
	spans := make([]span, 0, len(q.Owners))
	for _, owner := range q.Owners {
		s := span{owner + "/", above(owner + "/")}
		if !q.Kind.HasParent() {
			s = span{owner, owner + "\x00"}
		}
		s.from, s.to = max(s.from, all.from), min(s.to, all.to)
		if s.from < s.to {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	return spans
}

// Course leads an engine through the names of a list. While there is More, the engine seeks the least name of the
// query's kind from From on and below To, and calls Finds with it. When there is none, the engine calls End.
type Course struct {
	// From is where to seek. To is above every name that the query may find.
	From, To string
	// Next is where another call continues, as ListQuery.After: the last name looked at, or empty when the list has
	// ended.
	Next string

	query  ListQuery
	spans  []span // remaining ones; From is in the first or before it
	looked int
}

// NewCourse begins a list.
func NewCourse(q ListQuery) *Course {
	c := &Course{Next: q.After, query: q, spans: q.spans()}
	if len(c.spans) > 0 {
		c.To = c.spans[len(c.spans)-1].to
	}
	var from string
	if q.After != "" {
		from = q.After + "\x00"
	}
	c.seek(from)
	return c
}

// above returns the least text above every text with a prefix that ends in '/'.
func above(prefix string) string { return prefix[:len(prefix)-1] + "0" }

// seek continues at a name, or at the first later one that a span holds.
func (c *Course) seek(from string) {
	for len(c.spans) > 0 && c.spans[0].to <= from {
		c.spans = c.spans[1:]
	}
	if len(c.spans) == 0 {
		c.End()
		return
	}
	c.From = max(from, c.spans[0].from)
}

// End ends the course: no name is left.
func (c *Course) End() { c.spans, c.Next = nil, "" }

// More reports whether the call looks at another name.
func (c *Course) More() bool {
	return len(c.spans) > 0 && (c.query.Names == 0 || c.looked < c.query.Names)
}

// Finds reports whether the query wants a name. A name beyond an owner's range only shows where to continue. It may be
// another advertiser's, so it counts for no bound and never becomes Next.
func (c *Course) Finds(name string) bool {
	if name >= c.spans[0].to {
		c.seek(name)
	}
	if len(c.spans) == 0 || name < c.spans[0].from {
		return false
	}
	c.looked++
	c.Next = name
	if UnderParent(name, c.query.Parent) {
		c.seek(name + "\x00")
		return true
	}
	c.seek(c.query.beyond(name))
	return false
}

// beyond returns where the first name after one of another parent may stand. Places of one program id under any
// advertiser lie apart, so the course skips the advertiser's other programs.
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

// UnderParent reports whether a name lies under the parent of a list.
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
		(parent.Program == hexbid.AnyID || parent.Program == up.Program) &&
		(parent.User == hexbid.AnyID || parent.User == up.User) &&
		(parent.Client == hexbid.AnyID || parent.Client == up.Client)
}

// MayFollow reports whether a name may be Next of a query: it has the query's kind and lies in its range.
func (q *ListQuery) MayFollow(name string) bool {
	n, err := hexbid.ParseName(name)
	return err == nil && n.Kind == q.Kind && strings.HasPrefix(name, q.Prefix())
}
