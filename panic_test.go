package hexbid_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestContainMakesAnErrorOfAPanicWithItsStack(t *testing.T) {
	err := hexbid.Contain(func() error { panic("a fault") })
	if err == nil || hexbid.KindOf(err) != hexbid.Internal || !strings.Contains(err.Error(), "a fault") ||
		!strings.Contains(err.Error(), "panic_test.go") {
		t.Errorf("%v", err)
	}
	want := errors.New("an error")
	if got := hexbid.Contain(func() error { return want }); got != want {
		t.Errorf("%v: want %v", got, want)
	}
}
