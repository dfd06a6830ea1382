package main

import (
	"io"
	"sync"
)

// windows track how many bytes the server accepts, on a connection and on each stream (RFC 9113, section 5.2).
type windows struct {
	changed    *sync.Cond // its lock guards the fields below
	connection int64
	initial    int64            // of a stream
	streams    map[uint32]int64 // beyond initial
	closed     bool
}

const initialWindow = 65_535 // the default of the protocol

func newWindows() windows {
	return windows{changed: sync.NewCond(&sync.Mutex{}), connection: initialWindow, initial: initialWindow,
		streams: map[uint32]int64{}}
}

func (w *windows) change(by func()) {
	w.changed.L.Lock()
	defer w.changed.L.Unlock()
	by()
	w.changed.Broadcast()
}

func (w *windows) initially(size int64) { w.change(func() { w.initial = size }) }

func (w *windows) close() { w.change(func() { w.closed = true }) }

// give enlarges a window. Stream 0 means the connection.
func (w *windows) give(stream uint32, n int64) {
	w.change(func() {
		if stream == 0 {
			w.connection += n
		} else {
			w.streams[stream] += n
		}
	})
}

// take waits until n bytes may be sent. It returns an error when the connection has ended.
func (w *windows) take(stream uint32, n int64) error {
	w.changed.L.Lock()
	defer w.changed.L.Unlock()
	for !w.closed && (w.connection < n || w.initial+w.streams[stream] < n) {
		w.changed.Wait()
	}
	if w.closed {
		return io.ErrClosedPipe
	}
	w.connection -= n
	w.streams[stream] -= n
	return nil
}
