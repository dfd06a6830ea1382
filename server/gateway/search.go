package gateway

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/server"
)

// answerPlan writes answers to searches.
var answerPlan = planOf(new(pb.SearchNearbyResponse).ProtoReflect().Descriptor(), map[protoreflect.FullName]*plan{})

// texts holds memory for answers to searches.
var texts = sync.Pool{New: func() any { return new([]byte) }}

// keptTextBytes bounds the memory that texts keeps of an answer. One with a trace may be far larger than others.
const keptTextBytes = 64 << 10

// search answers a search from the bytes of its answer. The generated handler, to which its tests compare it, decodes
// the answer into a message and encodes that.
func (g *Gateway) search(w http.ResponseWriter, r *http.Request) error {
	body, done, err := g.receive(w, r, g.config.Limits.SearchBytes)
	if err != nil {
		return err
	}
	defer done()
	request := new(pb.SearchNearbyRequest)
	if err := (marshaler{}).NewDecoder(body).Decode(request); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	const method = pb.SearchService_SearchNearby_FullMethodName
	ctx := r.Context()
	if r.Header.Get("Grpc-Timeout") != "" { // the deadline that generated handlers read too
		if ctx, err = runtime.AnnotateContext(ctx, g.routed, r, method); err != nil {
			return err
		}
	}
	var encoded server.Encoded
	if err := g.conn.Invoke(ctx, method, request, &encoded); err != nil {
		return err
	}
	text := texts.Get().(*[]byte)
	*text = append(answerPlan.append((*text)[:0], encoded.ReadOnlyData()), '\n')
	encoded.Free()
	send(w, *text)
	if cap(*text) <= keptTextBytes {
		texts.Put(text)
	}
	return nil
}

func send(w http.ResponseWriter, text []byte) {
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // a caller who is gone needs no answer
}
