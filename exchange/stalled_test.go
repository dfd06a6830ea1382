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
	if err := doors["Transfer"](ctx, b.Exchange); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "an alert to name, of the small balance", func() bool {
		return b.Alerts().InForce[hexbid.BalanceAlert] > 0
	})
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

// stallingCatalogue is a store on a disk that a test can stall.
type stallingCatalogue struct {
	store.Store
	disk *ledgertest.Stalling
}

func (s *stallingCatalogue) Get(ctx context.Context, name string) (store.Record, error) {
	s.disk.PassReads()
	return s.Store.Get(ctx, name)
}

func (s *stallingCatalogue) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	s.disk.PassReads()
	return s.Store.ByUID(ctx, uid)
}

func (s *stallingCatalogue) Verdict(ctx context.Context, name string) (store.Verdict, error) {
	s.disk.PassReads()
	return s.Store.Verdict(ctx, name)
}

func (s *stallingCatalogue) Counted(ctx context.Context, owner string, c store.Counter) (int64, error) {
	s.disk.PassReads()
	return s.Store.Counted(ctx, owner, c)
}

func (s *stallingCatalogue) Judge(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	s.disk.PassReads()
	return s.Store.Judge(ctx, groups)
}

func (s *stallingCatalogue) List(ctx context.Context, q store.ListQuery,
	visit func(store.Record) bool) (string, error) {
	s.disk.PassReads()
	return s.Store.List(ctx, q, visit)
}

// TestEveryDoorEndsWithItsContextWhileTheCatalogueStalls opens every door while the catalogue's disk answers no read.
func TestEveryDoorEndsWithItsContextWhileTheCatalogueStalls(t *testing.T) {
	b := openBank(t)
	disk := new(ledgertest.Stalling)
	t.Cleanup(disk.Release) // also if the test fails
	catalogue := &stallingCatalogue{b.store, disk}
	b.put(campaign("c"), campaign("gone"))
	b.close()
	b.open(catalogue)
	doors := stalledDoors(b, b.click().Sequence)
	delete(doors, "AlertWatch.Next") // it waits for alerts, and no disk brings those
	waits := map[string]bool{"Get": true, "List": true, "Create": true, "Update": true, "Delete": true, "Review": true,
		"Explain": true, "CampaignSpend": true, "AdvertiserBalance": true, "Statement": true, "Charges": true}
	for name, door := range doors {
		disk.StallReads()
		left := disk.Leaves(t, ctx, func(ctx context.Context) error { return door(ctx, b.Exchange) })
		if !left && waits[name] {
			t.Errorf("%s has not waited for the catalogue, or not ended with its context", name)
		}
		disk.Release()
		waitFor(t, "nothing waits for the disk", func() bool { return disk.Waiting() == 0 })
	}
	b.click()
}

// heedless is an engine whose lists do not look at their context.
type heedless struct{ store.Store }

func (h *heedless) List(_ context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	return h.Store.List(context.Background(), q, visit)
}

// TestAListThatHasEndedVisitsNothing: a list that is left behind must not run the visit of a caller who has gone.
func TestAListThatHasEndedVisitsNothing(t *testing.T) {
	disk := new(ledgertest.Stalling)
	t.Cleanup(disk.Release)
	patient := &patientStore{Store: &heedless{&stallingCatalogue{openBank(t).store, disk}}}
	disk.StallReads()
	ending, end := context.WithCancel(ctx)
	visited := make(chan struct{}, 100)
	go func() {
		waitFor(t, "the list waits for the disk", func() bool { return disk.Waiting() > 0 })
		end()
	}()
	if _, err := patient.List(ending, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(store.Record) bool {
		visited <- struct{}{}
		return true
	}); err == nil {
		t.Fatal("a list ended without its context's error")
	}
	disk.Release()
	waitFor(t, "nothing is left behind", func() bool { return disk.Waiting() == 0 && patient.left.Count() == 0 })
	if len(visited) > 0 {
		t.Errorf("%d records were shown to a caller who had gone", len(visited))
	}
}
