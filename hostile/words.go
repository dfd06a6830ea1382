package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// wordBombs stores campaigns with the most and the longest keywords, all with the same words, and searches for those
// words.
func wordBombs(ctx context.Context, r *round) error {
	stop, cancel := r.until(ctx)
	defer cancel()
	conn, err := r.server.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := 0; i == 0 || stop.Err() == nil; i++ {
		if i < 5 {
			if err := r.importBomb(ctx, "keywords", wordRows(fmt.Sprintf("words-%d", i))); err != nil {
				return err
			}
		}
		for _, words := range []string{strings.Repeat("a ", 100), strings.Repeat("面", 66), strings.Repeat("ﷺ", 66),
			strings.Repeat("e\u0301", 66), "a b c d e f", "\u202e\u0000", strings.Repeat("aé", 66)} {
			one, cancel := context.WithTimeout(ctx, victim.Patience)
			_, err := pb.NewSearchServiceClient(conn).SearchNearby(one,
				&pb.SearchNearbyRequest{Location: &pb.Location{Longitude: -150}, Words: words,
					SponsoredSlots: proto.Int32(10), NearbyLimit: proto.Int32(100), RadiusM: proto.Float64(50_000)})
			cancel()
			r.tally.called("a search for words", err)
		}
	}
	return nil
}

func wordRows(advertiser string) []*pb.ImportRow {
	rows := programRows(advertiser)
	for i := range 300 {
		c := campaignOf(advertiser, i, &pb.Area{Everywhere: true})
		for k := range 200 {
			text := strings.Repeat("a ", 35) + fmt.Sprint(i, k)
			if k%2 == 1 {
				text = strings.Repeat("面", 20) + fmt.Sprint(k)
			}
			c.Keywords = append(c.Keywords, &pb.Keyword{Text: text, Match: pb.KeywordMatch(k % 4), Negative: k%5 == 4})
		}
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: c}})
	}
	return rows
}
