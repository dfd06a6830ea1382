package access

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

func TestAnIDIsOfOneChange(t *testing.T) {
	ids := RandomPepper().ChangeIDs()
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Uint64().Draw(t, "version")
		id := ids.Of(version)
		if got, ok := ids.Open(id); !ok || got != version || hexbid.CheckID(id) != nil {
			t.Fatalf("%q: %d, %v", id, got, ok)
		}
		if ids.Of(version+1) == id || RandomPepper().ChangeIDs().Of(version) == id {
			t.Fatal("two have one id")
		}
		if got, ok := RandomPepper().ChangeIDs().Open(id); ok {
			t.Fatalf("another deployment takes it for %d", got)
		}
	})
}

func FuzzOpenAnIDOfAChange(f *testing.F) {
	ids := NewPepper([PepperBytes]byte{1}).ChangeIDs()
	known := ids.Of(2)
	for _, text := range []string{known, "", "?", "aaaaaaaaaaaaaaaaaaaaaaaaaa", known[:25] + "b", known + "a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if version, ok := ids.Open(text); ok && (text != known || version != 2) {
			t.Errorf("%q was made up and is of version %d", text, version)
		}
	})
}
