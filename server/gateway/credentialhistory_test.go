package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/server"
)

// identityProvider is an OpenID provider of one key.
type identityProvider struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func openIdentityProvider(t *testing.T) *identityProvider {
	t.Helper()
	p := new(identityProvider)
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/keys" {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys"})
			return
		}
		point := func(n []byte) string { return base64.RawURLEncoding.EncodeToString(n) }
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{"kty": "EC", "kid": "k", "crv": "P-256",
			"x": point(p.key.X.FillBytes(make([]byte, 32))), "y": point(p.key.Y.FillBytes(make([]byte, 32)))}}})
	}))
	t.Cleanup(p.Close)
	return p
}

// token signs a token for a subject.
func (p *identityProvider) token(t *testing.T, subject string) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(map[string]string{"alg": "ES256", "kid": "k"}) + "." + part(map[string]any{"iss": p.URL, "sub": subject,
		"aud": "hexbid", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()})
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)),
		s.FillBytes(make([]byte, 32))...))
}

// door is a way into the server with a credential. It notes from where it calls.
type door struct {
	config *tls.Config
	bearer string // empty for none
	from   string
}

func (d *door) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		d.from = conn.LocalAddr().String()
	}
	return conn, err
}

// overGRPC renames the advertiser and returns the newest change of it.
func (d *door) overGRPC(t *testing.T, address, name string) *pb.Change {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(d.config)),
		grpc.WithContextDialer(d.dial))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := t.Context()
	if d.bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+d.bearer)
	}
	if _, err := pb.NewCampaignServiceClient(conn).UpdateAdvertiser(ctx, &pb.UpdateAdvertiserRequest{
		Advertiser: &pb.Advertiser{Name: "advertisers/one", DisplayName: name},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}}); err != nil {
		t.Fatal(err)
	}
	page, err := pb.NewAuditServiceClient(conn).ListChanges(ctx, &pb.ListChangesRequest{Resource: "advertisers/one",
		PageSize: 1})
	if err != nil || len(page.GetChanges()) != 1 {
		t.Fatal(page, err)
	}
	return page.GetChanges()[0]
}

// overHTTP does the same as JSON.
func (d *door) overHTTP(t *testing.T, address, name string) *pb.Change {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: d.config, DialContext: func(ctx context.Context, _, _ string) (net.Conn,
		error) {
		return d.dial(ctx, address)
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	ask := func(method, path, body string) []byte {
		r, err := http.NewRequestWithContext(t.Context(), method, "https://localhost"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if r.Header.Set("Content-Type", jsonType); d.bearer != "" {
			r.Header.Set("Authorization", "Bearer "+d.bearer)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s, %s, %v", method, path, answer.Status, text, err)
		}
		return text
	}
	ask("PATCH", "/v1/advertisers/one?update_mask=display_name", fmt.Sprintf(`{"display_name": %q}`, name))
	page := new(pb.ListChangesResponse)
	if err := protojson.Unmarshal(ask("GET", "/v1/changes?resource=advertisers/one&page_size=1", ""), page); err != nil ||
		len(page.GetChanges()) != 1 {
		t.Fatal(page, err)
	}
	return page.GetChanges()[0]
}

// TestAHistoryTellsByWhichCredentialAChangeWasMade changes an advertiser with a client certificate and with a token of
// an OpenID provider, over both real ports with TLS. The history tells who did it, by which credential, from where, and
// the field before and after, and holds nothing of the credential that is secret.
func TestAHistoryTellsByWhichCredentialAChangeWasMade(t *testing.T) {
	cert, key := certificate(t)
	clientCert, clientKey := certificate(t) // of users/olga
	provider := openIdentityProvider(t)
	p := openOver(t, oneAd(), func(_ *Config, c *server.Config) {
		c.TLSCert, c.TLSKey, c.ClientCA, c.Auth = cert, key, clientCert, server.AuthRequired
	}, func(c *exchange.Config) {
		c.OpenID = &access.Issuer{URL: provider.URL, Audience: "hexbid", Client: provider.Client()}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.server.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-ended })
	system := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.System, ID: "test"})
	for _, u := range []*hexbid.User{{Meta: hexbid.Meta{Name: "users/olga"}, Role: hexbid.Operator},
		{Meta: hexbid.Meta{Name: "users/otto"}, Role: hexbid.Operator,
			Identities: []hexbid.Identity{{Issuer: provider.URL, Subject: "42"}}}} {
		if _, err := p.market.Create(system, u, false); err != nil {
			t.Fatal(err)
		}
	}
	own, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	token, sum := provider.token(t, "42"), sha256.Sum256(own.Certificate[0])
	before := "One"
	for i, by := range []struct {
		door
		who, credential string
	}{
		{door{config: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{own}}}, "users/olga",
			"certificate " + hex.EncodeToString(sum[:])[:16]},
		{door{config: &tls.Config{InsecureSkipVerify: true}, bearer: token}, "users/otto", "token of " + provider.URL},
	} {
		for port, change := range map[string]func(*testing.T, string, string) *pb.Change{
			l.Addr().String(): by.overGRPC, p.address: by.overHTTP} {
			after := fmt.Sprint("Name ", i, " of ", port)
			got := change(t, port, after)
			actor, of := got.GetActor(), got.GetResources()
			if actor.GetRole() != pb.Role_ROLE_OPERATOR || actor.GetName() != by.who || actor.GetOrigin() != by.from ||
				actor.GetCredential() != by.credential {
				t.Errorf("%s by %q from %s is told as %v", by.who, by.credential, by.from, actor)
			}
			if len(of) != 1 || of[0].GetResource() != "advertisers/one" || len(of[0].GetFields()) != 1 ||
				of[0].GetFields()[0].GetBefore().GetStringValue() != before ||
				of[0].GetFields()[0].GetAfter().GetStringValue() != after {
				t.Errorf("%q to %q is told as %v", before, after, of)
			}
			before = after
			text := got.String()
			for _, secret := range strings.Split(token, ".") {
				if strings.Contains(text, secret) {
					t.Errorf("the history holds a part of the token: %s", text)
				}
			}
		}
	}
}
