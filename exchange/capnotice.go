package exchange

import (
	"github.com/hexbid/hexbid"
)

// CapNotice tells whoever changes a campaign or an advertiser from when on its frequency cap counts. It is empty where
// there is nothing to tell. Rows of what viewers have seen are kept only under a cap, and go 30 days after the last
// impression unless the cap is for ever. A nil before is a resource that is new.
func CapNotice(before, after hexbid.Resource) string {
	if before == nil {
		return ""
	}
	was, is := capOf(before), capOf(after)
	switch {
	case is.Impressions == 0:
		return ""
	case was.Impressions == 0:
		return "the frequency cap counts from now on: nobody knows what viewers saw before"
	case is.Window == 0 && was.Window > 0:
		return "the frequency cap is for ever from now on: viewers who last saw an ad more than 30 days ago begin anew"
	}
	return ""
}

// capOf returns a campaign's or an advertiser's frequency cap; others have none.
func capOf(r hexbid.Resource) hexbid.FrequencyCap {
	switch r := r.(type) {
	case *hexbid.Campaign:
		return r.Cap
	case *hexbid.Advertiser:
		return r.Cap
	}
	return hexbid.FrequencyCap{}
}
