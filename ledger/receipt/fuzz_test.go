package receipt

import (
	"bytes"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// FuzzVerify reads files of strangers. Nothing but a file that the proof in it renders is taken, and none ends the
// program.
func FuzzVerify(f *testing.F) {
	h := newHandmade(f)
	sequences := h.anHour(noon, 9)
	h.close(noon.Add(time.Hour))
	v := h.view()
	for _, sequence := range sequences[:4] {
		_, text := fileOf(f, v, sequence)
		f.Add(text)
	}
	f.Add([]byte(`{"format":"hexbid receipt 2","proof":{"leaf_index":18446744073709551615},"root":{"charges":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Verify(text, nil)
		if err != nil {
			if hexbid.KindOf(err) != hexbid.Invalid {
				t.Errorf("an error of kind %d: %v", hexbid.KindOf(err), err)
			}
			return
		}
		if rendered, err := r.File(); err != nil || !bytes.Equal(rendered, text) {
			t.Errorf("a file is taken that its proof does not render: %v", err)
		}
	})
}

// A file of the greatest size that is not a receipt costs no more than reading it.
func TestFilesThatAreNoReceiptsAreRefused(t *testing.T) {
	for name, text := range map[string][]byte{
		"too long": bytes.Repeat([]byte(" "), MaxFileBytes+1),
		"nested":   bytes.Repeat([]byte("["), MaxFileBytes),
		"many paths": []byte(`{"format":"hexbid receipt 2","proof":{"path":["` + string(bytes.Repeat([]byte("00"), 30_000)) +
			`"]}}`),
		"other": []byte(`{"format":"hexbid receipt 2"}`),
	} {
		if _, err := Verify(text, nil); hexbid.KindOf(err) != hexbid.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever forges a leaf can forge a tree of one leaf around it. The arithmetic meets all the numbers that such a leaf
// can hold, and refuses those that no auction produces.
func TestForgedLeavesNeverEndTheProgram(t *testing.T) {
	h := newHandmade(t)
	sequences := h.anHour(noon, 4)
	h.close(noon.Add(time.Hour))
	v := h.view()
	opened := 0
	for _, sequence := range sequences {
		r, _ := fileOf(t, v, sequence)
		for at := range r.Proof.Record {
			for _, flip := range []byte{0x01, 0x10, 0x40, 0x7f, 0x80} {
				leaf := bytes.Clone(r.Proof.Record)
				leaf[at] ^= flip
				forged := &Receipt{Proof: &Proof{Record: leaf}, Root: &Root{Hour: r.Root.Hour, Charges: 1,
					MerkleRoot: merkle.LeafHash([merkle.SaltBytes]byte{}, leaf)}}
				charge, err := forged.Proof.charge()
				if err != nil {
					continue
				}
				forged.Charge, forged.Root.Hour = *charge, charge.hour()
				opened++
				text, err := forged.File()
				if err != nil {
					t.Fatal(err)
				}
				_, _ = Verify(text, nil) // whatever it says
			}
		}
	}
	if opened < 500 {
		t.Errorf("only %d forged leaves decode", opened)
	}
}
