package targeting

import (
	_ "embed"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// OpenCC, Apache License 2.0; see NOTICE.
//
//go:embed data/opencc_ts_characters.txt
var simplifiedTable string

// simplified maps traditional Chinese characters to simplified ones, character
// by character, to the first that the table gives.
var simplified = sync.OnceValue(func() map[rune]rune {
	table := map[rune]rune{}
	for _, line := range strings.Split(simplifiedTable, "\n") {
		from, to, ok := strings.Cut(line, "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		a, _ := utf8.DecodeRuneInString(from)
		b, _ := utf8.DecodeRuneInString(to)
		table[a] = b
	}
	return table
})

// Fold makes texts comparable: compatibility forms, full width and case (Unicode
// NFKC and full case folding), and traditional characters.
func Fold(s string) string {
	table := simplified()
	return strings.Map(func(r rune) rune {
		if to, ok := table[r]; ok {
			return to
		}
		return r
	}, cases.Fold().String(norm.NFKC.String(s)))
}

// Tokens folds a text and cuts it: a token is one Han character, or a run of
// other letters and digits. All else separates.
func Tokens(s string) []string {
	tokens, _ := tokenize(s)
	return tokens
}

// tokenize also groups the tokens into units: Han characters that nothing
// separates are one, any other token is one of its own.
func tokenize(s string) (tokens []string, units [][]string) {
	folded := Fold(s)
	begins := []int{}         // index of the first token of each unit
	start, glued := -1, false // of a run; whether a Han character ended just here
	end := func(at int) {
		if start >= 0 {
			begins, tokens = append(begins, len(tokens)), append(tokens, folded[start:at])
			start = -1
		}
	}
	for i, r := range folded {
		han := unicode.Is(unicode.Han, r)
		switch {
		case han:
			end(i)
			if !glued {
				begins = append(begins, len(tokens))
			}
			tokens = append(tokens, string(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if start < 0 {
				start = i
			}
		default:
			end(i)
		}
		glued = han
	}
	end(len(folded))
	for i, first := range begins {
		last := len(tokens)
		if i+1 < len(begins) {
			last = begins[i+1]
		}
		units = append(units, tokens[first:last])
	}
	return tokens, units
}

// Barrier stands between texts in a token list, so that nothing is found
// across them.
const Barrier = ""

// TextTokens joins the tokens of several texts.
func TextTokens(texts ...string) []string {
	var tokens []string
	for _, s := range texts {
		tokens = append(append(tokens, Tokens(s)...), Barrier)
	}
	return tokens
}

// Words are what a viewer typed.
type Words struct {
	tokens []string
	units  [][]string
}

// ParseWords reads a query; one without a token is as none.
func ParseWords(query string) (w Words) {
	w.tokens, w.units = tokenize(query)
	return w
}

// None says whether nothing was typed.
func (w *Words) None() bool { return len(w.tokens) == 0 }

// In says whether a text has every unit of the query, in any order.
func (w *Words) In(text []string) bool {
	for _, unit := range w.units {
		if !hasRun(text, unit) {
			return false
		}
	}
	return true
}

// hasRun says whether tokens stand in a text one after another.
func hasRun(text, run []string) bool {
	for i := 0; i+len(run) <= len(text); i++ {
		if text[i] == run[0] && slices.Equal(text[i:i+len(run)], run) {
			return true
		}
	}
	return false
}

// Signature is the buckets of tokens as bits: a text whose signature lacks a bit
// of a query's cannot have its words.
func Signature(tokens []string) uint64 { return bucketsOf(tokens)[0] }

// Signature is that of the query.
func (w *Words) Signature() uint64 { return Signature(w.tokens) }

// InEither says whether two texts together have every unit of the query.
func (w *Words) InEither(one, other []string) bool {
	for _, unit := range w.units {
		if !hasRun(one, unit) && !hasRun(other, unit) {
			return false
		}
	}
	return true
}

// buckets is the number of values that tokens are hashed to in rules: value 0
// is no token.
const buckets = 64

// bucket is the value of a token in the dimensions Intent and Named.
func bucket(token string) int {
	h := fnv.New32a()
	h.Write([]byte(token))
	return 1 + int(h.Sum32()%(buckets-1))
}

func bucketsOf(tokens []string) (s Set) {
	for _, token := range tokens {
		if token != Barrier {
			s.add(bucket(token))
		}
	}
	return s
}
