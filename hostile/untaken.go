package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// untakenAnswers requests large answers and does not read them. Some clients keep their windows shut. The others open
// their windows and never read.
func untakenAnswers(ctx context.Context, r *round) error {
	if err := r.fillLists(ctx); err != nil {
		return err
	}
	defer r.idling(ctx)()
	ctx, cancel := r.until(ctx)
	defer cancel()
	list := envelope(&pb.ListCampaignsRequest{Parent: "advertisers/-", PageSize: hexbid.MaxPageSize,
		View: pb.View_VIEW_FULL})
	search := envelope(&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: bystandersLatitude,
		Longitude: bystandersLongitude}, NearbyLimit: proto.Int32(100)})
	var group sync.WaitGroup
	for i := range 40 {
		window := []uint32{0, 1<<31 - 1}[i%2]
		group.Go(func() {
			for ctx.Err() == nil {
				r.askAndLeave(ctx, window, list, search)
				time.Sleep(time.Millisecond)
			}
		})
	}
	group.Wait()
	return nil
}

// askAndLeave makes calls until the server closes the connection, or stops reading.
func (r *round) askAndLeave(ctx context.Context, window uint32, list, search []byte) {
	w, err := wireTo(r.server, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	if err != nil {
		return
	}
	defer w.Close()
	stop := context.AfterFunc(ctx, func() { w.Close() })
	defer stop()
	const calls = 100
	for i := range calls {
		method, body := pb.SearchService_SearchNearby_FullMethodName, search
		if i%4 == 0 {
			method, body = pb.CampaignService_ListCampaigns_FullMethodName, list
		}
		stream, err := w.open(method)
		if err != nil || w.data(stream, body, true) != nil {
			return
		}
		r.tally.calls.Add(1)
	}
	select {
	case <-ctx.Done():
	case <-time.After(r.share / 3): // then begin again
	}
}

// fillLists stores campaigns whose list is long, with pages of a megabyte.
func (r *round) fillLists(ctx context.Context) error {
	conn, err := r.server.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	const campaigns, aBatch = 200, 80 // campaigns have 500 circles each
	rows := programRows("lists")
	for i := range campaigns {
		area := &pb.Area{}
		for range 500 {
			area.Circles = append(area.Circles, &pb.Circle{Latitude: 10 + 10*r.random.Float64(),
				Longitude: -160 + 10*r.random.Float64(), RadiusM: 100})
		}
		rows = append(rows, campaignRow("lists", i, area))
		if (i+1)%aBatch != 0 && i+1 < campaigns {
			continue
		}
		if err := importRows(ctx, conn, rows); err != nil {
			return err
		}
		rows = rows[:0]
	}
	return nil
}
