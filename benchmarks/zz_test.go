package benchmarks

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	w, _ := NewWorkload(1, false)
	m, _ := NewMarket(w, 300_000, 0)
	r := rand.New(rand.NewPCG(1, 1))
	started := time.Now()
	const n = 60000
	var v uint64
	for i := range n {
		v = m.ChangeBid(r.IntN(m.Campaigns), r)
		if i%2000 == 1999 {
			m.Indexer.WaitFor(context.Background(), v)
		}
	}
	m.Indexer.WaitFor(context.Background(), v)
	t.Logf("%.0f changes/s", n/time.Since(started).Seconds())
}
