package demo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hexbid/hexbid"
)

// campaigns draws the campaigns of a shop. Small shops buy clicks around themselves with small budgets. Chains also buy
// the city, the province or the country.
func (s *shop) campaigns(r *rand.Rand) []hexbid.Resource {
	var out []hexbid.Resource
	count := 1 + r.IntN(3)
	if s.chain {
		count = 2 + r.IntN(3)
	}
	for i := range count {
		c := &hexbid.Campaign{
			Meta:        hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", s.advertiser(), i+1)},
			DisplayName: fmt.Sprintf("%s %d", s.name, i+1),
			Program:     s.program(),
			Pricing:     hexbid.CPC,
			Bid:         cents(0.5 * math.Exp(0.6*math.Abs(r.NormFloat64()))),
			Audience:    drawAudience(r, s.category),
			Creatives:   []hexbid.Creative{{Promotion: pick(r, promotions[s.category])}},
		}
		c.DailyBudget = cents(30 + 70*r.Float64())
		c.Area.AroundPlacesM = math.Round(min(20_000, max(300, 1500*math.Exp(0.8*r.NormFloat64()))))
		if s.chain && i > 0 {
			drawWideArea(r, c)
		}
		drawHours(r, s.category, c)
		if r.IntN(12) == 0 {
			c.Cap = hexbid.FrequencyCap{Impressions: 3 + r.IntN(5), Window: 24 * time.Hour, ServeUncapped: true}
		}
		out = append(out, c)
	}
	return out
}

// cents rounds an amount of yuan to a cent. It computes in floats, because drawn amounts are not money yet.
func cents(yuan float64) hexbid.Money {
	return hexbid.Money(math.Round(yuan*100)) * (hexbid.MicrosPerUnit / 100)
}

// drawWideArea gives a brand the city, the province or the country. Some brands buy impressions.
func drawWideArea(r *rand.Rand, c *hexbid.Campaign) {
	c.DailyBudget = cents(500 + 4500*r.Float64())
	switch r.IntN(4) {
	case 0, 1:
		c.Area = hexbid.Area{Regions: []string{"330100"}}
	case 2:
		c.Area = hexbid.Area{Regions: []string{"330000"}}
	default:
		c.Area = hexbid.Area{Everywhere: true}
	}
	if r.IntN(2) == 0 {
		c.Pricing, c.Bid = hexbid.CPM, cents(8+12*r.Float64())
	}
}

// drawAudience follows usage: the young lead in catering, leisure and travel, ages 30 to 49 in shopping.
func drawAudience(r *rand.Rand, category hexbid.Category) (a hexbid.Audience) {
	if r.IntN(2) == 0 {
		switch category {
		case hexbid.Catering, hexbid.Leisure, hexbid.Travel, hexbid.Games:
			a.Ages = []hexbid.AgeRange{{Min: 18, Max: 26 + r.IntN(12)}}
		case hexbid.Shopping, hexbid.HomeLiving:
			a.Ages = []hexbid.AgeRange{{Min: 30, Max: 49}}
		case hexbid.Finance, hexbid.Automotive:
			a.Ages = []hexbid.AgeRange{{Min: 22, Max: 60}}
		case hexbid.Beauty:
			a.Ages, a.Genders = []hexbid.AgeRange{{Min: 18, Max: 45}}, []hexbid.Gender{hexbid.Female}
		}
	}
	switch r.IntN(10) {
	case 0:
		a.Genders = []hexbid.Gender{hexbid.Gender(1 + r.IntN(2))}
	case 1:
		a.OS = []hexbid.OS{hexbid.IOS}
	case 2:
		a.OS = []hexbid.OS{hexbid.Android, hexbid.HarmonyOS}
	case 3:
		a.Interests = []hexbid.Category{category}
		a.IncludeUnknown = []hexbid.Dimension{hexbid.DimInterest}
	case 4:
		a.Scenes = []hexbid.Scene{hexbid.NearbyList, hexbid.Search}
		a.IncludeUnknown = []hexbid.Dimension{hexbid.DimScene}
	}
	switch {
	case category == hexbid.Transport || category == hexbid.Travel && r.IntN(4) == 0: // 650 waives a deposit
		a.Credit = []hexbid.CreditBand{hexbid.Credit650To699, hexbid.Credit700AndAbove}
	case (category == hexbid.Travel || category == hexbid.Leisure) && r.IntN(3) == 0:
		a.Residences = []hexbid.Residence{hexbid.Visitor}
		a.IncludeUnknown = append(a.IncludeUnknown, hexbid.DimResidence)
	}
	if len(a.Ages) > 0 && r.IntN(2) == 0 {
		a.IncludeUnknown = append(a.IncludeUnknown, hexbid.DimAge)
	}
	return a
}

// drawHours gives a third of the restaurants their meal times, and some places of leisure the evening.
func drawHours(r *rand.Rand, category hexbid.Category, c *hexbid.Campaign) {
	var runs [][2]int
	switch {
	case category == hexbid.Catering && r.IntN(3) == 0:
		runs = [][2]int{{10, 14}, {16, 21}}
	case category == hexbid.Leisure && r.IntN(2) == 0:
		runs = [][2]int{{14, 24}}
	}
	for day := 1; day <= 7; day++ {
		for _, run := range runs {
			c.Hours = append(c.Hours, hexbid.WeeklyHours{Day: day, Start: run[0], End: run[1]})
		}
	}
}

func pick(r *rand.Rand, from []string) string {
	if len(from) == 0 {
		return ""
	}
	return from[r.IntN(len(from))]
}

// promotions are lines of at most ten characters.
var promotions = map[hexbid.Category][]string{
	hexbid.Catering:     {"满30减8", "第二杯半价", "新品尝鲜", "午市套餐", "到店自取9折", "会员免费续杯"},
	hexbid.Shopping:     {"满200减50", "新人礼包", "周末特惠", "会员双倍积分"},
	hexbid.Travel:       {"连住9折", "免费取消", "周末特价房"},
	hexbid.Leisure:      {"19元看电影", "学生半价", "夜场特惠"},
	hexbid.Finance:      {"开户有礼", "信用卡还款优惠"},
	hexbid.Automotive:   {"加油立减20", "洗车9.9元", "充电免服务费"},
	hexbid.Health:       {"在线预约挂号", "送药上门"},
	hexbid.Education:    {"免费试听", "报名立减"},
	hexbid.LifeServices: {"寄件立减3元"},
	hexbid.Beauty:       {"首次体验价", "剪发7折"},
	hexbid.Transport:    {"首单免费"},
	hexbid.Sports:       {"体验课免费"},
	hexbid.HomeLiving:   {"免费量房"},
	hexbid.Pets:         {"首次洗护半价"},
}
