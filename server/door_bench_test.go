package server

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// BenchmarkDoor measures the processor time of a search that is answered and of one that is refused, over the real port
// with the demo market. The client writes prepared frames, so nearly all of the time is the server's. The ratio is the
// r of docs/CAPACITY.md.
func BenchmarkDoor(b *testing.B) {
	request := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: demo.Center.Lat, Longitude: demo.Center.Lng}}
	for _, refused := range []bool{false, true} {
		name := map[bool]string{false: "answered", true: "refused"}[refused]
		b.Run(name, func(b *testing.B) {
			s := serveMarketFor(b)
			if refused {
				s.crowd(s.pressure.most)
				s.pressure.parties.Store(1 << 30) // no party has a part of its own
			}
			w := s.rawWire(b)
			if err := w.WriteWindowUpdate(0, 1<<30); err != nil { // for the answers, which nobody takes note of
				b.Fatal(err)
			}
			body, err := proto.Marshal(request)
			if err != nil {
				b.Fatal(err)
			}
			payload := append([]byte{0, 0, 0, 0, byte(len(body))}, body...)
			const together = 16
			b.ResetTimer()
			began := processorTime(b)
			var calls bytes.Buffer
			frames := http2.NewFramer(&calls, nil)
			for done := 0; done < b.N; done += together {
				calls.Reset()
				for range together {
					_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: w.next, BlockFragment: w.headers(searchMethod),
						EndHeaders: true}) // into memory: it cannot fail
					_ = frames.WriteData(w.next, true, payload)
					w.next += 2
				}
				if _, err := w.Write(calls.Bytes()); err != nil {
					b.Fatal(err)
				}
				for last := range together {
					w.status(b, w.next-2*uint32(last+1))
				}
			}
			b.ReportMetric(float64(processorTime(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime returns the processor time that the process has taken, in nanoseconds.
func processorTime(b *testing.B) int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// serveMarketFor serves the demo market.
func serveMarketFor(b *testing.B) *served {
	b.Helper()
	s := serve(b, func(c *Config) { c.Limits.Wait = time.Hour })
	resources, err := demo.Resources()
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range s.exchange.Load().Import(hexbid.WithPrincipal(b.Context(),
		hexbid.Principal{Role: hexbid.System, ID: "demo", Origin: hexbid.InProcess}), resources, false) {
		if o.Err != nil {
			b.Fatal(o.Err)
		}
	}
	return s
}
