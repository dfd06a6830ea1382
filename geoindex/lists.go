package geoindex

// lists are many lists of numbers of edges in one piece of memory, one after the
// other. They are made in two passes over the same entries: the first counts
// them, the second puts them in.
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

// put adds an entry. While entries are put in, a list's start is where its next
// one goes.
func (l *lists) put(at int, edge int32) {
	l.edges[l.starts[at]] = edge
	l.starts[at]++
}

// settle turns starts, each now the end of its list, into starts again.
func (l *lists) settle() {
	copy(l.starts[1:], l.starts)
	l.starts[0] = 0
}
