package server

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger/receipt"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// What package receipt reads becomes a message here. It is no noun: nobody sends it, and nothing stores it.

func statementMessage(s *exchange.Statement) *pb.Statement {
	out := &pb.Statement{Name: s.Name, Uid: uint64(s.Advertiser), Deleted: s.Deleted, Month: s.Month.String(),
		Currency: s.Currency, TimeZone: s.Zone, OpeningMicros: int64(s.Opening), ToppedUpMicros: int64(s.ToppedUp),
		WithdrawnMicros: int64(s.Withdrawn), ChargedMicros: int64(s.Charged), CreditedMicros: int64(s.Credited),
		ClosingMicros: int64(s.Closing), Billing: pb.Billing(s.Billing), OmittedLines: int64(s.OmittedLines),
		OmittedCampaigns: int64(s.OmittedCampaigns), Open: s.Open, AsOf: s.AsOf}
	for _, uid := range s.OtherUIDs {
		out.OtherUids = append(out.OtherUids, uint64(uid))
	}
	for i := range s.Lines {
		out.Lines = append(out.Lines, lineMessage(&s.Lines[i]))
	}
	for _, c := range s.Campaigns {
		out.Campaigns = append(out.Campaigns, &pb.StatementCampaign{Name: c.Name, Uid: uint64(c.Campaign),
			Deleted: s.Gone[c.Campaign], ChargedMicros: int64(c.Charged), CreditedMicros: int64(c.Credited)})
	}
	return out
}

func lineMessage(l *receipt.Line) *pb.StatementLine {
	return &pb.StatementLine{LocalDate: l.Date.String(), Type: pb.MovementType(l.Type), AmountMicros: int64(l.Amount),
		RequestId: l.RequestID, Note: l.Note, Sequence: l.Sequence, CampaignUid: uint64(l.Campaign)}
}

func chargeMessage(c *receipt.Charge, campaign string) *pb.Charge {
	e := c.Event
	return &pb.Charge{Sequence: c.Sequence, RecordTime: timestamppb.New(c.Time),
		LocalDate: hexbid.Date(e.Date).String(), Kind: pb.EventKind(e.Kind), ChargedMicros: int64(e.Charged),
		Campaign: campaign, CampaignUid: uint64(e.Award.Campaign), RequestId: e.Award.RequestID, Slot: int32(e.Award.Slot),
		Host: pb.Host(e.Award.Host), Scene: pb.Scene(e.Award.Scene)}
}

func receiptMessage(r *exchange.Receipt) (*pb.Receipt, error) {
	out := &pb.Receipt{Charge: chargeMessage(&r.Charge, r.Campaign), Award: awardMessage(&r.Charge), Pending: r.Pending(),
		HourStartTime: timestamppb.New(r.Charge.Time.Truncate(time.Hour)), Currency: r.Currency}
	if r.Pending() {
		return out, nil
	}
	out.Record, out.Salt, out.LeafIndex = r.Proof.Record, r.Proof.Salt[:], r.Proof.Index
	for _, hash := range r.Proof.Path {
		out.Path = append(out.Path, hash[:])
	}
	out.LeafCount, out.Root, out.Hour = r.Root.Charges, r.Root.MerkleRoot[:], rootMessage(r.Root)
	var err error
	out.File, err = r.File()
	return out, err
}

func awardMessage(c *receipt.Charge) *pb.ReceiptAward {
	a, b := &c.Event.Award, &c.Event.Award.Basis
	out := &pb.ReceiptAward{RequestId: a.RequestID, CampaignUid: uint64(a.Campaign), AdvertiserUid: uint64(a.Advertiser),
		PricingModel: pb.PricingModel(b.Pricing), PriceMicros: int64(a.Price), Slot: int32(a.Slot), Host: pb.Host(a.Host),
		Scene: pb.Scene(a.Scene), MarketVersion: a.MarketVersion, Explored: a.Explored, QualityPpm: b.QualityPPM,
		IssueTime:       timestamppb.New(time.UnixMilli(a.IssuedAt)),
		ClickExpireTime: timestamppb.New(time.UnixMilli(a.ClickExpiry)), ClientId: a.ClientID,
		TrialPair: int32(a.Trial.Pair), TrialSwapped: a.Trial.Swapped}
	p := a.Predicted()
	out.BaseQualityPpm, out.SceneFactorPpm, out.DistanceFactorPpm, out.DistanceBand = p.BasePPM, p.ScenePPM,
		p.DistancePPM, int32(p.Band)
	if !c.PriceProven() { // the token had no more
		return out
	}
	out.PriceSetBy, out.Mechanism, out.BidMicros = c.SetBy.String(), b.Mechanism.String(), int64(b.Bid)
	out.MultiplierPpm, out.ReserveScore, out.IncrementMicros, out.NextScore = b.MultiplierPPM, b.Reserve,
		int64(b.Increment), b.Next
	out.PositionFactors, out.SumHigh, out.SumLow = b.Factors, b.Sum.High, b.Sum.Low
	return out
}

func rootMessage(r *receipt.Root) *pb.Root {
	return &pb.Root{HourStartTime: timestamppb.New(r.Start()), Root: r.MerkleRoot[:], Charges: r.Charges,
		PreviousLink: r.Previous[:], Link: r.Link[:], Sequence: r.Sequence}
}
