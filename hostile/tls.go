package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// unfinishedTLS does the same to a server that speaks TLS, and calls that server beside it.
func unfinishedTLS(ctx context.Context, r *round) error {
	s, certificate, stop, err := r.tlsServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := r.until(ctx)
	defer cancel()
	asked := make(chan error, 1)
	go func() { asked <- r.searchTLS(ctx, s, certificate) }()
	err = r.openUnfinished(ctx, s.Address, []string{"", "\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"})
	err = errors.Join(err, <-asked)
	s.JudgeLog()
	return err
}

// tlsServer starts a server of the attack's own whose ports speak TLS, and returns what its certificate is proved by.
// stop ends it and removes its folder.
func (r *round) tlsServer(ctx context.Context) (s *victim.Server, certificate *x509.CertPool, stop func(), err error) {
	dir, err := os.MkdirTemp("", "hexbid-hostile-tls-")
	if err != nil {
		return nil, nil, nil, err
	}
	s, err = newServer(r.options, r.tally, dir)
	if err == nil {
		certificate, err = writeCertificate(dir)
	}
	if err == nil {
		s.Args = []string{"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"),
			"--auction-budget", "1m"}
		err = s.Start(ctx)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, certificate, func() {
		if err := errors.Join(s.Kill(), os.RemoveAll(dir)); err != nil {
			r.tally.fall("the server with TLS: %v", err)
		}
	}, nil
}

func (r *round) searchTLS(ctx context.Context, s *victim.Server, certificate *x509.CertPool) error {
	for ctx.Err() == nil {
		conn, err := grpc.NewClient(s.Address,
			grpc.WithPerRPCCredentials(s.Callers()),
			grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: certificate, ServerName: "localhost"})))
		if err != nil {
			return err
		}
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), victim.Patience)
		err = victim.UntilTaken(one, func() error {
			_, err := pb.NewSearchServiceClient(conn).SearchNearby(one,
				&pb.SearchNearbyRequest{Location: &pb.Location{}, SponsoredSlots: proto.Int32(0)})
			return err
		})
		cancel()
		r.tally.beside.Add(1)
		if err != nil {
			r.tally.fall("a bystander's call over TLS ended with %v", err)
		}
		if err := conn.Close(); err != nil {
			return err
		}
		time.Sleep(bystanderPause)
	}
	return nil
}

// writeCertificate writes a self-signed certificate for localhost.
func writeCertificate(dir string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool, errors.Join(os.WriteFile(filepath.Join(dir, "cert.pem"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"),
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
}

// webFramesTo connects to the HTTP port of a server with TLS, and begins HTTP/2.
func webFramesTo(s *victim.Server, certificate *x509.CertPool, settings ...http2.Setting) (*wire, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: victim.Patience}, "tcp", s.HTTPAddress,
		&tls.Config{RootCAs: certificate, ServerName: "localhost", NextProtos: []string{http2.NextProtoTLS}})
	if err != nil {
		return nil, err
	}
	if spoken := conn.ConnectionState().NegotiatedProtocol; spoken != http2.NextProtoTLS {
		return nil, errors.Join(fmt.Errorf("the HTTP port speaks %q", spoken), conn.Close())
	}
	w, err := newWire(conn, settings...)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	w.server, w.web = s, true
	return w, nil
}

// searchWebTLS searches over the HTTP port of a server with TLS until the context ends, as a bystander.
func (r *round) searchWebTLS(ctx context.Context, s *victim.Server, certificate *x509.CertPool) error {
	for ctx.Err() == nil {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: certificate, ServerName: "localhost"}}}
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), victim.Patience)
		a, err := askWeb(one, client, "https://"+s.HTTPAddress+searchPath, s.Key(""),
			`{"location":{},"sponsored_slots":0}`)
		cancel()
		client.CloseIdleConnections()
		r.tally.beside.Add(1)
		if err != nil || a.status != http.StatusOK && a.status != http.StatusTooManyRequests {
			r.tally.fall("a bystander's request over TLS ended with %d, %v: %.300s", a.status, err, a.body)
		}
		time.Sleep(bystanderPause)
	}
	return nil
}
