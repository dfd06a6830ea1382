// Package auction ranks entries and prices slots. It is pure arithmetic in exact integers, with no clock, no float and
// no allocation.
//
// The unit of a score is 10⁻⁶ micros for one impression that is seen. A CPC candidate scores b·q for a paced bid of b
// micros a click and a quality of q parts per million. A CPM candidate scores b·1000 for b micros a thousand
// impressions. Both stay below 10¹⁵, so nothing overflows.
package auction

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
)

// PPM is one whole in parts per million.
const PPM = 1_000_000

// Candidate is one campaign that matches a request.
type Candidate struct {
	Ordinal       uint32 // chosen by the caller
	Advertiser    uint32 // equal for campaigns of one advertiser
	CampaignUID   hexbid.UID
	Pricing       hexbid.PricingModel
	Bid           hexbid.Money
	MultiplierPPM int64 // of pacing, 0 to PPM
	QualityPPM    int64 // predicted chance of a click once the slot is seen, 1 to PPM
	Reserve       int64 // in the unit of score
}

// Entry is a candidate with its paced bid and score.
type Entry struct {
	Candidate
	PacedBid   hexbid.Money
	Score      int64
	Prediction Prediction // how QualityPPM came about
	Explored   bool       // Prediction.BasePPM is above the campaign's ordinary quality, because the request explores
}

// Enter paces the bid of the entry's candidate and computes its score. It returns false when the score is below the
// reserve or below 1.
func (e *Entry) Enter() bool {
	e.PacedBid, e.Score = Pace(e.Pricing, e.Bid, e.MultiplierPPM, e.QualityPPM)
	return Enters(e.Score, e.Reserve)
}

// Pace multiplies a bid by the pacing multiplier and returns the paced bid with its score.
func Pace(
	pricing hexbid.PricingModel, bid hexbid.Money, multiplierPPM, qualityPPM int64,
) (paced hexbid.Money, score int64) {
	paced = hexbid.Money(int64(bid) * multiplierPPM / PPM)
	if pricing == hexbid.CPM { // one impression costs whole micros
		paced -= paced % 1000
	}
	return paced, Score(pricing, paced, qualityPPM)
}

// Enters reports whether a score reaches both the reserve and 1.
func Enters(score, reserve int64) bool { return score >= max(reserve, 1) }

// Score returns the score of a bid.
func Score(pricing hexbid.PricingModel, bid hexbid.Money, qualityPPM int64) int64 {
	return int64(bid) * divisor(pricing, qualityPPM)
}

// divisor returns the score that one micro of bid buys.
func divisor(pricing hexbid.PricingModel, qualityPPM int64) int64 {
	if pricing == hexbid.CPM {
		return 1000
	}
	return qualityPPM
}

// TieBreak orders equal scores. The entry with the larger hash ranks first, and of equal hashes the smaller uid. The
// hash is XXH64 of the request id's bytes followed by the campaign's uid as eight little-endian bytes. So ties are fair
// over many requests, and a replay gives the same order.
type TieBreak struct {
	input [MaxRequestIDBytes + 9]byte
	n     int
}

// MaxRequestIDBytes is the longest request id in bytes. TieBreak ignores the bytes beyond.
const MaxRequestIDBytes = 64

// NewTieBreak returns the tie-break of a request id, of which it reads at most MaxRequestIDBytes.
func NewTieBreak(requestID string) (t TieBreak) {
	t.n = copy(t.input[:MaxRequestIDBytes], requestID)
	return t
}

// Hash returns the tie-breaking hash of a campaign.
func (t *TieBreak) Hash(uid hexbid.UID) uint64 {
	binary.LittleEndian.PutUint64(t.input[t.n:], uint64(uid))
	return xxhash.Sum64(t.input[:t.n+8])
}

// TakesPart reports whether a campaign with a participation in parts per million takes part in the request's auction.
// It takes the XXH64 of the request id's bytes, the campaign's uid as eight little-endian bytes and the byte 'p', and
// compares it, as a fraction of 2⁶⁴, with the participation. So the share of requests is right, a replay gives the same
// answer, and the hash says nothing about the one that breaks ties.
func (t *TieBreak) TakesPart(uid hexbid.UID, participationPPM int64) bool {
	binary.LittleEndian.PutUint64(t.input[t.n:], uint64(uid))
	t.input[t.n+8] = 'p'
	millionths, _ := bits.Mul64(xxhash.Sum64(t.input[:t.n+9]), PPM)
	return millionths < uint64(participationPPM)
}

// Trial returns the trial that a request's auction is, for a share of swapped pairs among all requests in parts per
// million. It takes the XXH64 of the request id's bytes and the byte 't' as a fraction of 2⁶⁴. Twice the share of the
// requests are trials, each about one of the pairs of its slots, and half of them swap it.
func (t *TieBreak) Trial(slots int, swappedPPM int64) Trial {
	if slots < 2 {
		return Trial{}
	}
	t.input[t.n] = 't'
	millionths, rest := bits.Mul64(xxhash.Sum64(t.input[:t.n+1]), PPM)
	if millionths >= uint64(2*swappedPPM) {
		return Trial{}
	}
	pair, rest := bits.Mul64(rest, uint64(min(slots, hexbid.MaxSlots)-1))
	return Trial{Pair: uint8(pair) + 1, Swapped: rest>>63 == 1}
}

// SampleHash is the XXH64 of the request id's bytes and the byte 's'. It orders requests at random, the same again in a
// replay, and says nothing about the hashes that auctions use.
func (t *TieBreak) SampleHash() uint64 {
	t.input[t.n] = 's'
	return xxhash.Sum64(t.input[:t.n+1])
}

// Explores reports whether the request explores, when a share in parts per million does. It takes the XXH64 of the
// request id's bytes and the byte 'e', and compares it with the share as TakesPart does.
func (t *TieBreak) Explores(sharePPM int64) bool {
	t.input[t.n] = 'e'
	millionths, _ := bits.Mul64(xxhash.Sum64(t.input[:t.n+1]), PPM)
	return millionths < uint64(sharePPM)
}

// before reports whether a ranks above b.
func (t *TieBreak) before(a, b *Standing) bool {
	if a.Score != b.Score {
		return a.Score > b.Score
	}
	if ha, hb := t.Hash(a.CampaignUID), t.Hash(b.CampaignUID); ha != hb {
		return ha > hb
	}
	return a.CampaignUID < b.CampaignUID
}
