package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// ledgerCommand groups the commands about money.
type ledgerCommand struct {
	Added kong.Plugins `embed:""`

	Show      ledgerShowCommand      `cmd:"" help:"Show what a campaign has spent and what is left, by hours and days."`
	Statement ledgerStatementCommand `cmd:"" help:"Print an advertiser's account of a month: opening, top-ups, withdrawals, charges, credits, closing; net of tax."`
	Balance   ledgerBalanceCommand   `cmd:"" help:"Show what an advertiser has, or owes."`
	Charges   ledgerChargesCommand   `cmd:"" help:"List the charges of a campaign, the earliest first."`
	Roots     ledgerRootsCommand     `cmd:"" help:"List the Merkle roots of the hours, with the links that chain them: publish or pin a link."`
	TopUp     topUpCommand           `cmd:"" name:"top-up" help:"Add money to an advertiser's balance; the first time makes the advertiser prepaid."`
	Withdraw  withdrawCommand        `cmd:"" help:"Pay money of a balance out, of a deleted advertiser too."`
	Credit    creditCommand          `cmd:"" help:"Give charges back. A credit opens neither a day's budget nor a total again."`
	Billing   billingCommand         `cmd:"" help:"Make an advertiser prepaid or postpaid."`
}

// account names a campaign or an advertiser: a resource name, or a uid for one that is deleted.
type account struct {
	name string
	uid  uint64
}

// parseAccount reads a name or a uid. The server judges names.
func parseAccount(text string) account {
	if uid, err := strconv.ParseUint(text, 10, 64); err == nil && uid > 0 {
		return account{uid: uid}
	}
	return account{name: text}
}

// parseAdvertiser reads an advertiser by name, by the last part of its name, or by uid.
func parseAdvertiser(text string) account {
	a := parseAccount(text)
	if a.uid == 0 {
		a.name = named("advertisers", a.name)
	}
	return a
}

// moneyFlag is money on the command line, in decimal currency.
type moneyFlag hexbid.Money

// Decode implements kong.MapperValue.
func (a *moneyFlag) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("amount", &text); err != nil {
		return err
	}
	money, err := hexbid.ParseMoney(text)
	*a = moneyFlag(money)
	return err
}

// money writes micros as decimal currency.
func money(micros int64) string { return hexbid.Money(micros).String() }

// newID draws a name that no other call has, so that a server can tell a repetition from a new request.
func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// pauses are how long a command waits before it sends a request with the same id again.
var pauses = []time.Duration{100 * time.Millisecond, 400 * time.Millisecond, time.Second}

// persist repeats a call whose request has an id while the server does not answer. Thanks to the id the repetition is
// harmless.
func persist(ctx context.Context, call func() error) error {
	for _, pause := range pauses {
		err := call()
		if code := status.Code(err); code != codes.Unavailable && code != codes.ResourceExhausted {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
	return call()
}

// recordName writes the number and the hash of a record as "hexbid ledger verify --expect" takes them.
func recordName(sequence uint64, hash []byte) string { return fmt.Sprintf("%d:%x", sequence, hash) }

// when writes an instant for people.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// alsoNamed says which other uids a name had.
func alsoNamed(w io.Writer, uids []uint64) {
	if len(uids) == 0 {
		return
	}
	list := make([]string, len(uids))
	for i, uid := range uids {
		list[i] = strconv.FormatUint(uid, 10)
	}
	fmt.Fprintf(w, "Others had this name: uid %s. Give a uid in place of the name to see one of them.\n",
		strings.Join(list, ", "))
}

type ledgerBalanceCommand struct {
	Advertiser  string `arg:"" help:"advertisers/{a}, or a uid."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run shows a balance.
func (c *ledgerBalanceCommand) Run(s *session) error {
	a := parseAdvertiser(c.Advertiser)
	return c.call(s, func(ctx context.Context, conn *client) error {
		b, err := conn.ledger.GetAdvertiserBalance(ctx, &pb.GetAdvertiserBalanceRequest{Name: a.name, Uid: a.uid})
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, b)
		}
		fmt.Fprintf(s.Stdout, "%s is %s\n", accountTitle(b.GetName(), b.GetUid(), b.GetDeleted()), enumName(b.GetBilling()))
		var t table
		t.add("Topped up", money(b.GetToppedUpMicros()))
		t.add("Withdrawn", money(-b.GetWithdrawnMicros()))
		t.add("Charged", money(-b.GetChargedMicros()))
		t.add("Credited", money(b.GetCreditedMicros()))
		t.add("Balance", money(b.GetBalanceMicros()))
		t.add("Owed", money(b.GetOwedMicros()))
		t.print(s.Stdout)
		alsoNamed(s.Stdout, b.GetOtherUids())
		return nil
	})
}

// accountTitle names an account in the first line of a text.
func accountTitle(name string, uid uint64, deleted bool) string {
	title := fmt.Sprintf("%s (uid %d", name, uid)
	if deleted {
		title += ", deleted"
	}
	return title + ")"
}
