package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// requestIDFlags name a request, so that sending it again does nothing twice.
type requestIDFlags struct {
	RequestID   string `name:"request-id" help:"Name of the request, 1 to 64 bytes: sent again with the same content it gets its first answer again, and nothing moves twice. Drawn at random when left out, and printed." placeholder:"ID"`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// movementCall asks for a movement under a request id.
type movementCall func(ctx context.Context, l pb.LedgerServiceClient, id string) (*pb.Movement, error)

// move sends a request that changes an account, again while nobody answers, and prints the answer.
func (f *requestIDFlags) move(s *session, send movementCall) error {
	id := f.RequestID
	if id == "" {
		id = newID()
	}
	var m *pb.Movement
	err := f.call(s, func(ctx context.Context, conn *client) error {
		return persist(ctx, func() (err error) {
			m, err = send(ctx, conn.ledger, id)
			return err
		})
	})
	if err == nil {
		return f.print(s, m)
	}
	if isUnknown(err) {
		fmt.Fprintf(s.Stderr, "hexbid: nobody knows whether this was done. Run it again with --request-id %s: it is done "+
			"once.\n", id)
	}
	return err
}

// isUnknown reports whether a call may have had an effect although it failed.
func isUnknown(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal:
		return true
	}
	return false
}

func (f *requestIDFlags) print(s *session, m *pb.Movement) error {
	if f.Output == "json" {
		return printJSON(s, m)
	}
	again := ""
	if m.GetRepeatedAnswer() {
		again = " (done before: this is the first answer once more)"
	}
	what := enumName(m.GetType())
	if m.GetAmountMicros() > 0 {
		what += " of " + money(m.GetAmountMicros())
	}
	fmt.Fprintf(s.Stdout, "%s: %s%s\n  balance %s, %s\n  request %s, record %s\n", m.GetAdvertiser(), what, again,
		money(m.GetBalanceMicros()), enumName(m.GetBilling()), m.GetRequestId(),
		recordName(m.GetSequence(), m.GetChainHash()))
	return nil
}

type topUpCommand struct {
	Advertiser     string    `arg:"" help:"advertisers/{a}, or a uid."`
	Amount         moneyFlag `arg:"" help:"Amount in currency, as in 500 or 1.20."`
	Note           string    `help:"For people, at most 200 bytes; kept for good, so it must not name a person." placeholder:"TEXT"`
	requestIDFlags `embed:""`
}

// Run tops a balance up.
func (c *topUpCommand) Run(s *session) error {
	a := parseAdvertiser(c.Advertiser)
	return c.move(s, func(ctx context.Context, l pb.LedgerServiceClient, id string) (*pb.Movement, error) {
		return l.CreateTopUp(ctx, &pb.CreateTopUpRequest{Parent: a.name, AdvertiserUid: a.uid, RequestId: id,
			AmountMicros: int64(c.Amount), Note: c.Note})
	})
}

type withdrawCommand struct {
	Advertiser     string    `arg:"" help:"advertisers/{a}, or a uid, as of a deleted one."`
	Amount         moneyFlag `arg:"" help:"Amount in currency, not above the balance."`
	Note           string    `help:"For people, at most 200 bytes; kept for good, so it must not name a person." placeholder:"TEXT"`
	requestIDFlags `embed:""`
}

// Run pays money out.
func (c *withdrawCommand) Run(s *session) error {
	a := parseAdvertiser(c.Advertiser)
	return c.move(s, func(ctx context.Context, l pb.LedgerServiceClient, id string) (*pb.Movement, error) {
		return l.CreateWithdrawal(ctx, &pb.CreateWithdrawalRequest{Parent: a.name, AdvertiserUid: a.uid, RequestId: id,
			AmountMicros: int64(c.Amount), Note: c.Note})
	})
}

type creditCommand struct {
	Advertiser     string    `arg:"" help:"advertisers/{a}, or a uid, as of a deleted one."`
	Charge         []string  `help:"Record of a charge to give back, as in 812, or 812=0.50 for a part of it; may be repeated." placeholder:"RECORD[=AMOUNT]" sep:"none"`
	Campaign       string    `help:"In place of charges: a campaign, by name or uid, with --amount." placeholder:"CAMPAIGN"`
	Amount         moneyFlag `help:"What to give back of the campaign's charges." placeholder:"AMOUNT" default:"0"`
	Reason         string    `help:"Why, for people, at most 200 bytes; kept for good, so it must not name a person." required:"" placeholder:"TEXT"`
	requestIDFlags `embed:""`
}

// Run credits charges or a campaign.
func (c *creditCommand) Run(s *session) error {
	a, of := parseAdvertiser(c.Advertiser), parseAccount(c.Campaign)
	charges, err := c.charges()
	if err != nil {
		return err
	}
	return c.move(s, func(ctx context.Context, l pb.LedgerServiceClient, id string) (*pb.Movement, error) {
		return l.CreateCredit(ctx, &pb.CreateCreditRequest{Parent: a.name, AdvertiserUid: a.uid, RequestId: id,
			Charges: charges, Campaign: of.name, CampaignUid: of.uid, AmountMicros: int64(c.Amount), Reason: c.Reason})
	})
}

// charges reads the charges to credit.
func (c *creditCommand) charges() (charges []*pb.CreditedCharge, err error) {
	if (len(c.Charge) == 0) == (c.Campaign == "") {
		return nil, errors.New("name either charges (--charge 812, as ledger charges lists them) or a campaign " +
			"(--campaign NAME --amount 1.20)")
	}
	if (c.Campaign != "") != (c.Amount > 0) {
		return nil, errors.New("--amount: goes with --campaign, and is above 0; the part of a charge stands after it, " +
			"as in --charge 812=0.50")
	}
	for _, text := range c.Charge {
		charge, err := parseCharge(text)
		if err != nil {
			return nil, fmt.Errorf("--charge: %w", err)
		}
		charges = append(charges, charge)
	}
	return charges, nil
}

// parseCharge reads the number of a charge's record, and what to give back of it when that is not all.
func parseCharge(text string) (*pb.CreditedCharge, error) {
	record, part, partial := strings.Cut(text, "=")
	sequence, err := strconv.ParseUint(record, 10, 64)
	if err != nil || sequence == 0 {
		return nil, fmt.Errorf("%q is not the number of a record: use 812, or 812=0.50 for a part", text)
	}
	one := &pb.CreditedCharge{Sequence: sequence}
	if !partial {
		return one, nil
	}
	micros, err := hexbid.ParseMoney(part)
	if err == nil && micros == 0 {
		err = fmt.Errorf("%q gives nothing back: leave the amount out to give back all", text)
	}
	one.AmountMicros = int64(micros)
	return one, err
}

type billingCommand struct {
	Advertiser     string `arg:"" help:"advertisers/{a}, or a uid."`
	Billing        string `arg:"" help:"prepaid: nothing is charged that the balance does not hold. postpaid: budgets alone limit charges." enum:"prepaid,postpaid"`
	Note           string `help:"For people, at most 200 bytes; kept for good, so it must not name a person." placeholder:"TEXT"`
	requestIDFlags `embed:""`
}

// Run changes how an advertiser pays.
func (c *billingCommand) Run(s *session) error {
	a := parseAdvertiser(c.Advertiser)
	billing, err := parseEnum[pb.Billing](c.Billing)
	if err != nil {
		return err
	}
	return c.move(s, func(ctx context.Context, l pb.LedgerServiceClient, id string) (*pb.Movement, error) {
		return l.SetBilling(ctx, &pb.SetBillingRequest{Name: a.name, Uid: a.uid, RequestId: id, Billing: billing,
			Note: c.Note})
	})
}
