package server

import (
	"math"
	"sync/atomic"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// class is a kind of work. Each class has a limit of its own, so that no kind of caller can shut out another.
type class uint8

const (
	unclassed class = iota // health and reflection: answered from memory and never refused
	searching
	reading
	writing
	importing
	recording // events
	classCount
)

// classWords holds the names of classes in messages, metrics and flags.
var classWords = [classCount]string{"others", "searches", "reads", "writes", "imports", "events"}

// classOf maps every method of the contract to its class.
var classOf = map[string]class{
	pb.SearchService_SearchNearby_FullMethodName: searching,

	pb.CampaignService_GetAdvertiser_FullMethodName:   reading,
	pb.CampaignService_ListAdvertisers_FullMethodName: reading,
	pb.CampaignService_GetProgram_FullMethodName:      reading,
	pb.CampaignService_ListPrograms_FullMethodName:    reading,
	pb.CampaignService_GetPlace_FullMethodName:        reading,
	pb.CampaignService_ListPlaces_FullMethodName:      reading,
	pb.CampaignService_GetCampaign_FullMethodName:     reading,
	pb.CampaignService_ListCampaigns_FullMethodName:   reading,
	pb.CampaignService_ListRegions_FullMethodName:     reading,
	pb.CampaignService_Explain_FullMethodName:         reading,

	pb.CampaignService_CreateAdvertiser_FullMethodName: writing,
	pb.CampaignService_UpdateAdvertiser_FullMethodName: writing,
	pb.CampaignService_DeleteAdvertiser_FullMethodName: writing,
	pb.CampaignService_CreateProgram_FullMethodName:    writing,
	pb.CampaignService_UpdateProgram_FullMethodName:    writing,
	pb.CampaignService_DeleteProgram_FullMethodName:    writing,
	pb.CampaignService_CreatePlace_FullMethodName:      writing,
	pb.CampaignService_UpdatePlace_FullMethodName:      writing,
	pb.CampaignService_DeletePlace_FullMethodName:      writing,
	pb.CampaignService_CreateCampaign_FullMethodName:   writing,
	pb.CampaignService_UpdateCampaign_FullMethodName:   writing,
	pb.CampaignService_DeleteCampaign_FullMethodName:   writing,
	pb.CampaignService_ReviewPlace_FullMethodName:      writing,

	pb.CampaignService_Import_FullMethodName: importing,

	pb.MarketService_GetMarket_FullMethodName:    reading,
	pb.MarketService_UpdateMarket_FullMethodName: writing,

	pb.EventService_RecordEvents_FullMethodName: recording,
	pb.EventService_StreamEvents_FullMethodName: recording,

	pb.LedgerService_GetCampaignSpend_FullMethodName:     reading,
	pb.LedgerService_ListCampaignSpend_FullMethodName:    reading,
	pb.LedgerService_GetAdvertiserBalance_FullMethodName: reading,
	pb.LedgerService_GetStatement_FullMethodName:         reading,
	pb.LedgerService_ListCharges_FullMethodName:          reading,
	pb.LedgerService_GetReceipt_FullMethodName:           reading,
	pb.LedgerService_ListRoots_FullMethodName:            reading,
	pb.LedgerService_WatchAlerts_FullMethodName:          reading,
	pb.LedgerService_GetViewerHistory_FullMethodName:     reading,
	pb.LedgerService_ExportViewer_FullMethodName:         reading,

	pb.LedgerService_CreateTopUp_FullMethodName:        writing,
	pb.LedgerService_CreateWithdrawal_FullMethodName:   writing,
	pb.LedgerService_CreateCredit_FullMethodName:       writing,
	pb.LedgerService_SetBilling_FullMethodName:         writing,
	pb.LedgerService_CreateBackup_FullMethodName:       writing,
	pb.LedgerService_EraseViewerHistory_FullMethodName: writing,

	pb.AccessService_WhoAmI_FullMethodName:      reading,
	pb.AccessService_GetUser_FullMethodName:     reading,
	pb.AccessService_ListUsers_FullMethodName:   reading,
	pb.AccessService_GetClient_FullMethodName:   reading,
	pb.AccessService_ListClients_FullMethodName: reading,
	pb.AccessService_GetKey_FullMethodName:      reading,
	pb.AccessService_ListKeys_FullMethodName:    reading,

	pb.AccessService_CreateUser_FullMethodName:    writing,
	pb.AccessService_UpdateUser_FullMethodName:    writing,
	pb.AccessService_DeleteUser_FullMethodName:    writing,
	pb.AccessService_CreateClient_FullMethodName:  writing,
	pb.AccessService_UpdateClient_FullMethodName:  writing,
	pb.AccessService_DeleteClient_FullMethodName:  writing,
	pb.AccessService_CreateKey_FullMethodName:     writing,
	pb.AccessService_UpdateKey_FullMethodName:     writing,
	pb.AccessService_DeleteKey_FullMethodName:     writing,
	pb.AccessService_RotateKey_FullMethodName:     writing,
	pb.AccessService_SetMembership_FullMethodName: writing,

	pb.AuditService_ListChanges_FullMethodName: reading,
	pb.AuditService_GetChange_FullMethodName:   reading,
	pb.AuditService_UndoChange_FullMethodName:  writing,

	healthpb.Health_Check_FullMethodName: unclassed,
	healthpb.Health_List_FullMethodName:  unclassed,
}

// smallRequestBytes bounds a request that carries no resource.
const smallRequestBytes = 64 << 10

// eventRequestBytes bounds a request of events. It has room for hexbid.MaxEvents of them with the longest tokens that
// the server issues and the longest event ids.
const eventRequestBytes = 1 << 20

// gate counts the requests of a class that are being worked on. A request counts from its whole arrival until its
// answer. An open call without a request counts nowhere.
type gate struct {
	class    class
	limit    int64
	maxBytes int   // of one request
	memory   *room // shared with other classes; nil for small requests
	working  atomic.Int64
	refused  atomic.Int64
}

// room bounds the bytes of requests that are worked on at once.
type room struct {
	limit int64
	taken atomic.Int64
}

// take reserves so many bytes if they are free.
func (r *room) take(bytes int) bool {
	if r == nil || r.taken.Add(int64(bytes)) <= r.limit {
		return true
	}
	r.taken.Add(-int64(bytes))
	return false
}

func (r *room) give(bytes int) {
	if r != nil {
		r.taken.Add(-int64(bytes))
	}
}

func (s *Server) openGates() {
	l := &s.config.Limits
	large := &room{limit: l.WorkingBytes}
	s.gates = [classCount]gate{
		unclassed: {limit: math.MaxInt64, maxBytes: s.config.MaxRequestBytes},
		searching: {limit: int64(l.Searches), maxBytes: smallRequestBytes},
		reading:   {limit: int64(l.Reads), maxBytes: smallRequestBytes},
		writing:   {limit: int64(l.Writes), maxBytes: s.config.MaxRequestBytes, memory: large},
		importing: {limit: int64(l.Imports), maxBytes: s.config.MaxRequestBytes, memory: large},
		recording: {limit: int64(l.Events), maxBytes: min(eventRequestBytes, s.config.MaxRequestBytes),
			memory: &room{limit: l.EventBytes}},
	}
	for i := range s.gates {
		s.gates[i].class = class(i)
	}
}

// enter counts a request of so many bytes. Unless it returns an error, leave must follow with the same number.
func (g *gate) enter(bytes int) error {
	if bytes > g.maxBytes {
		return hexbid.Invalidf("", "the request has %d bytes: send at most %d", bytes, g.maxBytes)
	}
	if !g.memory.take(bytes) {
		g.refused.Add(1)
		return hexbid.Errorf(hexbid.Exhausted, "",
			"%d MiB of %s and their like are being worked on, the most at once: back off and try again",
			g.memory.limit>>20, classWords[g.class])
	}
	if g.working.Add(1) > g.limit {
		g.working.Add(-1)
		g.memory.give(bytes)
		g.refused.Add(1)
		return hexbid.Errorf(hexbid.Exhausted, "",
			"%d %s are being worked on, the most at once (--max-%s): back off and try again",
			g.limit, classWords[g.class], classWords[g.class])
	}
	return nil
}

func (g *gate) leave(bytes int) {
	g.working.Add(-1)
	g.memory.give(bytes)
}
