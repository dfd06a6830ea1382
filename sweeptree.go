package hexbid

// insert puts an edge into the tree of edges under the sweep line.
func (s *sweep) insert(e int32) {
	edge := &s.edges[e]
	edge.south, edge.north, edge.above, edge.before, edge.after = none, none, none, none, none
	if s.root == none {
		s.root = e
		return
	}
	for at := s.root; at != none; {
		edge.above = at
		if s.isNorthOf(e, at) {
			edge.before, at = at, s.edges[at].north
		} else {
			edge.after, at = at, s.edges[at].south
		}
	}
	if edge.above == edge.before {
		s.edges[edge.above].north = e
	} else {
		s.edges[edge.above].south = e
	}
	s.link(edge.before, e)
	s.link(e, edge.after)
	for edge.above != none && s.edges[edge.above].priority < edge.priority {
		s.rise(e)
	}
}

// remove takes an edge out of the tree. It first sinks the edge until it has no child.
func (s *sweep) remove(e int32) {
	edge := &s.edges[e]
	for edge.south != none || edge.north != none {
		child := edge.south
		if child == none || edge.north != none && s.edges[edge.north].priority > s.edges[child].priority {
			child = edge.north
		}
		s.rise(child)
	}
	s.replaceChild(edge.above, e, none)
	s.link(edge.before, edge.after)
}

// link makes two edges neighbours.
func (s *sweep) link(before, after int32) {
	if before != none {
		s.edges[before].after = after
	}
	if after != none {
		s.edges[after].before = before
	}
}

// rise rotates the tree so that an edge takes the place of its parent.
func (s *sweep) rise(e int32) {
	edge := &s.edges[e]
	down := edge.above
	parent := &s.edges[down]
	s.replaceChild(parent.above, down, e)
	var moved int32
	if parent.south == e {
		moved = edge.north
		parent.south, edge.north = moved, down
	} else {
		moved = edge.south
		parent.north, edge.south = moved, down
	}
	if moved != none {
		s.edges[moved].above = down
	}
	edge.above, parent.above = parent.above, e
}

// replaceChild puts a child, or none, into the place of another.
func (s *sweep) replaceChild(parent, child, with int32) {
	switch {
	case parent == none:
		s.root = with
	case s.edges[parent].south == child:
		s.edges[parent].south = with
	default:
		s.edges[parent].north = with
	}
}
