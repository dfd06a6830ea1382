package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// attempt is a call about what is not the caller's.
type attempt struct {
	name  string
	reads bool
	call  func(context.Context, *grpc.ClientConn) error
}

// unaryAttempt makes an attempt at a method with one message.
func unaryAttempt(method string, reads bool, request proto.Message) attempt {
	return attempt{method, reads, func(ctx context.Context, conn *grpc.ClientConn) error {
		return conn.Invoke(ctx, method, request, new(anyAnswer))
	}}
}

// anyAnswer takes any message: its fields are unknown ones.
type anyAnswer = pb.WhoAmIRequest

const marks = "advertisers/" + mark

// changesOfOthers returns calls that change what is the mark's, the operator's or the deployment's.
func changesOfOthers(change string) []attempt {
	campaign := campaignOf(mark, 0, &pb.Area{Everywhere: true})
	campaign.BidMicros = 1
	program := programRows(mark)[1].GetProgram()
	place := &pb.Place{Name: marks + "/programs/p/places/l0", Latitude: 2, Longitude: 2}
	requests := map[string]proto.Message{
		pb.CampaignService_CreateAdvertiser_FullMethodName: &pb.CreateAdvertiserRequest{AdvertiserId: "new",
			Advertiser: &pb.Advertiser{DisplayName: "n"}},
		pb.CampaignService_UpdateAdvertiser_FullMethodName: &pb.UpdateAdvertiserRequest{
			Advertiser: &pb.Advertiser{Name: marks, DisplayName: "taken"}},
		pb.CampaignService_DeleteAdvertiser_FullMethodName: &pb.DeleteAdvertiserRequest{Name: marks},
		pb.CampaignService_CreateProgram_FullMethodName: &pb.CreateProgramRequest{Parent: marks, ProgramId: "q",
			Program: program},
		pb.CampaignService_UpdateProgram_FullMethodName: &pb.UpdateProgramRequest{Program: program},
		pb.CampaignService_DeleteProgram_FullMethodName: &pb.DeleteProgramRequest{Name: program.GetName()},
		pb.CampaignService_CreatePlace_FullMethodName: &pb.CreatePlaceRequest{Parent: program.GetName(), PlaceId: "q",
			Place: place},
		pb.CampaignService_UpdatePlace_FullMethodName: &pb.UpdatePlaceRequest{Place: place},
		pb.CampaignService_DeletePlace_FullMethodName: &pb.DeletePlaceRequest{Name: place.GetName()},
		pb.CampaignService_ReviewPlace_FullMethodName: &pb.ReviewPlaceRequest{Name: place.GetName(),
			ReviewState: pb.ReviewState_REVIEW_STATE_HIDDEN},
		pb.CampaignService_CreateCampaign_FullMethodName: &pb.CreateCampaignRequest{Parent: marks, CampaignId: "q",
			Campaign: campaign},
		pb.CampaignService_UpdateCampaign_FullMethodName: &pb.UpdateCampaignRequest{Campaign: campaign},
		pb.CampaignService_DeleteCampaign_FullMethodName: &pb.DeleteCampaignRequest{Name: campaign.GetName()},
		pb.LedgerService_CreateTopUp_FullMethodName: &pb.CreateTopUpRequest{Parent: marks, RequestId: "q",
			AmountMicros: yuan},
		pb.LedgerService_CreateWithdrawal_FullMethodName: &pb.CreateWithdrawalRequest{Parent: marks, RequestId: "q",
			AmountMicros: yuan},
		pb.LedgerService_CreateCredit_FullMethodName: &pb.CreateCreditRequest{Parent: marks, RequestId: "q",
			AmountMicros: yuan, Reason: "goodwill"},
		pb.LedgerService_SetBilling_FullMethodName: &pb.SetBillingRequest{Name: marks, RequestId: "q",
			Billing: pb.Billing_BILLING_POSTPAID},
		pb.LedgerService_EraseViewerHistory_FullMethodName: &pb.EraseViewerHistoryRequest{UserKey: "somebody"},
		pb.LedgerService_CreateBackup_FullMethodName:       &pb.CreateBackupRequest{Directory: "/tmp/never"},
		pb.AuditService_UndoChange_FullMethodName:          &pb.UndoChangeRequest{Name: change},
	}
	for method, request := range changesOfIdentities() {
		requests[method] = request
	}
	list := []attempt{{pb.CampaignService_Import_FullMethodName, false, importForOthers}}
	for method, request := range requests {
		list = append(list, unaryAttempt(method, false, request))
	}
	return list
}

// changesOfIdentities returns calls that give rights, or take them from others.
func changesOfIdentities() map[string]proto.Message {
	return map[string]proto.Message{
		pb.AccessService_CreateUser_FullMethodName: &pb.CreateUserRequest{UserId: "new",
			User: &pb.User{Role: pb.Role_ROLE_OPERATOR}},
		pb.AccessService_UpdateUser_FullMethodName: &pb.UpdateUserRequest{
			User: &pb.User{Name: "users/" + rivalUser, Role: pb.Role_ROLE_OPERATOR}},
		pb.AccessService_DeleteUser_FullMethodName: &pb.DeleteUserRequest{Name: "users/operator"},
		pb.AccessService_CreateClient_FullMethodName: &pb.CreateClientRequest{ClientId: "new",
			Client: &pb.Client{SeesPrices: true}},
		pb.AccessService_UpdateClient_FullMethodName: &pb.UpdateClientRequest{
			Client: &pb.Client{Name: "clients/" + bystanderClient, Suspended: true}},
		pb.AccessService_DeleteClient_FullMethodName: &pb.DeleteClientRequest{Name: "clients/" + bystanderClient},
		pb.AccessService_CreateKey_FullMethodName: &pb.CreateKeyRequest{Parent: "users/operator", KeyId: "mine",
			Key: &pb.Key{}},
		pb.AccessService_DeleteKey_FullMethodName: &pb.DeleteKeyRequest{Name: "users/operator/keys/first"},
		pb.AccessService_RotateKey_FullMethodName: &pb.RotateKeyRequest{Name: "users/operator/keys/first", KeyId: "mine"},
		pb.AccessService_SetMembership_FullMethodName: &pb.SetMembershipRequest{Advertiser: marks,
			User: "users/" + rivalUser, Level: adminLevel},
		pb.MarketService_UpdateMarket_FullMethodName: &pb.UpdateMarketRequest{
			Market: &pb.Market{Name: "market", IncrementMicros: yuan}},
	}
}

// readsOfOthers returns calls that read what is the mark's.
func readsOfOthers() (list []attempt) {
	campaign := marks + "/campaigns/c0"
	for method, request := range map[string]proto.Message{
		pb.CampaignService_GetAdvertiser_FullMethodName:      &pb.GetAdvertiserRequest{Name: marks},
		pb.CampaignService_GetCampaign_FullMethodName:        &pb.GetCampaignRequest{Name: campaign},
		pb.CampaignService_Explain_FullMethodName:            &pb.ExplainRequest{Name: campaign, Request: fuzzedSearch()},
		pb.LedgerService_GetCampaignSpend_FullMethodName:     &pb.GetCampaignSpendRequest{Name: campaign},
		pb.LedgerService_GetAdvertiserBalance_FullMethodName: &pb.GetAdvertiserBalanceRequest{Name: marks},
	} {
		list = append(list, unaryAttempt(method, true, request))
	}
	return append(list, attempt{pb.AuditService_ListChanges_FullMethodName, true, historyOfOthers})
}

// historyOfOthers asks for the changes of what is the mark's. An empty list refuses it.
func historyOfOthers(ctx context.Context, conn *grpc.ClientConn) error {
	list, err := pb.NewAuditServiceClient(conn).ListChanges(ctx, &pb.ListChangesRequest{Owner: marks})
	if err == nil && len(list.GetChanges()) == 0 {
		return status.Error(codes.NotFound, "no changes")
	}
	return err
}

// importForOthers uploads a campaign of the mark. Its outcome is what the call ends with.
func importForOthers(ctx context.Context, conn *grpc.ClientConn) error {
	refusal := error(nil)
	err := victim.UntilTaken(ctx, func() error {
		return exchangeBatch(ctx, conn, []*pb.ImportRow{campaignRow(mark, 0, &pb.Area{Everywhere: true})},
			func(o *pb.ImportOutcome) {
				if code := o.GetError().GetCode(); code != "" {
					refusal = status.Error(codes.NotFound, code)
				}
			})
	})
	return cmp.Or(err, refusal)
}

// othersOf returns all that is not the rival's and not what bystanders change, as text by name.
func othersOf(ctx context.Context, conn *grpc.ClientConn) (map[string]string, error) {
	there := map[string]string{}
	campaigns, access := pb.NewCampaignServiceClient(conn), pb.NewAccessServiceClient(conn)
	lists := []error{
		keepAll(there, func(token string) ([]*pb.Advertiser, string, error) {
			page, err := campaigns.ListAdvertisers(ctx, &pb.ListAdvertisersRequest{PageToken: token})
			return page.GetAdvertisers(), page.GetNextPageToken(), err
		}),
		keepAll(there, func(token string) ([]*pb.Program, string, error) {
			page, err := campaigns.ListPrograms(ctx, &pb.ListProgramsRequest{Parent: "advertisers/-", PageToken: token})
			return page.GetPrograms(), page.GetNextPageToken(), err
		}),
		keepAll(there, func(token string) ([]*pb.Place, string, error) {
			page, err := campaigns.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: "advertisers/-/programs/-", PageToken: token})
			return page.GetPlaces(), page.GetNextPageToken(), err
		}),
		keepAll(there, func(token string) ([]*pb.Campaign, string, error) {
			page, err := campaigns.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/-",
				View: pb.View_VIEW_FULL, PageToken: token})
			return page.GetCampaigns(), page.GetNextPageToken(), err
		}),
		keepAll(there, func(token string) ([]*pb.User, string, error) {
			page, err := access.ListUsers(ctx, &pb.ListUsersRequest{PageToken: token})
			return page.GetUsers(), page.GetNextPageToken(), err
		}),
		keepAll(there, func(token string) ([]*pb.Client, string, error) {
			page, err := access.ListClients(ctx, &pb.ListClientsRequest{PageToken: token})
			return page.GetClients(), page.GetNextPageToken(), err
		}),
	}
	return there, errors.Join(append(lists, keepKeys(ctx, access, there), keepMoney(ctx, conn, there))...)
}

func keepAll[T interface {
	proto.Message
	GetName() string
}](there map[string]string, page func(token string) ([]T, string, error)) error {
	for record, err := range hexbid.Pages(page) {
		if err != nil {
			return err
		}
		if name := record.GetName(); !strings.HasPrefix(name, "advertisers/rival") &&
			!strings.HasPrefix(name, "advertisers/writer-") {
			there[name] = textOf(record)
		}
	}
	return nil
}

// textOf writes a message so that equal ones have equal texts.
func textOf(m proto.Message) string {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("%T: %v", m, err)) // cannot happen: it was just read
	}
	return string(bytes)
}

// keepKeys keeps the keys of all who have any. When a key was last used is left out.
func keepKeys(ctx context.Context, access pb.AccessServiceClient, there map[string]string) error {
	var owners []string
	for name := range there {
		if strings.HasPrefix(name, "users/") || strings.HasPrefix(name, "clients/") {
			owners = append(owners, name)
		}
	}
	for _, owner := range owners {
		list, err := access.ListKeys(ctx, &pb.ListKeysRequest{Parent: owner})
		if err != nil {
			return err
		}
		for _, key := range list.GetKeys() {
			key.LastUseTime = nil
			there[key.GetName()] = textOf(key)
		}
	}
	return nil
}

// keepMoney keeps the mark's balance and the rules of the market.
func keepMoney(ctx context.Context, conn *grpc.ClientConn, there map[string]string) error {
	balance, err := pb.NewLedgerServiceClient(conn).GetAdvertiserBalance(ctx,
		&pb.GetAdvertiserBalanceRequest{Name: marks})
	if err != nil {
		return err
	}
	there["the balance"] = fmt.Sprint(balance.GetBalanceMicros(), balance.GetOwedMicros(), balance.GetBilling())
	market, err := pb.NewMarketServiceClient(conn).GetMarket(ctx, &pb.GetMarketRequest{Name: "market"})
	if err == nil {
		market.InForce = nil // follows what is learned
		there["market"] = textOf(market)
	}
	return err
}

// compareOthers reports what is not as it was.
func compareOthers(before, after map[string]string, t *tally) {
	for name, was := range before {
		if now, there := after[name]; !there || now != was {
			t.fall("%s was changed by those who may not: it was %q, and is %q", name, was, now)
		}
	}
	for name := range after {
		if _, there := before[name]; !there {
			t.fall("%s was made by those who may not", name)
		}
	}
}
