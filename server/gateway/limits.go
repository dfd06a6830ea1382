package gateway

import "time"

// Limits bound what callers of the HTTP port can use, besides the server's own limits.
type Limits struct {
	// BodyBytes bounds a body, and a line of a stream; SearchBytes the body of a search.
	BodyBytes, SearchBytes int64
	// WorkingBytes bounds the bytes of the bodies that are decoded and worked on at once.
	WorkingBytes int64
	// BodyTimeout is how long a body may take to arrive, and how long a stream may bring nothing.
	BodyTimeout, LineTimeout time.Duration
	// HeaderTimeout is how long the headers of a request, and TLS before them, may take to arrive.
	HeaderTimeout time.Duration
	// IdleTimeout closes a connection that has had no request for so long.
	IdleTimeout time.Duration
	// DrainTimeout bounds how long a stop waits for requests in flight.
	DrainTimeout time.Duration
}

// DefaultLimits returns limits for a machine of a few cores.
func DefaultLimits() Limits {
	return Limits{BodyBytes: 8 << 20, SearchBytes: 64 << 10, WorkingBytes: 64 << 20, BodyTimeout: 10 * time.Second,
		LineTimeout: 30 * time.Second, HeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		DrainTimeout: 15 * time.Second}
}

const (
	// maxHeaderBytes bounds the headers of a request, as those of a call over gRPC. net/http allows 4 KiB more.
	maxHeaderBytes = 16 << 10
	// maxObjects bounds the JSON objects of a body. An empty one takes two bytes of the body but hundreds of memory.
	maxObjects = 500_000
)
