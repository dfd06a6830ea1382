package store_test

import (
	"testing"

	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return store.NewMemory() }, nil)
}
