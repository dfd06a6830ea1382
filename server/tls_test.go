package server

import (
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
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// issuer issues certificates for tests.
type issuer struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	pool        *x509.CertPool
	file        string
	serial      int64
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	a := &issuer{pool: x509.NewCertPool(), file: filepath.Join(t.TempDir(), "ca.pem"), serial: 1}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.certificate)
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// issue writes a certificate for a name and its key.
func (a *issuer) issue(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(a.serial), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &own.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, certificate, "CERTIFICATE", der)
	writePEM(t, key, "EC PRIVATE KEY", secret)
	return certificate, key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shake connects to the listener of a configuration as a client with a certificate, or without, and returns the
// server's certificate.
func shake(t *testing.T, server, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	served := make(chan error, 1)
	go func() {
		conn := tls.Server(far, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte("x"))
		}
		far.Close()
		served <- err
	}()
	conn := tls.Client(near, client)
	_, err := conn.Read(make([]byte, 1)) // a refusal of the client's certificate comes after its own handshake
	if failed := <-served; err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

func TestCertificatesAreReadAgainWhenTheyChange(t *testing.T) {
	first, second := newIssuer(t), newIssuer(t)
	config := Config{Log: slog.New(slog.DiscardHandler), ClientCA: filepath.Join(t.TempDir(), "clients.pem")}
	copyFile(t, first.file, config.ClientCA)
	config.TLSCert, config.TLSKey = first.issue(t, "localhost")
	s, err := openCertificates(&config)
	if err != nil {
		t.Fatal(err)
	}
	client := func(of *issuer) *tls.Config {
		certificate, key := of.issue(t, "client")
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}}
	}
	now := time.Now()
	serial := func(of *issuer) (int64, error) {
		now = now.Add(2 * betweenFileLooks)
		certificate, err := shake(t, s.current(now).grpc, client(of))
		if err != nil {
			return 0, err
		}
		return certificate.SerialNumber.Int64(), nil
	}
	old, err := serial(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := serial(second); err == nil {
		t.Error("a client of an unknown authority is let in")
	}
	bare := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	if _, err := shake(t, s.current(now).web, bare); err != nil {
		t.Errorf("a client without a certificate: %v", err)
	}
	certificate, key := first.issue(t, "localhost")
	copyFile(t, certificate, config.TLSCert) // its key has not come yet
	if got, err := serial(first); err != nil || got != old {
		t.Errorf("with half of a new pair: %v, %v: want the old one", got, err)
	}
	copyFile(t, key, config.TLSKey)
	if got, err := serial(first); err != nil || got == old {
		t.Errorf("with the new pair: %v, %v", got, err)
	}
	copyFile(t, second.file, config.ClientCA)
	if _, err := serial(second); err != nil {
		t.Errorf("a client of the new authority: %v", err)
	}
	if _, err := serial(first); err == nil {
		t.Error("a client of the old authority is let in")
	}
}

// TestNoHandshakeWaitsForAFile puts a pipe that nobody writes to in the place of the certificate, as a disk that does
// not answer. The handshake that reads it waits, and no other one does.
func TestNoHandshakeWaitsForAFile(t *testing.T) {
	config := Config{Log: slog.New(slog.DiscardHandler)}
	config.TLSCert, config.TLSKey = newIssuer(t).issue(t, "localhost")
	s, err := openCertificates(&config)
	if err != nil {
		t.Fatal(err)
	}
	before, later := s.config.Load(), time.Now().Add(time.Hour)
	if err := os.Remove(config.TLSCert); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(config.TLSCert, 0o600); err != nil {
		t.Fatal(err)
	}
	shaken := make(chan portsTLS)
	go func() { shaken <- s.current(later) }()
	pipe, err := os.OpenFile(config.TLSCert, os.O_WRONLY, 0) // waits until somebody reads it
	if err != nil {
		t.Fatal(err)
	}
	go func() { shaken <- s.current(later.Add(time.Hour)) }()
	for i := range 2 {
		select {
		case got := <-shaken:
			if got != *before || s.expiry().IsZero() {
				t.Errorf("handshake %d has other certificates", i)
			}
		case <-time.After(time.Minute):
			t.Fatal("a handshake waits for the file that another one reads")
		}
		if i == 0 {
			pipe.Close() // an empty file, which does not load
		}
	}
}

// copyFile replaces a file by another, with a time of change of its own.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
	copies++
	if err := os.Chtimes(to, time.Time{}, time.Unix(int64(copies), 0)); err != nil {
		t.Fatal(err)
	}
}

var copies int

func TestTLSFilesThatDoNotFitAreNamed(t *testing.T) {
	a := newIssuer(t)
	certificate, key := a.issue(t, "localhost")
	for field, c := range map[string]Config{"tls-cert": {TLSCert: certificate},
		"client-ca": {ClientCA: a.file}} {
		if _, err := openCertificates(&c); hexbid.KindOf(err) != hexbid.Invalid || err.(*hexbid.Error).Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, file := range []string{"/no/such/file", key} {
		if _, err := openCertificates(&Config{TLSCert: certificate, TLSKey: key, ClientCA: file}); hexbid.KindOf(err) !=
			hexbid.Invalid {
			t.Errorf("%s as authorities: %v", file, err)
		}
	}
}
