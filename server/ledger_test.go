package server

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/receipt"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestMoneyIsReadAndMovedOverTheNetwork(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	client := pb.NewLedgerServiceClient(conn)
	charge := mustClick(t, conn)
	top := &pb.CreateTopUpRequest{Parent: "advertisers/a", RequestId: "1", AmountMicros: 5_000_000, Note: "cash"}
	first, err := client.CreateTopUp(t.Context(), top)
	if err != nil || first.GetBalanceMicros() != 5_000_000 || first.GetBilling() != pb.Billing_BILLING_PREPAID ||
		first.GetType() != pb.MovementType_MOVEMENT_TYPE_TOP_UP || first.GetPrincipal() != "operator" ||
		len(first.GetChainHash()) != 32 {
		t.Errorf("%v, %v", first, err)
	}
	again, err := client.CreateTopUp(t.Context(), top)
	if err != nil || !again.GetRepeatedAnswer() || again.GetSequence() != first.GetSequence() {
		t.Errorf("%v, %v", again, err)
	}
	withdrawn, err := client.CreateWithdrawal(t.Context(),
		&pb.CreateWithdrawalRequest{AdvertiserUid: first.GetAdvertiserUid(),
			RequestId: "2", AmountMicros: 1_000_000})
	if err != nil || withdrawn.GetBalanceMicros() != 4_000_000 {
		t.Errorf("%v, %v", withdrawn, err)
	}
	credit, err := client.CreateCredit(t.Context(), &pb.CreateCreditRequest{Parent: "advertisers/a", RequestId: "3",
		Reason: "a wrong click", Charges: []*pb.CreditedCharge{{Sequence: charge.GetSequence()}}})
	if err != nil || credit.GetAmountMicros() != clickPrice {
		t.Errorf("%v, %v", credit, err)
	}
	billing, err := client.SetBilling(t.Context(), &pb.SetBillingRequest{Name: "advertisers/a", RequestId: "4",
		Billing: pb.Billing_BILLING_POSTPAID})
	if err != nil || billing.GetBilling() != pb.Billing_BILLING_POSTPAID {
		t.Errorf("%v, %v", billing, err)
	}
	balance, err := client.GetAdvertiserBalance(t.Context(), &pb.GetAdvertiserBalanceRequest{Name: "advertisers/a"})
	if err != nil || balance.GetToppedUpMicros() != 5_000_000 || balance.GetWithdrawnMicros() != 1_000_000 ||
		balance.GetChargedMicros() != clickPrice || balance.GetCreditedMicros() != clickPrice ||
		balance.GetBalanceMicros()-balance.GetOwedMicros() != 4_000_000 {
		t.Errorf("%v, %v", balance, err)
	}
	statement, err := client.GetStatement(t.Context(), &pb.GetStatementRequest{Name: "advertisers/a",
		Month: first.GetLocalDate()[:7]})
	if err != nil || statement.GetClosingMicros() != 4_000_000 || !statement.GetOpen() ||
		len(statement.GetCampaigns()) != 1 || statement.GetCurrency() != "CNY" {
		t.Errorf("%v, %v", statement, err)
	}
}

func TestChargesAndCampaignsAreListedInPages(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	client := pb.NewLedgerServiceClient(conn)
	const charges = 5
	for range charges {
		mustClick(t, conn)
	}
	r := &pb.ListChargesRequest{Name: adCampaign, PageSize: 2}
	var got []*pb.Charge
	for {
		page, err := client.ListCharges(t.Context(), r)
		if err != nil || len(page.GetCharges()) > 2 {
			t.Fatal(page, err)
		}
		got = append(got, page.GetCharges()...)
		if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
			break
		}
	}
	for i, c := range got {
		if c.GetChargedMicros() != clickPrice || c.GetCampaign() != adCampaign || i > 0 &&
			c.GetSequence() <= got[i-1].GetSequence() {
			t.Errorf("charge %d: %v", i, c)
		}
	}
	if len(got) != charges {
		t.Errorf("%d charges", len(got))
	}
	list, err := client.ListCampaignSpend(t.Context(), &pb.ListCampaignSpendRequest{Parent: "advertisers/-",
		Order: pb.CampaignSpendOrder_CAMPAIGN_SPEND_ORDER_SPENT_TODAY})
	if err != nil || len(list.GetCampaigns()) != 1 || list.GetCampaigns()[0].GetToday().GetClicks() != charges ||
		list.GetFilledSlots() != charges || list.GetRequestedSlots() != charges*hexbid.DefaultSlots ||
		list.GetCampaigns()[0].GetHours() != nil {
		t.Errorf("%v, %v", list, err)
	}
	r2, err := client.GetReceipt(t.Context(), &pb.GetReceiptRequest{Sequence: got[0].GetSequence()})
	if err != nil || !r2.GetPending() || r2.GetAward().GetPriceMicros() != clickPrice ||
		r2.GetAward().GetPriceSetBy() != "reserve" || r2.GetFile() != nil {
		t.Errorf("%v, %v", r2, err)
	}
	if roots, err := client.ListRoots(t.Context(), new(pb.ListRootsRequest)); err != nil || len(roots.GetRoots()) != 0 {
		t.Errorf("%v, %v", roots, err)
	}
}

func TestWrongRequestsOfTheLedgerNameTheField(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	client := pb.NewLedgerServiceClient(s.dial(t))
	never := &timestamppb.Timestamp{Seconds: 1 << 62}
	for field, call := range map[string]func() error{
		"name": func() error {
			_, err := client.GetCampaignSpend(t.Context(), new(pb.GetCampaignSpendRequest))
			return err
		},
		"order": func() error {
			_, err := client.ListCampaignSpend(t.Context(), &pb.ListCampaignSpendRequest{Parent: "advertisers/-", Order: 9})
			return err
		},
		"parent": func() error {
			_, err := client.ListCampaignSpend(t.Context(), new(pb.ListCampaignSpendRequest))
			return err
		},
		"page_size": func() error {
			_, err := client.ListCharges(t.Context(), &pb.ListChargesRequest{Name: adCampaign, PageSize: 1001})
			return err
		},
		"page_token": func() error {
			_, err := client.ListCharges(t.Context(), &pb.ListChargesRequest{Name: adCampaign, PageToken: "00"})
			return err
		},
		"page_token: ": func() error {
			_, err := client.ListCampaignSpend(t.Context(), &pb.ListCampaignSpendRequest{Parent: "advertisers/-",
				PageToken: "1", Order: pb.CampaignSpendOrder_CAMPAIGN_SPEND_ORDER_SPENT_TODAY})
			return err
		},
		"start_time": func() error {
			_, err := client.ListRoots(t.Context(), &pb.ListRootsRequest{StartTime: never})
			return err
		},
		"end_time": func() error {
			_, err := client.ListCharges(t.Context(), &pb.ListChargesRequest{Name: adCampaign, EndTime: never})
			return err
		},
		"month": func() error {
			_, err := client.GetStatement(t.Context(), &pb.GetStatementRequest{Name: "advertisers/a", Month: "2026"})
			return err
		},
		"sequence": func() error {
			_, err := client.GetReceipt(t.Context(), new(pb.GetReceiptRequest))
			return err
		},
		"billing": func() error {
			_, err := client.SetBilling(t.Context(), &pb.SetBillingRequest{Name: "advertisers/a", RequestId: "r"})
			return err
		},
		"amount_micros": func() error {
			_, err := client.CreateTopUp(t.Context(), &pb.CreateTopUpRequest{Parent: "advertisers/a", RequestId: "r"})
			return err
		},
		"request_id": func() error {
			_, err := client.CreateWithdrawal(t.Context(), &pb.CreateWithdrawalRequest{Parent: "advertisers/a",
				AmountMicros: 1})
			return err
		},
		"reason": func() error {
			_, err := client.CreateCredit(t.Context(), &pb.CreateCreditRequest{Parent: "advertisers/a", RequestId: "r",
				Charges: []*pb.CreditedCharge{{Sequence: 1}}})
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.InvalidArgument ||
			!strings.Contains(err.Error(), strings.TrimSuffix(field, ": ")) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := client.CreateBackup(t.Context(), &pb.CreateBackupRequest{Directory: "/nowhere"}); status.Code(err) !=
		codes.Unavailable {
		t.Errorf("a backup of a market in memory: %v", err)
	}
}

func TestAlertsAreWatchedOverTheNetwork(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	campaigns := pb.NewCampaignServiceClient(conn)
	c, err := campaigns.GetCampaign(t.Context(), &pb.GetCampaignRequest{Name: adCampaign})
	if err != nil {
		t.Fatal(err)
	}
	c.TotalBudgetMicros = c.GetDailyBudgetMicros()
	c.BidMicros, c.DailyBudgetMicros = clickPrice, clickPrice
	if _, err := campaigns.UpdateCampaign(t.Context(), &pb.UpdateCampaignRequest{Campaign: c}); err != nil {
		t.Fatal(err)
	}
	watch, err := pb.NewLedgerServiceClient(conn).WatchAlerts(t.Context(), new(pb.WatchAlertsRequest))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || !r.GetCaughtUp() || len(r.GetAlerts()) != 0 {
		t.Fatal(r, err)
	}
	if n := s.gates[reading].working.Load(); n != 0 {
		t.Errorf("an open watch counts as %d reads", n)
	}
	mustClick(t, conn)
	var thresholds []int64
	for len(thresholds) < 2 {
		r, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range r.GetAlerts() {
			if a.GetType() != pb.AlertType_ALERT_TYPE_DAILY_BUDGET || a.GetCampaign() != adCampaign ||
				a.GetAdvertiser() != "advertisers/a" || a.GetAmountMicros() != clickPrice || a.GetRaiseTime() == nil {
				t.Errorf("%v", a)
			}
			thresholds = append(thresholds, a.GetThresholdPpm())
		}
	}
	if !reflect.DeepEqual(thresholds, []int64{800_000, 1_000_000}) {
		t.Errorf("%v", thresholds)
	}
}

// TestEveryFieldOfWhatReceiptsTellIsSet fills what package receipt reads, and looks for fields of messages that it
// does not reach.
func TestEveryFieldOfWhatReceiptsTellIsSet(t *testing.T) {
	var charge receipt.Charge
	fillAll(reflect.ValueOf(&charge).Elem())
	charge.Event = new(fold.Event)
	fillAll(reflect.ValueOf(charge.Event).Elem())
	charge.Event.Award.Basis.Mechanism, charge.SetBy = hexbid.MechanismVCG, auction.SetByNext
	r := &exchange.Receipt{Receipt: &receipt.Receipt{Charge: charge, Proof: new(receipt.Proof), Root: new(receipt.Root)},
		Campaign: "c", Currency: "CNY"}
	fillAll(reflect.ValueOf(r.Proof).Elem())
	fillAll(reflect.ValueOf(r.Root).Elem())
	message, err := receiptMessage(r)
	if err != nil {
		t.Fatal(err)
	}
	var read receipt.Statement
	fillAll(reflect.ValueOf(&read).Elem())
	statement := &exchange.Statement{Statement: &read, Deleted: true, Billing: hexbid.Prepaid, Open: true,
		Gone: map[hexbid.UID]bool{read.Campaigns[0].Campaign: true}, OtherUIDs: []hexbid.UID{1}, Currency: "CNY", Zone: "UTC"}
	for _, m := range []proto.Message{message, statementMessage(statement)} {
		if unset := firstUnset(m.ProtoReflect(), string(m.ProtoReflect().Descriptor().Name())); unset != "" &&
			unset != "Receipt.pending" {
			t.Errorf("%s is mapped from nothing", unset)
		}
	}
}

// fillAll sets every field of a value, but for pointers.
func fillAll(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fillAll(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillAll(v.Index(0))
	case reflect.Array:
		for i := range v.Len() {
			fillAll(v.Index(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	}
}

// firstUnset is the path of a field without a value. A receipt's pending is unset in one with a path.
func firstUnset(m protoreflect.Message, path string) string {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		at, unset := path+"."+string(field.Name()), ""
		switch {
		case at == "Receipt.pending":
		case !m.Has(field):
			return at
		case field.Message() == nil || field.Message().FullName() == "google.protobuf.Timestamp":
		case field.IsList():
			unset = firstUnset(m.Get(field).List().Get(0).Message(), at)
		default:
			unset = firstUnset(m.Get(field).Message(), at)
		}
		if unset != "" {
			return unset
		}
	}
	return ""
}
