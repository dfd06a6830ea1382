package access

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

func TestAnEtagIsOfOneVersion(t *testing.T) {
	etags := RandomPepper().Etags()
	rapid.Check(t, func(t *rapid.T) {
		m := hexbid.Meta{UID: hexbid.UID(rapid.Uint64().Draw(t, "uid")), Version: rapid.Uint64().Draw(t, "version")}
		text := etags.Of(&m)
		if version, err := etags.Open(text); err != nil || version != m.Version || text != etags.Of(&m) {
			t.Fatalf("%q: %d, %v", text, version, err)
		}
		next, other := m, m
		next.Version++
		other.UID++
		if etags.Of(&next) == text || etags.Of(&other) == text || RandomPepper().Etags().Of(&m) == text {
			t.Fatal("two have one etag")
		}
	})
}

func FuzzOpenAnEtag(f *testing.F) {
	etags := NewPepper([PepperBytes]byte{1}).Etags()
	f.Add(etags.Of(&hexbid.Meta{UID: 1, Version: 2}))
	for _, text := range []string{"", "?", "v1f", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB",
		"AAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		version, err := etags.Open(text)
		if err != nil {
			if hexbid.KindOf(err) != hexbid.Invalid {
				t.Error(err)
			}
			return
		}
		if version < 1000 && version != 2 {
			t.Errorf("%q was made up and is of version %d", text, version)
		}
	})
}
