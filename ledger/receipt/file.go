package receipt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// MaxFileBytes is the most bytes of a receipt's file. The largest award in an hour of 2^40 charges makes a file of some
// 8,000.
const MaxFileBytes = 64 << 10

const format = "hexbid receipt 2"

// file is a receipt as it is written. Everything but the proof follows from the proof, and a proof has one file alone:
// so Verify renders a proof again and compares all bytes. Amounts are micros, hashes are hexadecimal.
type file struct {
	Format string     `json:"format"`
	Charge fileCharge `json:"charge"`
	Award  fileAward  `json:"award"`
	Root   fileRoot   `json:"root"`
	Proof  fileProof  `json:"proof"`
}

type fileCharge struct {
	Sequence      uint64       `json:"sequence"`
	Time          string       `json:"time"`
	LocalDate     string       `json:"local_date"`
	Kind          string       `json:"kind"`
	ImpliesSeen   bool         `json:"implies_impression,omitempty"`
	ChargedMicros hexbid.Money `json:"charged_micros"`
	CampaignUID   hexbid.UID   `json:"campaign_uid"`
	AdvertiserUID hexbid.UID   `json:"advertiser_uid"`
}

type fileAward struct {
	RequestID       string       `json:"request_id"`
	Slot            int          `json:"slot"`
	Host            string       `json:"host"`
	Scene           string       `json:"scene"`
	ClientID        string       `json:"client_id"`
	IssueTime       string       `json:"issue_time"`
	ClickExpireTime string       `json:"click_expire_time"`
	MarketVersion   uint64       `json:"market_version"`
	Mechanism       string       `json:"mechanism"`
	PricingModel    string       `json:"pricing_model"`
	BidMicros       hexbid.Money `json:"bid_micros"`
	MultiplierPPM   int64        `json:"multiplier_ppm"`
	PacedBidMicros  hexbid.Money `json:"paced_bid_micros"`
	QualityPPM      int64        `json:"quality_ppm"`
	Factors         *fileFactors `json:"quality_factors,omitempty"` // nil when none lowered the quality
	Explored        bool         `json:"explored"`
	Score           int64        `json:"score"`
	ReserveScore    int64        `json:"reserve_score"`
	PositionFactors []int64      `json:"position_factors"`
	NextScore       *int64       `json:"next_score,omitempty"`       // GSP
	IncrementMicros *int64       `json:"increment_micros,omitempty"` // GSP
	VCGSum          string       `json:"vcg_sum,omitempty"`          // VCG: 128 bits, decimal
	PriceMicros     hexbid.Money `json:"price_micros"`
	PriceSetBy      string       `json:"price_set_by,omitempty"` // empty in a token of the first version
	Trial           *fileTrial   `json:"trial,omitempty"`        // nil when the auction was none
}

type fileFactors struct {
	BasePPM     int64 `json:"base_ppm"`
	ScenePPM    int64 `json:"scene_ppm"`
	DistancePPM int64 `json:"distance_ppm"`
	Band        uint8 `json:"distance_band"`
}

type fileTrial struct {
	Pair    uint8 `json:"pair"`
	Swapped bool  `json:"swapped"`
}

type fileRoot struct {
	HourStartTime string   `json:"hour_start_time"`
	Hour          uint32   `json:"hour"` // since 1970
	Charges       uint64   `json:"charges"`
	MerkleRoot    hexBytes `json:"merkle_root"`
	PreviousLink  hexBytes `json:"previous_link"`
	Link          hexBytes `json:"link"`
}

type fileProof struct {
	Record    hexBytes   `json:"record"`
	Salt      hexBytes   `json:"salt"`
	LeafIndex uint64     `json:"leaf_index"`
	Path      []hexBytes `json:"path"`
}

// hexBytes are bytes that a file writes as hexadecimal digits.
type hexBytes []byte

// MarshalText returns lower-case digits.
func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads digits.
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// File returns the receipt's file: JSON, which Verify takes. It returns nil while the receipt is pending.
func (r *Receipt) File() ([]byte, error) {
	if r.Pending() {
		return nil, nil
	}
	f := file{Format: format, Charge: chargeInFile(&r.Charge), Award: awardInFile(&r.Charge), Root: rootInFile(r.Root),
		Proof: r.Proof.inFile()}
	text, err := json.MarshalIndent(&f, "", "  ")
	return append(text, '\n'), err
}

func chargeInFile(c *Charge) fileCharge {
	e := c.Event
	return fileCharge{Sequence: c.Sequence, Time: instant(c.Time), LocalDate: hexbid.Date(e.Date).String(),
		Kind:        e.Kind.String(),
		ImpliesSeen: e.Implies, ChargedMicros: e.Charged, CampaignUID: e.Award.Campaign,
		AdvertiserUID: e.Award.Advertiser}
}

func awardInFile(c *Charge) fileAward {
	a, b := &c.Event.Award, &c.Event.Award.Basis
	paced, score := auction.Pace(b.Pricing, b.Bid, b.MultiplierPPM, b.QualityPPM)
	f := fileAward{RequestID: a.RequestID, Slot: a.Slot, Host: a.Host.String(), Scene: a.Scene.String(),
		ClientID: a.ClientID, IssueTime: instant(time.UnixMilli(a.IssuedAt)),
		ClickExpireTime: instant(time.UnixMilli(a.ClickExpiry)),
		MarketVersion:   a.MarketVersion, Mechanism: b.Mechanism.String(), PricingModel: b.Pricing.String(),
		BidMicros: b.Bid, MultiplierPPM: b.MultiplierPPM, PacedBidMicros: paced, QualityPPM: b.QualityPPM,
		Explored: a.Explored, Score: score, ReserveScore: b.Reserve, PositionFactors: b.Factors, PriceMicros: a.Price,
		PriceSetBy: c.SetBy.String()}
	if p := a.Prediction; p != (auction.Prediction{}) {
		f.Factors = &fileFactors{p.BasePPM, p.ScenePPM, p.DistancePPM, p.Band}
	}
	if a.Trial.Pair > 0 {
		f.Trial = &fileTrial{a.Trial.Pair, a.Trial.Swapped}
	}
	switch b.Mechanism {
	case hexbid.MechanismGSP:
		f.NextScore, f.IncrementMicros = &b.Next, (*int64)(&b.Increment)
	case hexbid.MechanismVCG:
		f.VCGSum = sumText(b.Sum)
	}
	return f
}

// sumText returns a sum in decimal digits.
func sumText(s auction.Sum) string {
	sum := new(big.Int).Lsh(new(big.Int).SetUint64(s.High), 64)
	return sum.Or(sum, new(big.Int).SetUint64(s.Low)).String()
}

func rootInFile(r *Root) fileRoot {
	return fileRoot{HourStartTime: instant(r.Start()), Hour: r.Hour, Charges: r.Charges, MerkleRoot: r.MerkleRoot[:],
		PreviousLink: r.Previous[:], Link: r.Link[:]}
}

func (p *Proof) inFile() fileProof {
	f := fileProof{Record: p.Record, Salt: p.Salt[:], LeafIndex: p.Index, Path: []hexBytes{}}
	for _, hash := range p.Path {
		f.Path = append(f.Path, hash[:])
	}
	return f
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// read reads the proof and the root in a file, and nothing else of it.
func read(text []byte) (*Proof, *Root, error) {
	var f file
	if len(text) > MaxFileBytes {
		return nil, nil, hexbid.Invalidf("receipt", "a file of %d bytes: one of a receipt has at most %d", len(text),
			MaxFileBytes)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, nil, &hexbid.Error{Kind: hexbid.Invalid, Field: "receipt", Detail: "the file is not a receipt",
			Err: err}
	}
	if f.Format != format {
		return nil, nil, hexbid.Invalidf("receipt", "the file's format is %.40q, expected %q: get the receipt again",
			f.Format, format)
	}
	p, r := &Proof{Record: f.Proof.Record, Index: f.Proof.LeafIndex, Path: make([]Hash, len(f.Proof.Path))},
		&Root{Hour: f.Root.Hour, Charges: f.Root.Charges}
	err := hexbid.JoinErrors(fill(p.Salt[:], f.Proof.Salt, "receipt.proof.salt"),
		fill(r.MerkleRoot[:], f.Root.MerkleRoot, "receipt.root.merkle_root"),
		fill(r.Previous[:], f.Root.PreviousLink, "receipt.root.previous_link"))
	for i, hash := range f.Proof.Path {
		err = hexbid.JoinErrors(err, fill(p.Path[i][:], hash, "receipt.proof.path"))
	}
	return p, r, err
}

// fill copies a text of a fixed length.
func fill(to, from []byte, field string) error {
	if len(from) != len(to) {
		return hexbid.Invalidf(field, "%d bytes, expected %d", len(from), len(to))
	}
	copy(to, from)
	return nil
}

// compare returns an error that shows the first line in which a file differs from what its proof says.
func compare(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	gotLines, wantLines := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range wantLines {
		if i >= len(gotLines) {
			break
		}
		if !bytes.Equal(gotLines[i], wantLines[i]) {
			return hexbid.Invalidf("receipt", "line %d is %s, but what the receipt proves is %s", i+1,
				shown(gotLines[i]), shown(wantLines[i]))
		}
	}
	return hexbid.Invalidf("receipt", "the file has %d lines, expected %d", len(gotLines), len(wantLines))
}

func shown(line []byte) string { return fmt.Sprintf("%.120q", bytes.TrimSpace(line)) }
