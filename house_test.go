package hexbid_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// floors lists the packages of the house from the ground up. A package imports only floors below its own. Only some
// packages may import the wire contract.
var floors = map[string]int{
	"":                     0,
	"proto/hexbid/v1":      0,
	"proto/hexbid/disk/v1": 0,
	"geoindex":             1,
	"targeting":            1,
	"bidder/auction":       1,
	"bidder/frequency":     1,
	"bidder/pacing":        1,
	"bidder/quality":       1, // what is learned of clicks: pure arithmetic
	"token":                2, // the token of an award carries what its price follows from
	"wire":                 2,
	"access":               2, // credentials, and who has them
	"demo":                 2,
	"backup":               2, // copies of a data folder
	"spans":                1, // how long stages of calls take, for a collector
	"await":                1, // calls that end with their contexts while a disk stalls
	"shelf":                1, // short bytes by number in bounded memory
	"folder":               1, // a Pebble folder of which nothing gets lost unnoticed
	"ledger/merkle":        1,
	"ledger/traffic":       1,
	"ledger/journal":       2, // the contract of the log that money is written to
	"ledger/fold":          3, // the rules of money, pure
	"ledger/outstanding":   3,
	"ledger/pebble":        4,
	"ledger/ledgertest":    5, // opens ledgers for tests
	"ledger/receipt":       4,
	"ledger/audit":         4,
	"ledger":               4,
	"store":                3,
	"store/pebble/earlier": 3,
	"store/pebble":         4, // an engine stands on the contract
	"store/storetest":      4,
	"bidder":               4,
	"exchange":             5,
	"simulator/load":       5,
	"simulator/frames":     5, // calls as prepared HTTP/2 frames
	"simulator/plan":       5,
	"simulator/vitals":     5,
	"server":               6,
	"simulator/capacity":   6,
	"simulator/overload":   6, // what a server does beyond its capacity
	"simulator/traffic":    6,
	"simulator/market":     6, // the exchange itself, in virtual time
	"simulator/verify":     7,
	"simulator/report":     7,
	"cli":                  8,
	"cmd/hexbid":           9,
	"examples/go":          9,
	"hostile/victim":       8, // knows the program by its command line and its contract
	"hostile/crash":        9,
	"hostile":              9,

	"server/gateway":         7,
	"server/gateway/routes":  6, // generated
	"server/gateway/openapi": 8, // makes the gateway's document
}

const module = "github.com/hexbid/hexbid"

func TestPackagesImportOnlyFloorsBelowTheirOwn(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); packages++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		checkArrows(t, local(p.ImportPath), p.Imports)
	}
	if packages < 12 {
		t.Errorf("only %d packages were looked at", packages)
	}
}

func local(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func checkArrows(t *testing.T, from string, imports []string) {
	floor, known := floors[from]
	if !known {
		t.Errorf("package %q has no floor: give it one, here and in docs/ARCHITECTURE.md", from)
		return
	}
	for _, path := range imports {
		if path == "github.com/uber/h3-go/v4" && from != "geoindex" {
			t.Errorf("%q imports %s, which is geoindex's own", from, path)
		}
		if path == module {
			continue
		}
		if !strings.HasPrefix(path, module+"/") {
			continue
		}
		to := local(path)
		if floors[to] >= floor && floor > 0 {
			t.Errorf("%q (floor %d) imports %q (floor %d)", from, floor, to, floors[to])
		}
		if from == "cli" && to != "proto/hexbid/v1" && !strings.HasPrefix(to, "simulator/") {
			t.Errorf("%q imports %q: commands speak the wire contract alone", from, to)
		}
		if to == "proto/hexbid/v1" && from != "wire" && from != "proto/hexbid/disk/v1" && floor < floors["server"] {
			t.Errorf("%q imports the wire contract, which stops at server and at wire", from)
		}
		if to == "proto/hexbid/disk/v1" && from != "wire" && !strings.HasPrefix(from, "store/") &&
			!strings.HasPrefix(from, "ledger/") {
			t.Errorf("%q imports what lies on disk, which engines alone know", from)
		}
	}
}
