package main

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid/benchmarks/peers"
)

// failing is a peer that gives up at one of its steps. Field find is the error of its searches after a number of
// queries.
type failing struct {
	peers.Scan
	load, find error
	after      int64
	queries    atomic.Int64
	closed     bool
}

func (*failing) Name() string { return "failing" }

func (f *failing) Load(circles []peers.Circle) error {
	return errors.Join(f.load, f.Scan.Load(circles))
}

func (f *failing) TopTen(q *peers.Query, into []int) ([]int, error) {
	if f.find != nil && f.queries.Add(1) > f.after {
		return nil, f.find
	}
	return f.Scan.TopTen(q, into)
}

func (f *failing) Close() error { f.closed = true; return nil }

func testComparison(t *testing.T) *comparison {
	c, err := newComparison(200)
	if err != nil {
		t.Fatal(err)
	}
	c.warmUpLasts, c.roundLasts = time.Millisecond, time.Millisecond
	return c
}

func TestAPeerThatDoesNotLoadIsLeftOutAndClosed(t *testing.T) {
	c, broken := testComparison(t), &failing{load: errors.New("no room")}
	filled, err := c.filled([]func() (peers.Peer, error){
		func() (peers.Peer, error) { return broken, nil },
		func() (peers.Peer, error) { return nil, errors.New("no port") },
		func() (peers.Peer, error) { return nil, peers.ErrNotInstalled },
		func() (peers.Peer, error) { return &peers.RTree{}, nil },
	})
	if len(filled) != 1 || filled[0].Name() != (&peers.RTree{}).Name() || !broken.closed {
		t.Errorf("filled %v, closed the broken one: %t", filled, broken.closed)
	}
	for _, want := range []string{"no room", "no port"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %v does not tell %q", err, want)
		}
	}
}

// TestAPeerThatFailsDoesNotCostTheOthersFigures: from its first query on, or in the rounds, which come after the fifty
// queries of the check.
func TestAPeerThatFailsDoesNotCostTheOthersFigures(t *testing.T) {
	for _, after := range []int64{0, 60} {
		c, gone := testComparison(t), errors.New("connection refused")
		ours, other, broken := &peers.Scan{}, &peers.RTree{}, &failing{find: gone, after: after}
		for _, p := range []peers.Peer{ours, other, broken} {
			if err := p.Load(c.circles); err != nil {
				t.Fatal(err)
			}
		}
		figures, err := c.beside("x", ours, []peers.Peer{broken, other}, 1)
		if !errors.Is(err, gone) {
			t.Errorf("after %d: the error is %v", after, err)
		}
		if figures["x_ratio"].Median <= 0 || figures["x_"+figureName(other.Name())+"_per_s"].Median <= 0 {
			t.Errorf("after %d: the other peer has no figures: %v", after, figures)
		}
		if _, there := figures["x_failing_per_s"]; there {
			t.Errorf("after %d: the broken peer has a figure", after)
		}
	}
}
