package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

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
	// fetchTimeout bounds a fetch, and so how long the first call after a start waits for it.
	fetchTimeout     = 5 * time.Second
	maxDocumentBytes = 1 << 20
	// maxTokenBytes bounds a token, and so the work of reading it.
	maxTokenBytes = 8 << 10
)

// algorithms are those that a signature may have. None of them takes a public key for a shared secret.
var algorithms = []string{oidc.RS256, oidc.ES256, oidc.EdDSA}

// tokens checks the tokens of a provider.
type tokens struct {
	of      Issuer
	ctx     context.Context // carries the client for go-oidc
	fetches *seldom

	mu       sync.Mutex // guards the fields below
	verifier *oidc.IDTokenVerifier
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

// isToken reports whether a text has the form of a JSON web token.
func isToken(text string) bool { return len(text) <= maxTokenBytes && strings.Count(text, ".") == 2 }

// find returns whom a token names.
func (t *tokens) find(ctx context.Context, s *state, text string) finding {
	verifier, err := t.open()
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
		return finding{owner: owners[0], key: "token of " + token.Issuer, until: token.Expiry.UnixNano()}
	}
	return finding{refusal: Conflicting}
}

// open returns the verifier, once the provider's discovery document could be read.
func (t *tokens) open() (*oidc.IDTokenVerifier, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.verifier != nil {
		return t.verifier, nil
	}
	provider, err := oidc.NewProvider(t.ctx, t.of.URL)
	if err != nil {
		return nil, err
	}
	t.verifier = provider.VerifierContext(t.ctx, &oidc.Config{ClientID: t.of.Audience, SupportedSigningAlgs: algorithms,
		Now: t.of.Clock})
	return t.verifier, nil
}

// seldom fetches each document at most once every fetchEvery, and repeats its last answer meanwhile. go-oidc asks for
// the provider's keys whenever a token names one that it does not know, which any caller can make up.
type seldom struct {
	next  http.RoundTripper
	clock func() time.Time

	mu      sync.Mutex // guards the field below, and lets one fetch run at a time
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

// RoundTrip implements http.RoundTripper.
func (s *seldom) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	url, now := r.URL.String(), s.clock()
	a := s.answers[url]
	if a == nil || now.Sub(a.at) >= fetchEvery || now.Before(a.at) {
		if a == nil && len(s.answers) >= 16 {
			return nil, fmt.Errorf("%w: too many documents", errSeldom) // a provider has two
		}
		a = s.fetch(r)
		a.at = now
		s.answers[url] = a
	}
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{Status: http.StatusText(a.status), StatusCode: a.status, Header: a.header.Clone(), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(a.body)),
		Body: io.NopCloser(bytes.NewReader(a.body))}, nil
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
