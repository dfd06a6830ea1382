package cli

import (
	"fmt"
	"io"
)

// maxNotices is the most different notices that are printed.
const maxNotices = 100

// notice is one message about rows, and the number of rows that it is about.
type notice struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
	Rows    int    `json:"rows"`
}

// notices counts equal notices, so that each is printed once.
type notices struct {
	list    []*notice
	byText  map[string]*notice
	omitted int
}

func (n *notices) add(file string, line int, message string) {
	if n.byText == nil {
		n.byText = map[string]*notice{}
	}
	if known := n.byText[message]; known != nil {
		known.Rows++
		return
	}
	if len(n.list) == maxNotices {
		n.omitted++
		return
	}
	n.byText[message] = &notice{file, line, message, 1}
	n.list = append(n.list, n.byText[message])
}

func (n *notices) print(w io.Writer) {
	for _, one := range n.list {
		more := ""
		if one.Rows > 1 {
			more = fmt.Sprintf(" (%d times, here first)", one.Rows)
		}
		fmt.Fprintf(w, "%s:%d: notice: %s%s\n", one.File, one.Line, one.Message, more)
	}
	if n.omitted > 0 {
		fmt.Fprintf(w, "%d more notices\n", n.omitted)
	}
}
