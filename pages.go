package hexbid

import "iter"

// MaxPageSize bounds the entries of a page of a list.
const MaxPageSize = 1000

// Pages goes through a list that a server gives in pages, to its end. Page gives the
// entries that a token leads to, "" for the first, and the token of what follows, ""
// for nothing. A page may be empty and still have one that follows. An error of a page
// comes last, with the zero entry.
func Pages[T any](page func(token string) (entries []T, next string, err error)) iter.Seq2[T, error] {
	return PagesFrom("", page)
}

// PagesFrom is Pages from a token on.
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
