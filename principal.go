package hexbid

import "context"

// Role is what a caller is to the deployment. It is what rights are given by.
type Role uint8

// The roles.
const (
	Nobody   Role = iota // has no rights
	Operator             // runs the deployment
	System               // a part of the program itself, which Principal.ID names
	roleCount
)

var roleNames = [roleCount]string{"nobody", "operator", "system"}

// String is the role's name in logs and records.
func (r Role) String() string { return nameIn(roleNames[:], uint8(r)) }

// InProcess is the origin of a call that comes from no network.
const InProcess = "in process"

// Principal is who a call is made for, and where it comes from. It travels in the
// call's context to package exchange, which asks it for rights. The zero Principal
// is nobody and has none, so that a path that forgets to say who calls is refused.
type Principal struct {
	Role   Role
	ID     string // which one of its role; empty where the role says it all
	Origin string // the peer's network address, or InProcess
}

// String is for logs, as in "operator from 10.0.0.7:51514" or "system demo, in process".
func (p Principal) String() string {
	s := p.Role.String()
	if p.ID != "" {
		s += " " + p.ID
	}
	switch p.Origin {
	case "":
		return s
	case InProcess:
		return s + ", " + InProcess
	}
	return s + " from " + p.Origin
}

type principalKey struct{}

// WithPrincipal returns a context whose calls are made for a principal.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, &p)
}

// PrincipalOf is whom the calls of a context are made for; the zero Principal when
// the context does not say.
func PrincipalOf(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(*Principal); ok {
		return *p
	}
	return Principal{}
}
