package wire

import (
	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// FromCampaignSpend converts what the ledger knows of a campaign.
func FromCampaignSpend(v *hexbid.CampaignSpend) *pb.CampaignSpend {
	return &pb.CampaignSpend{
		Name: v.Name, Uid: uint64(v.UID), AdvertiserUid: uint64(v.AdvertiserUID), DisplayName: v.DisplayName,
		Deleted:           v.Deleted,
		Paused:            v.Paused,
		PricingModel:      pb.PricingModel(v.Pricing),
		TimeZone:          v.Zone,
		LocalDate:         v.LocalDate.String(),
		DailyBudgetMicros: int64(v.DailyBudget),
		TotalBudgetMicros: int64(v.TotalBudget),
		DailyLeftMicros:   int64(v.DailyLeft),
		TotalLeftMicros:   (*int64)(v.TotalLeft),
		BalanceLeftMicros: (*int64)(v.BalanceLeft),
		BudgetSpent:       v.BudgetSpent,
		OutstandingMicros: int64(v.Outstanding),
		Today:             FromEventTotals(&v.Today),
		Total:             FromEventTotals(&v.Total),
		LastCharge:        lastCharge(&v.LastCharge),
		Hours:             fromAll(v.Hours, hourTotals),
		Days:              fromAll(v.Days, dayTotals),
		AsOf:              v.AsOf,
		OtherUids:         fromUIDs(v.OtherUIDs),
		Delivery:          FromDelivery(v.Delivery),
	}
}

// FromDelivery converts how a campaign's day goes, nil when that is not known.
func FromDelivery(v *hexbid.Delivery) *pb.Delivery {
	if v == nil {
		return nil
	}
	return &pb.Delivery{
		Status:              pb.DeliveryStatus(v.Status),
		LimitedBy:           pb.DeliveryLimit(v.LimitedBy),
		PlannedMicros:       int64(v.Planned),
		AheadPpm:            v.AheadPPM,
		PacingMultiplierPpm: v.PacingPPM,
		ParticipationPpm:    v.ParticipationPPM,
		QualityPpm:          v.QualityPPM,
		QualityLowPpm:       v.QualityLowPPM,
		QualityHighPpm:      v.QualityHighPPM,
		FilteredSharePpm:    v.FilteredPPM,
		CostPerClickMicros:  int64(v.CostPerClick),
		Summary:             v.Summary,
		Filtered:            fromAll(v.Filtered, fromFilteredEvents),
	}
}

func fromFilteredEvents(v *hexbid.FilteredEvents) *pb.FilteredEvents {
	return &pb.FilteredEvents{Reason: v.Reason, Events: v.Events}
}

// FromEventTotals converts totals.
func FromEventTotals(v *hexbid.EventTotals) *pb.EventTotals {
	return &pb.EventTotals{
		Impressions:           v.Impressions,
		Clicks:                v.Clicks,
		Conversions:           v.Conversions,
		Claims:                v.Claims,
		ChargedMicros:         int64(v.Charged),
		CreditedMicros:        int64(v.Credited),
		FreeMicros:            int64(v.Free),
		BudgetExhausted:       v.BudgetExhausted,
		Filtered:              v.Filtered,
		ConversionValueMicros: int64(v.ConversionValue),
		BeyondCap:             v.BeyondCap,
	}
}

func lastCharge(v *hexbid.LastCharge) *pb.LastCharge {
	if *v == (hexbid.LastCharge{}) {
		return nil
	}
	return &pb.LastCharge{Sequence: v.Sequence, Time: fromInstant(v.At), ChargedMicros: int64(v.Charged)}
}

func hourTotals(v *hexbid.HourTotals) *pb.HourTotals {
	return &pb.HourTotals{HourStartTime: fromInstant(v.Start), Totals: FromEventTotals(&v.Totals)}
}

func dayTotals(v *hexbid.DayTotals) *pb.DayTotals {
	return &pb.DayTotals{LocalDate: v.LocalDate.String(), Totals: FromEventTotals(&v.Totals)}
}

func fromUIDs(uids []hexbid.UID) []uint64 {
	if len(uids) == 0 {
		return nil
	}
	out := make([]uint64, len(uids))
	for i, uid := range uids {
		out[i] = uint64(uid)
	}
	return out
}

// FromAdvertiserBalance converts what an advertiser has, or owes.
func FromAdvertiserBalance(v *hexbid.AdvertiserBalance) *pb.AdvertiserBalance {
	return &pb.AdvertiserBalance{
		Name: v.Name, Uid: uint64(v.UID),
		Deleted:         v.Deleted,
		Billing:         pb.Billing(v.Billing),
		BalanceMicros:   int64(v.Balance),
		OwedMicros:      int64(v.Owed),
		ToppedUpMicros:  int64(v.ToppedUp),
		WithdrawnMicros: int64(v.Withdrawn),
		ChargedMicros:   int64(v.Charged),
		CreditedMicros:  int64(v.Credited),
		OtherUids:       fromUIDs(v.OtherUIDs),
	}
}

// FromMovement converts a recorded movement.
func FromMovement(v *hexbid.Movement) *pb.Movement {
	return &pb.Movement{
		Advertiser: v.Advertiser, AdvertiserUid: uint64(v.AdvertiserUID),
		Type:           pb.MovementType(v.Type),
		AmountMicros:   int64(v.Amount),
		RequestId:      v.RequestID,
		Note:           v.Note,
		Principal:      v.Principal,
		RecordTime:     fromInstant(v.RecordedAt),
		LocalDate:      v.LocalDate.String(),
		Sequence:       v.Sequence,
		ChainHash:      fromHash(v.Hash),
		BalanceMicros:  int64(v.Balance),
		Billing:        pb.Billing(v.Billing),
		RepeatedAnswer: v.Repeated,
	}
}

// ToTopUp converts a top-up that somebody asks for. Transfer.Validate checks its bounds.
func ToTopUp(r *pb.CreateTopUpRequest) *hexbid.Transfer {
	return &hexbid.Transfer{Advertiser: account(r.GetParent(), r.GetAdvertiserUid()), Type: hexbid.TopUp,
		RequestID: r.GetRequestId(), Amount: hexbid.Money(r.GetAmountMicros()), Note: r.GetNote()}
}

// ToWithdrawal converts a withdrawal that somebody asks for. Transfer.Validate checks its bounds.
func ToWithdrawal(r *pb.CreateWithdrawalRequest) *hexbid.Transfer {
	return &hexbid.Transfer{Advertiser: account(r.GetParent(), r.GetAdvertiserUid()), Type: hexbid.Withdrawal,
		RequestID: r.GetRequestId(), Amount: hexbid.Money(r.GetAmountMicros()), Note: r.GetNote()}
}

// ToBilling converts a change of billing that somebody asks for. Its error names the field billing.
func ToBilling(r *pb.SetBillingRequest) (*hexbid.Transfer, error) {
	types := [hexbid.BillingCount]hexbid.MovementType{hexbid.Postpaid: hexbid.ToPostpaid, hexbid.Prepaid: hexbid.ToPrepaid}
	billing, err := Enum("billing", r.GetBilling(), hexbid.BillingCount)
	if err == nil && billing == hexbid.BillingUnspecified {
		err = hexbid.Invalidf("billing", "is not stated: choose %d for POSTPAID or %d for PREPAID", hexbid.Postpaid,
			hexbid.Prepaid)
	}
	if err != nil {
		return nil, err
	}
	return &hexbid.Transfer{Advertiser: account(r.GetName(), r.GetUid()), Type: types[billing],
		RequestID: r.GetRequestId(), Note: r.GetNote()}, nil
}

// ToCredit converts a credit that somebody asks for. CreditOrder.Validate checks its bounds.
func ToCredit(r *pb.CreateCreditRequest) *hexbid.CreditOrder {
	out := &hexbid.CreditOrder{Advertiser: account(r.GetParent(), r.GetAdvertiserUid()), RequestID: r.GetRequestId(),
		Campaign: account(r.GetCampaign(), r.GetCampaignUid()), Amount: hexbid.Money(r.GetAmountMicros()),
		Reason: r.GetReason()}
	for _, c := range r.GetCharges() {
		out.Charges = append(out.Charges, hexbid.CreditedCharge{Sequence: c.GetSequence(),
			Amount: hexbid.Money(c.GetAmountMicros())})
	}
	return out
}

func account(name string, uid uint64) hexbid.Account {
	return hexbid.Account{Name: name, UID: hexbid.UID(uid)}
}

// FromViewerHistory converts what is known of a viewer.
func FromViewerHistory(v *hexbid.ViewerHistory) *pb.ViewerHistory {
	return &pb.ViewerHistory{Exposures: fromAll(v.Exposures, fromExposure), More: v.More}
}

func fromExposure(v *hexbid.Exposure) *pb.Exposure {
	return &pb.Exposure{
		Name:        v.Name,
		Uid:         uint64(v.UID),
		Coupon:      v.Coupon,
		Impressions: v.Impressions,
		Clicks:      v.Clicks,
		LastTime:    fromInstant(v.Last),
	}
}

// FromViewerExport converts a page of what is held of a viewer.
func FromViewerExport(v *hexbid.ViewerExport) *pb.ExportViewerResponse {
	return &pb.ExportViewerResponse{ReadTime: fromInstant(v.ReadAt), Records: fromAll(v.Records, fromViewerRecord),
		NextPageToken: v.Next}
}

func fromViewerRecord(v *hexbid.ViewerRecord) *pb.ViewerRecord {
	out := &pb.ViewerRecord{
		Kind:     pb.ViewerRecordKind(v.Kind),
		Name:     v.Name,
		Uid:      uint64(v.UID),
		Count:    v.Count,
		Sequence: v.Sequence,
		Unread:   v.Unread,
	}
	for _, at := range v.Times {
		out.Times = append(out.Times, fromInstant(at))
	}
	return out
}

// FromBackup converts a backup.
func FromBackup(v *hexbid.Backup) *pb.Backup {
	return &pb.Backup{
		Directory:        v.Directory,
		CatalogueVersion: v.CatalogueVersion,
		Sequence:         v.Sequence,
		ChainHash:        fromHash(v.Hash),
		CreateTime:       fromInstant(v.CreatedAt),
	}
}

// FromAlert converts an alert.
func FromAlert(v *hexbid.Alert) *pb.Alert {
	out := &pb.Alert{
		Type:     pb.AlertType(v.Type),
		Campaign: v.Campaign, CampaignUid: uint64(v.CampaignUID),
		Advertiser: v.Advertiser, AdvertiserUid: uint64(v.AdvertiserUID),
		ThresholdPpm: v.ThresholdPPM,
		AmountMicros: int64(v.Amount),
		LimitMicros:  int64(v.Limit),
		RaiseTime:    fromInstant(v.RaisedAt),
		Cleared:      v.Cleared,
	}
	if v.Type == hexbid.DailyBudgetAlert {
		out.LocalDate = v.LocalDate.String()
	}
	return out
}
