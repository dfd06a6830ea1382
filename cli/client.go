package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// clientFlags say which server a command calls.
type clientFlags struct {
	Server  string        `help:"Address of the server." default:"127.0.0.1:7600" env:"HEXBID_SERVER"`
	CA      string        `name:"tls-ca" help:"Speak TLS and trust this certificate authority, PEM; \"system\" for the system's." placeholder:"FILE" env:"HEXBID_TLS_CA"`
	Timeout time.Duration `help:"How long to wait for an answer." default:"10s"`
	Client  string        `help:"Name of this client, at most 64 bytes. Tokens are for the client that searched: report events under the name of the search." default:"" placeholder:"NAME" env:"HEXBID_CLIENT"`
}

// client is a connection to a server, with its services.
type client struct {
	conn      *grpc.ClientConn
	search    pb.SearchServiceClient
	campaigns pb.CampaignServiceClient
	events    pb.EventServiceClient
	ledger    pb.LedgerServiceClient
}

func (f *clientFlags) dial() (*client, error) {
	creds := insecure.NewCredentials()
	if f.CA != "" {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if f.CA != "system" {
			pem, err := os.ReadFile(f.CA)
			if err != nil {
				return nil, fmt.Errorf("--tls-ca: %w", err)
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("--tls-ca: %s holds no PEM certificate", f.CA)
			}
		}
		creds = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(f.Server, grpc.WithTransportCredentials(creds))
	if err != nil {
		return nil, fmt.Errorf("--server %s: %w", f.Server, err)
	}
	return &client{conn, pb.NewSearchServiceClient(conn), pb.NewCampaignServiceClient(conn),
		pb.NewEventServiceClient(conn), pb.NewLedgerServiceClient(conn)}, nil
}

// call connects, runs one call within the timeout, and closes the connection.
func (f *clientFlags) call(s *session, run func(ctx context.Context, c *client) error) error {
	c, err := f.dial()
	if err != nil {
		return err
	}
	defer c.conn.Close()
	ctx, cancel := context.WithTimeout(s.ctx, f.Timeout)
	defer cancel()
	return run(f.named(ctx), c)
}

// follow connects, and runs something that lasts until it is interrupted. The timeout does not bound it.
func (f *clientFlags) follow(s *session, run func(ctx context.Context, c *client) error) error {
	c, err := f.dial()
	if err != nil {
		return err
	}
	defer c.conn.Close()
	err = run(f.named(s.ctx), c)
	if s.ctx.Err() != nil {
		return nil // the user interrupted it
	}
	return err
}

// named returns a context whose calls carry the client's name.
func (f *clientFlags) named(ctx context.Context) context.Context {
	if f.Client == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "x-hexbid-client", f.Client)
}

// outputFlags choose between output for people and output for programs.
type outputFlags struct {
	Output string `short:"o" help:"table, or json for programs." enum:"table,json" default:"table"`
}

func printJSON(s *session, m proto.Message) error {
	text, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var indented bytes.Buffer // the spacing of protojson differs between builds
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.Stdout, indented.String())
	return err
}
