package cli

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// clientFlags say which server a command calls, and with whose key. A key is never a flag: anybody on the machine may
// read the command lines of others.
type clientFlags struct {
	Server     string        `help:"Address of the server; by default that of the context, or else 127.0.0.1:7600." placeholder:"HOST:PORT" env:"HEXBID_SERVER"`
	Context    string        `help:"Context to use in place of the current one (hexbid contexts)." placeholder:"NAME" env:"HEXBID_CONTEXT"`
	KeyFile    string        `help:"File that holds the key to call with, in place of the context's." placeholder:"FILE" env:"HEXBID_KEY_FILE"`
	ServerData string        `name:"server-data" help:"Data folder of a server on this machine. Without a context its operator's key is used." placeholder:"DIR" env:"HEXBID_DATA"`
	CA         string        `name:"tls-ca" help:"Speak TLS and trust this certificate authority, PEM; \"system\" for the system's." placeholder:"FILE" env:"HEXBID_TLS_CA"`
	Cleartext  bool          `help:"Send the key without TLS to another machine, on a trusted network." env:"HEXBID_CLEARTEXT"`
	Timeout    time.Duration `help:"How long to wait for an answer." default:"10s"`
	Client     string        `help:"Name of this client, at most 64 bytes, where a server demands no credentials. Tokens are for the client that searched: report events under the name of the search." default:"" placeholder:"NAME" env:"HEXBID_CLIENT"`
}

// client is a connection to a server, with its services.
type client struct {
	conn      *grpc.ClientConn
	search    pb.SearchServiceClient
	campaigns pb.CampaignServiceClient
	events    pb.EventServiceClient
	ledger    pb.LedgerServiceClient
	access    pb.AccessServiceClient
	market    pb.MarketServiceClient
	audit     pb.AuditServiceClient
}

func (f *clientFlags) dial() (*client, error) {
	e, err := f.endpoint()
	if err != nil {
		return nil, err
	}
	return e.dial()
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

// clientHeader names a client to a server that demands no credentials.
const clientHeader = "x-hexbid-client"

// named returns a context whose calls carry the client's name.
func (f *clientFlags) named(ctx context.Context) context.Context {
	if f.Client == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, clientHeader, f.Client)
}

// outputFlags choose between output for people and output for programs.
type outputFlags struct {
	Output string `short:"o" help:"table, or json for programs, as over HTTP." enum:"table,json" default:"table"`
}
