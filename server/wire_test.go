package server

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// rawWire is an HTTP/2 connection that a test controls frame by frame, as no well-behaved client would.
type rawWire struct {
	net.Conn
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32        // stream
	closed  chan struct{} // closed when the server has closed the connection

	mu       sync.Mutex // guards the fields below
	statuses map[uint32]string
	resets   map[uint32]bool // streams that the server has reset
}

// rawWire opens a connection. A goroutine reads what the server sends and keeps the statuses of calls.
func (s *served) rawWire(t testing.TB) *rawWire {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	w := &rawWire{Conn: conn, Framer: http2.NewFramer(conn, conn), next: 1, closed: make(chan struct{}),
		statuses: map[uint32]string{}, resets: map[uint32]bool{}}
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
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
			frame, err := w.ReadFrame()
			if err != nil {
				return
			}
			switch f := frame.(type) {
			case *http2.MetaHeadersFrame:
				w.keep(f)
			case *http2.RSTStreamFrame:
				w.mu.Lock()
				w.resets[f.StreamID] = true
				w.mu.Unlock()
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
func (w *rawWire) open(t testing.TB, method string, further ...string) uint32 {
	t.Helper()
	stream := w.next
	w.next += 2
	if err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: w.headers(method, further...),
		EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	return stream
}

func (w *rawWire) data(t testing.TB, stream uint32, payload []byte, end bool) {
	t.Helper()
	if err := w.WriteData(stream, end, payload); err != nil {
		t.Fatal(err)
	}
}

// keep keeps the status that a frame of headers has.
func (w *rawWire) keep(headers *http2.MetaHeadersFrame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, field := range headers.Fields {
		if field.Name == "grpc-status" {
			w.statuses[headers.StreamID] = field.Value
		}
	}
}

// status waits for the status of a call.
func (w *rawWire) status(t testing.TB, stream uint32) codes.Code {
	t.Helper()
	var code string
	waitUntil(t, "a call has its status", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		code = w.statuses[stream]
		return code != ""
	})
	number, err := strconv.Atoi(code)
	if err != nil {
		t.Fatal(err)
	}
	return codes.Code(number)
}

// only encodes further headers in pairs.
func (w *rawWire) only(fields ...string) []byte {
	w.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = w.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true})
	}
	return w.block.Bytes()
}
