package server

import (
	"math"
	"sync/atomic"

	"github.com/hexbid/hexbid"
)

// gate counts the requests of a class that are being worked on. A request counts from its whole arrival until its
// answer. An open call without a request counts nowhere.
//
// The last eighth of the places, and of the bytes, is for callers that hold less than an eighth. So one that sends more
// than the class takes leaves room for the others, and is refused itself.
type gate struct {
	class    class
	limit    int64
	maxBytes int   // of one request
	memory   *room // shared with other classes; nil for small requests
	working  atomic.Int64
	refused  atomic.Int64
}

// roomKind says what a room is for.
type roomKind uint8

const (
	uploadRoom roomKind = iota // of writes and imports
	eventRoom
	roomCount
)

// room bounds the bytes of requests that are worked on at once.
type room struct {
	kind  roomKind
	limit int64
	taken atomic.Int64
}

// holding is what one party has being worked on.
type holding struct {
	places [classCount]atomic.Int64
	bytes  [roomCount]atomic.Int64
}

// keptPart is the part of a limit that is kept for callers that hold less than as much.
const keptPart = 8

// leavesRoom reports whether what a caller takes is within a limit, and leaves the others what is kept for them. all is
// what everybody holds with it, own what the caller held before.
func leavesRoom(all, own, limit int64) bool {
	kept := limit / keptPart
	return all <= limit-kept || all <= limit && (own == 0 || own < kept)
}

// take reserves so many bytes for a party if they are free.
func (r *room) take(bytes int, of *party) bool {
	if r == nil {
		return true
	}
	n := int64(bytes)
	own := of.holds.bytes[r.kind].Add(n) - n
	if leavesRoom(r.taken.Add(n), own, r.limit) {
		return true
	}
	r.give(bytes, of)
	return false
}

func (r *room) give(bytes int, of *party) {
	if r != nil {
		r.taken.Add(-int64(bytes))
		of.holds.bytes[r.kind].Add(-int64(bytes))
	}
}

func (s *Server) openGates() {
	l := &s.config.Limits
	large := &room{kind: uploadRoom, limit: l.WorkingBytes}
	s.gates = [classCount]gate{
		unclassed: {limit: math.MaxInt64, maxBytes: s.config.MaxRequestBytes},
		searching: {limit: int64(l.Searches), maxBytes: smallRequestBytes},
		reading:   {limit: int64(l.Reads), maxBytes: smallRequestBytes},
		writing:   {limit: int64(l.Writes), maxBytes: s.config.MaxRequestBytes, memory: large},
		importing: {limit: int64(l.Imports), maxBytes: s.config.MaxRequestBytes, memory: large},
		recording: {limit: int64(l.Events), maxBytes: min(eventRequestBytes, s.config.MaxRequestBytes),
			memory: &room{kind: eventRoom, limit: l.EventBytes}},
	}
	for i := range s.gates {
		s.gates[i].class = class(i)
	}
}

// enter counts a request of so many bytes from a party. Unless it returns an error, leave must follow with the same.
func (g *gate) enter(bytes int, of *party) error {
	if bytes > g.maxBytes {
		return hexbid.Invalidf("", "the request has %d bytes: send at most %d", bytes, g.maxBytes)
	}
	if !g.memory.take(bytes, of) {
		return g.refuse("%d MiB of %s and their like are being worked on, the most at once, or nearly and many of them "+
			"yours: back off and try again", g.memory.limit>>20, classWords[g.class])
	}
	own := of.holds.places[g.class].Add(1) - 1
	all := g.working.Add(1)
	if leavesRoom(all, own, g.limit) {
		return nil
	}
	g.leave(bytes, of)
	if all > g.limit {
		return g.refuse("%d %s are being worked on, the most at once (--max-%s): back off and try again", g.limit,
			classWords[g.class], classWords[g.class])
	}
	return g.refuse("nearly %d %s are being worked on, the most at once (--max-%s), and %d of them are yours: back off "+
		"and try again", g.limit, classWords[g.class], classWords[g.class], own)
}

// refuse counts and returns the refusal of a request.
func (g *gate) refuse(format string, args ...any) error {
	g.refused.Add(1)
	return hexbid.Errorf(hexbid.Exhausted, "", format, args...)
}

func (g *gate) leave(bytes int, of *party) {
	g.working.Add(-1)
	of.holds.places[g.class].Add(-1)
	g.memory.give(bytes, of)
}
