package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

// openStalling returns the backups of a ledger on a disk that a test can stall.
func openStalling(t *testing.T) (*backups, *ledgertest.Stalling) {
	t.Helper()
	disk := &ledgertest.Stalling{Journal: journal.NewMemory()}
	l, err := ledger.Open(context.Background(), ledger.Options{Journal: disk, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		disk.Release()
		_ = l.Close()
	})
	return &backups{data: t.TempDir(), clock: time.Now, ledger: l, log: slog.New(slog.DiscardHandler)}, disk
}

func setTerms(l *ledger.Ledger) error {
	return l.SetTerms(context.Background(), 1, nil, []fold.AdvertiserTerms{{Advertiser: 1, Name: "advertisers/a"}})
}

// TestABackupEndsWithItsCaller stalls the ledger's disk under a backup. Nothing of the backup is left when the disk
// answers.
func TestABackupEndsWithItsCaller(t *testing.T) {
	b, disk := openStalling(t)
	disk.StallCommits()
	set := make(chan error, 1)
	go func() { set <- setTerms(b.ledger) }()
	for deadline := time.Now().Add(time.Minute); disk.Waiting() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no commit waits for the disk")
		}
	}
	dir := filepath.Join(t.TempDir(), "backup")
	if !disk.Leaves(t, context.Background(), func(ctx context.Context) error {
		_, err := b.make(ctx, dir)
		return err
	}) {
		t.Error("the backup has not ended with its context")
	}
	disk.Release()
	if err := <-set; err != nil {
		t.Error(err)
	}
	b.busy.Lock() // when the backup has ended
	defer b.busy.Unlock()
	for _, path := range []string{dir, filepath.Join(b.data, stagingName)} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
}

// TestABackupThatStallsHoldsTheLedgerNoLongerThanItsCaller has gathering go on after the caller has gone. The ledger
// records meanwhile, and hold returns after the gathering alone, because what is gathered is then cleared away.
func TestABackupThatStallsHoldsTheLedgerNoLongerThanItsCaller(t *testing.T) {
	b, _ := openStalling(t)
	ctx, cancel := context.WithCancel(context.Background())
	gathers, end, held := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var gathered atomic.Bool
	go func() {
		err := b.hold(ctx, func() error {
			close(gathers)
			<-end
			gathered.Store(true)
			return nil
		})
		if !gathered.Load() {
			err = errors.New("it returned while something was gathered")
		}
		held <- err
	}()
	<-gathers
	cancel()
	if err := setTerms(b.ledger); err != nil {
		t.Error(err)
	}
	close(end)
	if err := <-held; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
