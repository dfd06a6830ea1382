package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// receiptCommand groups the commands about proofs of charges.
type receiptCommand struct {
	Added kong.Plugins `embed:""`

	Get receiptGetCommand `cmd:"" help:"Read the receipt of a charge: its award, its record and the path to its hour's root."`
}

type receiptGetCommand struct {
	Record      uint64 `arg:"" help:"The number of the charge's record, as \"hexbid events\" and \"hexbid ledger charges\" print it."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run reads a receipt. With -o json it prints the file that "hexbid receipt verify" reads, byte by byte, or what there
// is of a receipt that is pending.
func (c *receiptGetCommand) Run(s *session) error {
	return c.call(s, func(ctx context.Context, conn *client) error {
		r, err := conn.ledger.GetReceipt(ctx, &pb.GetReceiptRequest{Sequence: c.Record})
		if err != nil {
			return err
		}
		switch {
		case c.Output != "json":
			printReceipt(s.Stdout, r)
			return nil
		case r.GetPending():
			return printJSON(s, r)
		}
		_, err = s.Stdout.Write(r.GetFile())
		return err
	})
}

func printReceipt(w io.Writer, r *pb.Receipt) {
	charge, award := r.GetCharge(), r.GetAward()
	fmt.Fprintf(w, "Record %d: %s %s for a %s, on %s at %s\n", charge.GetSequence(), money(charge.GetChargedMicros()),
		r.GetCurrency(), enumName(charge.GetKind()), charge.GetLocalDate(), when(charge.GetRecordTime().AsTime()))
	fmt.Fprintf(w, "  campaign: %s (uid %d)\n", charge.GetCampaign(), charge.GetCampaignUid())
	fmt.Fprintf(w, "  search %s: slot %d, host %s, scene %s, at %s\n", award.GetRequestId(), award.GetSlot(),
		enumName(award.GetHost()), enumName(award.GetScene()), when(award.GetIssueTime().AsTime()))
	fmt.Fprintf(w, "  price: %s", price(award.GetPriceMicros(), award.GetPricingModel()))
	if by := award.GetPriceSetBy(); by != "" {
		fmt.Fprintf(w, ", set by %s", setBy(by))
	}
	fmt.Fprintf(w, "\n  own bid %s × %s, %s chance of a click; %s, market version %d\n", money(award.GetBidMicros()),
		percent(award.GetMultiplierPpm()), percent(award.GetQualityPpm()), award.GetMechanism(), award.GetMarketVersion())
	switch {
	case r.GetPending():
		fmt.Fprintf(w, "  pending: the hour from %s has no root yet. Read the receipt again when it is over.\n",
			when(r.GetHourStartTime().AsTime()))
	default:
		fmt.Fprintf(w, "  link %x, root %x of the hour from %s: charge %d of %d, %d hashes to it\n", r.GetHour().GetLink(),
			r.GetRoot(), when(r.GetHourStartTime().AsTime()), r.GetLeafIndex()+1, r.GetLeafCount(), len(r.GetPath()))
		fmt.Fprintf(w, "To verify it without a server: hexbid receipt get %d -o json > FILE, then hexbid receipt verify "+
			"FILE --root LINK\n", charge.GetSequence())
	}
}

// setBy says what set a price.
func setBy(what string) string {
	switch what {
	case "next":
		return "the next entry's score"
	case "reserve":
		return "the reserve"
	case "bid":
		return "its own bid"
	case "others":
		return "the entries below"
	}
	return what
}
