package exchange

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// A name in certificates and a subject of an OpenID provider stand for one user or client. Of two who had the same one
// neither could call, so the second is refused at the write. The directory words the refusal. The engine's
// counter of aliases decides between two writers who come at once.

// alias is a name in certificates, or a subject of an OpenID provider, that a user or a client says is theirs.
type alias struct {
	field   string
	text    string // for people
	counted string // owner of the counter
	holders []string
}

// aliasesOf returns the aliases of a user or a client, none for other resources.
func (e *Exchange) aliasesOf(r hexbid.Resource) (aliases []alias) {
	noun, certificates, identities := "user", []string(nil), []hexbid.Identity(nil)
	switch v := r.(type) {
	case *hexbid.User:
		certificates, identities = v.CertificateNames, v.Identities
	case *hexbid.Client:
		noun, certificates, identities = "client", v.CertificateNames, v.Identities
	}
	known := e.directory.Aliases() // of one moment, so that a caller with two names is found by both or by neither
	for i, name := range certificates {
		aliases = append(aliases, alias{fmt.Sprintf("%s.certificate_names[%d]", noun, i), name, store.CertificateAlias(name),
			known.HoldersOfName(name)})
	}
	for i, identity := range identities {
		aliases = append(aliases, alias{fmt.Sprintf("%s.identities[%d].subject", noun, i), identity.Subject,
			store.IdentityAlias(identity), known.HoldersOfIdentity(identity)})
	}
	return aliases
}

// checkAliases refuses a user or a client whose alias another one has.
func (e *Exchange) checkAliases(r hexbid.Resource) error {
	var errs []error
	for _, a := range e.aliasesOf(r) {
		for _, holder := range a.holders {
			if holder != r.Metadata().Name {
				errs = append(errs, a.refusal(holder))
			}
		}
	}
	return hexbid.JoinErrors(errs...)
}

func (a *alias) refusal(holder string) error {
	words := "another user or client"
	if holder != "" {
		words = fmt.Sprintf("%q", holder)
	}
	return hexbid.Errorf(hexbid.AlreadyExists, a.field,
		"%q stands for %s already, and can stand for one alone: take it away there first", hexbid.Shorten(a.text), words)
}

// limitsOfAliases returns the limits by which the engine refuses the second of two writers with the same alias.
func limitsOfAliases(r *store.Record) (limits []store.Limit) {
	for i := range r.Counts {
		if c := &r.Counts[i]; c.Counter == store.Aliases {
			limits = append(limits, store.Limit{Owner: c.Owner, Counter: c.Counter, AtMost: 1})
		}
	}
	return limits
}

// aliasTaken returns the refusal of a resource whose alias another writer has taken, nil for every other error.
func (e *Exchange) aliasTaken(r hexbid.Resource, err error) error {
	var limit *store.LimitError
	if !errors.As(err, &limit) || limit.Limit.Counter != store.Aliases {
		return nil
	}
	for _, a := range e.aliasesOf(r) {
		if a.counted == limit.Limit.Owner {
			holder := ""
			for _, h := range a.holders {
				holder = cmp.Or(holder, h)
			}
			return a.refusal(holder)
		}
	}
	return err
}
