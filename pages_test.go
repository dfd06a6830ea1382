package hexbid

import (
	"errors"
	"slices"
	"testing"
)

func TestPagesAreReadToTheirEndAndNoFurther(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		pages  map[string][]int
		next   map[string]string
		from   string
		most   int
		want   []int
		asked  []string
		failed bool
	}{
		{pages: map[string][]int{"": {1, 2}, "a": {}, "b": {3}}, next: map[string]string{"": "a", "a": "b"}, most: 9,
			want: []int{1, 2, 3}, asked: []string{"", "a", "b"}},
		{pages: map[string][]int{"a": {2}}, from: "a", most: 9, want: []int{2}, asked: []string{"a"}},
		{pages: map[string][]int{"": {1, 2}}, next: map[string]string{"": "a"}, most: 2, want: []int{1, 2},
			asked: []string{""}},
		{pages: map[string][]int{"": {1}}, next: map[string]string{"": "bad"}, most: 9, want: []int{1},
			asked: []string{"", "bad"}, failed: true},
	} {
		for range 2 { // a sequence begins anew
			var asked []string
			var got []int
			var failure error
			for v, err := range PagesFrom(c.from, func(token string) ([]int, string, error) {
				asked = append(asked, token)
				if token == "bad" {
					return nil, "", broken
				}
				return c.pages[token], c.next[token], nil
			}) {
				if failure = err; err != nil {
					continue
				}
				if got = append(got, v); len(got) == c.most {
					break
				}
			}
			if !slices.Equal(got, c.want) || !slices.Equal(asked, c.asked) || errors.Is(failure, broken) != c.failed {
				t.Errorf("%+v: got %v of pages %q, %v", c, got, asked, failure)
			}
		}
	}
}
