package targeting

import "hash/fnv"

// Signature sums up in 64 bits the words that a campaign competes on. Each token sets one bit above the lowest, by its
// hash. A signature may pass a campaign that does not compete. It never stops one that does.
//
// The lowest bit marks a campaign with keywords: one of its tokens must stand among the words. Without the bit, the
// texts of the program must have all the words.
type Signature uint64

const anyOf Signature = 1

func signatureOf(tokens []string) (s Signature) {
	for _, token := range tokens {
		h := fnv.New32a()
		h.Write([]byte(token))
		s |= 1 << (1 + h.Sum32()%63)
	}
	return s
}

// SignatureOf returns the signature of a campaign: of the first tokens of its keywords, or of its program's texts.
func SignatureOf(k *Keywords, text Text) Signature {
	if k.HasWanted() {
		return signatureOf(k.Anchors()) | anyOf
	}
	return signatureOf(text.Tokens())
}

// MayCompete reports whether a campaign of this signature may compete on words.
func (s Signature) MayCompete(w *Words) bool {
	if s&anyOf != 0 {
		return s&w.signature != 0
	}
	return w.signature&^s == 0
}

// WordRows are the signatures of up to 64 campaigns, transposed: one row for each bit.
type WordRows [64]uint64

// CompileWordRows turns signatures into rows.
func CompileWordRows(signatures []Signature) *WordRows {
	rows := new(WordRows)
	for i, s := range signatures {
		for bit := range rows {
			rows[bit] |= uint64(s) >> bit & 1 << i
		}
	}
	return rows
}

// Match clears the bits of alive whose signatures cannot compete.
func (r *WordRows) Match(w *Words, alive uint64) uint64 {
	some, all := uint64(0), ^uint64(0)
	for bit := 1; bit < len(r); bit++ {
		if w.signature>>bit&1 == 1 {
			some |= r[bit]
			all &= r[bit]
		}
	}
	keyworded := r[0]
	return alive & (keyworded&some | all&^keyworded)
}
