package benchmarks

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// canned is an answer that is already encoded. Its codec passes the bytes through, so what a server of canned answers
// reaches is what gRPC alone costs.
type canned []byte

type cannedCodec struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (c cannedCodec) Marshal(v any) (mem.BufferSlice, error) {
	if answer, ok := v.(canned); ok {
		return mem.BufferSlice{mem.SliceBuffer(answer)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// CannedCommand is the argument that makes a program of this module serve a canned answer. The address and the file
// follow it.
const CannedCommand = "serve-canned"

// ServeCanned decodes every search and answers with a file's bytes, until SIGTERM. It uses the product's service
// description, except for what the method returns.
func ServeCanned(address, file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s := grpc.NewServer(grpc.ForceServerCodecV2(cannedCodec{encoding.GetCodecV2(encodingproto.Name)}))
	description := pb.SearchService_ServiceDesc
	description.Methods = []grpc.MethodDesc{{MethodName: "SearchNearby",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var r pb.SearchNearbyRequest
			return canned(raw), decode(&r)
		}}}
	s.RegisterService(&description, pb.UnimplementedSearchServiceServer{})
	healthpb.RegisterHealthServer(s, health.NewServer())
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	go func() { <-told; s.GracefulStop() }()
	return s.Serve(l)
}

// startCanned serves an answer in a process of its own, which runs this same program.
func startCanned(answer canned) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("this program: %w", err)
	}
	file, err := os.CreateTemp("", "hexbid-canned-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(answer); err != nil {
		return nil, err
	}
	return start(func(address string) *exec.Cmd { return exec.Command(self, CannedCommand, address, file.Name()) })
}
