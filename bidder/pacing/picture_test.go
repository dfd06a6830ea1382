package pacing

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const picture = "../../docs/pacing.svg"

// TestThePictureOfADayIsOfTheseNumbers compares docs/pacing.svg with the day that it shows. HEXBID_DRAW=1 draws it
// anew.
func TestThePictureOfADayIsOfTheseNumbers(t *testing.T) {
	paced, unpaced := pictured(t), pictured(t)
	unpaced.unpaced = true
	drawn := drawDay(paced.run(paced.now.Add(wholeDay)), unpaced.run(unpaced.now.Add(wholeDay)))
	paced.followsPlan()
	if os.Getenv("HEXBID_DRAW") != "" {
		if err := os.WriteFile(picture, []byte(drawn), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if string(there) != drawn {
		t.Errorf("%s shows another day: HEXBID_DRAW=1 go test ./bidder/pacing -run Picture draws it anew", picture)
	}
}

// pictured is a campaign of some thousand clicks a day. From 15:00 to 16:00 five times as many people search.
func pictured(t testing.TB) *market {
	m := newMarket(t, 11)
	m.buys(1000, 400_000)
	m.aDay = 6 * 1000 / 0.02
	m.surge = between(15, 16, 5)
	return m
}

// Sizes of the picture, in pixels.
const (
	pictureWidth, pictureHeight = 720, 380
	plotLeft, plotTop           = 50, 30
	plotWidth, plotHeight       = 650, 240
	barTop, barHeight           = 300, 40
)

func drawDay(paced, unpaced *market) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<title>A day's spend against plan</title>
<rect width="100%%" height="100%%" fill="#fff"/>
`, pictureWidth, pictureHeight)
	for percent := 0; percent <= 100; percent += 25 {
		y := plotTop + plotHeight*(100-percent)/100
		fmt.Fprintf(&b, `<path d="M%d %dh%d" stroke="#ddd"/><text x="%d" y="%d" text-anchor="end">%d %%</text>
`, plotLeft, y, plotWidth, plotLeft-6, y+4, percent)
	}
	for h := 0; h <= 24; h += 3 {
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%02d:00</text>
`, xOf(float64(h)), plotTop+plotHeight+18, h)
	}
	d := paced.day(paced.date)
	plan := func(h *hour) float64 { return 1 - d.Left(h.at.UnixMilli()) }
	line(&b, unpaced.hours, "#c0504d", "", func(h *hour) float64 { return h.spent })
	line(&b, paced.hours, "#888", ` stroke-dasharray="5 4"`, plan)
	line(&b, paced.hours, "#1f6feb", "", func(h *hour) float64 { return h.spent })
	legend(&b, "#888", "plan", 0)
	legend(&b, "#1f6feb", "spent", 1)
	legend(&b, "#c0504d", "spent without pacing", 2)
	for i := range paced.hours {
		h := &paced.hours[i]
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#9ecbff"/>
`, xOf(float64(i))+2, barTop+barHeight*(1-h.multiplier), float64(plotWidth)/24-4, barHeight*h.multiplier)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">the multiplier of the bid at the end of each hour, 0 to 1</text>
</svg>
`, plotLeft, barTop+barHeight+20)
	return b.String()
}

func xOf(hour float64) float64 { return plotLeft + plotWidth*hour/24 }

func line(b *strings.Builder, hours []hour, color, dash string, of func(*hour) float64) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2"%s points="%d,%d`, color, dash, plotLeft,
		plotTop+plotHeight)
	midnight := hours[0].at.Add(-time.Hour)
	for i := range hours {
		h := &hours[i]
		share := of(h)
		if i == len(hours)-1 { // another day has begun
			share = of(&hours[i-1])
			if share > 0.9 {
				share = 1
			}
		}
		fmt.Fprintf(b, " %.1f,%.1f", xOf(h.at.Sub(midnight).Hours()), plotTop+plotHeight*(1-share))
	}
	b.WriteString("\"/>\n")
}

func legend(b *strings.Builder, color, text string, at int) {
	x := plotLeft + 10 + 90*at
	fmt.Fprintf(b, `<path d="M%d 18h20" stroke="%s" stroke-width="2"/><text x="%d" y="22">%s</text>
`, x, color, x+26, text)
}
