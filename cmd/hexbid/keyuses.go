package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/hexbid/hexbid"
)

// usesName is the file in which a data folder keeps when keys were last used. It may be lost: nothing rests on it, so
// it is written once an hour and not synced.
const usesName = "access.uses"

// keepUses writes every hour, and at the end, when keys were last used.
func (m *Main) keepUses(ctx context.Context) {
	if m.Config.Data == "" {
		return
	}
	path := filepath.Join(m.Config.Data, usesName)
	for tick := time.NewTicker(time.Hour); ; {
		select {
		case <-tick.C:
			m.writeUses(path)
		case <-ctx.Done():
			tick.Stop()
			m.writeUses(path)
			return
		}
	}
}

// readUses returns the Unix hours of the last uses by uid, none when the file is missing or damaged.
func readUses(path string) (uses map[hexbid.UID]int64) {
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &uses) != nil {
		return nil
	}
	return uses
}

func (m *Main) writeUses(path string) {
	uses := m.exchange.Directory().Uses()
	if len(uses) == 0 {
		return
	}
	text, err := json.Marshal(uses)
	if err == nil {
		err = os.WriteFile(path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		m.Log.Warn("when keys were last used is not kept", "error", err)
	}
}
