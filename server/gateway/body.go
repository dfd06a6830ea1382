package gateway

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/hexbid/hexbid/server"
)

// requestBody is a body that has arrived whole.
type requestBody struct {
	bytes.Reader
	data []byte
}

// Close implements io.Closer.
func (b *requestBody) Close() error { return nil }

// receive reads the body of a request within the limits of size and time, and puts it in the place of the request's
// own. Call done when the request is worked on no more.
func (g *Gateway) receive(w http.ResponseWriter, r *http.Request, most int64) (b *requestBody, done func(), err error) {
	recorded := g.server.RecordedRequest(r.Context())
	recorded.Next("receive")
	defer recorded.Next("decode")
	b = new(requestBody)
	if mediaType(r) == linesType {
		return nil, nil, refusal(http.StatusUnsupportedMediaType, codes.InvalidArgument, "",
			"this method takes one JSON object: send it with Content-Type: %s", jsonType)
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		if b.data, err = g.read(w, r, most); err != nil {
			w.Header().Set("Connection", "close") // what is left of the body is not read
			return nil, nil, err
		}
	}
	b.Reset(b.data)
	r.Body = b
	if len(r.TransferEncoding) > 0 {
		// A request that also stated a length might end elsewhere for a server in front of this one. RFC 9112 (6.1)
		// wants the connection closed after it, so that nothing in the body is ever taken for a request.
		w.Header().Set("Connection", "close")
	}
	size := int64(len(b.data))
	if g.working.Add(size) > g.config.Limits.WorkingBytes {
		g.working.Add(-size)
		return nil, nil, refusal(http.StatusTooManyRequests, codes.ResourceExhausted, "",
			"%d MiB of bodies are being worked on, the most at once: back off and try again",
			g.config.Limits.WorkingBytes>>20)
	}
	return b, func() { g.working.Add(-size) }, nil
}

func (g *Gateway) read(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, tooLarge(most)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.config.Limits.BodyTimeout))
	arrived, data := server.Arriving(r.Context()), new(bytes.Buffer)
	defer func() { arrived(data.Len()) }()
	if r.ContentLength > 0 {
		data.Grow(int(min(r.ContentLength, 64<<10)) + bytes.MinRead)
	}
	n, err := data.ReadFrom(io.LimitReader(r.Body, most+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return nil, refusal(http.StatusRequestTimeout, codes.DeadlineExceeded, "",
			"the body did not arrive within %s", g.config.Limits.BodyTimeout)
	case err != nil:
		return nil, refusal(http.StatusBadRequest, codes.InvalidArgument, "", "the body did not arrive whole")
	case n > most:
		return nil, tooLarge(most)
	}
	return data.Bytes(), nil
}

func tooLarge(most int64) error {
	return refusal(http.StatusRequestEntityTooLarge, codes.InvalidArgument, "",
		"the body is too large: send at most %d bytes", most)
}

// writer counts what a caller has not taken of an answer.
type writer struct {
	http.ResponseWriter
	ctx    context.Context // of the connection
	status int             // that a handler has set; 0 for none, which is answered as 200
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	w.status = cmp.Or(w.status, status)
	w.ResponseWriter.WriteHeader(status)
}

// answered returns the status of the answer.
func (w *writer) answered() int { return cmp.Or(w.status, http.StatusOK) }

// Write implements http.ResponseWriter.
func (w *writer) Write(b []byte) (int, error) {
	defer server.Untaken(w.ctx, len(b))()
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what it controls.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
