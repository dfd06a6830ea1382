package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// requestFlags describe a search.
type requestFlags struct {
	Lat             float64  `help:"Latitude in degrees." required:"" placeholder:"DEGREES"`
	Lng             float64  `help:"Longitude in degrees." required:"" aliases:"lon" placeholder:"DEGREES"`
	Datum           string   `help:"wgs84, gcj02 or bd09." enum:"wgs84,gcj02,bd09" default:"wgs84"`
	Age             *int32   `help:"Age in years; leave out when unknown." placeholder:"YEARS"`
	Gender          string   `help:"female or male." enum:"female,male," default:"" placeholder:"GENDER"`
	OS              string   `name:"os" help:"ios, android, harmonyos or other." enum:"ios,android,harmonyos,other," default:"" placeholder:"SYSTEM"`
	Network         string   `help:"wifi, 5g, 4g or slow." enum:"wifi,5g,4g,slow," default:"" placeholder:"NETWORK"`
	Interests       []string `help:"Categories the viewer likes." placeholder:"CATEGORY"`
	Credit          string   `help:"Consented band of credit: below_550, 550_to_599, 600_to_649, 650_to_699 or 700_and_above." placeholder:"BAND"`
	Home            string   `help:"Adcode of the home region." placeholder:"ADCODE"`
	User            string   `help:"Opaque user key." placeholder:"KEY"`
	Host            string   `help:"App that asks: wechat, alipay, douyin, …" placeholder:"APP"`
	Scene           string   `help:"nearby_list, search, scan, share, message_link, web_link or feed." placeholder:"SCENE"`
	Words           string   `help:"What the viewer typed." placeholder:"TEXT"`
	Category        string   `help:"Only programs of this category: catering, shopping, travel, …" placeholder:"CATEGORY"`
	RadiusM         *float64 `name:"radius" help:"Radius of the nearby list in metres (3000)." placeholder:"METRES"`
	Limit           *int32   `help:"Length of the nearby list (20)." placeholder:"N"`
	Slots           *int32   `help:"Sponsored slots (3)." placeholder:"N"`
	Page            string   `help:"next_page_token of the page before." placeholder:"TOKEN"`
	Personalization string   `help:"on or off." enum:"on,off" default:"on"`
}

func (f *requestFlags) request() (*pb.SearchNearbyRequest, error) {
	var e enumReader
	r := &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: f.Lat, Longitude: f.Lng, Datum: readEnum[pb.Datum](&e, "--datum", f.Datum)},
		Viewer: &pb.Viewer{UserKey: f.User, Age: f.Age, HomeRegion: f.Home,
			CreditBand: readEnum[pb.CreditBand](&e, "--credit", f.Credit), Gender: readEnum[pb.Gender](&e, "--gender", f.Gender),
			OperatingSystem: readEnum[pb.OperatingSystem](&e, "--os", f.OS),
			Network:         readEnum[pb.Network](&e, "--network", f.Network)},
		Host: readEnum[pb.Host](&e, "--host", f.Host), Scene: readEnum[pb.Scene](&e, "--scene", f.Scene), Words: f.Words,
		Category: readEnum[pb.Category](&e, "--category", f.Category), RadiusM: f.RadiusM, NearbyLimit: f.Limit,
		SponsoredSlots: f.Slots, PageToken: f.Page, Personalization: readEnum[pb.Personalization](&e, "--personalization",
			f.Personalization),
	}
	for _, interest := range f.Interests {
		r.Viewer.Interests = append(r.Viewer.Interests, readEnum[pb.Category](&e, "--interests", interest))
	}
	return r, e.err
}

type searchCommand struct {
	requestFlags `embed:""`
	Trace        bool `help:"Add the exhaustive account of the auction (operators)."`
	clientFlags  `embed:""`
	outputFlags  `embed:""`
}

// Run searches and prints.
func (c *searchCommand) Run(s *session) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	r.Trace = c.Trace
	return c.call(s, func(ctx context.Context, conn *client) error {
		response, err := conn.search.SearchNearby(ctx, r)
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, response)
		}
		printSearch(s, response, r)
		return nil
	})
}

func printSearch(s *session, r *pb.SearchNearbyResponse, asked *pb.SearchNearbyRequest) {
	w := s.Stdout
	if r.GetNotice() != "" {
		fmt.Fprintln(w, r.GetNotice())
	}
	switch {
	case asked.SponsoredSlots != nil && asked.GetSponsoredSlots() == 0 || asked.GetPageToken() != "":
	case r.GetSponsoredSkipped():
		fmt.Fprintln(w, "Sponsored: skipped, because the auction ran out of time")
	case len(r.GetSponsored()) > 0:
		fmt.Fprintln(w, "Sponsored")
		printSponsored(s, r.GetSponsored())
	default:
		fmt.Fprintln(w, "Sponsored: no ad matched")
	}
	switch {
	case asked.NearbyLimit != nil && asked.GetNearbyLimit() == 0:
	case len(r.GetNearby()) > 0:
		fmt.Fprintln(w, "Nearby")
		var t table
		t.add("#", "PROGRAM", "PLACE", "CATEGORY", "DISTANCE")
		for i, n := range r.GetNearby() {
			t.add(fmt.Sprint(i+1), n.GetProgram().GetDisplayName(), n.GetPlace().GetDisplayName(),
				enumName(n.GetProgram().GetCategory()), distance(n.GetDistanceM()))
		}
		t.print(w)
	default:
		what := "nothing"
		if len(r.GetSponsored()) > 0 {
			what = "nothing else" // what is sponsored is not listed twice
		}
		fmt.Fprintf(w, "Nearby: %s in the radius\n", what)
	}
	switch {
	case r.GetNearbyIncomplete():
		fmt.Fprintln(w, "Nearby: the list is incomplete, because it reached the server's limit of time or of results")
	case r.GetNextPageToken() != "":
		fmt.Fprintln(w, "More: --page", r.GetNextPageToken())
	}
	fmt.Fprintf(w, "Auction %s, server %s, request %s\n", micros(r.GetAuctionDuration().AsDuration()),
		micros(r.GetServerDuration().AsDuration()), r.GetRequestId())
	if t := r.GetTrace(); t != nil {
		printTrace(s, t)
	}
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
}

func printSponsored(s *session, results []*pb.SponsoredResult) {
	var t table
	t.add("SLOT", "PROGRAM", "PROMOTION", "CATEGORY", "NEAREST", "PRICE", "CAMPAIGN")
	for _, r := range results {
		nearest := "-"
		if r.DistanceM != nil {
			nearest = distance(r.GetDistanceM())
		}
		promotion := r.GetCreative().GetPromotion()
		if coupon := r.GetCreative().GetCoupon(); coupon != nil {
			promotion += " [" + coupon.GetText() + "]"
		}
		t.add(fmt.Sprint(r.GetSlot()), r.GetProgram().GetDisplayName(), promotion, enumName(r.GetProgram().GetCategory()),
			nearest, price(r.GetPriceMicros(), r.GetPricingModel()), r.GetCampaign())
	}
	t.print(s.Stdout)
}

func price(amountMicros int64, model pb.PricingModel) string {
	unit := " a click"
	if model == pb.PricingModel_PRICING_MODEL_CPM {
		unit = " a thousand"
	}
	return hexbid.Money(amountMicros).String() + unit
}

func printTrace(s *session, t *pb.Trace) {
	fmt.Fprintf(s.Stdout, "Trace (%s): %d campaigns, %d whose area holds the point, %d of them match; the fast pass "+
		"read %d blocks and scored %d\n",
		t.GetMechanism(), t.GetCampaigns(), t.GetCandidates(), t.GetMatches(), t.GetBlocksRead(), t.GetCandidatesScored())
	fmt.Fprintf(s.Stdout, "  regions %s; cell %s\n", strings.Join(t.GetRegions(), ", "), t.GetCells()[9])
	var entries table
	entries.add("RANK", "CAMPAIGN", "PACED BID", "QUALITY PPM", "BAND", "DISTANCE", "SCORE", "RESERVE", "PRICE", "SET BY")
	for i, e := range t.GetEntries()[:min(20, len(t.GetEntries()))] {
		paid := "-"
		if e.GetSlot() > 0 {
			paid = hexbid.Money(e.GetPriceMicros()).String()
		}
		entries.add(fmt.Sprint(i+1), e.GetCampaign(), hexbid.Money(e.GetPacedBidMicros()).String(),
			fmt.Sprint(e.GetQualityPpm()), bandOf(e.GetPrediction()), percent(e.GetPrediction().GetDistanceFactorPpm()),
			fmt.Sprint(e.GetScore()), fmt.Sprint(e.GetReserve()), paid, e.GetPriceSetBy())
	}
	entries.print(s.Stdout)
	var losses table
	for _, l := range t.GetLosses()[:min(20, len(t.GetLosses()))] {
		losses.add(l.GetCampaign(), l.GetRule(), strings.TrimPrefix(l.GetReason(), l.GetRule()+": "))
	}
	losses.print(s.Stdout)
	if more := int64(len(t.GetLosses())) - 20 + t.GetLossesOmitted(); more > 0 {
		fmt.Fprintf(s.Stdout, "  and %d more; -o json lists them\n", more)
	}
}

// bandOf names the band of the distance to a program's nearest place.
func bandOf(p *pb.Prediction) string {
	if p.GetDistanceBand() == 0 {
		return "-"
	}
	return fmt.Sprint(p.GetDistanceBand())
}

type explainCommand struct {
	Campaign     string `arg:"" help:"advertisers/{a}/campaigns/{c}"`
	requestFlags `embed:""`
	clientFlags  `embed:""`
	outputFlags  `embed:""`
}

// Run explains and prints.
func (c *explainCommand) Run(s *session) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	return c.call(s, func(ctx context.Context, conn *client) error {
		response, err := conn.campaigns.Explain(ctx, &pb.ExplainRequest{Name: c.Campaign, Request: r})
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, response)
		}
		c.print(s, response)
		return nil
	})
}

func (c *explainCommand) print(s *session, response *pb.ExplainResponse) {
	if response.GetShown() {
		fmt.Fprintf(s.Stdout, "%s shows: %s\n", c.Campaign, response.GetReason())
	} else {
		fmt.Fprintf(s.Stdout, "%s does not show (%s): %s\n", c.Campaign, response.GetRule(), response.GetReason())
	}
	if rank := response.GetRank(); rank > 0 && !response.GetShown() {
		fmt.Fprintf(s.Stdout, "Rank: %d among the advertisers that compete (10 stands for all lower ones)\n", rank)
	}
	if distance := response.GetPrediction().GetDistance(); distance != "" {
		fmt.Fprintf(s.Stdout, "Distance: %s\n", distance)
	}
	if advice := response.GetAdvice(); advice != "" {
		fmt.Fprintln(s.Stdout, advice)
	}
	if live := response.GetLiveState(); live != nil {
		fmt.Fprintln(s.Stdout, liveLine(live))
	}
}

// Introduce shows a demo market that was just made: one search, and what to try next.
func Introduce(ctx context.Context, env Env, address string) {
	s, flags := &session{Env: env, ctx: ctx}, clientFlags{Server: address, Timeout: 10 * time.Second}
	r := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30.2553, Longitude: 120.1640},
		NearbyLimit: proto.Int32(8), Viewer: &pb.Viewer{Age: proto.Int32(24), Gender: pb.Gender_GENDER_FEMALE,
			OperatingSystem: pb.OperatingSystem_OPERATING_SYSTEM_IOS},
		Host: pb.Host_HOST_WECHAT}
	err := flags.call(s, func(ctx context.Context, c *client) error {
		response, err := c.search.SearchNearby(ctx, r)
		if err == nil {
			fmt.Fprintln(s.Stdout, "\nAt Hubin in Hangzhou, a woman of 24 with an iPhone opens the nearby list in WeChat:")
			printSearch(s, response, r)
			fmt.Fprintf(s.Stdout, tryNext, address)
			if top := response.GetSponsored(); len(top) > 0 {
				fmt.Fprintf(s.Stdout, "  bin/hexbid explain %s --lat 30.30 --lng 120.10 --age 50\n", top[0].GetCampaign())
			}
		}
		return err
	})
	if err != nil {
		fmt.Fprintln(s.Stderr, "hexbid: the first search failed:", explainError(err))
	}
}

// IntroduceLocked says how to reach a demo market that demands TLS, a credential or both. tlsCert and data are flags of
// its server.
func IntroduceLocked(env Env, address, tlsCert, data string) {
	login := "bin/hexbid login --server " + address
	if tlsCert != "" {
		login += " --tls-ca " + tlsCert
	}
	if data != "" {
		login += " --server-data " + data
	}
	fmt.Fprintf(env.Stdout, "\nServing on %s. Log in from another terminal, and search:\n  %s\n%s", address, login,
		"  bin/hexbid search --lat 30.2553 --lng 120.1640\n")
}

const tryNext = `
Serving on %s. Try in another terminal:
  bin/hexbid search --lat 30.2553 --lng 120.1640 --age 45 --gender male --os android
  bin/hexbid search --lat 30.2553 --lng 120.1640 --words 咖啡
  bin/hexbid apply --template yaml > mine.yaml && bin/hexbid apply -f mine.yaml
  bin/hexbid get campaigns
  bin/hexbid top
`
