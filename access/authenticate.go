package access

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
)

// Credentials are what a call brings to prove who makes it.
type Credentials struct {
	// Bearer is the text after "Bearer " in the call's authorization: a key, or an OpenID token. Empty for none.
	Bearer string
	// Certificate is the client's certificate, which TLS has verified; nil for none.
	Certificate *x509.Certificate
}

// Proof is a caller whose credentials are in force, and how long that may be remembered.
type Proof struct {
	Principal   hexbid.Principal // without origin
	credentials Credentials
	state       *state
	used        *atomic.Int64 // of the key; nil without one
	until       int64         // Unix nanoseconds; 0 for no end
}

// Refusal says why credentials were refused, for counts and logs. Callers learn less.
type Refusal uint8

// The refusals.
const (
	NotRefused  Refusal = iota
	Missing             // the call brings none
	Malformed           // no key and no token, or a wrong checksum
	Unknown             // no key has the id, or nobody has the token's subject or the certificate's names
	Wrong               // the secret or the signature is wrong, or the token is for another audience
	Expired             // the key, the token or the certificate has expired
	Suspended           // the user or the client is suspended
	Conflicting         // two credentials that name different callers
	Unreachable         // the keys of the OpenID provider cannot be read, or not in time
	Behind              // the directory lags behind the store
	RefusalCount
)

var refusalNames = [RefusalCount]string{"none", "missing", "malformed", "unknown", "wrong", "expired", "suspended",
	"conflicting", "unreachable", "behind"}

// String returns the refusal's name in metrics and logs.
func (r Refusal) String() string { return refusalNames[min(r, RefusalCount-1)] }

// Error returns what a caller learns. It is the same for every credential that proves nothing, so that nobody learns
// which ids exist.
func (r Refusal) Error() error {
	switch r {
	case Missing:
		return hexbid.Errorf(hexbid.Unauthenticated, "authorization",
			"is missing: this server answers known callers only; send \"authorization: Bearer KEY\" (hexbid login)")
	case Expired:
		return hexbid.Errorf(hexbid.Unauthenticated, "authorization", "the credential has expired: get a new one")
	case Suspended:
		return hexbid.Errorf(hexbid.Unauthenticated, "authorization",
			"the credential's user or client is suspended: ask the operator")
	case Conflicting:
		return hexbid.Errorf(hexbid.Unauthenticated, "authorization",
			"the call brings two credentials that name different callers: send one")
	case Unreachable:
		return hexbid.Errorf(hexbid.Unavailable, "authorization",
			"the OpenID provider's keys cannot be read at present: try again")
	case Behind:
		return hexbid.Errorf(hexbid.Unavailable, "authorization",
			"the server does not know at present which credentials are in force: try again")
	}
	return hexbid.Errorf(hexbid.Unauthenticated, "authorization",
		"the credential is not in force here: check that it was copied whole, or get a new one")
}

// InForce reports whether a proof still holds for the same credentials. It compares in constant time, because callers
// may share a connection.
func (d *Directory) InForce(p *Proof, c Credentials, now time.Time) bool {
	return p != nil && p.state == d.state.Load() && !d.behind.Load() && (p.until == 0 || now.UnixNano() < p.until) &&
		p.credentials.Certificate == c.Certificate && len(p.credentials.Bearer) == len(c.Bearer) &&
		subtle.ConstantTimeCompare([]byte(p.credentials.Bearer), []byte(c.Bearer)) == 1
}

// Renew returns what a proof's credentials prove now: the same proof while that is in force.
func (d *Directory) Renew(ctx context.Context, p *Proof, now time.Time) (*Proof, Refusal) {
	if d.InForce(p, p.credentials, now) {
		return p, NotRefused
	}
	again, refusal := d.Authenticate(ctx, p.credentials, now)
	return &again, refusal
}

// Touch notes a use of a proof's key.
func (p *Proof) Touch(now time.Time) {
	if p.used == nil {
		return
	}
	if hour := now.Unix() / 3600; p.used.Load() < hour {
		p.used.Store(hour)
	}
}

// Authenticate finds whose credentials they are. A certificate that names nobody is ignored beside a bearer.
func (d *Directory) Authenticate(ctx context.Context, c Credentials, now time.Time) (Proof, Refusal) {
	s := d.state.Load()
	switch {
	case c.Bearer == "" && c.Certificate == nil:
		return Proof{}, Missing
	case d.behind.Load():
		return Proof{}, Behind
	case c.Bearer == "":
		return d.finish(s, c, byCertificate(s, c.Certificate), now)
	}
	found := d.byBearer(ctx, s, c.Bearer)
	if c.Certificate != nil && found.refusal == NotRefused {
		if other := byCertificate(s, c.Certificate); other.refusal == NotRefused && other.owner != found.owner {
			return Proof{}, Conflicting
		}
	}
	return d.finish(s, c, found, now)
}

// finding is whom a credential names.
type finding struct {
	refusal Refusal
	owner   string // name of the user or client
	key     string // names the credential
	used    *atomic.Int64
	until   int64 // Unix nanoseconds; 0 for no end
}

func (d *Directory) byBearer(ctx context.Context, s *state, bearer string) finding {
	switch {
	case isKey(bearer):
		return d.byKey(s, bearer)
	case d.tokens != nil && isToken(bearer):
		return d.tokens.find(ctx, s, bearer)
	}
	return finding{refusal: Malformed}
}

// nobodysKey stands for a key that there is not, so that an unknown id takes as long as a wrong secret.
var nobodysKey key

func (d *Directory) byKey(s *state, text string) finding {
	k, refusal := s.keys.get(idOf(text[len(KeyPrefix):secretAt])), Wrong
	if k == nil {
		k, refusal = &nobodysKey, Unknown
	}
	if !d.pepper.proves(text, &k.hash) || k == &nobodysKey {
		return finding{refusal: refusal}
	}
	return finding{owner: k.owner, key: k.name, used: k.used, until: k.expires}
}

// finish turns a finding into a proof, if its owner is there and it has not expired.
func (d *Directory) finish(s *state, c Credentials, f finding, now time.Time) (Proof, Refusal) {
	if f.refusal != NotRefused {
		return Proof{}, f.refusal
	}
	if f.until != 0 && now.UnixNano() >= f.until {
		return Proof{}, Expired
	}
	owner := s.callers.get(f.owner)
	switch {
	case owner == nil:
		return Proof{}, Unknown
	case owner.suspended:
		return Proof{}, Suspended
	}
	p := Proof{Principal: owner.principal, credentials: c, state: s, used: f.used, until: f.until}
	p.Principal.Key = f.key
	p.Touch(now)
	return p, NotRefused
}
