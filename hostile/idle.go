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
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// idling marks the attack as idleness. While it lasts, no call may be refused because others hold the places of its
// class. The door may refuse calls for a moment while the machine is busy, so bystanders ask again.
func (r *round) idling(ctx context.Context) (end func()) {
	before := r.refusedAtLimits(ctx)
	r.beside.refusedBesideIdle.Store(0)
	r.beside.idle.Store(true)
	return func() {
		r.beside.idle.Store(false)
		after := r.refusedAtLimits(ctx)
		if own := r.beside.refusedBesideIdle.Load(); own > 0 && after != before {
			r.tally.fall("beside idle callers %d calls of bystanders were refused, and %v at the limits of classes", own,
				after-before)
		}
	}
}

// refusedMetric counts the calls that were refused because as many of their class were worked on as may be.
const refusedMetric = "hexbid_refused_total{"

// refusedAtLimits reads that count, of all classes together.
func (r *round) refusedAtLimits(ctx context.Context) (sum float64) {
	text, err := readMetrics(ctx, r.metrics)
	if err != nil {
		r.tally.fall("the metrics: %v", err)
		return 0
	}
	found := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, refusedMetric) {
			count, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if sum += count; err != nil {
				r.tally.fall("the metrics say %q", line)
			}
			found = true
		}
	}
	if !found {
		r.tally.fall("the metrics have no %s", refusedMetric)
	}
	return sum
}

const (
	idleConnections = 5
	idleAConnection = 1000
)

// Methods of gRPC's own services.
const (
	watchMethod      = "/grpc.health.v1.Health/Watch"
	reflectionMethod = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
)

// idleStreams opens thousands of streams and sends nothing on them.
func idleStreams(ctx context.Context, r *round) error {
	return r.openAndWait(ctx, []string{pb.CampaignService_Import_FullMethodName})
}

// idleWatchers opens thousands of streams of gRPC's own services.
func idleWatchers(ctx context.Context, r *round) error {
	return r.openAndWait(ctx, []string{watchMethod, reflectionMethod})
}

// idleCalls opens thousands of unary calls and never sends their messages.
func idleCalls(ctx context.Context, r *round) error {
	return r.openAndWait(ctx, []string{pb.SearchService_SearchNearby_FullMethodName,
		pb.CampaignService_ListCampaigns_FullMethodName,
		pb.CampaignService_CreateCampaign_FullMethodName, pb.CampaignService_Explain_FullMethodName})
}

// openAndWait opens calls over a few connections and keeps them open.
func (r *round) openAndWait(ctx context.Context, methods []string) error {
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	open, wait, err := r.wires(ctx, idleConnections)
	defer wait()
	if err != nil {
		return err
	}
	for _, w := range open {
		for i := range idleAConnection {
			if _, err := w.open(methods[i%len(methods)]); err != nil {
				break // the server closed the connection
			}
			r.tally.calls.Add(1)
		}
	}
	<-ctx.Done()
	return nil
}

// slowBodies sends messages one byte at a time, and announces large ones.
func slowBodies(ctx context.Context, r *round) error {
	defer r.idling(ctx)()
	body := envelope(&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 1, Longitude: 1}, Words: "coffee"})
	large := frame(make([]byte, 1<<10), 8<<20-1, false)
	return r.onWires(ctx, idleConnections, func(ctx context.Context, w *wire) error {
		var streams []uint32
		for i := range 200 {
			stream, err := w.open([]string{pb.SearchService_SearchNearby_FullMethodName,
				pb.CampaignService_Import_FullMethodName}[i%2])
			if err != nil {
				return err
			}
			streams = append(streams, stream)
			r.tally.calls.Add(1)
		}
		for at := 0; ctx.Err() == nil; at++ {
			for i, stream := range streams {
				from := body
				if i%2 == 1 {
					from = large
				}
				if at >= len(from)-1 {
					continue // the last byte never follows
				}
				if err := w.data(stream, from[at:at+1], false); err != nil {
					return err
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	})
}

const unfinishedCount = 2000

// unfinishedConnections opens connections that never begin HTTP/2.
func unfinishedConnections(ctx context.Context, r *round) error {
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	beginnings := []string{"", "P", http2.ClientPreface[:20], http2.ClientPreface, "GET / HTTP/1.1\r\n", "\x16\x03\x01"}
	return r.openUnfinished(ctx, r.server.Address, beginnings)
}

// openUnfinished keeps a number of connections open, and replaces the oldest by new ones.
func (r *round) openUnfinished(ctx context.Context, address string, beginnings []string) error {
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for i := 0; ctx.Err() == nil || i < unfinishedCount; i++ {
		conn, err := net.DialTimeout("tcp", address, victim.Patience)
		if err != nil {
			return err
		}
		r.tally.calls.Add(1)
		_, _ = conn.Write([]byte(beginnings[i%len(beginnings)])) // the server may refuse it
		if open = append(open, conn); len(open) > unfinishedCount {
			open[0].Close()
			open = open[1:]
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// unfinishedTLS does the same to a server that speaks TLS, and calls that server beside it.
func unfinishedTLS(ctx context.Context, r *round) error {
	dir, err := os.MkdirTemp("", "hexbid-hostile-tls-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(r.options, r.tally, dir)
	if err != nil {
		return err
	}
	certificate, err := writeCertificate(dir)
	if err != nil {
		return err
	}
	s.Args = []string{"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"),
		"--auction-budget", "1m"}
	if err := s.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := r.until(ctx)
	defer cancel()
	asked := make(chan error, 1)
	go func() { asked <- r.searchTLS(ctx, s, certificate) }()
	err = r.openUnfinished(ctx, s.Address, []string{"", "\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"})
	err = errors.Join(err, <-asked)
	s.JudgeLog()
	return errors.Join(err, s.Kill())
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
