package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Auth says what callers must prove.
type Auth uint8

// The two ways. AuthNone takes everybody who reaches the port for the operator, so it is for loopback addresses alone.
// A credential that a call brings all the same must be in force.
const (
	AuthNone Auth = iota
	AuthRequired
)

// AuthorizationHeader is the metadata key, and the header in HTTP, of a call's credential.
const AuthorizationHeader = "authorization"

// claims are what a call brings that says who makes it.
type claims struct {
	address       string // of the peer
	authorization []string
	certificate   *x509.Certificate
	headers       map[string][]string // all of the call's, if proxies may speak for others; else nil
}

// callerOf returns the principal of a call: the one that a caller in this process names, or the one that the call's
// credential proves. Proof is nil without a credential.
func (s *Server) callerOf(ctx context.Context, conn *connection, method string) (hexbid.Principal, *access.Proof,
	error) {
	if ctx.Value(insideKey{}) != nil {
		proof, _ := ctx.Value(proofKey{}).(*access.Proof)
		return hexbid.PrincipalOf(ctx), proof, nil
	}
	c := claims{address: conn.origin, authorization: metadata.ValueFromIncomingContext(ctx, AuthorizationHeader),
		certificate: conn.certificateOf(ctx)}
	if len(s.config.TrustedProxies) > 0 {
		c.headers, _ = metadata.FromIncomingContext(ctx)
	}
	if isOpen(method) && len(c.authorization) == 0 && c.certificate == nil && s.config.Auth != AuthNone {
		origin, _ := s.originOf(&c)
		return hexbid.Principal{Origin: origin}, nil, nil // a probe lacks no credential: none is refused
	}
	p, proof, err := s.identify(ctx, conn, &c)
	if err != nil && isOpen(method) {
		return hexbid.Principal{Origin: p.Origin}, nil, nil
	}
	return p, proof, err
}

// isOpen reports whether everybody may call a method: health tells nothing that a port does not.
func isOpen(method string) bool { return strings.HasPrefix(method, "/grpc.health.v1.Health/") }

// proofKey is the context key of what proves the caller of a call from this process, a *access.Proof.
type proofKey struct{}

// CallerOver returns the context of a call over HTTP, with its caller and what proves them: a stream that is made with
// it ends when the credential does.
func (s *Server) CallerOver(r *http.Request) (context.Context, error) {
	c := claims{address: r.RemoteAddr, authorization: r.Header.Values(AuthorizationHeader), headers: r.Header,
		certificate: verifiedIn(r.TLS)}
	if s.config.Auth == AuthNone && len(s.config.TrustedProxies) == 0 && hasForwarding(r.Header) {
		return nil, errForwarded
	}
	p, proof, err := s.identify(r.Context(), connectionOf(r.Context()), &c)
	if err != nil {
		return nil, err
	}
	return context.WithValue(hexbid.WithPrincipal(r.Context(), p), proofKey{}, proof), nil
}

// identify finds who makes a call. Beside an error it returns a principal without rights that says where the call comes
// from.
func (s *Server) identify(ctx context.Context, conn *connection, c *claims) (hexbid.Principal, *access.Proof, error) {
	origin, err := s.originOf(c)
	nobody := hexbid.Principal{Origin: origin}
	if err != nil {
		return nobody, nil, err
	}
	if len(c.authorization) == 0 && c.certificate == nil && s.config.Auth == AuthNone {
		return hexbid.Principal{Role: hexbid.Operator, Origin: origin}, nil, nil
	}
	e := s.exchange.Load()
	if e == nil {
		return nobody, nil, errStarting
	}
	proof, refusal := prove(ctx, e, conn, c)
	s.callers.count(refusal, c, s.config.Log)
	switch {
	case refusal == access.Missing && s.config.Auth == AuthNone,
		refusal == access.Unknown && len(c.authorization) == 0 && s.config.Auth == AuthNone: // a certificate of nobody's
		return hexbid.Principal{Role: hexbid.Operator, Origin: origin}, nil, nil
	case refusal != access.NotRefused:
		return nobody, nil, refusal.Error()
	}
	p := proof.Principal
	p.Origin = origin
	return p, proof, nil
}

// prove checks the credentials of a call, or finds that the connection has brought the same before.
func prove(ctx context.Context, e *exchange.Exchange, conn *connection, c *claims) (*access.Proof, access.Refusal) {
	credentials, refusal := credentialsIn(c)
	if refusal != access.NotRefused {
		return nil, refusal
	}
	d, now := e.Directory(), e.Now()
	if before := conn.proof.Load(); d.InForce(before, credentials, now) {
		before.Touch(now)
		return before, access.NotRefused
	}
	proof, refusal := d.Authenticate(ctx, credentials, now)
	if refusal != access.NotRefused {
		return nil, refusal
	}
	conn.proof.Store(&proof)
	return &proof, access.NotRefused
}

// credentialsIn reads the credentials of a call. More than one authorization is refused, because whoever reads only the
// first and whoever reads only the last would take the call for different callers'.
func credentialsIn(c *claims) (access.Credentials, access.Refusal) {
	out := access.Credentials{Certificate: c.certificate}
	switch len(c.authorization) {
	case 0:
		return out, access.NotRefused
	case 1:
	default:
		return out, access.Conflicting
	}
	const scheme = "bearer "
	text := c.authorization[0]
	if len(text) <= len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return out, access.Malformed
	}
	out.Bearer = text[len(scheme):]
	return out, access.NotRefused
}

// certificateOf returns the client's certificate that TLS has verified, nil for none. A connection keeps its one.
func (c *connection) certificateOf(ctx context.Context) *x509.Certificate {
	if !c.asked.Load() {
		if p, ok := peer.FromContext(ctx); ok {
			if t, ok := p.AuthInfo.(credentials.TLSInfo); ok {
				c.certificate.Store(verifiedIn(&t.State))
			}
		}
		c.asked.Store(true)
	}
	return c.certificate.Load()
}

func verifiedIn(t *tls.ConnectionState) *x509.Certificate {
	if t == nil || len(t.VerifiedChains) == 0 || len(t.PeerCertificates) == 0 {
		return nil
	}
	return t.PeerCertificates[0]
}

// stillCalls returns an error unless the caller of a stream, whom its context names, still has the rights that the
// stream goes on with. Other rights may come and go: the admin of any advertiser may make a user a member of it and
// think better of it, and would end that user's streams to others by it. proof is the stream's, nil without a
// credential; what the directory proves now takes its place, so that the next look is cheap.
func (s *Server) stillCalls(ctx context.Context, proof *atomic.Pointer[access.Proof], needs *hexbid.Grants) error {
	e, began := s.exchange.Load(), proof.Load()
	if began == nil || e == nil {
		return nil
	}
	now, refusal := e.Directory().Renew(ctx, began, e.Now())
	if refusal != access.NotRefused {
		return refusal.Error()
	}
	was, is := hexbid.PrincipalOf(ctx), &now.Principal
	if is.Role != was.Role || is.UID != was.UID || !is.Grants.Cover(needs) {
		return hexbid.Errorf(hexbid.Unavailable, "", "the caller's rights have changed: open the stream again")
	}
	proof.Store(now)
	return nil
}

// clientNamed returns the name that a caller gave itself, "" when it gave none or names do not count.
func (s *Server) clientNamed(ctx context.Context) string {
	if s.config.Auth == AuthRequired {
		return ""
	}
	return clientOf(ctx)
}

// whoIs describes a principal to itself.
func (s *Server) whoIs(p *hexbid.Principal) *pb.WhoAmIResponse {
	return &pb.WhoAmIResponse{Role: pb.Role(p.Role), Name: p.ID, Uid: uint64(p.UID), Origin: p.Origin, Credential: p.Key,
		CredentialsRequired: s.config.Auth == AuthRequired}
}
