package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
)

// A generated handler leaves the query alone where no field can be in it. unread is a name in every query that
// queries.Parse takes out, so that whoever makes the call sees whether the query was read.
const unread = "\x00"

type queryKey struct{} // of the query in a request's context

// withQuery returns a request whose query can be told unread.
func withQuery(r *http.Request) (*http.Request, error) {
	if r.URL.RawQuery == "" {
		return r, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("query", "it is malformed: %s", hexbid.Shorten(err.Error()))
	}
	query[unread] = nil
	r = r.WithContext(context.WithValue(r.Context(), queryKey{}, query))
	r.Form = query
	return r, nil
}

// reading refuses calls of methods that have left a query unread.
type reading struct{ grpc.ClientConnInterface }

// Invoke implements grpc.ClientConnInterface.
func (c reading) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	if err := mustBeRead(ctx); err != nil {
		return err
	}
	return c.ClientConnInterface.Invoke(ctx, method, request, reply, options...)
}

// NewStream implements grpc.ClientConnInterface.
func (c reading) NewStream(ctx context.Context, d *grpc.StreamDesc, method string,
	options ...grpc.CallOption) (grpc.ClientStream, error) {
	if err := mustBeRead(ctx); err != nil {
		return nil, err
	}
	return c.ClientConnInterface.NewStream(ctx, d, method, options...)
}

func mustBeRead(ctx context.Context) error {
	query, _ := ctx.Value(queryKey{}).(url.Values)
	if _, left := query[unread]; left {
		return malformed("query", "this method takes its fields in the path and the body: leave the query out")
	}
	return nil
}

// queries reads the fields of a request from its URL. It refuses what the request does not have, and what the path or
// the body says already.
type queries struct{ runtime.DefaultQueryParser }

// Parse implements runtime.QueryParameterParser.
func (q queries) Parse(m proto.Message, values url.Values, elsewhere *utilities.DoubleArray) error {
	delete(values, unread)
	for name := range values {
		path, err := fieldPath(m.ProtoReflect().Descriptor(), name)
		if err != nil {
			return fieldError{hexbid.Shorten(name), err.Error()}
		}
		if elsewhere.HasCommonPrefix(path) {
			return fieldError{hexbid.Shorten(name), "is given by the path or the body already: leave it out of the query"}
		}
	}
	if err := q.DefaultQueryParser.Parse(m, values, elsewhere); err != nil {
		return fieldError{"query", hexbid.Shorten(err.Error())}
	}
	return nil
}

// fieldPath returns the fields that a name such as "update_mask" or "campaign.area" leads through.
func fieldPath(d protoreflect.MessageDescriptor, name string) (path []string, err error) {
	for part := range strings.SplitSeq(name, ".") {
		if d == nil {
			return nil, errors.New("has no fields of its own")
		}
		f := d.Fields().ByTextName(part)
		if f == nil {
			f = d.Fields().ByJSONName(part)
		}
		if f == nil {
			return nil, errors.New("is no field of this method: see /openapi.json")
		}
		path, d = append(path, string(f.Name())), f.Message()
	}
	return path, nil
}
