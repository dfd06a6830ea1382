package geoindex

// lists stores many lists of edge numbers back to back in one allocation. Two passes over the same entries fill it: the
// first counts them, the second puts them in.
type lists struct {
	starts []int32 // and the end of the last
	edges  []int32
}

func newLists(n int) lists { return lists{starts: make([]int32, n+1)} }

func (l *lists) at(i int) []int32 { return l.edges[l.starts[i]:l.starts[i+1]] }

// count announces an entry.
func (l *lists) count(at int, _ int32) { l.starts[at]++ }

// total is the number of entries announced.
func (l *lists) total() (n int) {
	for _, count := range l.starts {
		n += int(count)
	}
	return n
}

// allot makes room for the entries announced.
func (l *lists) allot() {
	var start int32
	for i, count := range l.starts {
		l.starts[i] = start
		start += count
	}
	l.edges = make([]int32, start)
}

// put adds an entry. During the second pass the start of a list is the position of its next entry.
func (l *lists) put(at int, edge int32) {
	l.edges[l.starts[at]] = edge
	l.starts[at]++
}

// rewind restores the starts, each of which put has moved to the end of its list.
func (l *lists) rewind() {
	copy(l.starts[1:], l.starts)
	l.starts[0] = 0
}
