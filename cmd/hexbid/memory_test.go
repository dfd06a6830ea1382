package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestMemoryToUseIsTheCollectorsBound(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	defer func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) }()
	if err := useMemory(0); err != nil || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("no bound: %v, a limit of %d", err, debug.SetMemoryLimit(-1))
	}
	if err := useMemory(512); err != nil || debug.SetMemoryLimit(-1) != 512<<20 {
		t.Errorf("512 MiB: %v, a limit of %d", err, debug.SetMemoryLimit(-1))
	}
	if err := useMemory(12); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("12 MiB: %v", err)
	}
}
