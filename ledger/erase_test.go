package ledger_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
)

// TestErasingAViewerChangesNoChainedByte erases one of two viewers, and looks at the tables, also after a crash.
func TestErasingAViewerChangesNoChainedByte(t *testing.T) {
	c := openCapped(t, &onPebble{}, ledger.Options{})
	defer func() { c.stop(true) }()
	c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 1},
		Advertiser: hexbid.FrequencyCap{Impressions: 9, Window: time.Hour}}
	c.report(c.seen(70, 1), c.seen(70, 2))
	before := c.all(journal.Records)
	if err := c.EraseViewer(ctx, [16]byte{1}); err != nil {
		t.Fatal(err)
	}
	rows := c.all(journal.Viewers)
	if len(rows) != 2 || rows[0][0] != 2 || rows[1][0] != 2 {
		t.Errorf("%d rows are left: %x", len(rows), rows)
	}
	if after := c.all(journal.Records); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("erasing a viewer changed records")
	}
	c.stop(false)
	c.start()
	if n := len(c.all(journal.Viewers)); n != 2 {
		t.Errorf("%d rows are left after a crash", n)
	}
	answers := c.report(c.seen(70, 1), c.seen(70, 1), c.seen(70, 2))
	c.outcomes(answers, hexbid.EventCharged, hexbid.EventBeyondCap, hexbid.EventBeyondCap)
}

// all returns the rows of a table, key and value joined.
func (c *capped) all(table journal.Table) (rows []string) {
	c.t.Helper()
	view, err := c.disk.View()
	if err != nil {
		c.t.Fatal(err)
	}
	defer view.Close()
	if err := view.Scan(table, nil, nil, func(key, value []byte) (bool, error) {
		rows = append(rows, string(key)+string(value))
		return true, nil
	}); err != nil {
		c.t.Fatal(err)
	}
	return rows
}

// TestWhatWasReadBeforeAnErasureIsNotCountedAfterIt erases viewers while callers report their impressions. What a
// caller read before the erasure must not bring the rows back.
func TestWhatWasReadBeforeAnErasureIsNotCountedAfterIt(t *testing.T) {
	c := openCapped(t, &inMemory{}, ledger.Options{})
	defer c.stop(true)
	c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 1000}}
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		c.report(c.seen(70, 1), c.seen(70, 1))
		var callers sync.WaitGroup
		for range r.IntN(4) {
			callers.Go(func() { c.report(c.seen(70, 1)) })
		}
		erased := c.EraseViewer(ctx, [16]byte{1})
		callers.Wait()
		if erased != nil {
			t.Fatal(erased)
		}
		c.checkErased()
	}
}

// checkErased checks that a viewer's rows hold at most the three impressions that came beside the erasure.
func (c *capped) checkErased() {
	c.t.Helper()
	if err := c.ReadSynced(ctx, func(v journal.View) error {
		rows, _, err := ledger.ReadViewer(v, [16]byte{1}, 10)
		if err == nil && len(rows) > 0 && rows[0].Exposures.Ever > 3 {
			return fmt.Errorf("%d impressions are counted after the erasure", rows[0].Exposures.Ever)
		}
		return err
	}); err != nil {
		c.t.Fatal(err)
	}
}

// TestARowThatNoCapNeedsIsForgotten removes rows by their keys, and none that has changed since it was seen.
func TestARowThatNoCapNeedsIsForgotten(t *testing.T) {
	c := openCapped(t, &inMemory{}, ledger.Options{})
	defer c.stop(true)
	c.caps[70] = frequency.Caps{Campaign: hexbid.FrequencyCap{Impressions: 1, Window: time.Hour}}
	c.report(c.seen(70, 1), c.seen(70, 2))
	fresh, asOf := c.viewerKeys()
	if err := c.ForgetExposures(ctx, fresh, asOf); err != nil || len(c.all(journal.Viewers)) != 2 {
		t.Errorf("rows that have just changed are removed, %v", err)
	}
	c.stop(true)
	c.start()
	old, asOf := c.viewerKeys()
	c.report(c.seen(70, 2))
	if err := c.ForgetExposures(ctx, old, asOf); err != nil {
		t.Fatal(err)
	}
	if rows := c.all(journal.Viewers); len(rows) != 1 || rows[0][0] != 2 {
		t.Errorf("%x are left", rows)
	}
	if err := c.ForgetExposures(ctx, old, 0); hexbid.KindOf(err) != hexbid.Stale {
		t.Errorf("rows as of the beginning: %v", err)
	}
}

// viewerKeys returns the keys of the rows of viewers, and the last record of the state that they are of.
func (c *capped) viewerKeys() (keys [][]byte, asOf uint64) {
	c.t.Helper()
	if err := c.ReadSynced(ctx, func(v journal.View) error {
		asOf = v.Last()
		return v.Scan(journal.Viewers, nil, nil, func(key, _ []byte) (bool, error) {
			keys = append(keys, bytes.Clone(key))
			return true, nil
		})
	}); err != nil {
		c.t.Fatal(err)
	}
	return keys, asOf
}
