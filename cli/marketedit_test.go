package cli

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// marketServer has a market and notes how it is updated.
type marketServer struct {
	pb.UnimplementedMarketServiceServer
	updates []*pb.UpdateMarketRequest
	refusal error
}

func (s *marketServer) GetMarket(context.Context, *pb.GetMarketRequest) (*pb.Market, error) {
	return aMarket(), nil
}

func (s *marketServer) UpdateMarket(_ context.Context, r *pb.UpdateMarketRequest) (*pb.Market, error) {
	s.updates = append(s.updates, r)
	return r.GetMarket(), s.refusal
}

// edit has the market of the server edited, and returns what the command says and the files that it leaves.
func (s *marketServer) edit(t *testing.T, editor string) (code int, says string, left []string) {
	t.Helper()
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := grpc.NewServer()
	pb.RegisterMarketServiceServer(served, s)
	go served.Serve(l)
	defer served.Stop()
	var out, errs bytes.Buffer
	code = Run(t.Context(), []string{"market", "edit", "--editor", editor, "--server", l.Addr().String()},
		Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	if left, err = filepath.Glob(filepath.Join(folder, "*")); err != nil {
		t.Fatal(err)
	}
	return code, out.String() + errs.String(), left
}

func TestTheMarketIsUpdatedAsItWasEdited(t *testing.T) {
	s := new(marketServer)
	code, says, left := s.edit(t, "sed -i -e s/vcg/gsp/ -e /increment/d")
	if code != 0 || len(s.updates) != 1 || len(left) != 0 {
		t.Fatalf("status %d, %d updates, files %q: %s", code, len(s.updates), left, says)
	}
	r := s.updates[0]
	if r.GetMarket().GetMechanism() != pb.Mechanism_MECHANISM_GSP || r.GetMarket().GetIncrementMicros() != 0 ||
		r.GetMarket().GetEtag() != "e1" || strings.Join(r.GetUpdateMask().GetPaths(), ",") != "*" {
		t.Errorf("%v", r)
	}
}

func TestAMarketThatWasNotEditedStays(t *testing.T) {
	s := new(marketServer)
	code, says, left := s.edit(t, "true")
	if code != 0 || len(s.updates) != 0 || len(left) != 0 || !strings.Contains(says, "nothing has changed") {
		t.Errorf("status %d, %d updates, files %q: %s", code, len(s.updates), left, says)
	}
}

// TestEditedRulesAreNotLost fails in three ways once the rules are in a file. The file stays, and the error names it.
func TestEditedRulesAreNotLost(t *testing.T) {
	refuses := &marketServer{refusal: status.Error(codes.Aborted, "has changed since it was read")}
	for editor, c := range map[string]struct {
		server *marketServer
		words  string
	}{
		"sed -i s/vcg/gsp/ --no-such-flag": {new(marketServer), "exit status"},
		"sed -i s/vcg/free/":               {new(marketServer), "free"},
		"sed -i s/vcg/gsp/":                {refuses, "has changed since it was read"},
	} {
		code, says, left := c.server.edit(t, editor)
		if code == 0 || len(left) != 1 || !strings.Contains(says, c.words) || !strings.Contains(says, left[0]) {
			t.Errorf("%s: status %d, files %q: %s", editor, code, left, says)
			continue
		}
		if text, err := os.ReadFile(left[0]); err != nil || !bytes.Contains(text, []byte("etag: e1")) {
			t.Errorf("%s: the file has %s, %v", editor, text, err)
		}
	}
}
