package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// httpStreams opens uploads, streams of events and watches, and leaves them: within a line, between two lines, or with
// answers that it never reads. Others must not notice.
func httpStreams(ctx context.Context, r *round) error {
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	var group sync.WaitGroup
	for i := range streamsLeft {
		group.Go(func() {
			for turn := i; ctx.Err() == nil; turn += streamsLeft {
				r.leaveStream(ctx, turn)
			}
		})
	}
	group.Wait()
	return nil
}

// streamsLeft is how many streams are left at once.
const streamsLeft = 200

// leaveStream opens one stream and leaves it until the server closes it or the attack ends.
func (r *round) leaveStream(ctx context.Context, turn int) {
	w, err := webWireTo(r.server)
	if err != nil {
		r.tally.fall("no connection for a stream: %v", err)
		return
	}
	defer w.Close()
	stop := context.AfterFunc(ctx, func() { w.Close() })
	defer stop()
	keys := r.attackerKeys()
	q := webRequest{method: "POST", target: "/v1/resources:import", key: keys[turn/len(streamEnds)%len(keys)],
		headers: []string{"Transfer-Encoding: chunked", "Content-Type: application/x-ndjson"}}
	end := streamEnds[turn%len(streamEnds)]
	if end.target != "" {
		q.target = end.target
	}
	if end.watch {
		q.method, q.headers = "GET", nil
	}
	r.tally.calls.Add(1)
	if w.say(q.text()) != nil {
		return
	}
	for i := 0; ctx.Err() == nil; i++ {
		if text := end.say(i); text == "" || w.say(text) != nil {
			break
		}
		time.Sleep(end.pause)
	}
	select {
	case <-ctx.Done():
	case <-time.After(r.share / 3): // then begin again
	}
}

// streamEnd is how a stream is left: say returns what goes over the connection next, and "" when nothing does.
type streamEnd struct {
	target string // the upload's when empty
	watch  bool
	pause  time.Duration
	say    func(i int) string
}

// streamedLine returns a line as a chunk of a body.
func streamedLine(line string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(line), line) }

const heldRow = `{"advertiser":{"name":"advertisers/attacker","display_name":"left"}}`

// once says a text and nothing after it.
func once(text string) func(int) string {
	return func(i int) string {
		if i > 0 {
			return ""
		}
		return text
	}
}

var streamEnds = []streamEnd{
	{say: once("")},                               // before the first line
	{say: once(streamedLine(heldRow[:20]))},       // within a line
	{say: once("fffff\r\n" + heldRow[:20])},       // within a chunk
	{say: once("ff")},                             // within a chunk's size
	{say: once(streamedLine(heldRow + "\n"))},     // after a line
	{say: once(streamedLine("garbage\n{}\n[[["))}, // after lines that are none
	{pause: 10 * time.Millisecond, say: func(i int) string { // a byte at a time, without an end of the line
		return streamedLine(string(heldRow[i%len(heldRow)]))
	}},
	{pause: time.Millisecond, say: func(int) string { // rows whose outcomes nobody reads
		return streamedLine(strings.Repeat(heldRow+"\n", 100))
	}},
	{pause: time.Millisecond, say: func(int) string { return streamedLine(strings.Repeat("\n", 1000)) }}, // blank lines
	{pause: time.Millisecond, say: func(int) string { return streamedLine(strings.Repeat("x", 60_000)) }},
	{target: "/v1/events:stream", say: once(streamedLine(`{"batch":1,"events":[`))},
	{target: "/v1/events:stream", pause: time.Millisecond, say: func(i int) string {
		return streamedLine(fmt.Sprintf(`{"batch":%d,"events":[{"kind":"EVENT_KIND_CLICK","token":"x","event_id":"%d"}]}`+"\n",
			i, i))
	}},
	{target: "/v1/alerts:watch?parent=advertisers/-", watch: true, say: once("")},
	{target: "/v1/alerts:watch?parent=advertisers/attacker", watch: true, say: once("")},
}
