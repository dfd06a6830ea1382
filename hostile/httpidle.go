package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// httpIdle opens connections to the HTTP port that never send a whole request, or one and no other.
func httpIdle(ctx context.Context, r *round) error {
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	return r.openUnfinished(ctx, r.server.HTTPAddress, r.beginnings())
}

// beginnings are what an attacker sends of a request and nothing after it.
func (r *round) beginnings() []string {
	begun := []string{"", "G", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: loc",
		webRequest{method: "GET", target: "/healthz"}.text(), "\x16\x03\x01", http2.ClientPreface}
	for _, key := range r.attackerKeys() {
		search := webRequest{method: "POST", target: "/v1/nearby:search", key: key}
		search.headers = []string{"Content-Length: 60000", jsonBody}
		whole, part := webRequest{method: "GET", target: "/v1/whoami", key: key}, search
		part.body = `{"location":{`
		begun = append(begun, whole.text(), search.text(), part.text())
	}
	return begun
}

// httpSlow sends requests a byte at a time, over as many connections as the port has.
func httpSlow(ctx context.Context, r *round) error {
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	begun := r.beginnings()
	var group sync.WaitGroup
	for i := range slowSenders {
		group.Go(func() {
			for turn := i; ctx.Err() == nil; turn += slowSenders {
				r.sendSlowly(ctx, begun[turn%len(begun)]+strings.Repeat("x", 1<<16))
			}
		})
	}
	group.Wait()
	return nil
}

const slowSenders = 1500

// sendSlowly sends bytes one by one until the server closes the connection or the attack ends.
func (r *round) sendSlowly(ctx context.Context, text string) {
	w, err := webWireTo(r.server)
	if err != nil {
		r.tally.fall("no connection for a slow sender: %v", err)
		return
	}
	defer w.Close()
	r.tally.calls.Add(1)
	for i := 0; i < len(text) && ctx.Err() == nil; i++ {
		if w.say(text[i:i+1]) != nil {
			return
		}
		time.Sleep(slowPause)
	}
}

const slowPause = 50 * time.Millisecond

// httpFrames does to the HTTP port under TLS, where it speaks HTTP/2, what others do to the gRPC port: rapid resets,
// control frames, bombs of headers. It has a server of its own, and calls that server beside it.
func httpFrames(ctx context.Context, r *round) error {
	s, certificate, stop, err := r.tlsServer(ctx)
	if err != nil {
		return err
	}
	defer stop()
	web := *r
	web.server, web.share = s, r.share/time.Duration(len(framesOverTLS))
	web.dialWire = func(settings ...http2.Setting) (*wire, error) { return webFramesTo(s, certificate, settings...) }
	beside, cancel := context.WithCancel(ctx)
	asked := make(chan error, 1)
	go func() { asked <- r.searchWebTLS(beside, s, certificate) }()
	for _, frames := range framesOverTLS {
		if err == nil {
			err = frames(ctx, &web)
		}
	}
	cancel()
	if searched := <-asked; err == nil {
		err = searched
	}
	s.JudgeLog()
	if err != nil {
		return fmt.Errorf("over TLS: %w", err)
	}
	return nil
}

var framesOverTLS = []func(context.Context, *round) error{rapidReset, controlFrames, headerBombs}
