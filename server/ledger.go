package server

import (
	"cmp"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger/receipt"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

type ledgerService struct {
	pb.UnimplementedLedgerServiceServer
	server *Server
}

func (s *ledgerService) exchange() *exchange.Exchange { return s.server.exchange.Load() }

// named is a request that names an account by a name or a uid.
type named interface {
	GetName() string
	GetUid() uint64
}

func accountOf(r named) hexbid.Account {
	return hexbid.Account{Name: r.GetName(), UID: hexbid.UID(r.GetUid())}
}

// GetCampaignSpend implements pb.LedgerServiceServer.
func (s *ledgerService) GetCampaignSpend(ctx context.Context,
	r *pb.GetCampaignSpendRequest) (*pb.CampaignSpend, error) {
	spend, err := s.exchange().CampaignSpend(ctx, accountOf(r))
	if err != nil {
		return nil, err
	}
	return wire.FromCampaignSpend(spend), nil
}

// ListCampaignSpend implements pb.LedgerServiceServer.
func (s *ledgerService) ListCampaignSpend(ctx context.Context,
	r *pb.ListCampaignSpendRequest) (*pb.ListCampaignSpendResponse, error) {
	if pb.CampaignSpendOrder_name[int32(r.GetOrder())] == "" {
		return nil, hexbid.Invalidf("order", "%d is not a known value: use %d for UID or %d for SPENT_TODAY", r.GetOrder(),
			pb.CampaignSpendOrder_CAMPAIGN_SPEND_ORDER_UID, pb.CampaignSpendOrder_CAMPAIGN_SPEND_ORDER_SPENT_TODAY)
	}
	p, err := pageAfter(ctx, s.exchange(), r)
	if err != nil {
		return nil, err
	}
	q := exchange.SpendQuery{Advertiser: r.GetParent(), After: hexbid.UID(p.after), Limit: p.size,
		SpentToday:  r.GetOrder() == pb.CampaignSpendOrder_CAMPAIGN_SPEND_ORDER_SPENT_TODAY,
		ShowDeleted: r.GetShowDeleted()}
	if q.SpentToday && p.after != 0 {
		return nil, hexbid.Invalidf("page_token", "this order has one page: leave it out")
	}
	page, err := s.exchange().ListCampaignSpend(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &pb.ListCampaignSpendResponse{NextPageToken: tokenAfter(ctx, s.exchange(), r, uint64(page.Next)),
		AsOfTime: timestamppb.New(page.AsOf)}
	if fill := &s.server.metrics.fill; page.SeesAll {
		out.RequestedSlots, out.FilledSlots = fill.requested.Load(), fill.filled.Load()
	}
	for _, c := range page.Campaigns {
		out.Campaigns = append(out.Campaigns, wire.FromCampaignSpend(c))
	}
	return out, nil
}

// GetAdvertiserBalance implements pb.LedgerServiceServer.
func (s *ledgerService) GetAdvertiserBalance(ctx context.Context,
	r *pb.GetAdvertiserBalanceRequest) (*pb.AdvertiserBalance, error) {
	balance, err := s.exchange().AdvertiserBalance(ctx, accountOf(r))
	if err != nil {
		return nil, err
	}
	return wire.FromAdvertiserBalance(balance), nil
}

// CreateTopUp implements pb.LedgerServiceServer.
func (s *ledgerService) CreateTopUp(ctx context.Context, r *pb.CreateTopUpRequest) (*pb.Movement, error) {
	return movement(s.exchange().Transfer(ctx, wire.ToTopUp(r)))
}

// CreateWithdrawal implements pb.LedgerServiceServer.
func (s *ledgerService) CreateWithdrawal(ctx context.Context, r *pb.CreateWithdrawalRequest) (*pb.Movement, error) {
	return movement(s.exchange().Transfer(ctx, wire.ToWithdrawal(r)))
}

// CreateCredit implements pb.LedgerServiceServer.
func (s *ledgerService) CreateCredit(ctx context.Context, r *pb.CreateCreditRequest) (*pb.Movement, error) {
	return movement(s.exchange().Credit(ctx, wire.ToCredit(r)))
}

// SetBilling implements pb.LedgerServiceServer.
func (s *ledgerService) SetBilling(ctx context.Context, r *pb.SetBillingRequest) (*pb.Movement, error) {
	transfer, err := wire.ToBilling(r)
	if err != nil {
		return nil, err
	}
	return movement(s.exchange().Transfer(ctx, transfer))
}

func movement(m *hexbid.Movement, err error) (*pb.Movement, error) {
	if err != nil {
		return nil, err
	}
	return wire.FromMovement(m), nil
}

// GetStatement implements pb.LedgerServiceServer.
func (s *ledgerService) GetStatement(ctx context.Context, r *pb.GetStatementRequest) (*pb.Statement, error) {
	statement, err := s.exchange().Statement(ctx, accountOf(r), r.GetMonth())
	if err != nil {
		return nil, err
	}
	return statementMessage(statement), nil
}

// ListCharges implements pb.LedgerServiceServer.
func (s *ledgerService) ListCharges(ctx context.Context, r *pb.ListChargesRequest) (*pb.ListChargesResponse, error) {
	p, err := pageAfter(ctx, s.exchange(), r)
	if err != nil {
		return nil, err
	}
	start, end, err := spanOf(r)
	if err != nil {
		return nil, err
	}
	page, err := s.exchange().Charges(ctx, accountOf(r),
		receipt.ChargeQuery{After: p.after, Start: start, End: end, Limit: p.size})
	if err != nil {
		return nil, err
	}
	out := &pb.ListChargesResponse{NextPageToken: tokenAfter(ctx, s.exchange(), r, page.Next)}
	for i := range page.Charges {
		out.Charges = append(out.Charges, chargeMessage(&page.Charges[i], page.Campaign))
	}
	return out, nil
}

// GetReceipt implements pb.LedgerServiceServer.
func (s *ledgerService) GetReceipt(ctx context.Context, r *pb.GetReceiptRequest) (*pb.Receipt, error) {
	found, err := s.exchange().Receipt(ctx, r.GetSequence())
	if err != nil {
		return nil, err
	}
	return receiptMessage(found)
}

// ListRoots implements pb.LedgerServiceServer.
func (s *ledgerService) ListRoots(ctx context.Context, r *pb.ListRootsRequest) (*pb.ListRootsResponse, error) {
	p, err := pageAfter(ctx, s.exchange(), r)
	if err != nil {
		return nil, err
	}
	start, end, err := spanOf(r)
	if err != nil {
		return nil, err
	}
	if p.after != 0 {
		start = time.Unix(int64(p.after), 0)
	}
	page, err := s.exchange().Roots(ctx, start, end, p.size)
	if err != nil {
		return nil, err
	}
	out := new(pb.ListRootsResponse)
	if !page.Next.IsZero() {
		out.NextPageToken = tokenAfter(ctx, s.exchange(), r, uint64(page.Next.Unix()))
	}
	for i := range page.Roots {
		out.Roots = append(out.Roots, rootMessage(&page.Roots[i]))
	}
	return out, nil
}

// GetViewerHistory implements pb.LedgerServiceServer.
func (s *ledgerService) GetViewerHistory(ctx context.Context,
	r *pb.GetViewerHistoryRequest) (*pb.ViewerHistory, error) {
	history, err := s.exchange().ViewerHistory(ctx, r.GetUserKey())
	if err != nil {
		return nil, err
	}
	return wire.FromViewerHistory(history), nil
}

// ExportViewer implements pb.LedgerServiceServer.
func (s *ledgerService) ExportViewer(ctx context.Context, r *pb.ExportViewerRequest) (*pb.ExportViewerResponse,
	error) {
	page, err := s.exchange().ExportViewer(ctx, r.GetUserKey(), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return wire.FromViewerExport(page), nil
}

// EraseViewerHistory implements pb.LedgerServiceServer.
func (s *ledgerService) EraseViewerHistory(ctx context.Context,
	r *pb.EraseViewerHistoryRequest) (*pb.EraseViewerHistoryResponse, error) {
	if err := s.exchange().EraseViewerHistory(ctx, r.GetUserKey()); err != nil {
		return nil, err
	}
	return &pb.EraseViewerHistoryResponse{}, nil
}

// CreateBackup implements pb.LedgerServiceServer.
func (s *ledgerService) CreateBackup(ctx context.Context, r *pb.CreateBackupRequest) (*pb.Backup, error) {
	backup, err := s.exchange().Backup(ctx, r.GetDirectory())
	if err != nil {
		return nil, err
	}
	return wire.FromBackup(&backup), nil
}

// WatchAlerts implements pb.LedgerServiceServer.
func (s *ledgerService) WatchAlerts(r *pb.WatchAlertsRequest,
	stream grpc.ServerStreamingServer[pb.WatchAlertsResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	go func() {
		select {
		case <-s.server.draining:
			cancel(errDraining)
		case <-ctx.Done():
		}
	}()
	watch, err := s.exchange().WatchAlerts(ctx, cmp.Or(r.GetParent(), "advertisers/-"))
	for err == nil {
		var batch *exchange.AlertBatch
		if batch, err = watch.Next(ctx); err == nil {
			err = stream.Send(alertsMessage(batch))
		}
	}
	if cause := context.Cause(ctx); errors.Is(cause, errDraining) {
		return cause
	}
	return err
}

func alertsMessage(batch *exchange.AlertBatch) *pb.WatchAlertsResponse {
	out := &pb.WatchAlertsResponse{CaughtUp: batch.CaughtUp, Restarted: batch.Restarted}
	for i := range batch.Alerts {
		out.Alerts = append(out.Alerts, wire.FromAlert(&batch.Alerts[i]))
	}
	return out
}

// span is a request for entries of a time.
type span interface {
	GetStartTime() *timestamppb.Timestamp
	GetEndTime() *timestamppb.Timestamp
}

func spanOf(r span) (start, end time.Time, err error) {
	if start, err = wire.ToInstant("start_time", r.GetStartTime()); err != nil {
		return start, end, err
	}
	end, err = wire.ToInstant("end_time", r.GetEndTime())
	return start, end, err
}
