package exchange

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/store"
)

// upset is a market whose owner changes everything again and again, over days that are short and long.
type upset struct {
	*till
	random *rand.Rand
	log    bytes.Buffer
	most   map[hexbid.UID]hexbid.Money // the highest daily budget that a campaign ever had
}

// upsetZones have the ends of daylight saving time that the test lives through, and dates that are far apart.
var upsetZones = []string{"Asia/Shanghai", "America/New_York", "Europe/Berlin", "Pacific/Kiritimati",
	"Pacific/Pago_Pago"}

// campaign draws everything that delivery looks at.
func (u *upset) campaign(i int) *hexbid.Campaign {
	c := campaign(fmt.Sprint("c", i))
	c.Pacing = hexbid.Pacing(u.random.IntN(int(hexbid.PaceThrottle) + 1))
	c.Goal = hexbid.Goal(u.random.IntN(int(hexbid.GoalCount)))
	if c.Pacing == hexbid.PaceThrottle {
		c.Goal = hexbid.GoalBid
	}
	c.Bid = hexbid.Money(10_000 + u.random.Int64N(3_000_000))
	if c.Goal == hexbid.GoalTargetCost {
		c.TargetCost = 1 + c.Bid/hexbid.Money(2+u.random.Int64N(1000))
	}
	c.DailyBudget = c.Bid * hexbid.Money(1+u.random.Int64N(1<<u.random.IntN(20)))
	if u.random.IntN(3) == 0 {
		c.TotalBudget = c.DailyBudget * 2
	}
	c.TimeZone = upsetZones[u.random.IntN(len(upsetZones))]
	if u.random.IntN(3) == 0 {
		c.Cap = hexbid.FrequencyCap{Impressions: 1 + u.random.IntN(1000), ServeUncapped: true}
	}
	return c
}

// change makes one change, or goes on by a moment or many hours.
func (u *upset) change(campaigns int) error {
	i := u.random.IntN(campaigns)
	name := fmt.Sprint("advertisers/a/campaigns/c", i)
	switch u.random.IntN(12) {
	case 0, 1:
		o := u.Import(ctx, []hexbid.Resource{u.campaign(i)}, false)[0]
		if c, ok := o.Resource.(*hexbid.Campaign); ok && o.Err == nil {
			u.most[c.UID] = max(u.most[c.UID], c.DailyBudget)
		}
		return o.Err
	case 2:
		if err := u.Delete(ctx, name, store.AnyVersion, false); hexbid.KindOf(err) != hexbid.NotFound {
			return err
		}
	case 3:
		category := hexbid.Category(1 + u.random.IntN(int(hexbid.CategoryCount)-1))
		return u.Import(ctx, []hexbid.Resource{&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P",
			Category: category, Hosts: []hexbid.Host{hexbid.WeChat}}}, false)[0].Err
	case 4:
		u.stop()
		u.start()
	case 5:
		u.pass(time.Duration(u.random.Int64N(int64(13 * time.Hour))))
	case 6:
		u.pass(time.Duration(u.random.Int64N(int64(3 * time.Second))))
	default:
		for range u.random.IntN(30) {
			u.visit()
			u.pass(time.Duration(u.random.Int64N(int64(20 * time.Second))))
		}
	}
	return u.Step(ctx)
}

// visit sees and clicks what a search shows.
func (u *upset) visit() {
	won := u.awards()
	for i := range won {
		u.tell(hexbid.Impression, &won[i])
		u.tell(hexbid.Click, &won[i])
	}
}

// check looks at what searches use, at the accounts and at the log.
func (u *upset) check(what string, campaigns int) {
	u.Helper()
	if text := u.log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "level=WARN") {
		u.Fatalf("%s: the log says %s", what, text)
	}
	for i := range campaigns {
		name := fmt.Sprint("advertisers/a/campaigns/c", i)
		if _, err := u.Get(ctx, name); hexbid.KindOf(err) == hexbid.NotFound {
			continue
		}
		isPPM := func(n, least int64) bool { return n >= least && n <= auction.PPM }
		if s := u.live(name); !isPPM(s.PacingPPM, 0) || !isPPM(s.ParticipationPPM, 0) || !isPPM(s.QualityPPM, 1) ||
			s.ExploredPPM < s.QualityPPM || s.ExploredPPM > 2*s.QualityPPM {
			u.Fatalf("%s: %s is %+v", what, name, s)
		}
	}
	all, err := u.ledger.Campaigns(ctx, 0, 1000)
	if err != nil {
		u.Fatal(err)
	}
	for _, s := range all {
		if most := u.most[s.Campaign]; s.Today.Charged > most {
			u.Fatalf("%s: campaign %d was charged %d on %d, and no day's budget was above %d", what, s.Campaign,
				s.Today.Charged, s.Date, most)
		}
	}
}

// TestNothingAnOwnerDoesUpsetsDelivery makes random changes of campaigns of every kind, in zones whose days are 23 and
// 25 hours long, with restarts, and with moments and half days in between.
func TestNothingAnOwnerDoesUpsetsDelivery(t *testing.T) {
	const campaigns = 5
	events := 0
	for seed := range uint64(upsetSeeds) {
		u := &upset{random: rand.New(rand.NewPCG(seed, 0)), most: map[hexbid.UID]hexbid.Money{}}
		u.till = openTill(t, func(c *Config) {
			manual(c)
			c.SwapPPM, c.Market.Distance = 10_000, quality.PriorDistances()
			c.Log = slog.New(slog.NewTextHandler(&u.log, nil))
		})
		change := time.Date(2027, 3, 13+14*int(seed%2), 0, 0, 0, 0, time.UTC) // daylight saving time begins next day
		u.pass(change.Sub(u.now()))
		fill(t, u.Exchange, place("l", hub))
		for n := range 120 {
			what := fmt.Sprintf("seed %d, change %d", seed, n)
			if err := u.change(campaigns); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			u.check(what, campaigns)
		}
		events += u.events
	}
	if events < 300*upsetSeeds {
		t.Errorf("%d events in %d markets upset nothing", events, upsetSeeds)
	}
}

// upsetSeeds is how many markets the test upsets.
const upsetSeeds = 3
