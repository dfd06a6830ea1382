package main

import (
	"context"
	"fmt"
	"math"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// placeBombs gives one program as many places as possible, with many campaigns around them that each have a radius of
// their own. Then it moves the places. Every write that bystanders make meanwhile must be answered.
func placeBombs(ctx context.Context, r *round) error {
	stop, cancel := r.until(ctx)
	defer cancel()
	for round := 0; round == 0 || stop.Err() == nil; round++ {
		advertiser := fmt.Sprintf("places-%d", round)
		rows := programRows(advertiser)
		for i := range 20 {
			area := &pb.Area{AroundPlacesM: 300 * math.Exp(float64(i)/2)}
			c := campaignOf(advertiser, i, area)
			if i%2 == 1 {
				c.ExcludedArea = &pb.Area{AroundPlacesM: area.AroundPlacesM / 2}
			}
			rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: c}})
		}
		if err := r.importBomb(ctx, "campaigns around places", rows); err != nil {
			return err
		}
		const batches, most = 21, 1000 // the last thousand are more than a program may have
		for batch := 0; batch < batches && (batch < 3 || stop.Err() == nil); batch++ {
			rows = rows[:0]
			for i := range most {
				rows = append(rows, placeRow(advertiser, batch*most+i, -60+r.random.Float64(), -150+r.random.Float64()))
			}
			if err := r.importBomb(ctx, "places", rows); err != nil {
				return err
			}
		}
		for i := range rows { // all places at one point
			rows[i] = placeRow(advertiser, i, -60, -150)
		}
		if err := r.importBomb(ctx, "places that move", rows); err != nil {
			return err
		}
	}
	return nil
}
