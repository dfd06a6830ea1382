package hexbid

import "iter"

// MaxPageSize is the most entries that a page of a list has.
const MaxPageSize = 1000

// Pages iterates over a list that a server returns in pages. The function page returns the entries at a token, "" for
// the first page, and the token of the next page, "" after the last. A page may be empty although another follows. When
// page returns an error, Pages yields it last, with the zero entry.
func Pages[T any](page func(token string) (entries []T, next string, err error)) iter.Seq2[T, error] {
	return PagesFrom("", page)
}

// PagesFrom is Pages, starting at a token.
func PagesFrom[T any](token string, page func(token string) (entries []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := token; ; {
			entries, next, err := page(token)
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if token = next; token == "" {
				return
			}
		}
	}
}
