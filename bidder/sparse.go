package bidder

// sparse stores an optional part that few records have. A record keeps its index, 0 for none. Pages of records
// therefore hold no pointers, and the garbage collector skips them.
type sparse[T any] struct{ paged[*T] }

func (s sparse[T]) get(number uint32) *T {
	if number == 0 {
		return nil
	}
	return *s.at(number - 1)
}

// sparseWriter changes a sparse.
type sparseWriter[T any] struct {
	pagedWriter[*T]
	ordinals ordinals
}

func (w *sparseWriter[T]) get(number uint32) *T { return sparse[T]{w.paged}.get(number) }

// set stores a value and puts its index into number. With nil it frees the index and sets number to 0.
func (w *sparseWriter[T]) set(number *uint32, value *T) {
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

func (w *sparseWriter[T]) freeze() sparse[T] { return sparse[T]{w.pagedWriter.freeze()} }
