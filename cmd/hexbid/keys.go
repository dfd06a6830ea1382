package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// openKeys opens a key file: the given one, that of the data folder, or one that lasts as long as the process. The data
// folder records which keys are in force, wherever the key file is.
func (m *Main) openKeys(ctx context.Context) (_ *token.Keys, err error) {
	source := token.Source{Path: m.Config.Keys, AcceptLoss: m.Config.AcceptLoss}
	if source.Served, err = hasRecords(ctx, m.store); err != nil {
		return nil, err
	}
	if m.Config.Data != "" {
		source.Record = filepath.Join(m.Config.Data, keyRecordName)
	}
	switch {
	case source.Path != "":
	case m.Config.Data != "":
		source.Path = filepath.Join(m.Config.Data, keysName)
	default:
		dir, err := os.MkdirTemp("", "hexbid-keys-")
		if err != nil {
			return nil, fmt.Errorf("key file: %w", err)
		}
		m.keyDir, source.Path = dir, filepath.Join(dir, "keys")
	}
	keys, err := token.OpenKeys(source)
	if err == nil && keys.Loss() != nil {
		m.Log.Error("keys are lost, and what they sealed is invalid from now on, as --accept-loss accepts", "loss",
			keys.Loss())
	}
	return keys, err
}

// hasRecords reports whether a catalogue has any record. It looks for advertisers, because every other record belongs
// to one.
func hasRecords(ctx context.Context, s store.Store) (has bool, err error) {
	_, err = s.List(ctx, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(store.Record) bool {
		has = true
		return false
	})
	return has, err
}

// watchKeys reads the key file again whenever it changes.
func (m *Main) watchKeys(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for watch := (keyWatch{main: m}); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			watch.look()
		}
	}
}

// keyWatch reloads keys. It logs each new result, and every minute an error that persists.
type keyWatch struct {
	main  *Main
	wrong string // error of the last look; "" for none
	looks int    // looks since then with the same error
}

const looksBetweenLogs = 60

func (w *keyWatch) look() {
	switch changed, err := w.main.keys.Reload(); {
	case err != nil && err.Error() == w.wrong && w.looks < looksBetweenLogs:
		w.looks++
	case err != nil:
		w.wrong, w.looks = err.Error(), 1
		w.main.Log.Error("the key file is refused; the old keys stay in force while this process runs", "error", err)
	case changed:
		w.wrong = ""
		w.main.Log.Info("new keys are in force")
	case w.wrong != "":
		w.wrong = ""
		w.main.Log.Info("the key file is as it was")
	}
}
