package gateway

import (
	_ "embed"
	"net/http"

	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// handler is a handler of our own. It returns an error instead of answering with it.
type handler struct {
	answer func(http.ResponseWriter, *http.Request) error
	open   bool // asks for no principal
}

// Lines describes a stream of the contract that is JSON lines over HTTP. /openapi.json has it too.
type Lines struct {
	Method, Path string
	RPC          string        // full name, as in "/hexbid.v1.CampaignService/Import"
	Query        proto.Message // whose fields, but those that are in lines, the query may set
	Line, Answer proto.Message // of a line each way; Line is nil when the body is empty
	About        string
	handle       func(*Gateway, http.ResponseWriter, *http.Request) error
}

// Streams lists the streams.
var Streams = []Lines{
	{Method: http.MethodPost, Path: "/v1/resources:import", RPC: pb.CampaignService_Import_FullMethodName,
		Query: &pb.ImportRequest{}, Line: &pb.ImportRow{}, Answer: &pb.ImportOutcome{}, handle: (*Gateway).importRows,
		About: "A line is a row, and its answer the row's outcome, in the same order. A row without a number gets the " +
			"line's. A line that is no row is rejected, and those after it count."},
	{Method: http.MethodPost, Path: "/v1/events:stream", RPC: pb.EventService_StreamEvents_FullMethodName,
		Line: &pb.StreamEventsRequest{}, Answer: &pb.StreamEventsResponse{}, handle: (*Gateway).streamEvents,
		About: "A line is a batch of events, and its answer what became of them."},
	{Method: http.MethodGet, Path: "/v1/alerts:watch", RPC: pb.LedgerService_WatchAlerts_FullMethodName,
		Query: &pb.WatchAlertsRequest{}, Answer: &pb.WatchAlertsResponse{}, handle: (*Gateway).watchAlerts,
		About: "A line comes when alerts are raised or cleared, until the caller ends it. " +
			"After two hours of a connection the stream ends with UNAVAILABLE: open it again."},
}

// ownHandlers returns our own handlers by "METHOD path".
func (g *Gateway) ownHandlers() map[string]handler {
	own := map[string]handler{
		"POST /v1/nearby:search": {answer: g.search},
		"GET /metrics":           {answer: g.metrics},
	}
	for path, answer := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/healthz": g.alive, "/readyz": g.ready, "/openapi.json": document} {
		own["GET "+path] = handler{answer: answer, open: true}
		own["HEAD "+path] = handler{answer: answer, open: true}
	}
	for _, s := range Streams {
		own[s.Method+" "+s.Path] = handler{answer: func(w http.ResponseWriter, r *http.Request) error {
			return s.handle(g, w, r)
		}}
	}
	if g.config.Profiles {
		addProfiles(own)
	}
	return own
}

// OpenAPI is the document that /openapi.json serves.
//
//go:embed openapi.json
var OpenAPI []byte

func document(w http.ResponseWriter, _ *http.Request) error {
	send(w, OpenAPI)
	return nil
}
