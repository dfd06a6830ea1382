package traffic

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// naive is every count of a key, with its stamp.
type naive []int64

// since counts what came after an instant.
func (n naive) since(after int64) (count float64) {
	for _, at := range n {
		if at > after {
			count++
		}
	}
	return count
}

// TestASumLiesBetweenOneWindowAndTwo compares sums with a list of everything: no sum exceeds the last two lengths, and
// none is below what came since the generation began, which is a length ago at most.
func TestASumLiesBetweenOneWindowAndTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow[int](time.Second, 1000)
		all := map[int]naive{}
		at := int64(1e15)
		for range rapid.IntRange(1, 60).Draw(t, "counts") {
			at += rapid.OneOf(rapid.Int64Range(0, 300_000), rapid.Int64Range(900_000, 2_100_000)).Draw(t, "later")
			key := rapid.IntRange(0, 2).Draw(t, "key")
			got, others := w.sums(key, at)
			if most := all[key].since(at - 2_000_001); got > most || others != got {
				t.Fatalf("at %d the sum is %f and %f, of at most %f", at, got, others, most)
			}
			if least := all[key].since(w.from - 1); got < least || w.from <= at-1_000_000 || w.from > at {
				t.Fatalf("at %d the sum is %f, of at least %f since %d", at, got, least, w.from)
			}
			w.add(key, at, 1, 1)
			all[key] = append(all[key], at)
		}
	})
}

func TestEvenCountsSumUpToTheRate(t *testing.T) {
	w := newWindow[int](time.Minute, 10)
	for second := range int64(1000) {
		w.add(1, second*1_000_000, 2, 1)
		clicks, others := w.sums(1, second*1_000_000)
		if second > 60 && (math.Abs(clicks-120) > 3 || math.Abs(others-60) > 2) {
			t.Fatalf("in second %d two a second make %f, and one makes %f, a minute", second, clicks, others)
		}
	}
}

func TestATableOfManyKeysStaysSmall(t *testing.T) {
	w := newWindow[int](time.Hour, 100)
	w.add(-1, 0, 5, 0)
	for key := range 1_000_000 {
		w.add(key, 1, 1, 0)
		if len(w.newer) > 100 || len(w.older) > 100 {
			t.Fatalf("%d and %d keys are kept", len(w.newer), len(w.older))
		}
	}
	if clicks, _ := w.sums(-1, 1); clicks != 0 {
		t.Errorf("a key that a million pushed out has %f", clicks)
	}
	if clicks, _ := w.sums(999_999, 1); clicks != 1 {
		t.Errorf("the last key has %f", clicks)
	}
}

func TestCountersStopAtTheHighest(t *testing.T) {
	w := newWindow[int](time.Hour, 1)
	w.add(1, 0, math.MaxUint32, 1)
	w.add(1, 0, 2, math.MaxUint32)
	if clicks, others := w.sums(1, 0); clicks != math.MaxUint32 || others != math.MaxUint32 {
		t.Errorf("%f and %f", clicks, others)
	}
}
