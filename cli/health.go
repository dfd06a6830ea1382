package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// healthCommand asks a server for its health. It is what containers and scripts call, so it says all by its status.
type healthCommand struct {
	Server         string        `help:"Address of the server; contexts do not count here." default:"127.0.0.1:7600" env:"HEXBID_SERVER"`
	Service        string        `help:"Service to ask about, as in hexbid.v1.SearchService; the server as a whole unless named." placeholder:"NAME"`
	Wait           time.Duration `help:"How long to wait for a server that starts." default:"0s"`
	Timeout        time.Duration `help:"How long to wait for an answer." default:"3s"`
	CA             string        `name:"tls-ca" help:"Speak TLS and trust this certificate authority, PEM; \"system\" for the system's." placeholder:"FILE" env:"HEXBID_TLS_CA"`
	AnyCertificate bool          `help:"Speak TLS and take any certificate, as that of a server on this machine, which names another host. No key is sent."`
}

// betweenHealthChecks is the pause of a command that waits.
const betweenHealthChecks = 200 * time.Millisecond

// Run prints the state, and fails unless it is SERVING.
func (c *healthCommand) Run(s *session) error {
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	for began := time.Now(); ; {
		err := c.check(s.ctx, conn)
		if err == nil {
			_, err = fmt.Fprintln(s.Stdout, "SERVING")
			return err
		}
		if time.Since(began) >= c.Wait {
			return err
		}
		select {
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-time.After(betweenHealthChecks):
		}
	}
}

func (c *healthCommand) dial() (*grpc.ClientConn, error) {
	transport := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	if !c.AnyCertificate {
		var err error
		if transport, err = (&endpoint{ca: c.CA}).transport(); err != nil {
			return nil, err
		}
	}
	conn, err := grpc.NewClient(c.Server, grpc.WithTransportCredentials(transport))
	if err != nil {
		return nil, fmt.Errorf("--server %s: %w", c.Server, err)
	}
	return conn, nil
}

// check asks once.
func (c *healthCommand) check(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: c.Service})
	if err != nil {
		return err
	}
	if state := answer.GetStatus(); state != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s: the log of the server says why", state)
	}
	return nil
}
