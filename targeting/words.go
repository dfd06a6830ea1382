package targeting

import (
	_ "embed"
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

// Fold makes texts comparable. It removes differences of compatibility forms, width and case (Unicode NFKC and full
// case folding) and maps traditional characters to simplified ones.
func Fold(s string) string {
	table := simplified()
	return strings.Map(func(r rune) rune {
		if to, ok := table[r]; ok {
			return to
		}
		return r
	}, cases.Fold().String(norm.NFKC.String(s)))
}

// Tokens folds a text and cuts it into tokens. A token is one Han character or a run of other letters and digits.
// Every other character separates tokens.
func Tokens(s string) []string {
	tokens, _ := tokenize(s)
	return tokens
}

// tokenize also groups the tokens into units. Adjacent Han characters form one unit; any other token is a unit by
// itself.
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

// Text is a list of tokens in one string with an edge around each. One Text is therefore a substring of another exactly
// when its tokens follow each other there.
type Text string

const (
	edge    = "\x1f" // no token has it
	barrier = "\x1e" // stands between texts: nothing is found across it
)

func textOf(tokens []string) Text {
	if len(tokens) == 0 {
		return ""
	}
	return Text(edge + strings.Join(tokens, edge) + edge)
}

// NewText joins the tokens of several texts.
func NewText(texts ...string) Text {
	var joined strings.Builder
	for _, s := range texts {
		joined.WriteString(string(textOf(Tokens(s))))
		joined.WriteString(barrier)
	}
	return Text(joined.String())
}

func (t Text) has(run Text) bool { return strings.Contains(string(t), string(run)) }

// Tokens returns the distinct tokens of the text.
func (t Text) Tokens() []string {
	tokens := strings.FieldsFunc(string(t), func(r rune) bool { return r < ' ' })
	slices.Sort(tokens)
	return slices.Compact(tokens)
}

// Words are what a viewer typed.
type Words struct {
	tokens    []string
	text      Text
	units     []Text
	signature Signature
}

// ParseWords reads a query. A query without any token counts as none.
func ParseWords(query string) (w Words) {
	if query == "" {
		return w
	}
	tokens, units := tokenize(query)
	w.tokens, w.text, w.signature = tokens, textOf(tokens), signatureOf(tokens)
	w.units = make([]Text, 0, len(units))
	at := 0
	for _, unit := range units {
		length := 0
		for _, token := range unit {
			length += len(token) + len(edge)
		}
		w.units = append(w.units, w.text[at:at+length+len(edge)]) // the text's own bytes
		at += length
	}
	return w
}

// None reports whether the query is empty.
func (w *Words) None() bool { return len(w.tokens) == 0 }

// Tokens returns the tokens of the query in order.
func (w *Words) Tokens() []string { return w.tokens }

// In reports whether a text has every unit of the query, in any order.
func (w *Words) In(text Text) bool { return w.InEither(text, "") }

// InEither reports whether two texts together have every unit of the query.
func (w *Words) InEither(one, other Text) bool {
	for _, unit := range w.units {
		if !one.has(unit) && !other.has(unit) {
			return false
		}
	}
	return true
}

// Bits returns a bit for each token of the query. A text whose bits lack one of them cannot have the words.
func (w *Words) Bits() uint64 { return uint64(w.signature) }

// Bits returns a bit for each token of a text.
func (t Text) Bits() uint64 { return uint64(signatureOf(t.Tokens())) }
