package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
)

// A stream is JSON lines both ways (NDJSON): a message a line. It answers lines while others are still to come. An
// error before the first answer is an HTTP status like any other. After it, an error is the last line, {"status": …},
// with a google.rpc.Status.

// lineReader reads the lines of a stream. Each has a time to arrive whole, and a size.
type lineReader struct {
	from    *bufio.Reader
	control *http.ResponseController
	ctx     context.Context // of the connection
	limits  *Limits
	number  int64 // of the last line read, from 1
	taken   int64 // lines that next has returned
	whole   int   // bytes of lines that had arrived whole, which the connection does not know of
}

// openLines begins a stream in both directions. Its error is a refusal.
func (g *Gateway) openLines(w http.ResponseWriter, r *http.Request) (*lineReader, *lineWriter, error) {
	if mediaType(r) != linesType {
		return nil, nil, refusal(http.StatusUnsupportedMediaType, codes.InvalidArgument, "",
			"the body's type is %q: send a JSON object a line, with Content-Type: %s",
			hexbid.Shorten(r.Header.Get("Content-Type")), linesType)
	}
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, nil, err
	}
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // a stream that ends early leaves a part of its body
	}
	in := &lineReader{from: bufio.NewReaderSize(r.Body, 64<<10), control: control, ctx: r.Context(),
		limits: &g.config.Limits}
	return in, &lineWriter{to: w, control: control}, nil
}

// lasting returns a context for a stream's calls. net/http ends a request's own context when a line does not arrive in
// time, and what was sent before would get no answer.
func (g *Gateway) lasting(r *http.Request) (context.Context, context.CancelFunc) {
	return g.untilOld(context.WithoutCancel(r.Context()), r)
}

// errOld ends a stream whose connection is too old, so that a client does not stay with one server for good.
var errOld = status.Error(codes.Unavailable, "the connection has become too old: open the stream again")

// untilOld returns a context that errOld ends when the connection of a request has become too old for streams.
func (g *Gateway) untilOld(ctx context.Context, r *http.Request) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	timer := time.AfterFunc(time.Until(g.server.ConnectionEnd(r.Context())), func() { end(errOld) })
	return ctx, func() {
		timer.Stop()
		end(nil)
	}
}

// whyEnded returns errOld if that ended the context of a stream, and else the error that the stream ended with.
func whyEnded(ctx context.Context, err error) error {
	if context.Cause(ctx) == errOld {
		return errOld
	}
	return err
}

// mostBlankLines is how many blank lines there may be in a row. A client may send one now and then to show that it is
// there. A million of them would be a megabyte to send and much work to read.
const mostBlankLines = 1000

// next returns the next line that is not blank, io.EOF after the last. The line is valid until the next call.
func (l *lineReader) next() ([]byte, error) {
	for range mostBlankLines + 1 {
		var line []byte
		var err error
		if l.waits() {
			line, err = l.await()
		} else { // many lines can come in one piece, so one of them is cheap
			line, err = l.from.ReadSlice('\n')
			l.whole += len(line)
		}
		if err != nil {
			return nil, err
		}
		l.number++
		if line = bytes.TrimSpace(line); len(line) > 0 {
			l.taken++
			return line, nil
		}
	}
	return nil, malformed("", "line %d is blank, as are the %d before it: send a message a line", l.number, mostBlankLines)
}

// await waits for the rest of a line, up to the next newline or the end, and counts it as arriving meanwhile.
func (l *lineReader) await() (line []byte, err error) {
	_ = l.control.SetReadDeadline(time.Now().Add(l.limits.LineTimeout))
	arrived := server.Arriving(l.ctx)
	defer func() {
		arrived(l.whole + len(line))
		l.whole = 0
	}()
	for {
		part, err := l.from.ReadSlice('\n')
		if line == nil && err == nil {
			return part, nil
		}
		line = append(line, part...)
		switch {
		case int64(len(line)) > l.limits.BodyBytes:
			return nil, malformed("", "line %d is too large: send at most %d bytes", l.number+1, l.limits.BodyBytes)
		case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, status.Errorf(codes.DeadlineExceeded, "line %d did not arrive within %s: all before it is answered",
				l.number+1, l.limits.LineTimeout)
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		default:
			return nil, malformed("", "the body ended within line %d", l.number+1)
		}
	}
}

// waits reports whether the next line has not arrived whole.
func (l *lineReader) waits() bool {
	arrived, _ := l.from.Peek(l.from.Buffered())
	return bytes.IndexByte(arrived, '\n') < 0
}

// stop makes a read that waits return.
func (l *lineReader) stop() { _ = l.control.SetReadDeadline(time.Unix(1, 0)) }

// lineWriter writes the lines of an answer.
type lineWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	text    []byte // lines that are not sent
	began   bool   // something was sent
}

// add adds a line, which flush sends.
func (l *lineWriter) add(m proto.Message) (err error) {
	l.text, err = encoding.MarshalAppend(l.text, m)
	l.text = append(l.text, '\n')
	return err
}

func (l *lineWriter) flush() error {
	if !l.began {
		l.to.Header().Set("Content-Type", linesType)
		l.began = true
	}
	_, err := l.to.Write(l.text)
	l.text = l.text[:0]
	return errors.Join(err, l.control.Flush())
}

// end ends the answer. It returns the error if nothing was sent before, so that it becomes the answer's status.
func (l *lineWriter) end(err error) error {
	if err != nil && !l.began {
		return err
	}
	if err != nil {
		s := bytes.TrimSpace(statusText(revive(server.StatusOf(err))))
		l.text = append(append(append(l.text, `{"status":`...), s...), "}\n"...)
	}
	_ = l.flush() // a caller who is gone needs no end
	return nil
}
