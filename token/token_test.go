package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func openKeys(t testing.TB) *Keys {
	t.Helper()
	keys, err := OpenKeys(Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestNothingOfATokenMayChange(t *testing.T) {
	ring := openKeys(t).Ring()
	award := Award{Campaign: 7, Price: 1_200_000, Slot: 1, IssuedAt: time.UnixMilli(5).UTC(),
		ClickExpiry: time.UnixMilli(6).UTC()}
	text := ring.SealAward(&award)
	if again := ring.SealAward(&award); again == text {
		t.Error("two tokens of one award are equal")
	}
	for i := range text {
		for _, c := range []byte{'A', 'b', '_', '='} {
			if text[i] == c {
				continue
			}
			if _, _, err := ring.OpenAward(text[:i] + string(c) + text[i+1:]); !errors.Is(err, ErrNotSealedHere) {
				t.Fatalf("byte %d changed to %q: %v", i, c, err)
			}
		}
		if _, _, err := ring.OpenAward(text[:i]); !errors.Is(err, ErrNotSealedHere) {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
	for i := range len(text) + 1 { // the decoder ignores line breaks
		for _, c := range []string{"\n", "\r"} {
			if _, _, err := ring.OpenAward(text[:i] + c + text[i:]); !errors.Is(err, ErrNotSealedHere) {
				t.Fatalf("%q put in after %d bytes: %v", c, i, err)
			}
		}
	}
	if _, _, err := ring.Open(PagePurpose, text); !errors.Is(err, ErrNotSealedHere) {
		t.Errorf("an award opens as a page token: %v", err)
	}
	if _, _, err := openKeys(t).Ring().OpenAward(text); !errors.Is(err, ErrNotSealedHere) {
		t.Errorf("another deployment's keys open it: %v", err)
	}
}

// FuzzOpen opens arbitrary texts for both purposes. Open must not panic, and must open nothing but what was sealed.
func FuzzOpen(f *testing.F) {
	ring := openKeys(f).Ring()
	sealed := map[string]Purpose{}
	for p := range purposes {
		text := ring.Seal(p, []byte("plain"))
		sealed[text] = p
		f.Add(text)
	}
	award := ring.SealAward(&Award{Campaign: 1})
	sealed[award] = AwardPurpose
	f.Add(award)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		for p := range purposes {
			_, _, err := ring.Open(p, text)
			if of, ok := sealed[text]; (err == nil) != (ok && of == p) {
				t.Fatalf("%q as %s: %v", text, p, err)
			}
			if err != nil && !errors.Is(err, ErrNotSealedHere) {
				t.Fatal(err)
			}
		}
		_, _, _ = ring.OpenAward(text)
	})
}

// sealedAs returns the header and the plain text of a token. It follows the package comment alone.
func sealedAs(t *testing.T, key []byte, purpose, text string) (issuer Issuer, sequence uint64, plain []byte) {
	t.Helper()
	box, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || box[0] != 2 {
		t.Fatal(box, err)
	}
	info := "hexbid token 2 " + purpose + " " + string(box[1:17]) // key id and issuer
	keys, err := hkdf.Expand(sha256.New, key, info, 64)
	if err != nil {
		t.Fatal(err)
	}
	names, err := aes.NewCipher(keys[:32])
	if err != nil {
		t.Fatal(err)
	}
	var name [16]byte
	names.Decrypt(name[:], box[17:33])
	block, err := aes.NewCipher(keys[32:])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err = gcm.Open(nil, append(make([]byte, 4), name[8:]...), box[33:], nil); err != nil {
		t.Fatal(err)
	}
	return Issuer(box[5:17]), binary.BigEndian.Uint64(name[8:]), plain
}

func TestATokenIsAsThePackageCommentSays(t *testing.T) {
	ring := openKeys(t).Ring()
	key := ring.byID[ring.sealing]
	for i := range uint64(5) {
		for _, p := range []Purpose{AwardPurpose, PagePurpose} {
			text := ring.Seal(p, []byte("some text"))
			issuer, sequence, plain := sealedAs(t, key, p.String(), text)
			if issuer != ring.counter.issuer || sequence != i || string(plain) != "some text" {
				t.Errorf("%s %d: issuer %s, sequence %d, %q", p, i, issuer, sequence, plain)
			}
			if _, name, err := ring.Open(p, text); err != nil || name != (Name{issuer, i}) {
				t.Errorf("%s %d opens as %+v, %v", p, i, name, err)
			}
		}
	}
}

// TestNoTwoSealsShareANonceUnderAKey seals a million tokens from many goroutines: of two purposes, in two processes at
// once, over a restart and a rotation. In it (key line, purpose, issuer) stands for a derived key, and a name for a
// nonce.
func TestNoTwoSealsShareANonceUnderAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	open := func() *Keys {
		keys, err := OpenKeys(Source{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	rotated := open()
	phases := []*Keys{open(), open(), open(), rotated, rotated}
	const workers, each = 4, 1 << 20 / (5 * 4 * 2)
	type nonce struct {
		purpose Purpose
		header  [headerBytes]byte // version, key line, issuer, name
	}
	seen, sequences := map[nonce]struct{}{}, map[Purpose]map[Name]struct{}{AwardPurpose: {}, PagePurpose: {}}
	for i, keys := range phases {
		if i == len(phases)-1 {
			if _, err := Rotate(path, time.Now()); err != nil {
				t.Fatal(err)
			}
			if changed, err := keys.Reload(); !changed || err != nil {
				t.Fatal(changed, err)
			}
		}
		texts := make(chan []string, workers)
		for range workers {
			go func() {
				all := make([]string, 0, 2*each)
				for range each {
					all = append(all, keys.Ring().Seal(AwardPurpose, nil), keys.Ring().Seal(PagePurpose, nil))
				}
				texts <- all
			}()
		}
		for range workers {
			for j, text := range <-texts {
				box, err := base64.RawURLEncoding.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				seen[nonce{Purpose(j % 2), [headerBytes]byte(box)}] = struct{}{}
				if j%64 > 1 {
					continue
				}
				_, name, err := keys.Ring().Open(Purpose(j%2), text)
				if _, again := sequences[Purpose(j%2)][name]; again || err != nil || name.Sequence >= 2*workers*each {
					t.Fatalf("%+v, again %v, %v", name, again, err)
				}
				sequences[Purpose(j%2)][name] = struct{}{}
			}
		}
	}
	if want := len(phases) * workers * each * 2; len(seen) != want {
		t.Errorf("%d seals have %d different nonces", want, len(seen))
	}
}

// TestForgedTokensFillNoMemory opens tokens of invented issuers, and true tokens with one byte changed, beside tokens
// of an earlier process.
func TestForgedTokensFillNoMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	before, err := OpenKeys(Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	now, err := OpenKeys(Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	ring, old := now.Ring(), before.Ring().Seal(PagePurpose, []byte("old"))
	if _, name, err := ring.Open(PagePurpose, old); err != nil || name != (Name{before.counter.issuer, 0}) {
		t.Fatalf("a token of the process before: %+v, %v", name, err)
	}
	known := ring.others.get(sealerKey{ring.sealing, PagePurpose, before.counter.issuer})
	for i := range 20_000 {
		if _, _, err := ring.Open(PagePurpose, forged(ring, uint64(i))); !errors.Is(err, ErrNotSealedHere) {
			t.Fatal(err)
		}
	}
	if n := len(ring.others.byKey); n != 1 || known == nil ||
		ring.others.get(sealerKey{ring.sealing, PagePurpose, before.counter.issuer}) != known {
		t.Errorf("%d issuers are known after a flood of forged ones: want the true one alone", n)
	}
}

func TestKnownIssuersAreBounded(t *testing.T) {
	ring := openKeys(t).Ring()
	for i := range maxSealers + 100 {
		other := &Keyring{sealing: ring.sealing, counter: newCounter()}
		which := sealerKey{ring.sealing, PagePurpose, other.counter.issuer}
		other.sealers[PagePurpose] = derive(ring.byID[ring.sealing], which)
		if _, name, err := ring.Open(PagePurpose, other.Seal(PagePurpose, nil)); err != nil ||
			name.Issuer != other.counter.issuer {
			t.Fatal(i, err)
		}
	}
	if n := len(ring.others.byKey); n != maxSealers {
		t.Errorf("%d issuers are known, want %d", n, maxSealers)
	}
}

// forged makes a token of the live key line with an invented issuer. Nothing else in it is true.
func forged(ring *Keyring, i uint64) string {
	box := make([]byte, headerBytes+40)
	box[0] = formatVersion
	binary.BigEndian.PutUint32(box[keyIDAt:], ring.sealing)
	binary.BigEndian.PutUint64(box[issuerAt:], i)
	return base64.RawURLEncoding.EncodeToString(box)
}

func BenchmarkOpenForgedIssuer(b *testing.B) {
	ring, i := openKeys(b).Ring(), uint64(0)
	for b.Loop() {
		i++
		if _, _, err := ring.OpenAward(forged(ring, i)); err == nil {
			b.Fatal("it opens")
		}
	}
}

// TestSealAllocatesItsTextAlone allows for the race detector, under which pools lose some of their memory.
func TestSealAllocatesItsTextAlone(t *testing.T) {
	ring, plain := openKeys(t).Ring(), make([]byte, 120)
	if n := testing.AllocsPerRun(1000, func() { ring.Seal(AwardPurpose, plain) }); n > 2 {
		t.Errorf("%g allocations", n)
	}
}

// TestCallsAtOnceShareNoMemory seals and makes pseudonyms in many goroutines, which use the same memory in turn.
func TestCallsAtOnceShareNoMemory(t *testing.T) {
	ring := openKeys(t).Ring()
	want := make([][16]byte, 50)
	for i := range want {
		want[i] = ring.Pseudonym(fmt.Sprint("viewer ", i))
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 2000 {
				key := fmt.Sprint("viewer ", i%len(want))
				plain, _, err := ring.Open(PagePurpose, ring.Seal(PagePurpose, []byte(key)))
				if err != nil || string(plain) != key || ring.Pseudonym(key) != want[i%len(want)] {
					t.Errorf("%q is sealed and opened as %q: %v", key, plain, err)
					return
				}
			}
		})
	}
	group.Wait()
	for i := range want {
		mac := hmac.New(sha256.New, ring.pseudonym)
		fmt.Fprint(mac, "viewer ", i)
		if [16]byte(mac.Sum(nil)) != want[i] {
			t.Fatalf("viewer %d has another pseudonym", i)
		}
	}
}
