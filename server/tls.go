package server

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
)

// certificates are the server's certificate and the authorities of its clients' certificates, from PEM files. They are
// read again when a file has changed. While the new files do not load, the old ones stay in force.
type certificates struct {
	cert, key, clientCA string
	log                 *slog.Logger
	config              atomic.Pointer[portsTLS] // in force

	mu     sync.Mutex // guards the fields below; its holder reads files, so no handshake waits for it
	looked time.Time
	files  [3]fileState
}

// portsTLS is the configuration of each port.
type portsTLS struct{ grpc, web *tls.Config }

// fileState is what tells that a file has changed.
type fileState struct {
	size     int64
	modified time.Time
}

// betweenFileLooks is the least time between two looks at the files. A look is due when a client connects.
const betweenFileLooks = time.Second

// openCertificates reads the files that a configuration names. It returns nil for a server without TLS.
func openCertificates(c *Config) (*certificates, error) {
	if c.TLSCert == "" && c.TLSKey == "" {
		if c.ClientCA != "" {
			return nil, hexbid.Invalidf("client-ca", "needs TLS: give --tls-cert and --tls-key too")
		}
		return nil, nil
	}
	s := &certificates{cert: c.TLSCert, key: c.TLSKey, clientCA: c.ClientCA, log: c.Log}
	s.files, s.looked = s.states(), time.Now()
	config, err := s.load()
	s.config.Store(&config)
	return s, err
}

// load reads the files. Both ports have the same certificate and ask clients for theirs. The HTTP port takes TLS 1.2
// too, which clients of older libraries need.
func (s *certificates) load() (ports portsTLS, err error) {
	if ports.grpc, err = s.loadOne(); err != nil {
		return portsTLS{}, err
	}
	ports.web = ports.grpc.Clone()
	ports.web.MinVersion, ports.web.NextProtos = tls.VersionTLS12, []string{"h2", "http/1.1"}
	return ports, nil
}

func (s *certificates) loadOne() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return nil, hexbid.Invalidf("tls-cert", "%q and %q do not load: %v", s.cert, s.key, err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"}}
	if s.clientCA == "" {
		return config, nil
	}
	authorities, err := os.ReadFile(s.clientCA)
	if err != nil {
		return nil, hexbid.Invalidf("client-ca", "%q cannot be read: %v", s.clientCA, err)
	}
	config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !config.ClientCAs.AppendCertsFromPEM(authorities) {
		return nil, hexbid.Invalidf("client-ca", "%q has no certificate: give certificates of authorities, PEM",
			s.clientCA)
	}
	return config, nil
}

func (s *certificates) states() (states [3]fileState) {
	for i, name := range []string{s.cert, s.key, s.clientCA} {
		if info, err := os.Stat(name); err == nil {
			states[i] = fileState{info.Size(), info.ModTime()}
		}
	}
	return states
}

// current returns the configurations for a client that connects, from the files as they are. While another client's
// handshake reads them, perhaps from a disk that does not answer, the old ones hold.
func (s *certificates) current(now time.Time) portsTLS {
	if s.mu.TryLock() {
		defer s.mu.Unlock()
		s.look(now)
	}
	return *s.config.Load()
}

// look reads the files again if they have changed since the last look. The caller holds the lock.
func (s *certificates) look(now time.Time) {
	if now.Sub(s.looked) < betweenFileLooks {
		return
	}
	s.looked = now
	if states := s.states(); states != s.files {
		if err := s.replace(states); err != nil { // perhaps only one of two files is new so far; the next look tries again
			s.log.Error("certificates were changed and do not load; the old ones stay in force", "error", err)
		}
	}
}

// replace loads the files, which are in a state. The caller holds the lock.
func (s *certificates) replace(states [3]fileState) error {
	config, err := s.load()
	if err != nil {
		return err
	}
	s.files = states
	s.config.Store(&config)
	s.log.Info("certificates were read again", "certificate", s.cert)
	return nil
}

// expiry returns when the server's certificate ends, the zero time without TLS.
func (s *certificates) expiry() time.Time {
	if s == nil {
		return time.Time{}
	}
	return s.config.Load().grpc.Certificates[0].Leaf.NotAfter
}

// watchCertificates registers when the certificate in force ends.
func (m *metrics) watchCertificates(s *certificates) {
	m.measure("hexbid_certificate_expiry_seconds", "When the TLS certificate in force ends, Unix time; 0 without TLS.",
		func() float64 { return max(0, float64(s.expiry().Unix())) })
}

// Reload reads certificates again, as happens by itself when a client connects after they have changed. If they do not
// load, the old ones stay in force, and the error names the setting.
func (s *Server) Reload() error {
	c := s.certificates
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replace(c.states())
}

// forGRPC and forWeb return the configuration of a port's listener.
func (s *certificates) forGRPC() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current(time.Now()).grpc, nil }}
}

func (s *certificates) forWeb() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current(time.Now()).web, nil }}
}
