package server

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid/exchange"
)

// Lists whose entries are numbered go from page to page by the number of an entry. Lists of resources go by name
// (list.go).

// paged is a request for a page.
type paged interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
}

// position is where a page begins, and how long it is.
type position struct {
	after uint64 // number of the last entry before the page; 0 for the first page
	size  int
}

// pageAfter reads the page token of a list whose entries are numbered.
func pageAfter(ctx context.Context, e *exchange.Exchange, r paged) (p position, err error) {
	size, err := pageSize(r.GetPageSize())
	p.size = int(size)
	if err != nil || r.GetPageToken() == "" {
		return p, err
	}
	text, err := e.OpenPosition(ctx, listOf(r), r.GetPageToken())
	if err != nil {
		return p, err
	}
	if p.after, err = strconv.ParseUint(text, 16, 64); err != nil {
		return p, fmt.Errorf("a page token that was sealed here: %w", err)
	}
	return p, nil
}

// tokenAfter returns the token of the page after a number, "" for 0. All tokens of a list have one length, because the
// number of digits would tell how much others do.
func tokenAfter(ctx context.Context, e *exchange.Exchange, r paged, number uint64) string {
	if number == 0 {
		return ""
	}
	return e.SealPosition(ctx, listOf(r), fmt.Sprintf("%016x", number))
}

// listOf describes all that decides the list that a request is about.
func listOf(r paged) string {
	of := proto.Clone(r)
	for _, field := range []protoreflect.Name{"page_size", "page_token"} {
		of.ProtoReflect().Clear(of.ProtoReflect().Descriptor().Fields().ByName(field))
	}
	encoded, _ := proto.MarshalOptions{Deterministic: true}.Marshal(of) // it was decoded from the wire
	return string(of.ProtoReflect().Descriptor().Name()) + " " + string(encoded)
}
