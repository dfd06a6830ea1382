package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// wire is an HTTP/2 connection that is controlled frame by frame, so that it can do what no well-behaved client would
// do. Many goroutines may call its methods.
type wire struct {
	net.Conn
	server  *victim.Server // nil for none; its credentials go with the calls
	web     bool           // to the HTTP port: calls are JSON
	mu      sync.Mutex     // guards the fields below
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
	stream  uint32 // number of the next stream
	windows windows
}

// wireTimeout is the longest that a write may take. A server may rightly close its window to an attacker.
const wireTimeout = 5 * time.Second

// newWire begins HTTP/2 on an open connection.
func newWire(conn net.Conn, settings ...http2.Setting) (*wire, error) {
	w := &wire{Conn: conn, framer: http2.NewFramer(conn, conn), stream: 1, windows: newWindows()}
	w.encoder = hpack.NewEncoder(&w.block)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	return w, w.framer.WriteSettings(settings...)
}

// wireTo connects to a server and begins HTTP/2.
func wireTo(s *victim.Server, settings ...http2.Setting) (*wire, error) {
	conn, err := net.DialTimeout("tcp", s.Address, victim.Patience)
	if err != nil {
		return nil, err
	}
	w, err := newWire(conn, settings...)
	if err != nil {
		conn.Close()
		return nil, err
	}
	w.server = s
	return w, nil
}

// drain reads what the server sends until the connection ends. It acknowledges settings and pings, and notes the
// windows that the server opens.
func (w *wire) drain() {
	defer w.windows.close()
	for {
		frame, err := w.framer.ReadFrame()
		if _, stream := err.(http2.StreamError); stream {
			continue
		}
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if size, given := f.Value(http2.SettingInitialWindowSize); given {
					w.windows.initially(int64(size))
				}
				err = w.do(func(framer *http2.Framer) error { return framer.WriteSettingsAck() })
			}
		case *http2.WindowUpdateFrame:
			w.windows.give(f.StreamID, int64(f.Increment))
		case *http2.RSTStreamFrame:
			w.windows.give(f.StreamID, 1<<31) // the server drops what is sent on it
		case *http2.PingFrame:
			if !f.IsAck() {
				err = w.do(func(framer *http2.Framer) error { return framer.WritePing(true, f.Data) })
			}
		}
		if err != nil {
			return
		}
	}
}

// do writes with the framer, under the lock.
func (w *wire) do(write func(*http2.Framer) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.SetWriteDeadline(time.Now().Add(wireTimeout)); err != nil {
		return err
	}
	return write(w.framer)
}

// open sends the headers of a call, with further headers of the caller's choice.
func (w *wire) open(method string, further ...hpack.HeaderField) (stream uint32, err error) {
	err = w.do(func(framer *http2.Framer) error {
		stream = w.stream
		w.stream += 2
		return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.headers(method, further),
			EndHeaders: true})
	})
	return stream, err
}

// headers encodes the headers of a call. The caller holds the lock.
func (w *wire) headers(method string, further []hpack.HeaderField) []byte {
	w.block.Reset()
	if w.server != nil {
		if key := attackerKey(w.server, method, w.stream); key != "" {
			further = append(slices.Clone(further), hpack.HeaderField{Name: "authorization", Value: "Bearer " + key})
		}
	}
	scheme, path, content := "http", method, "application/grpc"
	if w.web {
		scheme, path, content = "https", webPathOf(method), "application/json"
	}
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: scheme},
		{Name: ":path", Value: path}, {Name: ":authority", Value: "localhost"}, {Name: "content-type", Value: content},
		{Name: "te", Value: "trailers"}}, further...) {
		_ = w.encoder.WriteField(f) // cannot fail, because it writes into memory
	}
	return w.block.Bytes()
}

// Paths of methods at the HTTP port.
const (
	searchPath = "/v1/nearby:search"
	importPath = "/v1/resources:import"
)

func webPathOf(method string) string {
	switch method {
	case pb.SearchService_SearchNearby_FullMethodName:
		return searchPath
	case pb.CampaignService_Import_FullMethodName:
		return importPath
	}
	return method // there is none
}

// search returns a search as it goes on a stream.
func (w *wire) search() []byte {
	if w.web {
		return []byte(`{"location":{"latitude":1,"longitude":1}}`)
	}
	return envelope(&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 1, Longitude: 1}})
}

func (w *wire) data(stream uint32, payload []byte, end bool) error {
	return w.do(func(framer *http2.Framer) error { return framer.WriteData(stream, end, payload) })
}

// body sends a payload of any size as the server's windows permit. data ignores the windows.
func (w *wire) body(stream uint32, payload []byte, end bool) error {
	const most = 16 << 10 // bytes in a frame
	for {
		n := min(len(payload), most)
		if err := w.windows.take(stream, int64(n)); err != nil {
			return err
		}
		if err := w.data(stream, payload[:n], end && n == len(payload)); err != nil || n == len(payload) {
			return err
		}
		payload = payload[n:]
	}
}

func (w *wire) reset(stream uint32) error {
	return w.do(func(framer *http2.Framer) error { return framer.WriteRSTStream(stream, http2.ErrCodeCancel) })
}

// envelope returns a message as gRPC puts it on a stream.
func envelope(message proto.Message) []byte {
	body, err := proto.Marshal(message)
	if err != nil {
		panic(fmt.Sprintf("%T: %v", message, err)) // cannot happen: the caller made the message
	}
	return frame(body, uint32(len(body)), false)
}

// frame puts gRPC's prefix before a body. The prefix may lie about the length.
func frame(body []byte, length uint32, compressed bool) []byte {
	prefix := make([]byte, 5, 5+len(body))
	if compressed {
		prefix[0] = 1
	}
	binary.BigEndian.PutUint32(prefix[1:], length)
	return append(prefix, body...)
}

// wires opens connections and closes them when the context ends. A goroutine reads each. The server may close any of
// them.
func (r *round) wires(ctx context.Context, n int, settings ...http2.Setting) (open []*wire, wait func(), err error) {
	var group sync.WaitGroup
	for range n {
		w, err := r.dialWire(settings...)
		if err != nil {
			return open, group.Wait, fmt.Errorf("a connection after %d: %w", len(open), err)
		}
		open = append(open, w)
		context.AfterFunc(ctx, func() { w.Close() })
		group.Go(w.drain)
	}
	return open, group.Wait, nil
}

// onWires runs an attack over n connections at once until the attack's share of the time is over. It replaces a
// connection that the server closes.
func (r *round) onWires(ctx context.Context, n int, attack func(ctx context.Context, w *wire) error) error {
	ctx, cancel := r.until(ctx)
	defer cancel()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := r.onWire(ctx, attack); err != nil {
					time.Sleep(time.Millisecond) // the server has closed this connection
				}
			}
		})
	}
	group.Wait()
	return nil
}

func (r *round) onWire(ctx context.Context, attack func(ctx context.Context, w *wire) error) error {
	one, cancel := context.WithCancel(ctx)
	defer cancel()
	open, wait, err := r.wires(one, 1)
	if err != nil {
		return err
	}
	err = attack(one, open[0])
	cancel()
	wait()
	return err
}
