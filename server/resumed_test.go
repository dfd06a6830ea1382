package server

import (
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestASessionIsNotResumedBeyondItsAuthority: a client keeps what resumes its session, the operator takes the client's
// authority away, and the client comes again.
func TestASessionIsNotResumedBeyondItsAuthority(t *testing.T) {
	first, second := newIssuer(t), newIssuer(t)
	config := Config{Log: slog.New(slog.DiscardHandler), ClientCA: filepath.Join(t.TempDir(), "clients.pem")}
	copyFile(t, first.file, config.ClientCA)
	config.TLSCert, config.TLSKey = first.issue(t, "localhost")
	s, err := openCertificates(&config)
	if err != nil {
		t.Fatal(err)
	}
	for port, server := range map[string]*tls.Config{"gRPC": s.forGRPC(), "HTTP": s.forWeb()} {
		copyFile(t, first.file, config.ClientCA)
		if err := s.replace(s.states()); err != nil {
			t.Fatal(err)
		}
		certificate, key := first.issue(t, "client")
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			t.Fatal(err)
		}
		client := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"},
			ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
		for _, want := range []bool{false, true} { // without a change sessions resume
			state, err := resumed(t, server, client)
			if err != nil || state.DidResume != want || len(state.VerifiedChains) == 0 {
				t.Fatalf("%s: resumed is %v, %v: want %v", port, state.DidResume, err, want)
			}
		}
		copyFile(t, second.file, config.ClientCA)
		s.mu.Lock()
		err = s.replace(s.states())
		s.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if state, err := resumed(t, server, client); err == nil && len(state.VerifiedChains) > 0 {
			t.Errorf("%s: a certificate of an authority that was taken away still names its client; resumed is %v", port,
				state.DidResume)
		}
	}
}

// resumed connects a client and returns the server's state of the connection.
func resumed(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // in a pipe, which holds nothing, both ends would wait with a refusal
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		far, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer far.Close()
		conn := tls.Server(far, server)
		if err = conn.Handshake(); err == nil {
			state = conn.ConnectionState()
			_, err = conn.Write([]byte("x"))
		}
		served <- err
	}()
	near, err := net.DialTimeout("tcp", l.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	_ = near.SetDeadline(time.Now().Add(time.Minute))         // a connection that just opened
	_, read := tls.Client(near, client).Read(make([]byte, 1)) // takes the session's ticket too
	if err = <-served; err == nil {
		err = read
	}
	return state, err
}
