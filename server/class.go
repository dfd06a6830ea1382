package server

import (
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

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
