package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/cli"
	"github.com/hexbid/hexbid/ledger/receipt"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// receiptCommands are the commands of the group "receipt" that need no server.
type receiptCommands struct {
	Verify receiptVerifyCommand `cmd:"" help:"Verify a receipt without a server: recompute its price, its charge and its path to a root."`
}

type receiptVerifyCommand struct {
	File   string   `arg:"" help:"The file, as \"hexbid receipt get NUMBER -o json\" prints it; - is standard input."`
	Root   []string `help:"Link of the hour's root, from somebody you trust: as \"hexbid ledger roots\" lists it. Several: one of them must match." placeholder:"LINK"`
	Roots  string   `help:"Output of \"hexbid ledger roots -o json\": with it a link vouches for all hours before its own too." type:"existingfile" placeholder:"FILE"`
	Output string   `short:"o" help:"text, or json for programs." enum:"text,json" default:"text"`
}

// verifiedReceipt is the answer in JSON.
type verifiedReceipt struct {
	OK            bool         `json:"ok"`
	Pinned        bool         `json:"pinned"` // the root is one of those given
	Sequence      uint64       `json:"sequence,string"`
	Kind          string       `json:"kind"`
	ChargedMicros hexbid.Money `json:"charged_micros,string"`
	CampaignUID   hexbid.UID   `json:"campaign_uid,string"`
	AdvertiserUID hexbid.UID   `json:"advertiser_uid,string"`
	PriceProven   bool         `json:"price_proven"` // the record holds all that the price follows from
	PriceMicros   hexbid.Money `json:"price_micros,string"`
	PriceSetBy    string       `json:"price_set_by,omitempty"`
	Link          string       `json:"link"`
}

// Help returns the text of --help.
func (*receiptVerifyCommand) Help() string {
	return `Examples:

  hexbid receipt verify 812.json --root LINK
  hexbid receipt verify 812.json --root LINK --roots roots.json
  hexbid receipt get 812 -o json | hexbid receipt verify -`
}

// Run verifies a receipt. It fails with what does not hold.
func (c *receiptVerifyCommand) Run(env cli.Env) error {
	links := make([]receipt.Hash, len(c.Root))
	for i, text := range c.Root {
		var err error
		if links[i], err = receipt.ParseRoot(text); err != nil {
			return err
		}
	}
	roots, err := readRoots(c.Roots, len(links) > 0)
	if err != nil {
		return err
	}
	text, err := readReceipt(env.Stdin, c.File)
	if err != nil {
		return err
	}
	r, err := receipt.Verify(text, receipt.Vouched(roots, links))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return json.NewEncoder(env.Stdout).Encode(c.verified(r))
	}
	_, err = io.WriteString(env.Stdout, c.describe(r))
	return err
}

func readReceipt(stdin io.Reader, path string) ([]byte, error) {
	source := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		source = file
	}
	return io.ReadAll(io.LimitReader(source, receipt.MaxFileBytes+1))
}

// readRoots reads a list of roots; there is none without a path. A list needs a link that is pinned.
func readRoots(path string, pinned bool) (roots []receipt.Root, err error) {
	if path == "" {
		return nil, nil
	}
	if !pinned {
		return nil, hexbid.Invalidf("roots", "is of no use without --root: a list that nobody vouches for proves nothing")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list pb.ListRootsResponse
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &list); err != nil {
		return nil, hexbid.Invalidf("roots", "%s is no list of roots: %v", path, err)
	}
	for i, listed := range list.GetRoots() {
		r := receipt.Root{Hour: uint32(listed.GetHourStartTime().GetSeconds() / 3600), Charges: listed.GetCharges()}
		previous := listed.GetPreviousLink()
		if len(listed.GetRoot()) != len(r.MerkleRoot) || copy(r.Previous[:], previous) != len(previous) {
			return nil, hexbid.Invalidf("roots", "root %d of %s has hashes of other lengths than 32 bytes", i, path)
		}
		copy(r.MerkleRoot[:], listed.GetRoot())
		roots = append(roots, r)
	}
	return roots, nil
}

func (c *receiptVerifyCommand) verified(r *receipt.Receipt) *verifiedReceipt {
	e := r.Charge.Event
	return &verifiedReceipt{OK: true, Pinned: len(c.Root) > 0, Sequence: r.Charge.Sequence, Kind: e.Kind.String(),
		ChargedMicros: e.Charged, CampaignUID: e.Award.Campaign, AdvertiserUID: e.Award.Advertiser,
		PriceProven: r.Charge.PriceProven(), PriceMicros: e.Award.Price, PriceSetBy: r.Charge.SetBy.String(),
		Link: fmt.Sprintf("%x", r.Root.Link[:])}
}

func (c *receiptVerifyCommand) describe(r *receipt.Receipt) string {
	e := r.Charge.Event
	text := fmt.Sprintf("OK: record %d charged %s for a %s of campaign %d (advertiser %d).\n", r.Charge.Sequence,
		e.Charged, e.Kind, e.Award.Campaign, e.Award.Advertiser)
	if r.Charge.PriceProven() {
		text += fmt.Sprintf("The price of %s follows from the auction: set by %s.\n", e.Award.Price, r.Charge.SetBy)
	} else {
		text += "The token was of a version that does not say what set the price; the charge is what its price makes due.\n"
	}
	text += fmt.Sprintf("The record is charge %d of %d under root %x\nof the hour from %s, whose link is\n  %x\n",
		r.Proof.Index+1, r.Root.Charges, r.Root.MerkleRoot[:], r.Root.Start().Format("2006-01-02 15:04 MST"),
		r.Root.Link[:])
	if len(c.Root) > 0 {
		return text + "That is the root that you gave, or one that it vouches for.\n"
	}
	return text +
		"Nobody has vouched for this root yet: compare the link with one that you trust, or give it as --root.\n"
}
