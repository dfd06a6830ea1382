package exchange

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/token"
)

// TestATokenSaysWhatItsPriceFollowsFrom searches random markets of every mechanism,
// with bids by host, pacing and reserves, and works each price out from its token.
func TestATokenSaysWhatItsPriceFollowsFrom(t *testing.T) {
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		h := newAuctionHouse(t, keys)
		defer h.e.Close()
		r := at(hub)
		r.Slots = rapid.IntRange(1, hexbid.MaxSlots).Draw(t, "slots")
		r.Host = rapid.SampledFrom([]hexbid.Host{hexbid.HostUnknown, hexbid.WeChat, hexbid.Alipay}).Draw(t, "host")
		response, err := h.e.Search(ctx, r, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for i := range response.Sponsored {
			h.checkToken(t, &response.Sponsored[i], r.Host, response.RequestID)
		}
	})
}

func (h *auctionHouse) checkToken(t *rapid.T, won *Sponsored, host hexbid.Host, requestID string) {
	award, _, err := h.e.keys.Ring().OpenAward(won.Token)
	if err != nil {
		t.Fatal(err)
	}
	if price, setBy, err := award.WorkOutPrice(); err != nil || price != won.Price || award.Price != won.Price {
		t.Fatalf("%+v\nis worked out as %d set by %s, %v; was %d", award, price, setBy, err, won.Price)
	}
	market := &h.e.config.Market
	if award.RequestID != requestID || award.MarketVersion != market.Version ||
		award.Basis.Mechanism != market.Mechanism || award.Basis.Pricing != won.Pricing {
		t.Fatalf("%+v\nis of request %q in market %+v", award, requestID, market)
	}
	for _, c := range h.campaigns {
		if !strings.HasPrefix(string(won.Cards.Campaign), c.Name+" for ") {
			continue
		}
		b, learned := &award.Basis, h.factors[c.Name]
		if b.Bid != c.BidOn(host) || b.MultiplierPPM != learned.pacingPPM || b.QualityPPM != learned.qualityPPM {
			t.Fatalf("%+v\nis not as %+v and %+v say", award, c, learned)
		}
		return
	}
	t.Fatalf("nobody's: %s", won.Cards)
}
