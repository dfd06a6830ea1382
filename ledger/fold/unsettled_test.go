package fold

import (
	"bytes"
	"testing"
	"unique"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// behind returns books with so many campaigns that have totals which are not written.
func behind(campaigns int) *Books {
	b := New()
	owner := b.openAdvertiser(1)
	for i := range campaigns {
		c := &campaign{uid: hexbid.UID(1 + i), advertiser: owner, zone: unique.Make("UTC")}
		b.campaigns[c.uid] = c
		b.add(c, 0, &Totals{Clicks: 1}, nil)
	}
	return b
}

// checkpointOf returns what a checkpoint says of the accounts that are behind, and how many rows of hours it puts.
func checkpointOf(t *testing.T, b *Books) (row []byte, left unsettled, hours int) {
	t.Helper()
	var w journal.Batch
	b.Checkpoint(1, &w)
	for _, r := range w.Rows {
		switch {
		case r.Table == journal.Hours:
			hours++
		case string(r.Key) == unsettledKey:
			row = r.Value
		}
	}
	left, err := decodeUnsettled(row)
	if err != nil {
		t.Fatal(err)
	}
	return row, left, hours
}

func TestACheckpointLeavesSoManyAccountsBehindAtTheMost(t *testing.T) {
	if _, left, hours := checkpointOf(t, behind(mostUnsettled)); len(left.campaigns) != mostUnsettled || hours != 0 {
		t.Errorf("of %d accounts, %d stay behind and %d are written", mostUnsettled, len(left.campaigns), hours)
	}
	if _, left, hours := checkpointOf(t, behind(mostUnsettled+1)); len(left.campaigns) != 0 || hours != mostUnsettled+1 {
		t.Errorf("of %d accounts, %d stay behind and %d are written", mostUnsettled+1, len(left.campaigns), hours)
	}
}

// TestAFlippedByteOfTheAccountsThatAreBehindIsFound also cuts the row: a start that left an account out would never
// write its totals.
func TestAFlippedByteOfTheAccountsThatAreBehindIsFound(t *testing.T) {
	row, _, _ := checkpointOf(t, behind(3))
	for at := range row {
		flipped := bytes.Clone(row)
		flipped[at] ^= 1 << (at % 8)
		if u, err := decodeUnsettled(flipped); hexbid.KindOf(err) != hexbid.DataLoss {
			t.Errorf("byte %d flipped: %v, %v", at, u, err)
		}
		if _, err := decodeUnsettled(row[:at]); hexbid.KindOf(err) != hexbid.DataLoss {
			t.Errorf("cut at %d: %v", at, err)
		}
	}
}
