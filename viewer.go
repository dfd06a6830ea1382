package hexbid

import "time"

// MaxUserKeyBytes is the most bytes of a viewer's user key.
const MaxUserKeyBytes = 128

// ViewerHistory is what the deployment knows of a viewer.
type ViewerHistory struct {
	Exposures []Exposure // in the order of uids
	More      bool       // there are more than are listed
}

// Exposure is what a viewer has seen of a campaign or of an advertiser with a frequency cap, or a coupon of theirs.
type Exposure struct {
	Name        string // of the campaign or advertiser; empty when it is deleted
	UID         UID
	Coupon      bool      // the viewer has a coupon of the campaign; the fields below are zero
	Impressions int64     // ever, as far as they were counted
	Clicks      int64     // that were not filtered; impressions are 0 then
	Last        time.Time // impression or click
}
