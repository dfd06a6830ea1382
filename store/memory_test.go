package store_test

import (
	"testing"

	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		Open:   func(_ testing.TB, r store.Retention) store.Store { return store.NewMemoryKeeping(r) },
		Tamper: func(_ testing.TB, s store.Store, version uint64) { store.Tamper(s.(*store.Memory), version) },
		Drop:   func(_ testing.TB, s store.Store, version uint64) { store.Drop(s.(*store.Memory), version) },
	})
}

// TestRoundsOfStages holds stages that stand on each other to the contract.
func TestRoundsOfStages(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		Open: func(_ testing.TB, r store.Retention) store.Store {
			return store.Rounds{Memory: store.NewMemoryKeeping(r)}
		},
		Tamper: func(_ testing.TB, s store.Store, version uint64) { store.Tamper(s.(store.Rounds).Memory, version) },
		Drop:   func(_ testing.TB, s store.Store, version uint64) { store.Drop(s.(store.Rounds).Memory, version) },
	})
}
