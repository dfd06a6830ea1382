package server

import "testing"

func TestAnAnswerTakesAtMostTwiceItsSize(t *testing.T) {
	c := &connection{of: &unguarded}
	for length := leastAnswerBytes; length <= 1<<20; length += length / 3 {
		b := c.Get(length)
		if len(*b) != length || cap(*b) > 2*length {
			t.Errorf("%d bytes take a buffer of %d", length, cap(*b))
		}
		answerPool.Put(b)
	}
}
