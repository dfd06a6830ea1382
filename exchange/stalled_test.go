package exchange

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/ledgertest"
	"github.com/hexbid/hexbid/store"
)

// stalledDoors are the doors of a market, and what waits behind them. The charge is one that the market has made.
func stalledDoors(b *billed, charge uint64) map[string]func(context.Context, *Exchange) error {
	doors := maps.Clone(doors)
	doors["Receipt"] = func(ctx context.Context, e *Exchange) error {
		_, err := e.Receipt(ctx, charge)
		return err
	}
	click := hexbid.Event{Kind: hexbid.Click, Token: b.token("app"), ID: "stalled"}
	doors["RecordEvents"] = func(ctx context.Context, e *Exchange) error {
		_, err := e.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app", Events: []hexbid.Event{click}})
		return err
	}
	created := 0
	doors["Create"] = func(ctx context.Context, e *Exchange) error {
		created++
		_, err := e.Create(ctx, campaign(fmt.Sprint("new", created)), false)
		return err
	}
	doors["Delete"] = func(ctx context.Context, e *Exchange) error { // the other doors need the one that it deletes
		return e.Delete(ctx, "advertisers/a/campaigns/gone", store.AnyVersion, true)
	}
	doors["AlertWatch.Next"] = func(ctx context.Context, e *Exchange) error {
		w, err := e.WatchAlerts(ctx, "advertisers/-")
		for err == nil {
			_, err = w.Next(ctx)
		}
		return err
	}
	return doors
}

// TestEveryDoorEndsWithItsContext opens every door of the market while the ledger's disk answers no read, and then
// while it ends no commit. Each ends when its caller's context does. When the disk answers nothing is left behind.
func TestEveryDoorEndsWithItsContext(t *testing.T) {
	b := openBank(t)
	disk := &ledgertest.Stalling{Journal: b.journal}
	t.Cleanup(disk.Release) // also if the test fails
	b.journal = disk
	b.restart()
	b.config.Backup = func(ctx context.Context, _ string) (hexbid.Backup, error) {
		return hexbid.Backup{}, b.ledger.Hold(ctx, func() error { return nil })
	}
	b.put(campaign("c"), campaign("gone"))
	doors := stalledDoors(b, b.click().Sequence)
	reads := map[string]bool{"CampaignSpend": true, "AdvertiserBalance": true, "Transfer": true, "Credit": true,
		"Statement": true, "Charges": true, "Receipt": true, "Roots": true, "AlertWatch.Next": true,
		"ListCampaignSpend": true}
	writes := map[string]bool{"RecordEvents": true, "WatchAlerts": true, "Backup": true, "Create": true}
	maps.Copy(writes, reads)
	for _, stall := range []struct {
		of    string
		begin func()
		ends  map[string]bool // doors that cannot answer meanwhile
	}{
		{"reads", disk.StallReads, reads},
		{"commits", func() { b.stallCommits(disk) }, writes},
	} {
		for name, door := range doors {
			stall.begin()
			left := disk.Leaves(t, ctx, func(ctx context.Context) error { return door(ctx, b.Exchange) })
			if !left && stall.ends[name] {
				t.Errorf("%s has not waited for %s, or not ended with its context", name, stall.of)
			}
			disk.Release()
			waitFor(t, "nothing waits for the disk", func() bool { return disk.Waiting() == 0 && disk.Views() == 0 })
		}
	}
	b.click()
}

// stallCommits stalls the disk, and has a commit wait for it.
func (b *billed) stallCommits(disk *ledgertest.Stalling) {
	b.Helper()
	known, err := b.ledger.Advertisers(ctx, 0, 1)
	if err != nil {
		b.Fatal(err)
	}
	disk.StallCommits()
	topUp := fold.Movement{Advertiser: known[0].Advertiser, What: fold.TopUp, Amount: clickPrice, Who: "tests",
		RequestID: randomID()}
	go func() { _, _ = b.ledger.Move(ctx, topUp) }()
	waitFor(b, "a commit waits for the disk", func() bool { return disk.Waiting() > 0 })
}
