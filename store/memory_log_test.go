package store

import (
	"testing"
	"time"
)

func TestMemoryLogHoldsNothingThatItDropped(t *testing.T) {
	l := memoryLog{retention: Retention{Age: time.Hour, Bytes: 1000}}
	array := make([]logged, 200)
	l.entries = array[:0]
	for v := range uint64(100) {
		l.append(&Change{Version: v + 1, Who: "somebody"}, nil)
	}
	if len(l.entries) == 0 || len(l.entries) > 10 || l.bytes > 1000 || array[0].Version != 0 || array[0].record != nil {
		t.Errorf("%d changes of %d bytes are held, version %d among them", len(l.entries), l.bytes, array[0].Version)
	}
}
