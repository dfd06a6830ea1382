package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestNoFlagTakesMoreMiBThanItHasBytes gives each flag in MiB numbers whose bytes are no int64, or would be few.
func TestNoFlagTakesMoreMiBThanItHasBytes(t *testing.T) {
	flags := 0
	of := reflect.TypeFor[ServeConfig]()
	for i := range of.NumField() {
		f := of.Field(i)
		if !strings.HasSuffix(f.Name, "MB") {
			continue
		}
		flags++
		for text, good := range map[string]bool{"0": true, "64": true, "1073741824": true, "-1": false, "1073741825": false,
			"17592186044421": false, "9223372036854775808": false, "1.5": false, "": false} {
			var c struct {
				ServeConfig `embed:""`
			}
			parser, err := kong.New(&c)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parser.Parse([]string{"--" + f.Tag.Get("name") + "=" + text})
			if (err == nil) != good || !good && !strings.Contains(err.Error(), f.Tag.Get("name")) {
				t.Errorf("--%s=%s: %v", f.Tag.Get("name"), text, err)
			}
		}
	}
	if flags < 7 {
		t.Errorf("%d flags in MiB, want 7 or more", flags)
	}
}
