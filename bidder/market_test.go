package bidder

import (
	"testing"

	"github.com/hexbid/hexbid"
)

// TestAMarketHasAMechanismThatAuctionsKnow, for every scene. One that the operator leaves out is GSP.
func TestAMarketHasAMechanismThatAuctionsKnow(t *testing.T) {
	if m, err := MarketOf(&hexbid.Market{}); err != nil || m.Mechanism != hexbid.MechanismGSP {
		t.Errorf("a market without a mechanism is one of %s, %v", m.Mechanism, err)
	}
	for mechanism := range hexbid.MechanismCount + 2 {
		known := mechanism > hexbid.MechanismUnspecified && mechanism < hexbid.MechanismCount
		m := DefaultMarket()
		if m.Mechanism = mechanism; (m.Validate() == nil) != known {
			t.Errorf("a market of %s: %v", mechanism, m.Validate())
		}
		m = DefaultMarket()
		m.MechanismOf = map[hexbid.Scene]hexbid.Mechanism{hexbid.Search: mechanism}
		if (m.Validate() == nil) != known {
			t.Errorf("a scene of %s: %v", mechanism, m.Validate())
		}
	}
}
