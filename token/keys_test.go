package token

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// deployment is a folder of keys with a clock.
type deployment struct {
	testing.TB
	path, record string
	now          time.Time
}

func newDeployment(t testing.TB) *deployment {
	dir := t.TempDir()
	return &deployment{t, filepath.Join(dir, "keys"), filepath.Join(dir, "keys.record"),
		time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}
}

// start opens the keys as a starting process does.
func (d *deployment) start(acceptLoss bool) (*Keys, error) {
	return OpenKeys(Source{Path: d.path, Record: d.record, AcceptLoss: acceptLoss,
		Clock: func() time.Time { return d.now }})
}

func (d *deployment) mustStart() *Keys {
	d.Helper()
	keys, err := d.start(false)
	if err != nil {
		d.Fatal(err)
	}
	return keys
}

func (d *deployment) rotate() Rotation {
	d.Helper()
	r, err := Rotate(d.path, d.now)
	if err != nil {
		d.Fatal(err)
	}
	return r
}

func (d *deployment) reload(keys *Keys) {
	d.Helper()
	if changed, err := keys.Reload(); err != nil || !changed {
		d.Fatalf("changed %v, %v", changed, err)
	}
}

func (d *deployment) read(path string) []byte {
	d.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		d.Fatal(err)
	}
	return text
}

func (d *deployment) write(path string, text []byte) {
	d.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		d.Fatal(err)
	}
}

func opens(keys *Keys, text string) bool {
	_, _, err := keys.Ring().Open(PagePurpose, text)
	return err == nil
}

// TestRotationLosesNoTokenForNineDays rotates at several intervals. It opens every token for nine days after it was
// sealed.
func TestRotationLosesNoTokenForNineDays(t *testing.T) {
	for _, every := range []time.Duration{time.Hour, 7 * time.Hour, 24 * time.Hour, 5 * 24 * time.Hour,
		30 * 24 * time.Hour} {
		t.Run(every.String(), func(t *testing.T) {
			d := newDeployment(t)
			keys := d.mustStart()
			type sealed struct {
				text string
				at   time.Time
			}
			var out []sealed
			started, most := d.now, 0
			for d.now.Sub(started) < 20*24*time.Hour+2*every {
				out = append(out, sealed{keys.Ring().Seal(PagePurpose, nil), d.now})
				d.now = d.now.Add(every - time.Second)
				out = append(out, sealed{keys.Ring().Seal(PagePurpose, nil), d.now})
				d.now = d.now.Add(time.Second)
				if r := d.rotate(); r.Sealing != keys.Ring().sealing+1 {
					t.Fatalf("rotated to %+v after %d", r, keys.Ring().sealing)
				}
				d.reload(keys)
				most = max(most, len(keys.Ring().byID))
				for _, s := range out {
					if age := d.now.Sub(s.at); age <= 9*24*time.Hour && !opens(keys, s.text) {
						t.Fatalf("a token of %s ago does not open", age)
					}
				}
				if n := len(out) - 1; out[0].at.Before(d.now.Add(-Retention-2*every)) && opens(keys, out[0].text) {
					t.Fatalf("the first of %d tokens still opens, %s later", n, d.now.Sub(out[0].at))
				}
			}
			if bound := int(Retention/every) + 3; most > bound {
				t.Errorf("%d keys, want at most %d", most, bound)
			}
		})
	}
}

func TestARotationSaysWhatItDid(t *testing.T) {
	d := newDeployment(t)
	d.mustStart()
	for i := range 12 {
		d.now = d.now.Add(24 * time.Hour)
		r := d.rotate()
		if want := (Rotation{uint32(i + 2), min(i+1, 10), max(0, min(1, i-9))}); r != want {
			t.Errorf("rotation %d: %+v, want %+v", i, r, want)
		}
	}
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := Rotate(missing, d.now); hexbid.KindOf(err) != hexbid.NotFound || !strings.Contains(err.Error(), missing) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("it was made")
	}
}

func TestAFileHasNoMoreKeysThanItsLimit(t *testing.T) {
	d := newDeployment(t)
	d.mustStart()
	file, _, err := readKeyFile(d.path)
	for len(file.seals) < MaxKeys && err == nil {
		d.now = d.now.Add(time.Minute)
		_, err = file.rotate(d.now)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.write(d.path, file.text())
	before := d.read(d.path)
	if _, err := Rotate(d.path, d.now); hexbid.KindOf(err) != hexbid.Exhausted {
		t.Fatalf("one more: %v", err)
	}
	if !bytes.Equal(before, d.read(d.path)) {
		t.Error("the file has changed")
	}
	d.mustStart()
	d.now = d.now.Add(Retention)
	if r := d.rotate(); r.Open == 0 || r.Retired == 0 {
		t.Errorf("nine days later: %+v", r)
	}
}

// TestAFileWithoutTimesOpensAndRotates opens a file of the first format, which does not say when its keys were made.
// All of them stay for nine days after the first rotation.
func TestAFileWithoutTimesOpensAndRotates(t *testing.T) {
	d := newDeployment(t)
	d.write(d.path, d.read("testdata/keys-undated"))
	keys := d.mustStart()
	if ring := keys.Ring(); ring.sealing != 2 || len(ring.byID) != 2 {
		t.Fatalf("seal %d of %d", ring.sealing, len(ring.byID))
	}
	if got := fmt.Sprintf("%x", keys.Ring().Pseudonym("someone")); got != "cee7d2f79d28eaa4db49621e87cd7240" {
		t.Errorf("pseudonym %s", got)
	}
	old := keys.Ring().Seal(PagePurpose, nil)
	for day := range 11 {
		if r := d.rotate(); day < 10 && r.Retired != 0 || day == 10 && r.Retired != 2 {
			t.Errorf("day %d: %+v", day, r)
		}
		d.reload(keys)
		if opens(keys, old) != (day < 10) {
			t.Errorf("day %d: a token of the undated key opens: %v", day, day >= 10)
		}
		d.now = d.now.Add(24 * time.Hour)
	}
}

// TestGoldenTokensOpen holds the formats of tokens. It includes the earlier format, because tokens issued before the
// program is replaced must still open.
func TestGoldenTokensOpen(t *testing.T) {
	d := newDeployment(t)
	d.write(d.path, d.read("testdata/keys-undated"))
	ring := d.mustStart().Ring()
	for file, want := range map[string]Award{"award-1": goldenAward(), "award-2": goldenAwardWithBasis(),
		"award-3": goldenAwardOfATrial()} {
		got, name, err := ring.OpenAward(strings.TrimSpace(string(d.read("testdata/" + file))))
		if err != nil || !reflect.DeepEqual(got, want) || name.Issuer.String() != "000102030405060708090a0b" ||
			name.Sequence != 41 {
			t.Errorf("%s: got %+v, %+v, %v\nwant %+v", file, got, name, err, want)
		}
		price, setBy, err := got.WorkOutPrice()
		if file == "award-1" && err == nil ||
			file != "award-1" && (price != want.Price || setBy != auction.SetByOthers || err != nil) {
			t.Errorf("%s: its price is worked out as %d, set by %s, %v", file, price, setBy, err)
		}
	}
}

func goldenAward() Award {
	return Award{Campaign: 7, Advertiser: 3, Price: 1_200_000, Slot: 2, Host: hexbid.WeChat, Scene: hexbid.NearbyList,
		Cell: 0x873099a4dffffff, Basis: auction.Basis{Mechanism: hexbid.MechanismGSP,
			Pricing: hexbid.CPC, QualityPPM: 30_000}, ClientID: "app",
		HasViewer: true, Viewer: [16]byte{1, 2, 3}, Prediction: auction.PredictionOf(30_000),
		IssuedAt:    time.UnixMilli(1_795_316_400_123).UTC(),
		ClickExpiry: time.UnixMilli(1_795_318_200_123).UTC()}
}

// goldenAwardWithBasis is the second of three slots in a VCG auction. The entry below it scores 40·10⁹, and nobody is
// below that entry.
func goldenAwardWithBasis() Award {
	a := goldenAward()
	a.RequestID, a.MarketVersion = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", 12
	a.Basis = auction.Basis{Mechanism: hexbid.MechanismVCG, Pricing: hexbid.CPC, Bid: 3_000_000, MultiplierPPM: 800_000,
		QualityPPM: 30_000, Reserve: 12_000_000_000, Factors: []int64{720, 560},
		Sum: auction.Sum{Low: (720-560)*40_000_000_000 + 560*12_000_000_000}}
	a.Price = 607_408 // 13.12·10¹² / (720 · 30,000), rounded up
	return a
}

// goldenAwardOfATrial is goldenAwardWithBasis whose quality two factors have lowered, in a trial of its pair.
func goldenAwardOfATrial() Award {
	a := goldenAwardWithBasis()
	a.Prediction = auction.Prediction{BasePPM: 50_000, ScenePPM: 800_000, DistancePPM: 750_000, Band: 3}
	a.Trial, a.Explored = auction.Trial{Pair: 2, Swapped: true}, true
	return a
}

func TestTokensOutliveARestartAndARotation(t *testing.T) {
	d := newDeployment(t)
	keys := d.mustStart()
	old := keys.Ring().Seal(PagePurpose, []byte("before"))
	pseudonym := keys.Ring().Pseudonym("user")
	d.rotate()
	d.reload(keys)
	if changed, err := keys.Reload(); err != nil || changed {
		t.Fatalf("changed again: %v, %v", changed, err)
	}
	for _, keys := range []*Keys{keys, d.mustStart()} {
		if plain, _, err := keys.Ring().Open(PagePurpose, old); err != nil || string(plain) != "before" {
			t.Errorf("a token from before the rotation: %q, %v", plain, err)
		}
		if keys.Ring().Pseudonym("user") != pseudonym {
			t.Error("the viewer's pseudonym changed with the sealing key")
		}
	}
}

// TestRotationsAtOnceFollowOneAnother rotates in several processes while another process reads.
func TestRotationsAtOnceFollowOneAnother(t *testing.T) {
	d := newDeployment(t)
	d.now = time.Now()
	keys := d.mustStart()
	first := keys.Ring().Seal(PagePurpose, nil)
	const processes, each = 4, 15
	var group sync.WaitGroup
	for range processes {
		group.Go(func() {
			rotator := exec.Command(os.Args[0], "-test.run=^TestRotatorProcess$")
			rotator.Env = append(os.Environ(), fmt.Sprintf("ROTATE=%s", d.path), fmt.Sprintf("TIMES=%d", each))
			if out, err := rotator.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if _, err := keys.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := keys.Reload(); err != nil || keys.Ring().sealing != 1+processes*each ||
		len(keys.Ring().byID) != 1+processes*each || !opens(keys, first) {
		t.Errorf("%v: seal %d of %d", err, keys.Ring().sealing, len(keys.Ring().byID))
	}
}

// TestRotatorProcess is the process that the tests above and below start.
func TestRotatorProcess(t *testing.T) {
	path, times := os.Getenv("ROTATE"), 0
	if path == "" {
		t.Skip("runs as a process of another test")
	}
	if _, err := fmt.Sscan(os.Getenv("TIMES"), &times); err != nil {
		t.Fatal(err)
	}
	for range times {
		if _, err := Rotate(path, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAKillInARotationLeavesTheFileWhole kills rotators at random instants.
func TestAKillInARotationLeavesTheFileWhole(t *testing.T) {
	d := newDeployment(t)
	d.now = time.Now()
	keys := d.mustStart()
	for range 10 {
		sealing := keys.Ring().sealing
		rotator := exec.Command(os.Args[0], "-test.run=^TestRotatorProcess$")
		rotator.Env = append(os.Environ(), "ROTATE="+d.path, "TIMES=50")
		if err := rotator.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); keys.Ring().sealing < sealing+3; { // wait until the rotator runs
			if _, err := keys.Reload(); err != nil || time.Now().After(deadline) {
				t.Fatal("no rotation within a minute: ", err)
			}
		}
		if err := rotator.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = rotator.Wait()
		if _, err := keys.Reload(); err != nil {
			t.Fatalf("after a kill: %v", err)
		}
		if r := d.rotate(); int(r.Sealing) != r.Open+1 {
			t.Fatalf("after a kill: %+v", r)
		}
		d.reload(keys)
	}
}

// TestLeftoversOfACrashAreNoObstacle starts with the temporary files of a rotation and of a record, half written.
func TestLeftoversOfACrashAreNoObstacle(t *testing.T) {
	d := newDeployment(t)
	d.write(d.path+".new", []byte("vie"))
	d.write(d.record+".new", []byte("{"))
	d.mustStart()
	d.write(d.path+".new", []byte("vie"))
	if err := os.Chmod(d.path+".new", 0o644); err != nil {
		t.Fatal(err)
	}
	d.rotate()
	d.mustStart()
	if info, err := os.Stat(d.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAFileThatOthersMayReadIsRefused(t *testing.T) {
	d := newDeployment(t)
	keys := d.mustStart()
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o620} {
		if err := os.Chmod(d.path, mode); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{second(keys.Reload()), second(d.start(false)), second(Rotate(d.path, d.now))} {
			if hexbid.KindOf(err) != hexbid.Invalid || !strings.Contains(err.Error(), "chmod 600") {
				t.Errorf("mode %o: %v", mode, err)
			}
		}
	}
	if err := os.Chmod(d.path, 0o400); err != nil {
		t.Fatal(err)
	}
	d.mustStart()
}

func second[T any](_ T, err error) error { return err }

func FuzzKeyFile(f *testing.F) {
	d := newDeployment(f)
	d.mustStart()
	d.rotate()
	f.Add(d.read(d.path))
	f.Add(d.read("testdata/keys-undated"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parseKeyFile(text)
		if err != nil {
			return
		}
		again, err := parseKeyFile(file.text())
		if err != nil {
			t.Fatalf("%q: %v", file.text(), err)
		}
		r := file.record(time.Now())
		if r.check(&again, time.Now()) != nil {
			t.Fatal("a file does not continue itself")
		}
		file.keyring(newCounter())
	})
}
