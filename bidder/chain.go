package bidder

// A chain is a list of records whose links are fields of the records themselves. It needs no memory of its own and no
// pointers for the garbage collector to follow. Its start holds the ordinal of the first record plus 1, or 0 for an
// empty chain.
//
//	for at := owner.places; at != 0; at = places.at(at - 1).next { … places.at(at - 1) … }

// links tie a record into its chain. Both hold an ordinal plus 1, or 0 for none.
type links struct{ next, before uint32 }

// chained is a record that has links.
type chained[T any] interface {
	*T
	tied() *links
}

// join puts a record first in a chain.
func join[T any, P chained[T]](w *pagedWriter[T], start *uint32, i uint32) {
	*P(w.edit(i)).tied() = links{next: *start}
	if *start != 0 {
		P(w.edit(*start - 1)).tied().before = i + 1
	}
	*start = i + 1
}

// leave takes a record out of a chain.
func leave[T any, P chained[T]](w *pagedWriter[T], start *uint32, i uint32) {
	own := *P(w.at(i)).tied()
	if own.next != 0 {
		P(w.edit(own.next - 1)).tied().before = own.before
	}
	if own.before != 0 {
		P(w.edit(own.before - 1)).tied().next = own.next
	} else {
		*start = own.next
	}
}
