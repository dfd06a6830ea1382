package benchmarks

import "testing"

// TestTheEngineIsMeasured runs the harness on a small market: it works, and what
// it measures does not allocate.
func TestTheEngineIsMeasured(t *testing.T) {
	for _, live := range []bool{false, true} {
		w, err := NewWorkload(1, live)
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewMarket(w, 2000, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.Adjust(); err != nil {
			t.Fatal(err)
		}
		figures, err := m.Auctions("engine", "1m")
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range figures {
			if name == "engine_allocs_per_op" {
				if f.Median > 0.001 {
					t.Errorf("%s: %v", name, f)
				}
			} else if f.Low <= 0 || f.Median < f.Low || f.High < f.Median {
				t.Errorf("%s: %v", name, f)
			}
		}
	}
}

func TestImportedMarketsStartAgain(t *testing.T) {
	w, err := NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	if _, err := Import(data, DefaultServing(), w, 2000, 1000); err != nil {
		t.Fatal(err)
	}
	s, err := Serve(data, DefaultServing())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if size := s.Exchange.Size(); size.Campaigns != 2000 || size.Places != 400 {
		t.Errorf("%+v", size)
	}
}
