package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/cli"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
	"github.com/hexbid/hexbid/ledger/pebble"
	"github.com/hexbid/hexbid/ledger/receipt"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// offline runs a command that needs no server, and returns its status and what it printed.
func offline(args ...string) (code int, stdout, stderr string) {
	var out, problems bytes.Buffer
	code = cli.Run(context.Background(), args, cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &problems,
		Version: "1", Commands: commands(nil), LedgerCommands: []any{&ledgerCommands{}},
		ReceiptCommands: []any{&receiptCommands{}}})
	return code, out.String(), problems.String()
}

// aStoppedLedger leaves a ledger with some charges in a data folder. It returns the last answer, the receipt of the
// first charge, and the roots of the hours, the first of which is that of the charge.
func aStoppedLedger(t *testing.T, data string) (last ledger.Answer, file []byte, roots []receipt.Root) {
	t.Helper()
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	j, err := pebble.Open(pebble.Options{Dir: filepath.Join(data, "ledger"), Currency: "CNY", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	b := ledgertest.OpenBank(t, time.Now().Add(-3*time.Hour), func(b *ledgertest.Bank) {
		b.Wrap = func(*journal.Memory) journal.Journal { return j }
	})
	b.Set(1, []fold.Terms{{Campaign: 1, Advertiser: 2, Name: "advertisers/a/campaigns/c", DailyBudget: 1 << 40,
		Zone: "UTC"}}, fold.AdvertiserTerms{Advertiser: 2, Name: "advertisers/a"})
	var charges []ledger.Answer
	for range 12 {
		charges = append(charges, b.Report(b.Event(hexbid.Click, b.Award(1, 2, hexbid.CPC, 1_230_000)))...)
		b.Clock.Pass(11 * time.Minute)
	}
	var r *receipt.Receipt
	if err := b.Read(ctx, func(v journal.View) (err error) {
		if r, err = receipt.Get(v, charges[0].Sequence); err == nil {
			roots, _, err = receipt.Roots(v, time.Time{}, time.Time{}, 100)
		}
		return err
	}); err != nil || r.Pending() || len(roots) < 2 {
		t.Fatal(r, roots, err)
	}
	if file, err = r.File(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return charges[len(charges)-1], file, roots
}

func TestAStoppedLedgerIsVerifiedByCommand(t *testing.T) {
	data := t.TempDir()
	last, _, _ := aStoppedLedger(t, data)
	expect := fmt.Sprintf("%d:%x", last.Sequence, last.Hash[:])
	code, out, problems := offline("ledger", "verify", "--data", data, "--expect", expect)
	if code != 0 || !strings.Contains(out, "OK") || !strings.Contains(out, "12 charges of 14.76") || problems != "" {
		t.Errorf("exit %d: %s%s", code, out, problems)
	}
	var answer verifiedLedger
	code, out, _ = offline("ledger", "verify", "--data", data, "-o", "json")
	if err := json.Unmarshal([]byte(out), &answer); code != 0 || err != nil || !answer.OK || !answer.TailWitnessed ||
		answer.Charges != 12 || answer.LastRecord < last.Sequence {
		t.Errorf("exit %d: %s, %v", code, out, err)
	}
	if err := os.Remove(filepath.Join(data, "ledger.witness")); err != nil {
		t.Fatal(err)
	}
	if code, out, _ = offline("ledger", "verify", "--data", data); code != 0 || !strings.Contains(out,
		"Tail unwitnessed") {
		t.Errorf("without the witness: exit %d: %s", code, out)
	}
}

func TestWhatALedgerLacksIsToldByCommand(t *testing.T) {
	data := t.TempDir()
	last, _, _ := aStoppedLedger(t, data)
	for _, c := range []struct{ expect, says string }{
		{fmt.Sprintf("%d:%064x", last.Sequence, 5), fmt.Sprintf("record %d", last.Sequence)},
		{fmt.Sprintf("%d:%x", last.Sequence+1000, last.Hash[:]), "the end of the log"},
	} {
		code, out, problems := offline("ledger", "verify", "--data", data, "--expect", c.expect)
		if code != 1 || !strings.Contains(out, "FAULT") || !strings.Contains(out, c.says) ||
			!strings.Contains(problems, "faults found: 1,") {
			t.Errorf("expecting %s: exit %d: %s%s", c.expect, code, out, problems)
		}
	}
	for _, expect := range []string{"5", "x:00", "0:" + strings.Repeat("00", 32), "5:00"} {
		if code, _, problems := offline("ledger", "verify", "--data", data, "--expect", expect); code != 1 ||
			!strings.Contains(problems, "is not a record") {
			t.Errorf("expecting %s: exit %d: %s", expect, code, problems)
		}
	}
	if code, _, problems := offline("ledger", "verify", "--data", t.TempDir()); code != 1 ||
		!strings.Contains(problems, "holds no ledger") {
		t.Errorf("an empty folder: exit %d: %s", code, problems)
	}
}

func TestAReceiptIsVerifiedByCommand(t *testing.T) {
	data := t.TempDir()
	_, file, roots := aStoppedLedger(t, data)
	path := filepath.Join(data, "receipt.json")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	root := fmt.Sprintf("%x", roots[0].Link[:])
	code, out, problems := offline("receipt", "verify", path, "--root", root)
	if code != 0 || !strings.Contains(out, "charged 1.23") || !strings.Contains(out, "root that you gave") {
		t.Errorf("exit %d: %s%s", code, out, problems)
	}
	if code, out, _ = offline("receipt", "verify", path); code != 0 || !strings.Contains(out, "Nobody has vouched") {
		t.Errorf("without a root: exit %d: %s", code, out)
	}
	var answer verifiedReceipt
	code, out, _ = offline("receipt", "verify", path, "-o", "json", "--root", strings.Repeat("00", 32), "--root", root)
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != 0 || !answer.OK || !answer.Pinned ||
		answer.ChargedMicros != 1_230_000 || !answer.PriceProven || answer.Link != root {
		t.Errorf("exit %d: %s, %v", code, out, err)
	}
	if code, _, problems = offline("receipt", "verify", path, "--root", strings.Repeat("00", 32)); code != 1 ||
		!strings.Contains(problems, "not the one given") {
		t.Errorf("another root: exit %d: %s", code, problems)
	}
	if err := os.WriteFile(path, bytes.Replace(file, []byte("1230000"), []byte("1230001"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, problems = offline("receipt", "verify", path); code != 1 || !strings.Contains(problems, "1230000") {
		t.Errorf("an altered amount: exit %d: %s", code, problems)
	}
}

// A list of roots lets the newest link vouch for an older receipt.
func TestAReceiptIsVerifiedByALaterRoot(t *testing.T) {
	data := t.TempDir()
	_, file, roots := aStoppedLedger(t, data)
	path, list := filepath.Join(data, "receipt.json"), filepath.Join(data, "roots.json")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	response := &pb.ListRootsResponse{}
	for _, r := range roots {
		response.Roots = append(response.Roots, &pb.Root{HourStartTime: timestamppb.New(r.Start()), Root: r.MerkleRoot[:],
			Charges: r.Charges, PreviousLink: r.Previous[:], Link: r.Link[:], Sequence: r.Sequence})
	}
	text, err := protojson.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	newest := fmt.Sprintf("%x", roots[len(roots)-1].Link[:])
	if code, out, problems := offline("receipt", "verify", path, "--root", newest, "--roots", list); code != 0 ||
		!strings.Contains(out, "it vouches for") {
		t.Errorf("exit %d: %s%s", code, out, problems)
	}
	if code, _, problems := offline("receipt", "verify", path, "--root", newest); code != 1 {
		t.Errorf("without the list: exit %d: %s", code, problems)
	}
	if code, _, problems := offline("receipt", "verify", path, "--roots", list); code != 1 ||
		!strings.Contains(problems, "--root") {
		t.Errorf("without a root: exit %d: %s", code, problems)
	}
}
