package token

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// damages are changes of a key file that are not rotations.
var damages = map[string]func(d *deployment, text string) string{
	"missing":        func(*deployment, string) string { return "" },
	"another viewer": func(d *deployment, text string) string { return swapKey(text, "viewer ") },
	"another key":    func(d *deployment, text string) string { return swapKey(text, "seal 2 ") },
	"an old key replaced": func(d *deployment, text string) string {
		return swapKey(text, "seal 1 ")
	},
	"the newest key taken away": func(d *deployment, text string) string { return dropLine(text, "seal 2 ") },
	"the oldest key taken away": func(d *deployment, text string) string { return dropLine(text, "seal 1 ") },
	"made anew": func(d *deployment, _ string) string {
		other := newDeployment(d)
		other.now = d.now
		other.mustStart()
		other.rotate()
		return string(other.read(other.path))
	},
	"made anew under higher numbers": func(d *deployment, text string) string {
		other := newDeployment(d)
		other.now = d.now
		other.mustStart()
		for range 3 {
			other.rotate()
		}
		return dropLine(dropLine(string(other.read(other.path)), "seal 1 "), "seal 2 ")
	},
	"out of order": func(d *deployment, text string) string {
		return dropLine(text, "seal 2 ") + text[strings.Index(text, "seal 2 "):strings.Index(text, "seal 1 ")]
	},
	"cut off": func(_ *deployment, text string) string { return text[:len(text)-30] },
	"noise":   func(*deployment, string) string { return "seal x y\n" },
	"blank":   func(*deployment, string) string { return "\n" },
	"two viewers": func(_ *deployment, text string) string {
		return text + text[strings.Index(text, "viewer"):strings.Index(text, "seal 2")]
	},
}

func dropLine(text, start string) string {
	from := strings.Index(text, start)
	return text[:from] + text[from+strings.Index(text[from:], "\n")+1:]
}

// swapKey changes one letter of the key on the line with a given start.
func swapKey(text, start string) string {
	at := strings.Index(text, start) + len(start) + 5
	letter := "A"
	if text[at] == 'A' {
		letter = "B"
	}
	return text[:at] + letter + text[at+1:]
}

// TestAKeyFileThatIsNoRotationIsRefused applies each damage before a start and at run time. The program makes no new
// key. Older tokens still open while the process runs, and again once the file is restored.
func TestAKeyFileThatIsNoRotationIsRefused(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			d := newDeployment(t)
			d.mustStart()
			d.now = d.now.Add(time.Hour)
			d.rotate()
			keys := d.mustStart()
			sealed := keys.Ring().Seal(PagePurpose, nil)
			whole, recorded := d.read(d.path), d.read(d.record)
			damaged := damage(d, string(whole))
			d.write(d.path, []byte(damaged))
			if damaged == "" {
				if err := os.Remove(d.path); err != nil {
					t.Fatal(err)
				}
			}
			if changed, err := keys.Reload(); changed || err == nil || !strings.Contains(err.Error(), d.path) {
				t.Errorf("at run time: changed %v, %v", changed, err)
			}
			if _, err := d.start(false); err == nil || !strings.Contains(err.Error(), d.path) ||
				!strings.Contains(strings.ToLower(err.Error()), "restore") {
				t.Errorf("at a start: %v", err)
			}
			if now, _ := os.ReadFile(d.path); string(now) != damaged || !bytes.Equal(recorded, d.read(d.record)) {
				t.Error("the refusal wrote something")
			}
			if !opens(keys, sealed) || !opens(keys, keys.Ring().Seal(PagePurpose, nil)) {
				t.Error("the old keys are no longer in force")
			}
			d.write(d.path, whole)
			if changed, err := keys.Reload(); changed || err != nil || !opens(d.mustStart(), sealed) {
				t.Errorf("restored: changed %v, %v", changed, err)
			}
		})
	}
}

// TestNoKeyIsInAnError looks for keys in the errors that end up in a log.
func TestNoKeyIsInAnError(t *testing.T) {
	for name, damage := range damages {
		d := newDeployment(t)
		d.mustStart()
		d.rotate()
		keys := d.mustStart()
		text := string(d.read(d.path))
		for _, line := range strings.Split(damage(d, text)+"\n"+strings.ReplaceAll(text, "seal 2", "seal"), "\n") {
			for _, word := range strings.Fields(line) {
				d.write(d.path, []byte(damage(d, text)+"\n"+word+"\n"))
				if _, err := keys.Reload(); err == nil || len(word) > 30 && strings.Contains(err.Error(), word) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

func TestALossIsAcceptedWhenToldSo(t *testing.T) {
	for _, name := range []string{"missing", "another viewer", "another key", "made anew"} {
		d := newDeployment(t)
		d.mustStart()
		d.rotate()
		sealed := d.mustStart().Ring().Seal(PagePurpose, nil)
		text := damages[name](d, string(d.read(d.path)))
		d.write(d.path, []byte(text))
		if text == "" {
			os.Remove(d.path)
		}
		keys, err := d.start(true)
		if err != nil || keys.Loss() == nil {
			t.Fatalf("%s: loss %v, %v", name, keys, err)
		}
		if name != "another viewer" && opens(keys, sealed) {
			t.Errorf("%s: the token of a lost key opens", name)
		}
		if again := d.mustStart(); again.Loss() != nil {
			t.Errorf("%s: the loss is told of again: %v", name, again.Loss())
		}
	}
	d := newDeployment(t)
	d.mustStart()
	d.write(d.record, []byte("{"))
	if _, err := d.start(false); err == nil || !strings.Contains(err.Error(), d.record) {
		t.Errorf("a damaged record: %v", err)
	}
	if keys, err := d.start(true); err != nil || keys.Loss() == nil {
		t.Errorf("a damaged record, accepted: %v", err)
	}
	d.write(d.path, []byte("noise"))
	if _, err := d.start(true); err == nil {
		t.Error("a damaged key file is replaced")
	}
}

// TestKeysMayGoOnceNoTokenIsOut rotates daily, while no server runs, for longer than keys are kept. Then it removes a
// key that is no longer needed by hand.
func TestKeysMayGoOnceNoTokenIsOut(t *testing.T) {
	d := newDeployment(t)
	keys := d.mustStart()
	d.now = d.now.Add(40 * 24 * time.Hour)
	if _, err := keys.Reload(); err != nil { // this records that the key still seals
		t.Fatal(err)
	}
	for range 8 {
		d.now = d.now.Add(24 * time.Hour)
		d.rotate()
	}
	withFirst := d.read(d.path)
	d.write(d.path, []byte(dropLine(string(withFirst), "seal 1 ")))
	if _, err := d.start(false); err == nil || !strings.Contains(err.Error(), "seal 1") {
		t.Fatalf("without a key that sealed seven days ago: %v", err)
	}
	d.write(d.path, withFirst)
	for range 12 {
		d.now = d.now.Add(24 * time.Hour)
		d.rotate()
	}
	if strings.Contains(string(d.read(d.path)), "seal 1 ") {
		t.Fatal("the first key is still there")
	}
	d.mustStart()
}

// TestARecordIsNoSecret looks for keys in a record.
func TestARecordIsNoSecret(t *testing.T) {
	d := newDeployment(t)
	d.mustStart()
	for _, line := range strings.Split(string(d.read(d.path)), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && !strings.HasPrefix(line, "#") {
			for _, word := range fields {
				if len(word) > 20 && bytes.Contains(d.read(d.record), []byte(word)[:20]) && !strings.HasPrefix(word, "2026") {
					t.Errorf("the record has %q", word)
				}
			}
		}
	}
}

// TestARecordThatCannotBeWrittenKeepsTheOldKeys: a new key seals only after its record is durable.
func TestARecordThatCannotBeWrittenKeepsTheOldKeys(t *testing.T) {
	d := newDeployment(t)
	keys := d.mustStart()
	recorded := d.read(d.record)
	if err := errors.Join(os.Remove(d.record), os.Mkdir(d.record, 0o700),
		os.Mkdir(filepath.Join(d.record, "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	d.rotate()
	if changed, err := keys.Reload(); changed || err == nil || keys.Ring().sealing != 1 {
		t.Errorf("changed %v, %v, seal %d", changed, err, keys.Ring().sealing)
	}
	if err := os.RemoveAll(d.record); err != nil {
		t.Fatal(err)
	}
	d.write(d.record, recorded)
	d.reload(keys)
}
