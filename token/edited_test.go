package token

import (
	"testing"
	"time"
)

// FuzzEditedToken edits tokens that were sealed, for each purpose, and opens the result for each. Nothing opens but
// what was sealed, and for its own purpose.
func FuzzEditedToken(f *testing.F) {
	ring, other := openKeys(f).Ring(), openKeys(f).Ring()
	type issue struct {
		text string
		of   Purpose
	}
	var issued []issue
	for p := range purposes {
		issued = append(issued, issue{ring.Seal(p, []byte("position")), p})
	}
	award := &Award{RequestID: "r", Campaign: 7, Advertiser: 3, ClientID: "app", ClientUID: 9, HasViewer: true,
		IssuedAt: time.UnixMilli(1_700_000_000_000), ClickExpiry: time.UnixMilli(1_700_000_600_000)}
	issued = append(issued, issue{ring.SealAward(award), AwardPurpose}, issue{other.SealAward(award), AwardPurpose})
	strange := len(issued) - 1 // of another deployment
	for i := range issued {
		f.Add(uint8(i), uint16(0), uint16(0), "", uint8(i))
		f.Add(uint8(i), uint16(1), uint16(1), "B", uint8(0))
		f.Add(uint8(i), uint16(22), uint16(1), "", uint8(1))
		f.Add(uint8(i), uint16(len(issued[i].text)), uint16(0), "=", uint8(2))
		f.Add(uint8(i), uint16(len(issued[i].text)-1), uint16(1), "\n", uint8(3))
	}
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, put string, joined uint8) {
		text := issued[int(which)%len(issued)].text
		i := int(at) % (len(text) + 1)
		text = text[:i] + put + text[min(i+int(cut), len(text)):]
		if joined%4 == 0 { // the head of one with the tail of another
			tail := issued[int(joined/4)%len(issued)].text
			text = text[:min(i, len(text))] + tail[min(i, len(tail)):]
		}
		for p := range purposes {
			good := false
			for k, one := range issued {
				good = good || k != strange && one.text == text && one.of == p
			}
			if _, _, err := ring.Open(p, text); (err == nil) != good {
				t.Errorf("%q as %s: %v", text, p, err)
			}
		}
		_, _, _ = ring.OpenAward(text)
	})
}
