//go:build storetest

package pebble

import (
	"testing"

	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/storetest"
)

func TestPebble(t *testing.T) {
	storetest.Run(t,
		func(t *testing.T) store.Store { return open(t, Options{Dir: t.TempDir()}) },
		func(t *testing.T, s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, Options{Dir: s.(*Store).dir})
		})
}
