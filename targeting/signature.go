package targeting

import "hash/fnv"

// Signature sums up what words a campaign competes on, in 64 bits: a bit above
// the lowest for each token, by its hash. It may let a campaign through that
// does not compete, never the other way round.
//
// The lowest bit tells a campaign with keywords, which needs one of its tokens
// in the words, from one without, whose program's texts must have them all.
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

// SignatureOf is that of a campaign: by the first tokens of its keywords, or by
// its program's texts.
func SignatureOf(k *Keywords, text Text) Signature {
	if k.HasWanted() {
		return signatureOf(k.Anchors()) | anyOf
	}
	return signatureOf(text.Tokens())
}

// MayCompete says whether a campaign of this signature may compete on words.
func (s Signature) MayCompete(w *Words) bool {
	if s&anyOf != 0 {
		return s&w.signature != 0
	}
	return w.signature&^s == 0
}

// WordRows are the signatures of up to 64 campaigns, a row a bit.
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

// Match keeps those bits of alive whose signatures may compete.
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
