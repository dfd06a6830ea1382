package access

import (
	"testing"

	"github.com/hexbid/hexbid"
)

// edited returns a text of which some bytes are others.
func edited(text string, at, cut uint16, put string) string {
	i := int(at) % (len(text) + 1)
	return text[:i] + put + text[min(i+int(cut), len(text)):]
}

// FuzzEditedCredential edits credentials that were issued: a key, and tokens of a provider by each algorithm that is
// admitted. Nothing that differs from all that was issued proves anybody.
func FuzzEditedCredential(f *testing.F) {
	o, p := openWithProvider(f)
	issued := []string{o.texts["users/olga/keys/k"], p.token(f, "RS256", "rsa", nil), p.token(f, "ES256", "ec", nil)}
	for i := range issued {
		which := uint8(i)
		f.Add(which, uint16(0), uint16(0), "", false)
		f.Add(which, uint16(0), uint16(0), " ", false)
		f.Add(which, uint16(4), uint16(1), "A", true)
		f.Add(which, uint16(len(issued[i])), uint16(0), "=", false)
		f.Add(which, uint16(len(issued[i])), uint16(0), ".", false)
		f.Add(which, uint16(0), uint16(36), "eyJhbGciOiJub25lIn0", false)
		f.Add(which, uint16(40), uint16(0), "\n", false)
		f.Add(which, uint16(20), uint16(600), "", false)
	}
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, put string, checksummed bool) {
		text := edited(issued[int(which)%len(issued)], at, cut, put)
		if checksummed && len(text) >= checksumAt { // as a key that was made up, and not mistyped
			text = string(appendChecksum([]byte(text[:checksumAt])))
		}
		good := false
		for _, one := range issued {
			good = good || one == text
		}
		proof, refusal := o.Authenticate(t.Context(), Credentials{Bearer: text}, noon)
		if (refusal == NotRefused) != good || (proof.Principal.ID != "") != good {
			t.Errorf("%q proves %q (%s)", text, proof.Principal.ID, refusal)
		}
		if refusal != NotRefused && (refusal == Conflicting || refusal == Unreachable || refusal == Behind) {
			t.Errorf("%q is %s", text, refusal)
		}
	})
}

// FuzzEditedEtag edits etags that were issued. None leads to a version of another resource, or of the same.
func FuzzEditedEtag(f *testing.F) {
	etags := NewPepper([PepperBytes]byte{1}).Etags()
	issued := map[string]uint64{}
	var texts []string
	for uid := range uint64(3) {
		for version := range uint64(40) {
			text := etags.Of(&hexbid.Meta{UID: hexbid.UID(uid + 1), Version: version + 1})
			issued[text], texts = version+1, append(texts, text)
		}
	}
	f.Add(uint8(0), uint16(0), uint16(0), "")
	f.Add(uint8(1), uint16(21), uint16(1), "x")
	f.Add(uint8(2), uint16(22), uint16(0), "=")
	f.Add(uint8(3), uint16(0), uint16(22), "AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, put string) {
		text := edited(texts[int(which)%len(texts)], at, cut, put)
		version, err := etags.Open(text)
		if want := issued[text]; want != 0 && (err != nil || version != want) {
			t.Errorf("%q is of version %d, %v, want %d", text, version, err, want)
		} else if want == 0 && err == nil && version <= 1<<32 {
			t.Errorf("%q, which was made up, is of version %d", text, version)
		}
	})
}
