package benchmarks

import (
	"log"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/load"
)

// TestTheEngineIsMeasured runs the harness on a small market. The harness works, and the searches that it measures do
// not allocate.
func TestTheEngineIsMeasured(t *testing.T) {
	for _, live := range []bool{false, true} {
		w, err := NewWorkload(1, live)
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewPopulation(w, 2000, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := m.HandIn(); err != nil {
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

// TestHandInsAreMeasured runs the hand-ins on a small market. They keep their rate, and they come into force.
func TestHandInsAreMeasured(t *testing.T) {
	w, err := NewWorkload(1, true)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewPopulation(w, 2000, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	figures, err := m.HandIns()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"handins_search_p99_ratio", "handins_per_s", "handin_alone_in_force_p99_ms",
		"handin_in_force_p99_ms", "handins_beside_edits_per_s"} {
		if f := figures[name]; f.Low <= 0 || f.Median < f.Low || f.High < f.Median {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestBudgetsAreMeasured runs the budgets on a small market, two days of it.
func TestBudgetsAreMeasured(t *testing.T) {
	w, err := NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	figures, err := Budgets(w, t.TempDir(), BudgetSize{Campaigns: 1000, Spent: 300, Searches: 200, Charges: 10, Lone: 3,
		Rounds: 2}, func(step string) { t.Log(step) })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"midnight_s_cities", "midnight_search_p99_ratio_cities", "midnight_s_point",
		"midnight_search_p99_ratio_point", "charge_out_p50_ms", "charge_out_p99_ms", "charge_out_max_ms",
		"charge_out_edits_per_s", "topup_back_p50_ms", "topup_back_max_ms", "raised_back_p50_ms", "raised_back_max_ms"} {
		if f := figures[name]; f.Low <= 0 || f.Median < f.Low || f.High < f.Median {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestMain serves a canned answer if a test has started this program for that.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == CannedCommand {
		if err := ServeCanned(os.Args[2], os.Args[3]); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

func TestServersInProcessesOfTheirOwnAreMeasured(t *testing.T) {
	w, err := NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	s, err := StartHexbid(binary, Serving{Data: data, MemoryMB: MemoryMB})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Import(s.Conn, w, 2000, 1000); err != nil {
		t.Fatal(err)
	}
	if err := ImportMorePlaces(s.Conn, w, 400, 4); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = StartHexbid(binary, Serving{Data: data, MemoryMB: MemoryMB}); err != nil {
		t.Fatal(err)
	}
	b, err := NewBeside(s.Conn, w, 3, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, conn := range map[string]*grpc.ClientConn{"ours": s.Conn, "canned": b.canned.Conn} {
		own := load.NewHistogram()
		report, err := openLoop(conn, b.requests, offer{200, time.Second / 2, unbounded}, own)
		if err != nil || report.Answered == 0 || report.Dropped > 0 || own.Max() == 0 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
	if hits, err := s.Metric("hexbid_display_cache_hit_ratio"); err != nil || hits <= 0 || hits > 1 {
		t.Errorf("hit ratio %g, %v", hits, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestBothDoorsAnswer makes a search in each way, on a small market.
func TestBothDoorsAnswer(t *testing.T) {
	w, err := NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDoors(binary, t.TempDir(), w, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, search := range d.searches() {
		if err := search(1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	key := d.key
	d.key = key[:len(key)-1]
	if d.searchKeyed(1) == nil {
		t.Error("a search with half a key is answered")
	}
	d.key = key
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestChangesOfProgramsAreMeasured runs on small markets with and without campaigns. Every change gives another name,
// and changes a program that an owner has.
func TestChangesOfProgramsAreMeasured(t *testing.T) {
	w, err := NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	for campaigns, owners := range map[int]int{0: 1000, 2000: 0} {
		m, err := NewPopulation(w, campaigns, owners)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		before := m.Indexer.Snapshot()
		figures, err := m.ProgramChanges("x")
		if err != nil {
			t.Fatal(err)
		}
		if len(figures) != 3 {
			t.Errorf("figures %v", figures)
		}
		for name, f := range figures {
			if f.Low <= 0 || f.Median < f.Low || f.High < f.Median {
				t.Errorf("%s: %v", name, f)
			}
		}
		if after := m.Indexer.Snapshot(); after.Programs != before.Programs || after.Version != 1+3*(20_000+200) {
			t.Errorf("%d programs at version %d, were %d", after.Programs, after.Version, before.Programs)
		}
		if a, b := m.changedPrograms(1)[0],
			m.changedPrograms(1)[0]; a.Resource.(*hexbid.Program).DisplayName == b.Resource.(*hexbid.Program).DisplayName {
			t.Error("two changes to one name")
		}
	}
}

// TestDistanceIsMeasured runs both markets of shops, small ones.
func TestDistanceIsMeasured(t *testing.T) {
	w, err := NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	figures, err := Distances(w, 2000)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range figures {
		if name == "distance_allocs_per_op" {
			if f.Median > 0.001 {
				t.Errorf("%s: %v", name, f)
			}
		} else if f.Low < 0 || f.Median < f.Low || f.High < f.Median {
			t.Errorf("%s: %v", name, f)
		}
	}
}
