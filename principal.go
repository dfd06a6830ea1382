package hexbid

import "context"

// Role is what a caller is to the deployment. Rights depend on the role.
type Role uint8

// The roles.
const (
	Nobody   Role = iota // has no rights
	Operator             // runs the deployment
	System               // a part of the program itself; Principal.ID names which
	roleCount
)

var roleNames = [roleCount]string{"nobody", "operator", "system"}

// String returns the role's name in logs and records.
func (r Role) String() string { return nameIn(roleNames[:], uint8(r)) }

// InProcess is the origin of a call that comes from no network.
const InProcess = "in process"

// Principal says who a call is made for, and from where. It travels in the call's context to package exchange, which
// checks its rights. The zero Principal is nobody and has no rights, so a path that forgets to name the caller is
// refused.
type Principal struct {
	Role   Role
	ID     string // distinguishes callers of one role; empty where the role is enough
	Origin string // the peer's network address, or InProcess
}

// String describes the principal for logs, as in "operator from 10.0.0.7:51514" or "system demo, in process".
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

// PrincipalOf returns the principal that a context carries, or the zero Principal.
func PrincipalOf(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(*Principal); ok {
		return *p
	}
	return Principal{}
}
