// Package await ends calls with their contexts although what they wait for cannot be interrupted: a disk that stalls.
//
// What a caller has read for it runs in a goroutine of its own. A caller whose context ends leaves that goroutine
// behind, which ends when the disk answers. LeftBehind counts and bounds such goroutines; it is the only state.
package await

import (
	"context"
	"sync"

	"github.com/hexbid/hexbid"
)

// MostLeftBehind is how many goroutines may wait for a disk whose callers have gone. Beyond it reads are refused, so
// that callers with short deadlines cannot fill the memory while a disk stalls.
const MostLeftBehind = 1024

// LeftBehind counts goroutines whose callers have gone. The zero LeftBehind has none.
type LeftBehind struct {
	mu sync.Mutex // guards n
	n  int
}

// Refusal returns an Unavailable error about a field when too many goroutines are left behind.
func (b *LeftBehind) Refusal(field string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n < MostLeftBehind {
		return nil
	}
	return hexbid.Errorf(hexbid.Unavailable, field, "the disk does not answer: %d reads wait for it; look at the disk, "+
		"and try again when it works", b.n)
}

// Count returns how many goroutines are left behind.
func (b *LeftBehind) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

func (b *LeftBehind) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
}

// Within runs f in a goroutine of its own and returns its error. When the context ends first, Within returns its error
// and counts the goroutine as left behind until f has ended. So f must not write to what the caller looks at after an
// error. A panic of f is an Internal error.
func (b *LeftBehind) Within(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ended, gone := make(chan error), make(chan struct{})
	go func() {
		err := hexbid.Contain(f)
		select {
		case ended <- err:
		case <-gone:
			b.add(-1)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		b.add(1)
		close(gone)
		return ctx.Err()
	}
}
