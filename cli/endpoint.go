package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

const (
	defaultServer = "127.0.0.1:7600"
	// operatorKeyName is the file in a data folder that a server's first start leaves.
	operatorKeyName = "operator.key"
	maxKeyFileBytes = 16 << 10
)

// endpoint is a server to call, with what proves who calls.
type endpoint struct {
	server, ca string
	key        string // "" for none
	cleartext  bool
}

// endpoint finds the server and the key of a command: flags count before the context, and the context before the
// operator's key of a server on this machine.
func (f *clientFlags) endpoint() (e endpoint, err error) {
	book, err := readContexts()
	if err != nil {
		return e, err
	}
	known, err := book.find(f.Context, f.Server)
	if err != nil {
		return e, err
	}
	e = endpoint{server: cmp.Or(f.Server, known.Server, defaultServer), ca: cmp.Or(f.CA, known.CA), key: known.Key,
		cleartext: f.Cleartext || known.Cleartext}
	switch {
	case f.KeyFile != "":
		e.key, err = readKeyFile(f.KeyFile)
	case e.key == "" && f.ServerData != "" && isThisMachine(e.server):
		e.key, err = readKeyFile(filepath.Join(f.ServerData, operatorKeyName))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			err = nil // a server that demands no credentials has no such file
		}
	}
	return e, err
}

// isThisMachine reports whether a server at an address runs on this machine, so that its data folder may be here.
func isThisMachine(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	own, err := net.InterfaceAddrs()
	return isLoopback(address) || err == nil && ip != nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		of, is := a.(*net.IPNet)
		return is && of.IP.Equal(ip)
	})
}

// isLoopback reports whether what is sent to an address stays in this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// readKeyFile reads a key from a file that holds nothing else.
func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("the key cannot be read: %w", err)
	}
	defer f.Close()
	return readKey(f, path)
}

func readKey(r io.Reader, from string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFileBytes+1))
	if err != nil {
		return "", fmt.Errorf("the key cannot be read: %w", err)
	}
	key := strings.TrimSpace(string(text))
	isOdd := func(r rune) bool { return r <= ' ' || r > '~' }
	if key == "" || len(text) > maxKeyFileBytes || strings.ContainsFunc(key, isOdd) {
		return "", fmt.Errorf("%s holds no key: want one line of letters and digits", from)
	}
	return key, nil
}

// dial connects. A key is not sent in the clear to another machine.
func (e *endpoint) dial() (*client, error) {
	transport, err := e.transport()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if e.key != "" {
		if e.ca == "" && !e.cleartext && !isLoopback(e.server) {
			return nil, fmt.Errorf("the key is not sent to %s in the clear: give --tls-ca, or --cleartext on a trusted network",
				e.server)
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer(e.key)))
	}
	conn, err := grpc.NewClient(e.server, options...)
	if err != nil {
		return nil, fmt.Errorf("--server %s: %w", e.server, err)
	}
	return &client{conn, pb.NewSearchServiceClient(conn), pb.NewCampaignServiceClient(conn),
		pb.NewEventServiceClient(conn), pb.NewLedgerServiceClient(conn), pb.NewAccessServiceClient(conn),
		pb.NewMarketServiceClient(conn), pb.NewAuditServiceClient(conn)}, nil
}

func (e *endpoint) transport() (credentials.TransportCredentials, error) {
	config, err := e.tlsConfig()
	if config == nil {
		return insecure.NewCredentials(), err
	}
	return credentials.NewTLS(config), nil
}

// tlsConfig returns how to speak TLS, nil for an endpoint in the clear.
func (e *endpoint) tlsConfig() (*tls.Config, error) {
	if e.ca == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.ca != "system" {
		pem, err := os.ReadFile(e.ca)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: %s holds no PEM certificate", e.ca)
		}
	}
	return config, nil
}

// bearer is a key that every call of a connection brings.
type bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials. endpoint.dial has decided.
func (bearer) RequireTransportSecurity() bool { return false }
