package access

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hexbid/hexbid"
)

// stateEdit is a state that is being changed.
type stateEdit struct {
	keys    edit[credentialID, *key]
	callers edit[string, *caller]
	clients edit[string, *caller]
	names   edit[string, []string]
	people  edit[hexbid.Identity, []string]
}

func editOf(s *state) *stateEdit {
	return &stateEdit{keys: edit[credentialID, *key]{table: s.keys}, callers: edit[string, *caller]{table: s.callers},
		clients: edit[string, *caller]{table: s.clients}, names: edit[string, []string]{table: s.names},
		people: edit[hexbid.Identity, []string]{table: s.people}}
}

func (e *stateEdit) done() *state {
	return &state{keys: e.keys.table, callers: e.callers.table, clients: e.clients.table,
		names: e.names.table, people: e.people.table}
}

// put adds a resource, or puts it in the place of the one that has its name. before is the state that knows the last
// uses of keys.
func (e *stateEdit) put(r hexbid.Resource, before *state) {
	switch v := r.(type) {
	case *hexbid.User:
		e.putCaller(v.Name, callerOfUser(v))
	case *hexbid.Client:
		e.putCaller(v.Name, callerOfClient(v))
	case *hexbid.Key:
		e.putKey(v, before)
	}
}

func callerOfUser(u *hexbid.User) *caller {
	c := &caller{principal: hexbid.Principal{Role: u.Role, ID: u.Name, UID: u.UID}, suspended: u.Suspended,
		certificates: u.CertificateNames, identities: u.Identities}
	c.principal.Quota = ownQuota(&u.Quota)
	if u.Role == hexbid.Member {
		g := &hexbid.Grants{Advertisers: make(map[string]hexbid.Membership, len(u.Memberships))}
		for _, m := range u.Memberships {
			g.Advertisers[m.Advertiser] = m
		}
		c.principal.Grants = g
	}
	return c
}

func callerOfClient(c *hexbid.Client) *caller {
	g := &hexbid.Grants{Prices: c.SeesPrices, Campaigns: c.SeesCampaigns, RendersOnly: c.RendersOnly}
	for _, of := range c.EventsOf {
		g.EventsOf = append(g.EventsOf, of.UID)
	}
	return &caller{principal: hexbid.Principal{Role: hexbid.Searcher, ID: c.Name, UID: c.UID, Grants: g,
		Quota: ownQuota(&c.Quota)}, suspended: c.Suspended, certificates: c.CertificateNames, identities: c.Identities}
}

// ownQuota returns a quota, nil for one that leaves everything open.
func ownQuota(q *hexbid.CallQuota) *hexbid.CallQuota {
	if *q == (hexbid.CallQuota{}) {
		return nil
	}
	return q
}

func (e *stateEdit) putCaller(name string, c *caller) {
	e.removeCaller(name)
	e.callers.set(name, c)
	if id, isClient := strings.CutPrefix(name, clientsPrefix); isClient {
		e.clients.set(id, c)
	}
	for _, certificate := range c.certificates {
		e.names.set(certificate, append(slices.Clone(e.names.get(certificate)), name))
	}
	for _, identity := range c.identities {
		e.people.set(identity, append(slices.Clone(e.people.get(identity)), name))
	}
}

const clientsPrefix = "clients/"

func (e *stateEdit) putKey(k *hexbid.Key, before *state) {
	if len(k.CredentialID) != idBytes {
		return
	}
	id := idOf(k.CredentialID)
	name, _ := hexbid.ParseName(k.Name) // stored names parse
	next := &key{name: k.Name, uid: k.UID, owner: name.Owner().String(), hash: k.SecretHash, used: new(atomic.Int64)}
	if !k.Expires.IsZero() {
		next.expires = k.Expires.UnixNano()
	}
	if was := before.keys.get(id); was != nil && was.uid == k.UID {
		next.used = was.used
	}
	e.keys.set(id, next)
}

// remove removes a resource.
func (e *stateEdit) remove(r hexbid.Resource) {
	switch v := r.(type) {
	case *hexbid.User:
		e.removeCaller(v.Name)
	case *hexbid.Client:
		e.removeCaller(v.Name)
	case *hexbid.Key:
		if k := e.keys.get(idOf(v.CredentialID)); k != nil && k.uid == v.UID {
			e.keys.remove(idOf(v.CredentialID))
		}
	}
}

func (e *stateEdit) removeCaller(name string) {
	c := e.callers.get(name)
	if c == nil {
		return
	}
	e.callers.remove(name)
	if id, isClient := strings.CutPrefix(name, clientsPrefix); isClient {
		e.clients.remove(id)
	}
	for _, certificate := range c.certificates {
		leave(&e.names, certificate, name)
	}
	for _, identity := range c.identities {
		leave(&e.people, identity, name)
	}
}

// leave takes a caller out of the list of a key.
func leave[K comparable](e *edit[K, []string], key K, name string) {
	left := slices.DeleteFunc(slices.Clone(e.get(key)), func(n string) bool { return n == name })
	if len(left) == 0 {
		e.remove(key)
		return
	}
	e.set(key, left)
}
