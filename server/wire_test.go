package server

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawWire is an HTTP/2 connection that a test controls frame by frame, as no well-behaved client would.
type rawWire struct {
	net.Conn
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32        // stream
	closed  chan struct{} // closed when the server has closed the connection
}

// rawWire opens a connection. A goroutine reads and drops what the server sends.
func (s *served) rawWire(t *testing.T) *rawWire {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	w := &rawWire{Conn: conn, Framer: http2.NewFramer(conn, conn), next: 1, closed: make(chan struct{})}
	w.encoder = hpack.NewEncoder(&w.block)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.closed)
		for {
			if _, err := w.ReadFrame(); err != nil {
				return
			}
		}
	}()
	return w
}

// headers encodes the headers of a call, with further ones in pairs.
func (w *rawWire) headers(method string, further ...string) []byte {
	w.block.Reset()
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", method, ":authority", "x", "content-type",
		"application/grpc", "te", "trailers"}, further...)
	for i := 0; i < len(fields); i += 2 {
		_ = w.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory: it cannot fail
	}
	return w.block.Bytes()
}

// open opens a call and returns its stream.
func (w *rawWire) open(t *testing.T, method string, further ...string) uint32 {
	t.Helper()
	stream := w.next
	w.next += 2
	if err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.headers(method, further...),
		EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	return stream
}

func (w *rawWire) data(t *testing.T, stream uint32, payload []byte, end bool) {
	t.Helper()
	if err := w.WriteData(stream, end, payload); err != nil {
		t.Fatal(err)
	}
}
