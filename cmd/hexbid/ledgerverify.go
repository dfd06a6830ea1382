package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/cli"
	"github.com/hexbid/hexbid/ledger/audit"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/pebble"
)

// ledgerCommands are the commands of the group "ledger" that need no server.
type ledgerCommands struct {
	Verify ledgerVerifyCommand `cmd:"" help:"Verify the ledger of a server that is stopped: fold its records again, and compare every root, checkpoint, row and balance."`
}

type ledgerVerifyCommand struct {
	Data   string `help:"Data folder of the server." required:"" type:"path" placeholder:"DIR"`
	Expect string `help:"A record that must be there: its sequence and its hash, from an answer to an event or a backup." placeholder:"SEQ:HASH"`
	Output string `short:"o" help:"text, or json for programs." enum:"text,json" default:"text"`
}

// Help returns the text of --help.
func (*ledgerVerifyCommand) Help() string {
	return `Stop the server first, or verify a backup.

  hexbid ledger verify --data /var/lib/hexbid
  hexbid ledger verify --data /var/lib/hexbid --expect 812:5f0c...e9 -o json`
}

// Run verifies. It changes nothing in the folder. It fails when anything is wrong.
func (c *ledgerVerifyCommand) Run(ctx context.Context, env cli.Env) error {
	options := audit.Options{Now: time.Now(), Progress: progress(env.Stderr)}
	if c.Expect != "" {
		expected, err := parseExpected(c.Expect)
		if err != nil {
			return err
		}
		options.Known = append(options.Known, audit.Known{Point: expected, By: "--expect"})
	}
	stopped, err := pebble.OpenStopped(filepath.Join(c.Data, "ledger"))
	if err != nil {
		return err
	}
	defer stopped.Close()
	options.View = stopped
	options.Known = append(options.Known, audit.Known{Point: stopped.End(), By: "the journal's end", Within: true})
	if witness, ok := stopped.Witness(); ok {
		options.Known = append(options.Known, audit.Known{Point: witness, By: "the witness beside the folder"})
	}
	report, err := audit.Verify(ctx, options)
	if err != nil {
		return err
	}
	if err := c.print(env.Stdout, report); err != nil {
		return err
	}
	if !report.OK() {
		return hexbid.Errorf(hexbid.DataLoss, "ledger",
			"%s is not what its records say: faults found: %d, the first at %s",
			c.Data, len(report.Faults)+report.OmittedFaults, report.Faults[0].Place)
	}
	return nil
}

// parseExpected reads a sequence and a hash.
func parseExpected(text string) (fold.Point, error) {
	sequence, hash, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(sequence, 10, 64)
	tail, hashErr := hex.DecodeString(hash)
	if err != nil || hashErr != nil || number == 0 || len(tail) != len(fold.Hash{}) {
		return fold.Point{}, hexbid.Invalidf("expect",
			"%.100q is not a record: write its sequence, a colon and the 64 hexadecimal "+
				"digits of its hash", text)
	}
	return fold.Point{Sequence: number, Tail: fold.Hash(tail)}, nil
}

// progress returns what shows the progress of a verification on a terminal, nil for none.
func progress(w io.Writer) func(done, total uint64) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, total uint64) {
		if bar == nil {
			bar = progressbar.NewOptions64(int64(total), progressbar.OptionSetWriter(w), progressbar.OptionShowIts(),
				progressbar.OptionSetItsString("records"), progressbar.OptionSetDescription("verifying"),
				progressbar.OptionClearOnFinish())
		}
		_ = bar.Set64(int64(done))
	}
}

// verifiedLedger is the answer in JSON.
type verifiedLedger struct {
	OK            bool         `json:"ok"`
	FirstRecord   uint64       `json:"first_record,string"`
	LastRecord    uint64       `json:"last_record,string"`
	Hash          string       `json:"hash"`
	TailWitnessed bool         `json:"tail_witnessed"`
	Checkpoints   int          `json:"checkpoints"`
	Hours         int          `json:"hours"`
	Charges       uint64       `json:"charges,string"`
	ChargedMicros hexbid.Money `json:"charged_micros,string"`
	Campaigns     int          `json:"campaigns"`
	Advertisers   int          `json:"advertisers"`
	Rows          uint64       `json:"rows,string"`
	Faults        []faultLine  `json:"faults"`
	OmittedFaults int          `json:"omitted_faults,omitempty"`
}

type faultLine struct {
	Sequence uint64 `json:"sequence,omitempty,string"`
	Place    string `json:"place"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

func (c *ledgerVerifyCommand) print(w io.Writer, r *audit.Report) error {
	if c.Output == "json" {
		out := &verifiedLedger{OK: r.OK(), FirstRecord: r.First, LastRecord: r.Last.Sequence,
			Hash: fmt.Sprintf("%x", r.Last.Tail[:]), TailWitnessed: r.TailWitnessed, Checkpoints: r.Checkpoints,
			Hours:   r.Hours,
			Charges: r.Charges, ChargedMicros: r.Charged, Campaigns: r.Campaigns, Advertisers: r.Advertisers,
			Rows:   r.Rows,
			Faults: []faultLine{}, OmittedFaults: r.OmittedFaults}
		for _, f := range r.Faults {
			out.Faults = append(out.Faults, faultLine(f))
		}
		return json.NewEncoder(w).Encode(out)
	}
	_, err := io.WriteString(w, describeLedger(r))
	return err
}

func describeLedger(r *audit.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Records %d to %d, the last with hash %x.\n", r.First, r.Last.Sequence, r.Last.Tail[:])
	fmt.Fprintf(&b,
		"Compared: %d checkpoints, %d roots of hours, %d charges of %s, %d rows of %d campaigns and %d advertisers.\n",
		r.Checkpoints, r.Hours, r.Charges, r.Charged, r.Rows, r.Campaigns, r.Advertisers)
	if !r.TailWitnessed {
		b.WriteString("Tail unwitnessed: nothing beside the journal says that this is its last record. Give --expect.\n")
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "FAULT %s\n", f)
	}
	if r.OmittedFaults > 0 {
		fmt.Fprintf(&b, "Faults beyond these: %d.\n", r.OmittedFaults)
	}
	if r.OK() {
		b.WriteString("OK: everything follows from the records.\n")
	}
	return b.String()
}
