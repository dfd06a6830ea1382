package token

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

func openKeys(t testing.TB) *Keys {
	t.Helper()
	keys, err := OpenKeys(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func drawAward(t *rapid.T) Award {
	a := Award{
		Campaign:   hexbid.UID(rapid.Uint64Range(0, 1<<62).Draw(t, "campaign")),
		Advertiser: hexbid.UID(rapid.Uint64Range(0, 1<<62).Draw(t, "advertiser")),
		Price:      hexbid.Money(rapid.Int64Range(0, 1e12).Draw(t, "price")),
		Pricing:    hexbid.PricingModel(rapid.IntRange(1, 2).Draw(t, "pricing")),
		Slot:       rapid.IntRange(1, 10).Draw(t, "slot"),
		Host:       hexbid.Host(rapid.IntRange(0, 10).Draw(t, "host")), Scene: hexbid.Scene(rapid.IntRange(0, 7).Draw(t, "scene")),
		Cell: rapid.Uint64Range(0, 1<<60).Draw(t, "cell"), QualityPPM: rapid.Int64Range(1, 1e6).Draw(t, "q"),
		Explored: rapid.Bool().Draw(t, "explored"), ClientID: rapid.StringN(0, 20, 64).Draw(t, "client"),
		HasViewer: rapid.Bool().Draw(t, "viewer"),
		IssuedAt:  time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "issued")).UTC(),
	}
	if a.HasViewer {
		a.Viewer = [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "pseudonym"))
	}
	a.ClickExpiry = a.IssuedAt.Add(30 * time.Minute)
	return a
}

func TestAnAwardComesBackAsItWas(t *testing.T) {
	ring := openKeys(t).Ring()
	rapid.Check(t, func(t *rapid.T) {
		want := drawAward(t)
		text := ring.SealAward(&want)
		if len(text) > 512 {
			t.Fatalf("%d bytes", len(text))
		}
		got, err := ring.OpenAward(text)
		if err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestNothingOfATokenMayChange(t *testing.T) {
	ring := openKeys(t).Ring()
	award := Award{Campaign: 7, Price: 1_200_000, Pricing: hexbid.CPC, Slot: 1, IssuedAt: time.UnixMilli(5).UTC(), ClickExpiry: time.UnixMilli(6).UTC()}
	text := ring.SealAward(&award)
	if again := ring.SealAward(&award); again == text {
		t.Error("two tokens of one award are equal: the nonce is not random")
	}
	for i := range text {
		for _, c := range []byte{'A', 'b', '_', '='} {
			if text[i] == c {
				continue
			}
			if _, err := ring.OpenAward(text[:i] + string(c) + text[i+1:]); !errors.Is(err, ErrNotSealedHere) {
				t.Fatalf("byte %d changed to %q: %v", i, c, err)
			}
		}
		if _, err := ring.OpenAward(text[:i]); !errors.Is(err, ErrNotSealedHere) {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
	if _, err := ring.Open(PagePurpose, text); !errors.Is(err, ErrNotSealedHere) {
		t.Errorf("an award opens as a page token: %v", err)
	}
	if _, err := openKeys(t).Ring().OpenAward(text); !errors.Is(err, ErrNotSealedHere) {
		t.Errorf("another deployment's keys open it: %v", err)
	}
}

func TestRotationSealsAnewAndStillOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	keys, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	old := keys.Ring().Seal(PagePurpose, []byte("before"))
	pseudonym := keys.Ring().Pseudonym("user")
	for range Keep - 1 {
		if err := Rotate(path); err != nil {
			t.Fatal(err)
		}
	}
	if changed, err := keys.Reload(); err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if changed, err := keys.Reload(); err != nil || changed {
		t.Fatalf("changed again: %v, %v", changed, err)
	}
	if plain, err := keys.Ring().Open(PagePurpose, old); err != nil || string(plain) != "before" {
		t.Errorf("a token from before the rotation: %q, %v", plain, err)
	}
	if keys.Ring().Pseudonym("user") != pseudonym {
		t.Error("the viewer's pseudonym changed with the sealing key")
	}
	if err := Rotate(path); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Ring().Open(PagePurpose, old); !errors.Is(err, ErrNotSealedHere) {
		t.Errorf("a retired key still opens: %v", err)
	}
}

func TestABadKeyFileLeavesTheOldKeysInForce(t *testing.T) {
	keys := openKeys(t)
	text := keys.Ring().Seal(PagePurpose, []byte("x"))
	for _, bad := range []string{"", "seal 1 AAAA\n", "viewer ???\n", "seal x y\n", "nonsense\n"} {
		if err := os.WriteFile(keys.path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Reload(); err == nil || !strings.Contains(err.Error(), keys.path) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := keys.Ring().Open(PagePurpose, text); err != nil {
			t.Errorf("after %q: %v", bad, err)
		}
	}
}

func FuzzOpenAward(f *testing.F) {
	ring := openKeys(f).Ring()
	f.Add(ring.SealAward(&Award{Campaign: 1}))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ring.OpenAward(text) // must not panic
	})
}

func FuzzDecodeAward(f *testing.F) {
	f.Add((&Award{Campaign: 1, HasViewer: true, ClientID: "x"}).append(nil))
	f.Fuzz(func(t *testing.T, plain []byte) {
		a, err := decodeAward(plain)
		if err != nil {
			if !errors.Is(err, ErrNotSealedHere) {
				t.Fatal(err)
			}
			return
		}
		if b, err := decodeAward(a.append(nil)); err != nil || a != b {
			t.Fatalf("%+v encodes to %+v, %v", a, b, err)
		}
	})
}

func BenchmarkSealAward(b *testing.B) {
	ring := openKeys(b).Ring()
	a := Award{Campaign: 1, Advertiser: 2, Price: 3, HasViewer: true, IssuedAt: time.Now(), ClickExpiry: time.Now()}
	for b.Loop() {
		ring.SealAward(&a)
	}
}
