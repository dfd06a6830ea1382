package benchmarks

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hexbid/hexbid/exchange"
)

func TestImportRate(t *testing.T) {
	w, err := NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100_000
	owners, rows := importMessages(w, 0, n)
	dir := filepath.Join(t.TempDir(), "catalogue")
	s, err := Serve(dir, exchange.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	took, err := importAll(s.Conn, owners)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("owners: %d rows, %.0f/s", 3*n/5, 3*n/5/took.Seconds())
	took, err = importAll(s.Conn, rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("campaigns: %.0f/s", n/took.Seconds())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	s, err = Serve(dir, exchange.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("start: %s", time.Since(started))
	s.Close()
}
