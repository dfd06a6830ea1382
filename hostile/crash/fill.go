package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// fill imports the market and gives prepaid advertisers their first money, which makes them prepaid.
func (e *era) fill(ctx context.Context) error {
	if err := e.server.IntroduceClients(ctx, searchClient); err != nil {
		return err
	}
	if err := e.fillOffice(ctx); err != nil {
		return err
	}
	rows, first := e.auditor.rows(e.random)
	if err := e.importRows(ctx, rows); err != nil {
		return err
	}
	for _, edit := range first {
		e.auditor.settle(edit, true)
	}
	if err := e.noteCampaigns(ctx); err != nil {
		return err
	}
	return e.payFirst(ctx)
}

// fillOffice gives the office what it works with, and notes what its advertiser has of it.
func (e *era) fillOffice(ctx context.Context) error {
	if err := e.office.fill(ctx, e.crowd.desk); err != nil {
		return err
	}
	owner, err := e.crowd.campaigns.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: e.office.owner})
	e.empty = owner.GetHoldings()
	return err
}

// importRows uploads the market. An error is also that of a row.
func (e *era) importRows(ctx context.Context, rows []*pb.ImportRow) error {
	stream, err := e.crowd.campaigns.Import(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&pb.ImportRequest{Rows: rows}); err != nil {
		return err
	}
	for done := 0; done < len(rows); {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, outcome := range response.GetOutcomes() {
			if outcome.GetError() != nil {
				return fmt.Errorf("row %d of the market: %v", outcome.GetRow(), outcome.GetError())
			}
		}
		done += len(response.GetOutcomes())
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("an import ends with %w", err)
	}
	return nil
}

// noteCampaigns notes the identities of the campaigns.
func (e *era) noteCampaigns(ctx context.Context) error {
	for name, c := range e.auditor.byName {
		found, err := e.crowd.campaigns.GetCampaign(ctx, &pb.GetCampaignRequest{Name: name})
		if err != nil {
			return err
		}
		c.uid, c.made = found.GetUid(), time.Now()
	}
	return nil
}

// payFirst tops up the prepaid advertisers.
func (e *era) payFirst(ctx context.Context) error {
	for _, owner := range e.auditor.advertisers {
		if owner.prepaid {
			m := e.auditor.request(&movement{owner: owner, kind: topUp, micros: 30 * yuan})
			if err := e.crowd.move(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}
