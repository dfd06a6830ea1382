// Package frames sends unary gRPC calls as prepared HTTP/2 frames. A call costs the generator some microseconds, a
// tenth of what a client of a gRPC library spends, so one generator can offer several times what a server of as many
// cores can answer. It looks at the status of an answer and drops the rest.
//
// A Conn owns two goroutines, which end with it: one writes what has gathered, the other reads.
package frames

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Method is what all calls of a connection have in common.
type Method struct {
	Path    string            // /package.Service/Method
	Timeout time.Duration     // told to the server
	Headers map[string]string // further ones, such as the authorization
}

// Conn is a connection to a server.
type Conn struct {
	net    net.Conn
	framer *http2.Framer // of the reader
	head   []byte        // the encoded headers of a call
	slots  chan struct{} // one for each call that the server permits at once

	mu      sync.Mutex // guards the rest
	out     bytes.Buffer
	frames  *http2.Framer // writes to out
	next    uint32        // number of the next stream
	pending map[uint32]chan codes.Code
	failed  error // why the connection has ended

	wake  chan struct{} // there is something to write
	ended sync.WaitGroup
}

const (
	// window is what a server may send before it must wait: more than a run's answers that are under way.
	window = 1 << 30
	// usualStreams is how many calls are made at once where the server permits any number.
	usualStreams = 128
	// mostMessageBytes is what fits in the largest frame that every server takes, with the prefix of a message.
	mostMessageBytes = 16<<10 - 5
	// mostHeaderBytes bounds the headers of an answer.
	mostHeaderBytes = 64 << 10
)

// Dial connects, over TLS unless the configuration is nil, and learns how many calls the server permits at once.
func Dial(ctx context.Context, address string, secure *tls.Config, m Method) (*Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if secure != nil {
		scheme = "https"
		own := secure.Clone()
		own.NextProtos = []string{http2.NextProtoTLS}
		if own.ServerName == "" {
			own.ServerName, _, _ = net.SplitHostPort(address) // the dialer has parsed it
		}
		raw = tls.Client(raw, own)
	}
	c := &Conn{net: raw, framer: http2.NewFramer(io.Discard, raw), head: m.head(scheme, address), next: 1,
		pending: map[uint32]chan codes.Code{}, wake: make(chan struct{}, 1)}
	c.frames = http2.NewFramer(&c.out, nil)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = mostHeaderBytes
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	if err := c.greet(); err != nil {
		return nil, errors.Join(fmt.Errorf("greeting %s: %w", address, err), raw.Close())
	}
	c.ended.Go(c.write)
	c.ended.Go(c.read)
	return c, nil
}

// head returns the encoded headers of a call. None of them enters the server's table, so they are the same for each.
func (m *Method) head(scheme, authority string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	write := func(name, value string) {
		_ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: true}) // into memory
	}
	write(":method", "POST")
	write(":scheme", scheme)
	write(":path", m.Path)
	write(":authority", authority)
	write("content-type", "application/grpc")
	write("te", "trailers")
	write("grpc-timeout", strconv.FormatInt(max(1, m.Timeout.Milliseconds()), 10)+"m")
	for name, value := range m.Headers {
		write(name, value)
	}
	return block.Bytes()
}

// greet exchanges the settings.
func (c *Conn) greet() error {
	c.out.WriteString(http2.ClientPreface)
	_ = c.frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}, // into memory
		http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	_ = c.frames.WriteWindowUpdate(0, window)
	if err := c.flush(); err != nil {
		return err
	}
	f, err := c.framer.ReadFrame()
	if err != nil {
		return err
	}
	settings, ok := f.(*http2.SettingsFrame)
	if !ok {
		return fmt.Errorf("the first frame is of type %s: is it a gRPC server?", f.Header().Type)
	}
	streams := uint32(usualStreams)
	if n, told := settings.Value(http2.SettingMaxConcurrentStreams); told {
		streams = max(1, min(n, 1000))
	}
	c.slots = make(chan struct{}, streams)
	_ = c.frames.WriteSettingsAck()
	return c.flush()
}

// flush writes what has gathered.
func (c *Conn) flush() error {
	_, err := c.net.Write(c.out.Bytes())
	c.out.Reset()
	return err
}

// Call makes a call with an encoded message of at most 16,379 bytes and returns its status.
func (c *Conn) Call(ctx context.Context, message []byte) error {
	if len(message) > mostMessageBytes {
		return status.Errorf(codes.InvalidArgument, "the message has %d bytes, more than one frame holds (%d)", len(message),
			mostMessageBytes)
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	defer func() { <-c.slots }()
	id, ended, err := c.send(message)
	if err != nil {
		return err
	}
	select {
	case code := <-ended:
		return status.Error(code, "") // nil for OK
	case <-ctx.Done():
		c.cancel(id)
		return status.FromContextError(ctx.Err()).Err()
	}
}

// send hands the frames of a call to the writer.
func (c *Conn) send(message []byte) (id uint32, ended chan codes.Code, err error) {
	var prefix [5]byte // not compressed, and the length
	for i, n := 0, len(message); i < 4; i++ {
		prefix[4-i] = byte(n >> (8 * i))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, nil, status.Error(codes.Unavailable, c.failed.Error())
	}
	id, ended = c.next, make(chan codes.Code, 1)
	c.next += 2
	c.pending[id] = ended
	_ = c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.head, EndHeaders: true})
	_ = c.frames.WriteData(id, true, append(prefix[:], message...))
	c.rouse()
	return id, ended, nil
}

// cancel takes a call back, unless it has ended.
func (c *Conn) cancel(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, open := c.pending[id]; open {
		delete(c.pending, id)
		_ = c.frames.WriteRSTStream(id, http2.ErrCodeCancel)
		c.rouse()
	}
}

// rouse tells the writer that there is something to write.
func (c *Conn) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes what gathers until the connection ends.
func (c *Conn) write() {
	var batch []byte
	for range c.wake {
		c.mu.Lock()
		batch = append(batch[:0], c.out.Bytes()...)
		c.out.Reset()
		failed := c.failed
		c.mu.Unlock()
		if failed != nil {
			return
		}
		if _, err := c.net.Write(batch); err != nil {
			c.fail(err)
			return
		}
	}
}

// read takes what the server sends until the connection ends.
func (c *Conn) read() {
	taken := 0 // bytes since the last window update
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			c.fail(err)
			return
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			if taken += int(f.Length); taken > window/4 {
				c.reply(func() { _ = c.frames.WriteWindowUpdate(0, uint32(taken)) })
				taken = 0
			}
			if f.StreamEnded() {
				c.end(f.StreamID, codes.Internal) // a gRPC server ends a stream with its trailers
			}
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() {
				c.end(f.StreamID, codeOf(f))
			}
		case *http2.RSTStreamFrame:
			c.end(f.StreamID, codes.Unavailable)
		case *http2.PingFrame:
			if !f.IsAck() {
				data := f.Data
				c.reply(func() { _ = c.frames.WritePing(true, data) })
			}
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.reply(func() { _ = c.frames.WriteSettingsAck() })
			}
		case *http2.GoAwayFrame:
			c.fail(fmt.Errorf("the server ends the connection: %s", f.ErrCode))
			return
		}
	}
}

// codeOf returns the status that the last headers of an answer tell.
func codeOf(f *http2.MetaHeadersFrame) codes.Code {
	for _, field := range f.Fields {
		if field.Name != "grpc-status" {
			continue
		}
		if n, err := strconv.ParseUint(field.Value, 10, 32); err == nil && n <= uint64(codes.Unauthenticated) {
			return codes.Code(n)
		}
	}
	return codes.Unknown
}

// reply has the writer send a frame.
func (c *Conn) reply(frame func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	frame()
	c.rouse()
}

// end ends a call.
func (c *Conn) end(id uint32, code codes.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended, open := c.pending[id]; open {
		delete(c.pending, id)
		ended <- code
	}
}

// fail ends the connection with all its calls.
func (c *Conn) fail(why error) {
	c.net.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = why
	}
	for id, ended := range c.pending {
		delete(c.pending, id)
		ended <- codes.Unavailable
	}
	c.rouse()
}

// Err returns why the connection has ended, nil while it lasts. A server ends each at some age.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Close ends the connection. Calls under way fail.
func (c *Conn) Close() {
	c.fail(net.ErrClosed)
	c.ended.Wait()
}
