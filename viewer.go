package hexbid

import (
	"time"
	"unicode/utf8"
)

// MaxUserKeyBytes is the most bytes of a viewer's user key.
const MaxUserKeyBytes = 128

// checkUserKey refuses a user key. Its error does not hold the key.
func checkUserKey(field, key string) error {
	if !utf8.ValidString(key) {
		return Invalidf(field, "is not valid UTF-8")
	}
	if len(key) > MaxUserKeyBytes {
		return Invalidf(field, "has %d bytes: at most %d", len(key), MaxUserKeyBytes)
	}
	return nil
}

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

// ViewerExport is a page of everything that is held of a viewer.
type ViewerExport struct {
	ReadAt  time.Time
	Records []ViewerRecord
	Next    string // token of the next page; empty on the last
}

// ViewerRecord is one thing that is held of a viewer.
type ViewerRecord struct {
	Kind     ViewerRecordKind
	Name     string // of the campaign or advertiser; empty when it is deleted
	UID      UID
	Count    int64       // ever, as far as it was counted
	Times    []time.Time // ascending; of an award, when it was won
	Sequence uint64      // of a coupon: the ledger's record that granted it
	Unread   []byte      // the row, if it cannot be read
}

// ViewerRecordKind is what is held of a viewer.
type ViewerRecordKind uint8

// The kinds. Their numbers are those of the wire contract.
const (
	CampaignImpressions ViewerRecordKind = iota + 1
	AdvertiserImpressions
	CampaignClicks
	CouponOfViewer
	AwardOfViewer // in memory alone: won, and its impression not reported yet
	UnreadOfViewer
)
