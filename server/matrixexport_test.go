package server

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
)

// What follows lends the matrix to the tests of routes, which import package gateway.

// Matrix is a market of two advertisers that are alike, and callers of all roles.
type Matrix struct {
	*Server
	Roles []string
	of    *matrix
}

// Whose says whose resources a request is about.
type Whose int

// The owners.
const (
	Own Whose = iota
	Others
	Nobodys
)

func OpenMatrix(t *testing.T) Matrix { x := openMatrix(t); return Matrix{x.Server, roles, x} }

// Methods returns the methods of the contract, by their names in the table of rights.
func (Matrix) Methods() map[string]protoreflect.MethodDescriptor { return methodsOf() }

// Request makes the request of a method by a role. Where a route is about clients, the keys of a request are theirs.
func (x Matrix) Request(t *testing.T, m protoreflect.MethodDescriptor, role string, w Whose,
	keysOfClients bool) proto.Message {
	_, own := x.of.callerOf(role)
	o := [...]owner{own, x.of.other, x.of.absent}[w]
	if keysOfClients {
		o.user = o.client
	}
	return requestOf(t, m, o)
}

// May reports whether a role may call a method with a request.
func (x Matrix) May(method, role string, request proto.Message, w Whose) bool {
	p, _ := x.of.callerOf(role)
	rule := access.RuleOf(access.Methods()[method])
	return may(&rule, &p, request, w == Own)
}

// SeesAll reports whether a role sees every advertiser's.
func (Matrix) SeesAll(role string) bool { return role == "operator" || role == "auditor" }

// IsAboutSomeone reports whether a request names whose resource it is about.
func (Matrix) IsAboutSomeone(request proto.Message) bool { return isOfOthers(request) }

// AsNobodys returns what an answer about another's resources says, with the names of one that is not there.
func (x Matrix) AsNobodys(text string) string { return x.of.asAbsent(text) }

// Credential issues a role a key, "" to nobody.
func (x Matrix) Credential(t *testing.T, role string) string {
	p, _ := x.of.callerOf(role)
	if p.Role == hexbid.Nobody {
		return ""
	}
	_, text, err := x.exchange.Load().IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: p.ID + "/keys/credential"}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
