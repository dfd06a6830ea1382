package victim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// clientHeader names a client to a server that demands no credentials.
const clientHeader = "x-hexbid-client"

type callerKey struct{}

// AsClient returns a context whose calls are made by a search client: under its key where the server demands
// credentials, and under its name elsewhere. The client must be one that Introduce has made.
func AsClient(ctx context.Context, id string) context.Context {
	return metadata.AppendToOutgoingContext(context.WithValue(ctx, callerKey{}, "clients/"+id), clientHeader, id)
}

// DemandsCredentials reports whether the server answers only callers with a credential.
func (s *Server) DemandsCredentials() bool { return s.options.Credentials }

// bearer gives each call the credential of who makes it: the client that AsClient names, or else its owner.
type bearer struct {
	server *Server
	fixed  *string // credential of all calls; empty for calls without one, nil for the operator's and the clients'
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	key := ""
	if b.fixed != nil {
		key = *b.fixed
	} else {
		caller, _ := ctx.Value(callerKey{}).(string)
		key = b.server.keyOf(caller)
	}
	if key == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + key}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: the server listens on loopback.
func (bearer) RequireTransportSecurity() bool { return false }

// Callers returns the credentials that Dial gives to a connection, for connections that are made in another way.
func (s *Server) Callers() credentials.PerRPCCredentials { return bearer{server: s} }

// DialWith returns a connection whose calls all have one credential. The empty one makes calls of nobody.
func (s *Server) DialWith(credential string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return s.dial(append(options, grpc.WithPerRPCCredentials(bearer{s, &credential})))
}

// Key returns the credential of a user or a client that Introduce has made; of the operator for the empty name. It is
// empty while the server demands none.
func (s *Server) Key(name string) string { return s.keyOf(name) }

func (s *Server) keyOf(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[name]
}

// operatorKeyFile is where a server's first start leaves the operator's key.
const operatorKeyFile = "operator.key"

// learnOperatorKey reads the operator's key, once: copies of the folder keep it in force though that file be damaged.
func (s *Server) learnOperatorKey() error {
	if !s.options.Credentials || s.keyOf("") != "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.Data, operatorKeyFile))
	if err != nil {
		return err
	}
	s.learnKey("", strings.TrimSpace(string(text)))
	return nil
}

func (s *Server) learnKey(name, credential string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[name] = credential
}

// IntroduceClients makes search clients that see prices and campaigns, and a key for each. Nothing happens on a server
// that demands no credentials.
func (s *Server) IntroduceClients(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		err := s.introduce(ctx, "clients/"+id, func(ctx context.Context, access pb.AccessServiceClient) error {
			_, err := access.CreateClient(ctx, &pb.CreateClientRequest{ClientId: id,
				Client: &pb.Client{DisplayName: id, SeesPrices: true, SeesCampaigns: true}})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// IntroduceUser makes a user, and a key for it. Nothing happens on a server that demands no credentials.
func (s *Server) IntroduceUser(ctx context.Context, id string, user *pb.User) error {
	return s.introduce(ctx, "users/"+id, func(ctx context.Context, access pb.AccessServiceClient) error {
		_, err := access.CreateUser(ctx, &pb.CreateUserRequest{UserId: id, User: user})
		return err
	})
}

func (s *Server) introduce(ctx context.Context, name string,
	create func(context.Context, pb.AccessServiceClient) error) error {
	if !s.options.Credentials || s.keyOf(name) != "" {
		return nil
	}
	conn, err := s.Dial(Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	access := pb.NewAccessServiceClient(conn)
	if err := create(ctx, access); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	issued, err := access.CreateKey(ctx, &pb.CreateKeyRequest{Parent: name, KeyId: "k", Key: &pb.Key{}})
	if err != nil {
		return fmt.Errorf("a key of %s: %w", name, err)
	}
	s.learnKey(name, issued.GetCredential())
	return nil
}

// leastPause and mostPause bound the pause after a refusal that names none. Each is up to twice the one before.
const leastPause, mostPause = time.Millisecond, 100 * time.Millisecond

// Patient makes the unary calls of a connection as clients should: while the server is busy they wait, longer each
// time, and ask again, until their context ends or Patience is over.
func Patient() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, answer any,
		conn *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
		return UntilTaken(ctx, func() error { return call(ctx, method, request, answer, conn, options...) })
	})
}

// UntilTaken repeats a call while the server is too busy for it, with pauses between. It returns the last refusal when
// the context ends, or Patience is over.
func UntilTaken(ctx context.Context, call func() error) error {
	began := time.Now()
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		err := call()
		delay, busy := retryDelay(err)
		if !busy || time.Since(began) > Patience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(max(delay, pause/2+rand.N(pause))):
		}
	}
}

// retryDelay tells whether an error means that the server is busy, and what pause it asks for, 0 for none. A limit on
// what an advertiser may have is another refusal: waiting does not help.
func retryDelay(err error) (delay time.Duration, busy bool) {
	refusal := status.Convert(err)
	if refusal.Code() != codes.ResourceExhausted {
		return 0, false
	}
	for _, detail := range refusal.Details() {
		if retry, is := detail.(*errdetails.RetryInfo); is {
			return retry.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, len(refusal.Details()) == 0
}
