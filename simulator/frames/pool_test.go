package frames

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAConnectionThatEndsIsReplaced(t *testing.T) {
	address, _ := serve(t, func(_ context.Context, text string) (string, error) { return text, nil })
	dials, refuses := 0, false
	pool, err := NewPool(t.Context(), 2, func(ctx context.Context) (*Conn, error) {
		if refuses {
			return nil, errors.New("nobody listens")
		}
		dials++
		return Dial(ctx, address, nil, Method{Path: path, Timeout: time.Minute})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	call := func(i int) error { return pool.Call(t.Context(), i, message(t, "a")) }
	for i := range 4 {
		if err := call(i); err != nil || dials != 2 {
			t.Fatalf("call %d after %d dials: %v", i, dials, err)
		}
	}
	pool.places[1].conn.fail(errors.New("GOAWAY"))
	for i := range 4 {
		if err := call(i); err != nil {
			t.Errorf("call %d after one connection ended: %v", i, err)
		}
	}
	if dials != 3 {
		t.Errorf("%d dials, want one more", dials)
	}
	pool.places[0].conn.fail(errors.New("GOAWAY"))
	refuses = true
	if err := call(0); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "nobody listens") {
		t.Errorf("without a connection: %v", err)
	}
	if _, err := NewPool(t.Context(), 1, pool.dial); err == nil {
		t.Error("a pool without a connection")
	}
}

func TestAMessageFitsInAFrame(t *testing.T) {
	address, _ := serve(t, func(_ context.Context, text string) (string, error) { return text, nil })
	c := dial(t, address)
	largest := message(t, strings.Repeat("a", mostMessageBytes-3))
	if err := c.Call(t.Context(), largest); err != nil || len(largest) != mostMessageBytes {
		t.Errorf("one of %d bytes: %v", len(largest), err)
	}
	larger := message(t, strings.Repeat("a", mostMessageBytes-2))
	if err := c.Call(t.Context(), larger); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a larger one: %v", err)
	}
	if err := c.Call(t.Context(), message(t, "a")); err != nil {
		t.Errorf("one after it: %v", err)
	}
}
