package gateway

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
)

// The HTTP port has the certificate of the files as they are, and takes a client's certificate for a credential.
func TestTheHTTPPortFollowsItsCertificatesAndAsksForTheClients(t *testing.T) {
	cert, key := certificate(t)
	clientCert, clientKey := certificate(t)
	p := open(t, func(_ *Config, s *server.Config) {
		s.TLSCert, s.TLSKey, s.ClientCA, s.Auth = cert, key, clientCert, server.AuthRequired
	})
	system := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.System, ID: "test"})
	if _, err := p.market.Create(system, &hexbid.User{Meta: hexbid.Meta{Name: "users/olga"}, Role: hexbid.Auditor},
		false); err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	// ask makes a request on a connection of its own, and returns its status and the server's certificate.
	ask := func(certificates ...tls.Certificate) (int, []byte) {
		t.Helper()
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
			Certificates: certificates}}
		r, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + p.address + "/v1/advertisers")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		return r.StatusCode, r.TLS.PeerCertificates[0].Raw
	}
	if status, _ := ask(); status != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d", status)
	}
	status, first := ask(own)
	if status != http.StatusOK {
		t.Errorf("with a certificate that stands for a user: %d", status)
	}

	nextCert, nextKey := certificate(t)
	for from, to := range map[string]string{nextCert: cert, nextKey: key} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(patience); ; {
		if _, now := ask(own); !bytes.Equal(now, first) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the old certificate is still served")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
