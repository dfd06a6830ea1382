package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// httpLengths sends requests whose length can be read in two ways, with another request where one of the readings ends.
// A server in front of this one could take it for a part of the first. It has a good credential, so it would succeed;
// it must never run.
func httpLengths(ctx context.Context, r *round) error {
	err := r.inTurn(ctx, len(ambiguous), func(_ context.Context, i int) {
		r.smuggle(ambiguous[i%len(ambiguous)])
	})
	if err != nil {
		return err
	}
	return r.judgeUnmade(ctx, smuggledID)
}

// smuggledID names what the hidden request would make.
const smuggledID = "smuggled"

// smuggle sends one such request. At most one answer may come, and the connection must end.
func (r *round) smuggle(a ambiguity) {
	w, err := webWireTo(r.server)
	if err != nil {
		r.tally.fall("%s: no connection: %v", a.name, err)
		return
	}
	defer w.Close()
	hidden := webRequest{method: "POST", target: "/v1/advertisers?advertiser_id=" + smuggledID,
		key: r.server.Key(""), body: `{"display_name":"S"}`}.text()
	first := webRequest{method: "POST", target: "/v1/nearby:search", key: r.server.Key("")}.text()
	head := strings.TrimSuffix(first, "\r\n") + jsonBody + "\r\n"
	r.tally.calls.Add(1)
	_ = w.say(a.of(head, hidden))
	_ = w.Conn.(*net.TCPConn).CloseWrite() // nothing more comes, so the server answers what it takes for requests
	_ = w.SetReadDeadline(time.Now().Add(victim.Patience))
	got, err := io.ReadAll(w.answers) // a reset is an end too
	if err != nil && isTimeout(err) {
		r.tally.fall("%s: the connection stays open", a.name)
	}
	if n := strings.Count(string(got), "HTTP/1."); n > 1 {
		r.tally.fall("%s: %d answers to one request: %.300s", a.name, n, got)
	}
}

// judgeUnmade reports an advertiser that only an attacker could have made.
func (r *round) judgeUnmade(ctx context.Context, id string) error {
	conn, err := r.server.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	_, err = pb.NewCampaignServiceClient(conn).GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: "advertisers/" + id})
	switch status.Code(err) {
	case codes.NotFound:
		return nil
	case codes.OK:
		r.tally.fall("advertisers/%s was made", id)
		return nil
	}
	return err
}

// ambiguity is a request whose end is in doubt. head are the request's line and headers, without the empty line.
type ambiguity struct {
	name string
	of   func(head, hidden string) string
}

// searched is the body of the first request.
const searched = `{"location":{"latitude":1,"longitude":1}}`

var ambiguous = []ambiguity{
	stated("a length and chunks", "Content-Length: %d\r\nTransfer-Encoding: chunked"),
	stated("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: %d"),
	stated("two encodings", "Content-Length: %d\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
	stated("a list of encodings", "Content-Length: %d\r\nTransfer-Encoding: identity, chunked"),
	stated("an encoding of another name", "Content-Length: %d\r\nTransfer-Encoding: xchunked"),
	stated("an encoding with a tab", "Content-Length: %d\r\nTransfer-Encoding: \x0bchunked"),
	stated("a space before the colon", "Content-Length: %d\r\nTransfer-Encoding : chunked"),
	stated("a folded encoding", "Content-Length: %d\r\nTransfer-Encoding:\r\n chunked"),
	long("two lengths", "Content-Length: %d\r\nContent-Length: %d"),
	long("a list of lengths", "Content-Length: %d, %d"),
	plainly("a signed length", "Content-Length: +%d"),
	plainly("a length in hexadecimal", "Content-Length: 0x%x"),
	plainly("a length with a comma", "Content-Length: %d,"),
	plainly("a length below zero", "Content-Length: -%d"),
	plainly("a length with an underscore", "Content-Length: %d_0"),
	plainly("two hosts", "Host: evil\r\nContent-Length: %d"),
	chunked("a chunk of a wrong size", "2\r\n"+searched+"\r\n0\r\n\r\n"),
	chunked("a chunk's size with a space", fmt.Sprintf(" %x\r\n", len(searched))+searched+"\r\n0\r\n\r\n"),
	chunked("a chunk's size below zero", fmt.Sprintf("-%x\r\n", len(searched))+searched+"\r\n0\r\n\r\n"),
	chunked("a chunk too large to count", "fffffffffffffffff\r\n"+searched),
	chunked("a chunk that ends in a newline alone", fmt.Sprintf("%x\n%s\n0\n\n", len(searched), searched)),
	chunked("a chunk with a long extension", fmt.Sprintf("%x;%s\r\n%s\r\n0\r\n\r\n", len(searched),
		strings.Repeat("e", 60_000), searched)),
	chunked("a trailer that states a length", fmt.Sprintf("%x\r\n%s\r\n0\r\nContent-Length: 5\r\n\r\n", len(searched),
		searched)),
	{"HTTP/1.0 and chunks", func(head, hidden string) string {
		return strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(searched), searched) + hidden
	}},
	{"a body of a GET", func(_, hidden string) string {
		return fmt.Sprintf("GET /v1/regions HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n", ownHost, len(hidden)) + hidden
	}},
	{"the preface of HTTP/2", func(_, hidden string) string { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden }},
	{"a tunnel", func(_, hidden string) string {
		return "CONNECT localhost:1 HTTP/1.1\r\n" + ownHost + "\r\n\r\n" + hidden
	}},
	{"an upgrade", func(_, hidden string) string {
		return fmt.Sprintf("POST /v1/nearby:search HTTP/1.1\r\n%s\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"+
			"HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: %d\r\n\r\n", ownHost, len(hidden)) + hidden
	}},
}

// stated returns a body in chunks of which a header states another length: that of the hidden request too.
func stated(name, header string) ambiguity {
	return ambiguity{name, func(head, hidden string) string {
		return head + fmt.Sprintf(header, len(hidden)+5) + "\r\n\r\n0\r\n\r\n" + hidden
	}}
}

// long returns a body with two lengths, of which one has the hidden request in it.
func long(name, header string) ambiguity {
	return ambiguity{name, func(head, hidden string) string {
		return head + fmt.Sprintf(header, len(searched), len(searched+hidden)) + "\r\n\r\n" + searched + hidden
	}}
}

// plainly returns a body with a length that is written oddly.
func plainly(name, header string) ambiguity {
	return ambiguity{name, func(head, hidden string) string {
		return head + fmt.Sprintf(header, len(searched)) + "\r\n\r\n" + searched + hidden
	}}
}

// chunked returns a body in chunks that are written oddly.
func chunked(name, chunks string) ambiguity {
	return ambiguity{name, func(head, hidden string) string {
		return head + "Transfer-Encoding: chunked\r\n\r\n" + chunks + hidden
	}}
}
