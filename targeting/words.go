package targeting

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold makes texts comparable: compatibility forms, full width and case are
// folded (Unicode NFKC and full case folding).
func Fold(s string) string { return cases.Fold().String(norm.NFKC.String(s)) }

// FoldWords folds a query and splits it at white space.
func FoldWords(query string) []string { return strings.Fields(Fold(query)) }

// HasWords says whether a folded text has every folded word.
func HasWords(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
