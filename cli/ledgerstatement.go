package cli

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type ledgerStatementCommand struct {
	Advertiser  string `arg:"" help:"advertisers/{a}, or a uid, as of a deleted one."`
	Month       string `help:"The month, as in 2026-11; the present one by default." placeholder:"YYYY-MM"`
	Output      string `short:"o" help:"table, csv (one row for each line, opening first and closing last), or json for programs." enum:"table,csv,json" default:"table"`
	clientFlags `embed:""`
}

// Run prints a statement.
func (c *ledgerStatementCommand) Run(s *session) error {
	month := c.Month
	if month == "" {
		month = time.Now().Format("2006-01")
	}
	a := parseAdvertiser(c.Advertiser)
	return c.call(s, func(ctx context.Context, conn *client) error {
		st, err := conn.ledger.GetStatement(ctx, &pb.GetStatementRequest{Name: a.name, Uid: a.uid, Month: month})
		if err != nil {
			return err
		}
		if omitted := st.GetOmittedLines(); omitted > 0 && c.Output != "json" {
			fmt.Fprintf(s.Stderr, "hexbid: %d more lines are left out; the sums include them\n", omitted)
		}
		switch c.Output {
		case "json":
			return printJSON(s, st)
		case "csv":
			return writeStatementCSV(s.Stdout, st)
		}
		printStatement(s.Stdout, st)
		return nil
	})
}

func printStatement(w io.Writer, s *pb.Statement) {
	fmt.Fprintf(w, "%s, %s: statement of %s in %s, net of tax, dates in %s\n",
		accountTitle(s.GetName(), s.GetUid(), s.GetDeleted()), enumName(s.GetBilling()), s.GetMonth(), s.GetCurrency(),
		s.GetTimeZone())
	var sums table
	sums.add("Opening", money(s.GetOpeningMicros()))
	sums.add("Top-ups", money(s.GetToppedUpMicros()))
	sums.add("Withdrawals", money(-s.GetWithdrawnMicros()))
	sums.add("Charges", money(-s.GetChargedMicros()))
	sums.add("Credits", money(s.GetCreditedMicros()))
	sums.add("Closing", money(s.GetClosingMicros()))
	sums.print(w)
	if len(s.GetLines()) > 0 {
		lines := table{}
		lines.add("DATE", "WHAT", "AMOUNT", "CAMPAIGN UID", "REQUEST", "NOTE")
		for _, l := range s.GetLines() {
			lines.add(l.GetLocalDate(), lineName(l), money(l.GetAmountMicros()), orEmpty(l.GetCampaignUid()), l.GetRequestId(),
				l.GetNote())
		}
		lines.print(w)
	}
	if len(s.GetCampaigns()) > 0 {
		campaigns := table{}
		campaigns.add("CAMPAIGN", "UID", "CHARGED", "CREDITED")
		for _, c := range s.GetCampaigns() {
			campaigns.add(c.GetName(), fmt.Sprint(c.GetUid()), money(c.GetChargedMicros()), money(c.GetCreditedMicros()))
		}
		campaigns.print(w)
	}
	if omitted := s.GetOmittedCampaigns(); omitted > 0 {
		fmt.Fprintf(w, "and %d more campaigns\n", omitted)
	}
	if s.GetAsOf() > 0 { // those who see every advertiser are told
		fmt.Fprintf(w, "Up to record %d\n", s.GetAsOf())
	}
	if s.GetOpen() {
		fmt.Fprintln(w, "The month is not over: the statement may still grow.")
	}
	alsoNamed(w, s.GetOtherUids())
}

// lineName says what a line of a statement is.
func lineName(l *pb.StatementLine) string {
	if l.GetType() == pb.MovementType_MOVEMENT_TYPE_UNSPECIFIED {
		return "charges"
	}
	return enumName(l.GetType())
}

// writeStatementCSV writes a statement as rows of one shape. Opening and lines add up to closing.
func writeStatementCSV(w io.Writer, s *pb.Statement) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"date", "type", "amount", "currency", "request_id", "note", "record", "campaign_uid"},
		{s.GetMonth(), "opening", money(s.GetOpeningMicros()), s.GetCurrency(), "", "", "", ""}}
	for _, l := range s.GetLines() {
		rows = append(rows, []string{l.GetLocalDate(), lineName(l), money(l.GetAmountMicros()), s.GetCurrency(),
			plainCell(l.GetRequestId()), plainCell(l.GetNote()), orEmpty(l.GetSequence()), orEmpty(l.GetCampaignUid())})
	}
	rows = append(rows, []string{s.GetMonth(), "closing", money(s.GetClosingMicros()), s.GetCurrency(), "", "",
		orEmpty(s.GetAsOf()), ""})
	if err := out.WriteAll(rows); err != nil {
		return err
	}
	return out.Error()
}

// plainCell keeps a spreadsheet from taking somebody's text for a formula.
func plainCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// orEmpty writes a number, and nothing for 0.
func orEmpty(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
