package access

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"

	"github.com/hexbid/hexbid"
)

// Issuer is an OpenID provider whose tokens count as credentials.
type Issuer struct {
	// URL is the provider's issuer, as its tokens name it. Its discovery document lies under it.
	URL string
	// Audience must be among the audiences of a token.
	Audience string
	// Client fetches the provider's documents; nil is one with a bound on time.
	Client *http.Client
	// Clock returns the time; nil is time.Now.
	Clock func() time.Time
}

// These bound what is fetched from a provider.
const (
	// fetchEvery is the least time between two fetches of one document, whatever tokens callers send.
	fetchEvery = time.Minute
	// fetchTimeout bounds a fetch. One fetch of a document runs at a time. A call that needs it waits for callPatience at
	// most; the fetch goes on without the call.
	fetchTimeout = 5 * time.Second
	callPatience = time.Second
	// keysLast is how long the provider's keys count before they are asked for again: a key that the provider has
	// withdrawn may be in the wrong hands. If they cannot be read, those that are known count on.
	keysLast         = 10 * time.Minute
	maxDocumentBytes = 1 << 20
	// maxTokenBytes bounds a token, and so the work of reading it.
	maxTokenBytes = 8 << 10
)

// algorithms are those that a signature may have. None of them takes a public key for a shared secret.
var algorithms = []string{oidc.RS256, oidc.ES256, oidc.EdDSA}

// tokens checks the tokens of a provider.
type tokens struct {
	of       Issuer
	ctx      context.Context // carries the client for go-oidc
	fetches  *seldom
	opening  singleflight.Group
	verifier atomic.Pointer[verifier] // nil until the provider's discovery document was read
}

// verifier checks tokens by the keys that the provider had at an instant, and by those that it has added since.
type verifier struct {
	*oidc.IDTokenVerifier
	opened time.Time
}

// TakeTokens makes the tokens of a provider credentials. Call it before the directory is asked. It fetches nothing:
// the first token does, and a provider that cannot be reached then refuses tokens and nothing else.
func (d *Directory) TakeTokens(of Issuer) error {
	if of.URL == "" || of.Audience == "" {
		return hexbid.Invalidf("oidc-issuer", "give both --oidc-issuer and --oidc-audience")
	}
	if !strings.HasPrefix(of.URL, "https://") {
		return hexbid.Invalidf("oidc-issuer", "%q is no https URL", hexbid.Shorten(of.URL))
	}
	if of.Clock == nil {
		of.Clock = time.Now
	}
	client := &http.Client{Timeout: fetchTimeout}
	next := http.DefaultTransport
	if of.Client != nil {
		*client = *of.Client
		if of.Client.Transport != nil {
			next = of.Client.Transport
		}
	}
	fetches := &seldom{next: next, clock: of.Clock, answers: map[string]*answer{}}
	client.Transport = fetches
	d.tokens = &tokens{of: of, ctx: oidc.ClientContext(context.Background(), client), fetches: fetches}
	return nil
}

// isToken reports whether a text has the form of a JSON web token: three parts in base64, each written as it has to be,
// so that a token has one text.
func isToken(text string) bool {
	if len(text) > maxTokenBytes || strings.Count(text, ".") != 2 || strings.ContainsAny(text, "\r\n") {
		return false
	}
	var room [maxTokenBytes]byte
	for part := range strings.SplitSeq(text, ".") {
		if _, err := base64.RawURLEncoding.Strict().Decode(room[:], []byte(part)); err != nil {
			return false
		}
	}
	return true
}

// find returns whom a token names.
func (t *tokens) find(ctx context.Context, s *state, text string) finding {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	verifier, err := t.open(ctx)
	if err != nil {
		return finding{refusal: Unreachable}
	}
	token, err := verifier.Verify(ctx, text)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return finding{refusal: Expired}
	case err != nil && (t.fetches.fail() || ctx.Err() != nil):
		return finding{refusal: Unreachable}
	case err != nil:
		return finding{refusal: Wrong}
	}
	owners := s.people.get(hexbid.Identity{Issuer: token.Issuer, Subject: token.Subject})
	switch len(owners) {
	case 0:
		return finding{refusal: Unknown}
	case 1:
		return finding{owner: owners[0], key: "token of " + token.Issuer,
			until: min(token.Expiry.UnixNano(), t.of.Clock().Add(keysLast).UnixNano())}
	}
	return finding{refusal: Conflicting}
}

// open returns the verifier. Callers share one reading of the provider's documents, and none waits for it beyond its
// context. While they cannot be read again, the earlier verifier stays.
func (t *tokens) open(ctx context.Context) (*verifier, error) {
	before := t.verifier.Load()
	if before != nil && t.of.Clock().Sub(before.opened) < keysLast {
		return before, nil
	}
	opened := t.opening.DoChan("", func() (any, error) { return nil, t.reopen() })
	var err error
	select {
	case done := <-opened:
		err = done.Err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if now := t.verifier.Load(); now != nil {
		return now, nil
	}
	return nil, err
}

// reopen reads the provider's discovery document and makes a verifier. In the place of an earlier one it puts it only
// when its keys can be read too, which the new one then finds held.
func (t *tokens) reopen() error {
	at := t.of.Clock()
	provider, err := oidc.NewProvider(t.ctx, t.of.URL)
	if err != nil {
		return err
	}
	if t.verifier.Load() != nil {
		if err := t.readKeys(provider); err != nil {
			return err
		}
	}
	t.verifier.Store(&verifier{provider.VerifierContext(t.ctx, &oidc.Config{ClientID: t.of.Audience,
		SupportedSigningAlgs: algorithms, Now: t.of.Clock}), at})
	return nil
}

// readKeys fetches the keys that a provider's discovery document names.
func (t *tokens) readKeys(provider *oidc.Provider) error {
	var document struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(t.ctx, http.MethodGet, document.Keys, nil)
	if err != nil {
		return err
	}
	response, err := t.fetches.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s says %s", errSeldom, document.Keys, response.Status)
	}
	return nil
}

// seldom fetches each document at most once every fetchEvery, and repeats its last answer meanwhile. go-oidc asks for
// the provider's keys whenever a token names one that it does not know, which any caller can make up.
type seldom struct {
	next    http.RoundTripper
	clock   func() time.Time
	flights singleflight.Group // by URL

	mu      sync.Mutex // guards the field below; nobody holds it while a fetch runs
	answers map[string]*answer
}

// answer is what a provider said.
type answer struct {
	at     time.Time
	status int
	header http.Header
	body   []byte
	err    error
}

var errSeldom = errors.New("the provider did not answer a moment ago")

// RoundTrip implements http.RoundTripper. A fetch goes on when the request's context ends, for the others who wait.
func (s *seldom) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := s.held(r.URL.String())
	if err != nil {
		return nil, err
	}
	if a == nil {
		fetched := s.flights.DoChan(r.URL.String(), func() (any, error) { return s.renew(r), nil })
		select {
		case f := <-fetched:
			a = f.Val.(*answer)
		case <-r.Context().Done():
			return nil, fmt.Errorf("%w: %w", errSeldom, r.Context().Err())
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{Status: http.StatusText(a.status), StatusCode: a.status, Header: a.header.Clone(), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(a.body)),
		Body: io.NopCloser(bytes.NewReader(a.body))}, nil
}

// held returns the last answer of a URL, nil if it is time to fetch.
func (s *seldom) held(url string) (*answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, now := s.answers[url], s.clock()
	if a == nil && len(s.answers) >= 16 {
		return nil, fmt.Errorf("%w: too many documents", errSeldom) // a provider has two
	}
	if a == nil || now.Sub(a.at) >= fetchEvery || now.Before(a.at) {
		return nil, nil
	}
	return a, nil
}

// renew fetches what a request asks for, unless another fetch has ended meanwhile.
func (s *seldom) renew(r *http.Request) *answer {
	url := r.URL.String()
	if a, err := s.held(url); a != nil || err != nil {
		return cmp.Or(a, &answer{err: err})
	}
	at := s.clock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), fetchTimeout)
	defer cancel()
	a := s.fetch(r.Clone(ctx))
	a.at = at
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[url] = a
	return a
}

// fail reports whether a document could not be fetched when it was asked for last.
func (s *seldom) fail() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		if a.err != nil || a.status != http.StatusOK {
			return true
		}
	}
	return false
}

func (s *seldom) fetch(r *http.Request) *answer {
	response, err := s.next.RoundTrip(r)
	if err != nil {
		return &answer{err: fmt.Errorf("%w: %w", errSeldom, err)}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocumentBytes))
	if err != nil {
		return &answer{err: fmt.Errorf("%w: %w", errSeldom, err)}
	}
	return &answer{status: response.StatusCode, header: response.Header, body: body}
}
