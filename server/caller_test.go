package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// serveKeys serves with credentials required, and returns keys of an operator and of a search client.
func serveKeys(t *testing.T, change func(*Config)) (s *served, operator, app string) {
	t.Helper()
	s = serve(t, func(c *Config) {
		c.Auth = AuthRequired
		if change != nil {
			change(c)
		}
	})
	e := s.exchange.Load()
	for _, r := range []hexbid.Resource{&hexbid.User{Meta: hexbid.Meta{Name: "users/olga"}, Role: hexbid.Operator},
		&hexbid.Client{Meta: hexbid.Meta{Name: "clients/app"}}} {
		if _, err := e.Create(ctx, r, false); err != nil {
			t.Fatal(err)
		}
	}
	issue := func(name string) string {
		_, text, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return s, issue("users/olga/keys/k"), issue("clients/app/keys/k")
}

// bearing returns a context whose calls bring these authorizations.
func bearing(ctx context.Context, authorization ...string) context.Context {
	for _, a := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, AuthorizationHeader, a)
	}
	return ctx
}

func whoAmI(ctx context.Context, conn grpc.ClientConnInterface) (*pb.WhoAmIResponse, error) {
	return pb.NewAccessServiceClient(conn).WhoAmI(ctx, &pb.WhoAmIRequest{})
}

func TestNobodyIsAnsweredWhereCredentialsAreRequired(t *testing.T) {
	s, operator, app := serveKeys(t, nil)
	conn := s.dial(t)
	for what, c := range map[string]struct {
		authorization []string
		name          string // "" for a refusal
	}{
		"none":                 {nil, ""},
		"an operator's":        {[]string{"Bearer " + operator}, "users/olga"},
		"a client's":           {[]string{"bearer " + app}, "clients/app"},
		"without a scheme":     {[]string{operator}, ""},
		"of another scheme":    {[]string{"Basic " + operator}, ""},
		"cut off":              {[]string{"Bearer " + operator[:20]}, ""},
		"empty":                {[]string{"Bearer "}, ""},
		"twice":                {[]string{"Bearer " + operator, "Bearer " + operator}, ""},
		"two of them":          {[]string{"Bearer " + app, "Bearer " + operator}, ""},
		"a token without keys": {[]string{"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."}, ""},
	} {
		r, err := whoAmI(bearing(t.Context(), c.authorization...), conn)
		if c.name == "" {
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s: %v, %v", what, r, err)
			}
			for _, key := range []string{operator, app} {
				if err != nil && strings.Contains(err.Error(), key[5:20]) {
					t.Errorf("%s: the error holds the key: %v", what, err)
				}
			}
			continue
		}
		if err != nil || r.GetName() != c.name || !r.GetCredentialsRequired() {
			t.Errorf("%s: %v, %v", what, r, err)
		}
	}
	for method, m := range s.unaryMethods {
		if strings.HasPrefix(method, "/grpc.health") {
			continue
		}
		if err := conn.Invoke(t.Context(), method, &pb.WhoAmIRequest{}, &pb.WhoAmIResponse{}); status.Code(err) !=
			codes.Unauthenticated {
			t.Errorf("%s for nobody: %v (%v)", method, err, m.door.class)
		}
	}
	for method := range s.streams {
		if strings.HasPrefix(method, "/grpc.health") {
			continue
		}
		if err := open(t, t.Context(), conn, method).RecvMsg(&pb.WhoAmIResponse{}); status.Code(err) !=
			codes.Unauthenticated {
			t.Errorf("%s for nobody: %v", method, err)
		}
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health for nobody: %v", err)
	}
}

func TestAClientIsKnownByItsKeyAndNotByItsHeader(t *testing.T) {
	s, _, app := serveKeys(t, nil)
	named := metadata.AppendToOutgoingContext(bearing(t.Context(), "Bearer "+app), ClientHeader, "another")
	if _, err := pb.NewSearchServiceClient(s.dial(t)).SearchNearby(named,
		&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}}); err != nil {
		t.Fatal(err)
	}
	in := metadata.NewIncomingContext(t.Context(), metadata.Pairs(ClientHeader, "another"))
	if name := s.clientNamed(in); name != "" {
		t.Errorf("the header names %q", name)
	}
}

// TestARevokedKeyIsRefusedAtOnce also on a connection that has proved it before, and on a stream that is open.
func TestARevokedKeyIsRefusedAtOnce(t *testing.T) {
	s, operator, _ := serveKeys(t, nil)
	conn, mine := s.dial(t), bearing(t.Context(), "Bearer "+operator)
	if _, err := whoAmI(mine, conn); err != nil {
		t.Fatal(err)
	}
	upload, err := pb.NewCampaignServiceClient(conn).Import(mine)
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(advertisers("advertisers/a", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := upload.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := s.exchange.Load().Delete(ctx, "users/olga/keys/k", ^uint64(0), false); err != nil {
		t.Fatal(err)
	}
	if _, err := whoAmI(mine, conn); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call with a revoked key: %v", err)
	}
	_ = upload.Send(advertisers("advertisers/b", 1))
	if _, err := upload.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a batch with a revoked key: %v", err)
	}
}

func TestRefusedCredentialsAreCountedAndNotLogged(t *testing.T) {
	var log lockedBuffer
	s, operator, _ := serveKeys(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	conn := s.dial(t)
	wrong := operator[:len(operator)-1] + "!"
	for range 20 {
		if _, err := whoAmI(bearing(t.Context(), "Bearer "+wrong), conn); status.Code(err) != codes.Unauthenticated {
			t.Fatal(err)
		}
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	values := metricsOf(t, s)
	if n := values["hexbid_credentials_total missing"]; n != 0 {
		t.Errorf("%v credentials of health checks are missing", n)
	}
	if n := values["hexbid_credentials_total malformed"]; n != 20 {
		t.Errorf("%v refusals are counted of 20", n)
	}
	if text := log.String(); !strings.Contains(text, "credentials were refused") || strings.Count(text, "\n") > 15 ||
		strings.Contains(text, operator[4:16]) {
		t.Errorf("the log says %s", text)
	}
}

// TestRefusalsChangeNothing: whoever guesses keys makes the server write nothing, neither in the store, whose version
// would move, nor among the last uses of keys.
func TestRefusalsChangeNothing(t *testing.T) {
	s, operator, _ := serveKeys(t, nil)
	conn, directory := s.dial(t), s.exchange.Load().Directory()
	version := directory.Version()
	unknown, _, _ := access.RandomPepper().NewKey()
	for _, key := range []string{unknown, operator[:len(operator)-1] + "!", "x", operator + "x"} {
		for range 50 {
			if _, err := whoAmI(bearing(t.Context(), "Bearer "+key), conn); status.Code(err) != codes.Unauthenticated {
				t.Fatal(err)
			}
		}
	}
	if uses := directory.Uses(); directory.Version() != version || len(uses) != 0 {
		t.Errorf("after refusals the store is at version %d, %d before, and keys were used: %v", directory.Version(),
			version, uses)
	}
	if _, err := whoAmI(bearing(t.Context(), "Bearer "+operator), conn); err != nil || len(directory.Uses()) != 1 {
		t.Errorf("%v; a use is kept: %v", err, directory.Uses())
	}
}

func TestForwardedCallsAreRefusedWithoutCredentials(t *testing.T) {
	s := serve(t, nil)
	conn := s.dial(t)
	for _, header := range []string{"forwarded", "x-forwarded-for", "x-forwarded-host", "X-Forwarded-Anything"} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), header, "for=10.0.0.9")
		if _, err := whoAmI(ctx, conn); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", header, err)
		}
		if err := open(t, ctx, conn, pb.CampaignService_Import_FullMethodName).RecvMsg(&pb.ImportResponse{}); status.Code(
			err) != codes.PermissionDenied {
			t.Errorf("a stream with %s: %v", header, err)
		}
		r := &http.Request{RemoteAddr: "127.0.0.1:4711", Header: http.Header{http.CanonicalHeaderKey(header): {"10.0.0.9"}}}
		if _, err := s.CallerOver(r.WithContext(t.Context())); hexbid.KindOf(err) != hexbid.Denied {
			t.Errorf("HTTP with %s: %v", header, err)
		}
	}
	if r, err := whoAmI(t.Context(), conn); err != nil || r.GetRole() != pb.Role_ROLE_OPERATOR {
		t.Errorf("%v, %v", r, err)
	}
}

func TestTrustedProxiesSayWhereACallComesFrom(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16")}
	s, operator, _ := serveKeys(t, func(c *Config) { c.TrustedProxies = proxies })
	conn, mine := s.dial(t), bearing(t.Context(), "Bearer "+operator)
	for _, c := range []struct{ header, value, want string }{
		{"x-forwarded-for", "203.0.113.7", "203.0.113.7"},
		{"x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"}, // the first is the caller's own word
		{"forwarded", `for="[2001:db8::1]:4711";proto=https, for=10.1.2.3`, "2001:db8::1"},
		{"x-forwarded-for", "nonsense", "127.0.0.1:"},
		{"forwarded", "by=x", "127.0.0.1:"},
	} {
		r, err := whoAmI(metadata.AppendToOutgoingContext(mine, c.header, c.value), conn)
		if err != nil || !strings.HasPrefix(r.GetOrigin(), c.want) {
			t.Errorf("%s: %s is from %q, %v", c.header, c.value, r.GetOrigin(), err)
		}
	}
	untrusted, operator, _ := serveKeys(t, nil)
	r, err := whoAmI(metadata.AppendToOutgoingContext(bearing(t.Context(), "Bearer "+operator), "x-forwarded-for",
		"203.0.113.7"), untrusted.dial(t))
	if err != nil || !strings.HasPrefix(r.GetOrigin(), "127.0.0.1:") {
		t.Errorf("a proxy that nobody named is believed: %q, %v", r.GetOrigin(), err)
	}
	open := serve(t, func(c *Config) { c.TrustedProxies = proxies })
	for value, want := range map[string]codes.Code{"203.0.113.7": codes.PermissionDenied, "127.0.0.1": codes.OK} {
		_, err := whoAmI(metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", value), open.dial(t))
		if status.Code(err) != want {
			t.Errorf("without credentials, for %s: %v", value, err)
		}
	}
	for _, c := range []struct{ standard, common, want string }{ // one of the two is the caller's own word
		{"for=127.0.0.1", "203.0.113.7", ""}, {"for=203.0.113.7", "127.0.0.1", ""}, {"for=127.0.0.1", "nonsense", ""},
		{"by=x", "127.0.0.1", ""}, {"for=127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"for=6.6.6.6, for=203.0.113.7", "203.0.113.7, 10.1.2.3", "203.0.113.7"},
	} {
		both := []string{"forwarded", c.standard, "x-forwarded-for", c.common}
		_, err := whoAmI(metadata.AppendToOutgoingContext(t.Context(), both...), open.dial(t))
		if want := map[bool]codes.Code{true: codes.OK, false: codes.PermissionDenied}[c.want == "127.0.0.1"]; status.Code(
			err) != want {
			t.Errorf("without credentials, %v: %v, want %s", both, err, want)
		}
		r, err := whoAmI(metadata.AppendToOutgoingContext(mine, both...), conn)
		if want := cmp.Or(c.want, "127.0.0.1:"); err != nil || !strings.HasPrefix(r.GetOrigin(), want) {
			t.Errorf("%v is from %q, %v, want %s", both, r.GetOrigin(), err, want)
		}
	}
}

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	dir  string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.root = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, IsCA: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true}
	a.key = a.newKey()
	a.write("ca.pem", "CERTIFICATE", a.sign(a.root, a.root, &a.key.PublicKey))
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(c, parent *x509.Certificate, key *ecdsa.PublicKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue makes a certificate with a key and returns the paths of both.
func (a *authority) issue(name string, c *x509.Certificate) (certificate, key string) {
	c.SerialNumber, c.NotAfter, c.Subject = big.NewInt(2), time.Now().Add(time.Hour), pkix.Name{CommonName: name}
	own := a.newKey()
	der, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", a.sign(c, a.root, &own.PublicKey)),
		a.write(name+".key", "EC PRIVATE KEY", der)
}

func TestACertificateProvesWhoCallsOverTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	certificate, key := ours.issue("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	s, operator, _ := serveKeys(t, func(c *Config) {
		c.TLSCert, c.TLSKey, c.ClientCA = certificate, key, filepath.Join(ours.dir, "ca.pem")
	})
	dial := func(a *authority, name, uri string) *grpc.ClientConn {
		pool := x509.NewCertPool()
		pool.AddCert(mustParse(t, filepath.Join(ours.dir, "ca.pem")))
		config := &tls.Config{RootCAs: pool}
		if a != nil {
			u, err := url.Parse(uri)
			if err != nil {
				t.Fatal(err)
			}
			certificate, key := a.issue(name, &x509.Certificate{URIs: []*url.URL{u},
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			own, err := tls.LoadX509KeyPair(certificate, key)
			if err != nil {
				t.Fatal(err)
			}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
		}
		conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	conn := dial(ours, "app", "hexbid:clients/app")
	for range 2 { // the second time from what the connection remembers
		r, err := whoAmI(t.Context(), conn)
		if err != nil || r.GetName() != "clients/app" || !strings.HasPrefix(r.GetCredential(), "certificate ") {
			t.Errorf("%v, %v", r, err)
		}
	}
	if _, err := whoAmI(bearing(t.Context(), "Bearer "+operator), conn); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a client's certificate beside an operator's key: %v", err)
	}
	if _, err := whoAmI(t.Context(), dial(ours, "none", "hexbid:users/nobody")); status.Code(err) !=
		codes.Unauthenticated {
		t.Errorf("a certificate of nobody's: %v", err)
	}
	if _, err := whoAmI(t.Context(), dial(others, "forged", "hexbid:users/olga")); err == nil {
		t.Error("a certificate of another authority is accepted")
	}
	if r, err := whoAmI(bearing(t.Context(), "Bearer "+operator), dial(nil, "", "")); err != nil ||
		r.GetName() != "users/olga" {
		t.Errorf("a key over TLS: %v, %v", r, err)
	}
}

func mustParse(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(bytes.TrimSpace(text))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
