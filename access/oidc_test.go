package access

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// provider is a local OpenID provider whose clock stands still until a test moves it.
type provider struct {
	*httptest.Server
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	now     atomic.Int64 // Unix seconds
	fetches atomic.Int64 // of its keys
	down    atomic.Bool
	fewer   atomic.Bool                   // it has withdrawn its RSA key
	hold    atomic.Pointer[chan struct{}] // unless nil, answers wait until it is closed
	holding atomic.Int64                  // requests that wait
	asked   atomic.Int64                  // requests that came while it holds
}

func openProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{}
	p.now.Store(noon.Unix())
	var err error
	if p.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if p.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hold := p.hold.Load(); hold != nil {
			p.asked.Add(1)
			p.holding.Add(1)
			select {
			case <-*hold:
			case <-r.Context().Done(): // the caller gave up
			}
			p.holding.Add(-1)
		}
		if p.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys",
				"id_token_signing_alg_values_supported": []string{"RS256", "RS384", "ES256", "HS256", "none"}})
		case "/keys":
			p.fetches.Add(1)
			keys := []any{
				map[string]string{"kty": "RSA", "kid": "rsa", "n": encode(p.rsa.N.Bytes()), "e": encode([]byte{1, 0, 1})},
				map[string]string{"kty": "EC", "kid": "ec", "crv": "P-256",
					"x": encode(p.ecdsa.X.FillBytes(make([]byte, 32))), "y": encode(p.ecdsa.Y.FillBytes(make([]byte, 32)))},
			}
			if p.fewer.Load() {
				keys = keys[1:]
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) clock() time.Time { return time.Unix(p.now.Load(), 0) }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token signs claims that differ from good ones by some.
func (p *provider) token(t testing.TB, algorithm, kid string, differ map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": p.URL, "sub": "42", "aud": "hexbid", "iat": p.now.Load(),
		"exp": p.now.Load() + 600}
	maps.Copy(claims, differ)
	header, err := json.Marshal(map[string]string{"alg": algorithm, "kid": kid})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := encode(header) + "." + encode(body)
	return signed + "." + encode(p.sign(t, algorithm, signed))
}

func (p *provider) sign(t testing.TB, algorithm, text string) (signature []byte) {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	var err error
	switch algorithm {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, p.rsa, crypto.SHA256, sum[:])
	case "RS384": // a good signature by an algorithm that is not admitted
		long := sha512.Sum384([]byte(text))
		signature, err = rsa.SignPKCS1v15(rand.Reader, p.rsa, crypto.SHA384, long[:])
	case "ES256":
		r, s, signErr := ecdsa.Sign(rand.Reader, p.ecdsa, sum[:])
		err = signErr
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case "HS256": // with the public key for the secret, which a careless verifier would take
		der, marshalErr := x509.MarshalPKIXPublicKey(&p.rsa.PublicKey)
		err = marshalErr
		m := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		m.Write([]byte(text))
		signature = m.Sum(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// openWithProvider is an office in which the member mia has an identity at a provider.
func openWithProvider(t testing.TB) (*office, *provider) {
	o, p := openOffice(t), openProvider(t)
	if err := o.TakeTokens(Issuer{URL: p.URL, Audience: "hexbid", Client: p.Client(), Clock: p.clock}); err != nil {
		t.Fatal(err)
	}
	mia := *o.held["users/mia"].(*hexbid.User)
	mia.Identities = []hexbid.Identity{{Issuer: p.URL, Subject: "42"}}
	o.put(&mia)
	return o, p
}

func TestATokenOfTheProviderSaysWhoCalls(t *testing.T) {
	o, p := openWithProvider(t)
	for _, c := range []struct {
		what   string
		bearer string
		refuse Refusal
	}{
		{"RS256", p.token(t, "RS256", "rsa", nil), NotRefused},
		{"ES256", p.token(t, "ES256", "ec", nil), NotRefused},
		{"another algorithm", p.token(t, "RS384", "rsa", nil), Wrong},
		{"several audiences", p.token(t, "RS256", "rsa", map[string]any{"aud": []string{"x", "hexbid"}}), NotRefused},
		{"no algorithm", p.token(t, "none", "rsa", nil), Wrong},
		{"no algorithm, in capitals", p.token(t, "NONE", "rsa", nil), Wrong},
		{"the public key for a secret", p.token(t, "HS256", "rsa", nil), Wrong},
		{"the other key", p.token(t, "RS256", "ec", nil), Wrong},
		{"another audience", p.token(t, "RS256", "rsa", map[string]any{"aud": "others"}), Wrong},
		{"no audience", p.token(t, "RS256", "rsa", map[string]any{"aud": nil}), Wrong},
		{"another issuer", p.token(t, "RS256", "rsa", map[string]any{"iss": "https://else"}), Wrong},
		{"expired", p.token(t, "RS256", "rsa", map[string]any{"exp": p.now.Load() - 1}), Expired},
		{"without an end", p.token(t, "RS256", "rsa", map[string]any{"exp": nil}), Wrong},
		{"of the future", p.token(t, "RS256", "rsa", map[string]any{"nbf": p.now.Load() + 3600}), Wrong},
		{"somebody else", p.token(t, "RS256", "rsa", map[string]any{"sub": "43"}), Unknown},
		{"nobody", p.token(t, "RS256", "rsa", map[string]any{"sub": ""}), Unknown},
		{"noise", "YQ.YQ.YQ", Wrong},
		{"what is not base64", "a.b.c", Malformed},
		{"too long", strings.Repeat("a", maxTokenBytes) + ".b.c", Malformed},
	} {
		who, refusal := o.try(c.bearer, p.clock())
		if refusal != c.refuse || (who.ID == "users/mia") != (refusal == NotRefused) {
			t.Errorf("%s: %q, %s; want %s", c.what, who.ID, refusal, c.refuse)
		}
	}
	// A signature belongs to its claims, and a body to its signature.
	good, other := p.token(t, "RS256", "rsa", nil), p.token(t, "RS256", "rsa", map[string]any{"sub": "43"})
	parts, others := strings.Split(good, "."), strings.Split(other, ".")
	if _, refusal := o.try(others[0]+"."+parts[1]+"."+others[2], p.clock()); refusal != Wrong {
		t.Errorf("another token's signature: %s", refusal)
	}
	proof, _ := o.Authenticate(t.Context(), Credentials{Bearer: good}, p.clock())
	if o.InForce(&proof, Credentials{Bearer: good}, p.clock().Add(11*time.Minute)) {
		t.Error("a token is remembered beyond its end")
	}
}

func TestAStormOfUnknownKeysFetchesOnceAMinute(t *testing.T) {
	o, p := openWithProvider(t)
	if _, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock()); refusal != NotRefused {
		t.Fatal(refusal)
	}
	for minute := range 3 {
		for i := range 50 {
			if _, refusal := o.try(p.token(t, "RS256", fmt.Sprint("made up ", i), nil), p.clock()); refusal != Wrong {
				t.Fatalf("%s", refusal)
			}
		}
		if n := p.fetches.Load(); n > int64(minute)+1 {
			t.Errorf("within minute %d the keys were fetched %d times", minute, n)
		}
		p.now.Add(60)
	}
	if n := p.fetches.Load(); n != 3 {
		t.Errorf("the keys were fetched %d times in three minutes", n)
	}
}

func TestAProviderThatIsDownRefusesItsTokensAlone(t *testing.T) {
	o, p := openWithProvider(t)
	p.down.Store(true)
	for range 3 {
		if _, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock()); refusal != Unreachable {
			t.Errorf("a token: %s", refusal)
		}
	}
	if _, refusal := o.try(o.texts["users/mia/keys/k"], p.clock()); refusal != NotRefused {
		t.Errorf("a key: %s", refusal)
	}
	p.down.Store(false)
	if _, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock()); refusal != Unreachable {
		t.Errorf("a token, within the minute: %s", refusal)
	}
	p.now.Add(60)
	if _, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock()); refusal != NotRefused {
		t.Errorf("a token, a minute later: %s", refusal)
	}
}

// A provider that takes a request and does not answer holds up nobody beyond their own time.
func TestNobodyWaitsBehindAnothersFetch(t *testing.T) {
	o, p := openWithProvider(t)
	hold := make(chan struct{})
	p.hold.Store(&hold)
	first := make(chan Refusal, 1)
	go func() {
		_, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock())
		first <- refusal
	}()
	for p.holding.Load() == 0 {
		runtime.Gosched()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		proof, refusal := o.Authenticate(ended, Credentials{Bearer: p.token(t, "RS256", "rsa", nil)}, p.clock())
		if refusal != Unreachable || proof.Principal.ID != "" {
			t.Errorf("a token beside a fetch that hangs: %s", refusal)
		}
	}
	if p.holding.Load() != 1 || p.asked.Load() != 1 {
		t.Errorf("%d of %d requests wait for the provider: want the first alone", p.holding.Load(), p.asked.Load())
	}
	if refusal := <-first; refusal != Unreachable {
		t.Errorf("the first: %s", refusal)
	}
	// The fetch went on, and serves those who come later.
	close(hold)
	for deadline := time.Now().Add(time.Minute); ; {
		_, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock())
		if refusal == NotRefused {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the provider has answered: %s", refusal)
		}
		p.now.Add(60) // the fetch may have ended by its own time
	}
}

// The keys were read before. A token with a key that nobody knows makes go-oidc fetch them again.
func TestATokenWithAKnownKeyNeedsNoFetch(t *testing.T) {
	o, p := openWithProvider(t)
	if _, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock()); refusal != NotRefused {
		t.Fatal(refusal)
	}
	p.now.Add(60)
	hold := make(chan struct{})
	p.hold.Store(&hold)
	defer close(hold)
	ended, cancel := context.WithCancel(t.Context())
	go o.try(p.token(t, "RS256", "made up", nil), p.clock())
	for p.holding.Load() == 0 {
		runtime.Gosched()
	}
	cancel()
	if _, refusal := o.Authenticate(ended, Credentials{Bearer: p.token(t, "RS256", "made up too", nil)},
		p.clock()); refusal != Unreachable {
		t.Errorf("another key that nobody knows: %s", refusal)
	}
	if _, refusal := o.try(p.token(t, "RS256", "rsa", nil), p.clock()); refusal != NotRefused {
		t.Errorf("a known key: %s", refusal)
	}
	if p.asked.Load() != 1 {
		t.Errorf("the provider was asked %d times", p.asked.Load())
	}
}

func TestAnIssuerIsAnHTTPSURLWithAnAudience(t *testing.T) {
	for _, of := range []Issuer{{}, {URL: "https://i"}, {Audience: "a"}, {URL: "http://i", Audience: "a"},
		{URL: "i", Audience: "a"}} {
		if err := NewDirectory(RandomPepper()).TakeTokens(of); hexbid.KindOf(err) != hexbid.Invalid || err == nil {
			t.Errorf("%+v: %v", of, err)
		}
	}
}

// A provider withdraws a key, perhaps because it was stolen, and signs with the others, which everybody knows. What the
// stolen key signs is refused within some minutes all the same, also over a connection that it has opened. While the
// provider does not answer, what is known of its keys counts.
func TestAKeyThatTheProviderWithdrawsIsGoodForMinutes(t *testing.T) {
	o, p := openWithProvider(t)
	long := map[string]any{"exp": p.now.Load() + 86400}
	stolen, good := p.token(t, "RS256", "rsa", long), p.token(t, "ES256", "ec", long)
	try := func(what, bearer string, want Refusal) {
		t.Helper()
		if _, refusal := o.try(bearer, p.clock()); refusal != want {
			t.Errorf("%s: %s, want %s", what, refusal, want)
		}
	}
	proof, refusal := o.Authenticate(t.Context(), Credentials{Bearer: stolen}, p.clock())
	if refusal != NotRefused {
		t.Fatal(refusal)
	}
	p.now.Add(int64(keysLast/time.Second) - 1)
	p.fewer.Store(true)
	p.down.Store(true)
	try("before it is looked at again", stolen, NotRefused)
	p.now.Add(1)
	if o.InForce(&proof, Credentials{Bearer: stolen}, p.clock()) {
		t.Error("what was proven counts on")
	}
	try("while the provider is down", stolen, NotRefused)
	try("another key while it is down", good, NotRefused)
	p.down.Store(false)
	p.now.Add(int64(fetchEvery / time.Second))
	fetched := p.fetches.Load()
	for range 20 {
		try("once it answers", stolen, Wrong)
		try("another key", good, NotRefused)
	}
	if n := p.fetches.Load() - fetched; n != 1 {
		t.Errorf("its keys were fetched %d times", n)
	}
}
