package bidder

// A chain is a list of records that runs through the records themselves: it
// costs no memory of its own, and the collector has no lists to look into. Its
// start is the first one's ordinal and 1, or 0 where there is none.
//
//	for at := owner.places; at != 0; at = places.at(at - 1).next { … places.at(at - 1) … }

// links tie a record into its chain: the next and the one before, as starts are
// written.
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

// rare holds what few records have, by a number that those keep and that is 0 for
// the others; so their pages hold no pointers.
type rare[T any] struct{ paged[*T] }

func (r rare[T]) get(number uint32) *T {
	if number == 0 {
		return nil
	}
	return *r.at(number - 1)
}

// rareWriter changes a rare.
type rareWriter[T any] struct {
	pagedWriter[*T]
	ordinals ordinals
}

func (w *rareWriter[T]) get(number uint32) *T { return rare[T]{w.paged}.get(number) }

// set gives a record's number something else to stand for; nil frees the number.
func (w *rareWriter[T]) set(number *uint32, value *T) {
	switch {
	case value == nil && *number == 0:
		return
	case value == nil:
		*w.edit(*number - 1) = nil
		w.ordinals.giveBack(*number - 1)
		*number = 0
		return
	case *number == 0:
		*number = w.ordinals.take() + 1
	}
	*w.edit(*number - 1) = value
}
