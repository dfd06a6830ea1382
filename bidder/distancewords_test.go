package bidder

import (
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

func TestLengthsAreWrittenAsPeopleSayThem(t *testing.T) {
	for metres, want := range map[float64]string{0: "0 m", 14: "10 m", 994: "990 m", 995: "1.0 km", 1249: "1.2 km",
		9949: "9.9 km", 9951: "10 km", 42_300: "42 km", 999_499: "999 km", 999_501: "1,000 km", 1_100_400: "1,100 km",
		20_003_900: "20,004 km"} {
		if got := lengthInWords(metres); got != want {
			t.Errorf("%g m is written %q, want %q", metres, got, want)
		}
	}
}

// TestTheReasonSaysWhatTheDistanceDoes, and nothing where it does nothing.
func TestTheReasonSaysWhatTheDistanceDoes(t *testing.T) {
	m := newTestMarket(t, 3, hangzhou, byDistance)
	m.fill(t, 1500)
	s := m.indexer.Snapshot()
	_, q := m.request()
	q.Explore = false
	with, without, impressions := 0, 0, 0
	for i := range s.campaigns.len() {
		if s.campaigns.at(i).uid == 0 {
			continue
		}
		var reserves reserveTable
		e, _ := s.plainEntry(i, &q, &reserves)
		said := s.DistanceReason(&e, &q)
		_, there := s.NearestPlaceM(e.Ordinal, &q)
		switch {
		case e.Pricing == hexbid.CPM:
			impressions++
			if said != "" {
				t.Fatalf("of an impression: %q", said)
			}
		case there:
			with++
			if !strings.HasPrefix(said, "the nearest place is ") || !strings.Contains(said, " away: band ") {
				t.Fatalf("with a place: %q", said)
			}
		default:
			without++
			if !strings.HasPrefix(said, "its program has no approved place: its chance of a click counts ") {
				t.Fatalf("without a place: %q", said)
			}
		}
		if e.Prediction.Band = 0; s.DistanceReason(&e, &q) != "" {
			t.Fatal("where distance does not count it says something")
		}
	}
	if with == 0 || without == 0 || impressions == 0 {
		t.Errorf("%d entries with a place, %d without, %d for impressions", with, without, impressions)
	}
	far := auction.Entry{Candidate: auction.Candidate{}, Prediction: auction.Prediction{DistancePPM: 123_456, Band: 9}}
	for i := range s.campaigns.len() {
		if far.Ordinal = i; s.campaigns.at(i).uid != 0 {
			break
		}
	}
	far.Pricing = hexbid.CPC
	if said := s.DistanceReason(&far, &q); !strings.HasSuffix(said, "counts 12.3 %") {
		t.Errorf("%q", said)
	}
}
