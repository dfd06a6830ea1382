package server

import (
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/targeting"
)

// maxTraced bounds the entries and the losses of a trace.
const maxTraced = 1000

func traceFromNoun(t *exchange.Trace) *pb.Trace {
	if t == nil {
		return nil
	}
	s, a := t.Snapshot, t.Account
	out := &pb.Trace{Campaigns: int64(s.Campaigns), Candidates: int64(a.Candidates), Matches: int64(a.Matches),
		BlocksRead: int64(t.Sifted+targeting.BlockSize-1) / targeting.BlockSize, CandidatesScored: int64(t.Scored),
		CappedSkipped: t.CappedSkipped,
		Mechanism:     s.MechanismIn(t.Query.Scene).String()}
	for res := range geoindex.Finest + 1 {
		out.Cells = append(out.Cells, t.Query.At.Cell.Parent(res).String())
	}
	for _, id := range t.Query.At.Regions.All() {
		out.Regions = append(out.Regions, id.Region().Code)
	}
	factors := s.PositionFactors(&t.Query)
	shown := min(len(a.Entries), maxTraced)
	out.EntriesOmitted = int64(len(a.Entries) - shown)
	for i, e := range a.Entries[:shown] {
		entry := &pb.TraceEntry{Campaign: t.Name(e.Ordinal), CampaignUid: uint64(e.CampaignUID),
			PacedBidMicros: int64(e.PacedBid), QualityPpm: e.QualityPPM, Score: e.Score, Reserve: e.Reserve,
			Prediction: prediction(s, &a.Entries[i], &t.Query)}
		if i < len(a.Awards) {
			entry.Slot, entry.PriceMicros, entry.PriceSetBy = int32(i+1), int64(a.Awards[i].Price), a.Awards[i].SetBy.String()
			entry.PositionFactorPpm = factors[i] * 1_000_000 / factors[0]
		}
		out.Entries = append(out.Entries, entry)
	}
	for i := range a.Verdicts {
		v := &a.Verdicts[i]
		if v.Rule == bidder.Shown {
			continue
		}
		if len(out.Losses) == maxTraced {
			out.LossesOmitted++
			continue
		}
		out.Losses = append(out.Losses, &pb.TraceLoss{Campaign: t.Name(v.Ordinal), Rule: string(v.Rule),
			Reason: v.Reason(t.Name)})
	}
	return out
}

// prediction says how the quality of an entry came about.
func prediction(s *bidder.Snapshot, e *auction.Entry, q *bidder.Query) *pb.Prediction {
	p := &e.Prediction
	out := &pb.Prediction{BaseQualityPpm: p.BasePPM, SceneFactorPpm: p.ScenePPM, DistanceFactorPpm: p.DistancePPM,
		DistanceBand: int32(p.Band), Distance: s.DistanceReason(e, q)}
	if metres, there := s.NearestPlaceM(e.Ordinal, q); there && p.Band > 0 {
		out.NearestPlaceM = &metres
	}
	return out
}

// liveState converts a live state, which is nil for a campaign that searches do not see.
func liveState(s *bidder.LiveState) *pb.LiveState {
	if s == nil {
		return nil
	}
	return &pb.LiveState{
		PacingMultiplierPpm: s.PacingPPM,
		LoweredByBudget:     s.LoweredByBudget,
		ParticipationPpm:    s.ParticipationPPM,
		QualityPpm:          s.QualityPPM,
		QualityIsPrior:      s.QualityIsPrior,
		ExploredQualityPpm:  s.ExploredPPM,
		BudgetSpent:         s.BudgetSpent,
		FrequencyCapped:     s.FrequencyCapped,
		NoBalance:           s.NoBalance,
		Returning:           s.Returning,
	}
}

func explanation(e *exchange.Explanation) *pb.ExplainResponse {
	v, a := &e.Verdict, &e.Advice
	out := &pb.ExplainResponse{Shown: v.Rule == bidder.Shown, Rule: string(v.Rule), Reason: e.Reason, Score: v.Entry.Score,
		RequestId: e.RequestID, NeededScore: v.Needed, NeededSlot: int32(v.NeededSlot), Advice: e.AdviceText,
		NeededBidMicros: int64(a.Bid), NeededHostMultiplierPpm: a.HostPPM, NeededDailyBudgetMicros: int64(a.DailyBudget),
		NeededTotalBudgetMicros: int64(a.TotalBudget), Rank: int32(e.Rank)}
	out.LiveState = liveState(e.Live)
	if v.Entry.Prediction.BasePPM > 0 {
		out.Prediction = prediction(e.Snapshot, &v.Entry, &e.Query)
	}
	switch v.Rule {
	case bidder.Shown:
		out.Slot, out.PriceMicros = int32(v.Award.Slot), int64(v.Award.Price)
		if !e.RivalsHidden {
			out.PriceSetBy = v.Award.SetBy.String()
		}
	case bidder.RuleArea:
		if !v.Excluded {
			out.MissedByM = proto.Float64(v.MissedByM)
		}
	case bidder.RuleProgram, bidder.RuleAudience:
		out.Dimension = v.Dimension.String()
	}
	return out
}
