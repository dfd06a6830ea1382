package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

func TestTheLogOfChangesIsKeptAsTheFlagsSay(t *testing.T) {
	c := DefaultServeConfig()
	if r, err := retentionOf(&c); err != nil || r != store.DefaultRetention {
		t.Errorf("by default %+v, %v", r, err)
	}
	c.ChangeLogDays, c.ChangeLogMB = 1, 2
	if r, err := retentionOf(&c); err != nil || r != (store.Retention{Age: 24 * time.Hour, Bytes: 2 << 20}) {
		t.Errorf("a day and two megabytes: %+v, %v", r, err)
	}
	for _, bad := range []struct {
		days int
		mb   mebibytes
		flag string
	}{{0, 1, "change-log-days"}, {-1, 1, "change-log-days"}, {math.MaxInt, 1, "change-log-days"}, {1, 0, "change-log-mb"},
		{1, -1, "change-log-mb"}, {1, math.MaxInt64, "change-log-mb"}} {
		c.ChangeLogDays, c.ChangeLogMB = bad.days, bad.mb
		if _, err := retentionOf(&c); hexbid.KindOf(err) != hexbid.Invalid || !strings.HasPrefix(err.Error(), bad.flag+": ") {
			t.Errorf("%d days, %d MB: %v", bad.days, bad.mb, err)
		}
	}
}
