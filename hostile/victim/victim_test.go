package victim

import (
	"strings"
	"testing"
)

func TestALogShowsPanics(t *testing.T) {
	l := newLog()
	l.follow(strings.NewReader("level=INFO msg=serving\npanic: runtime error\ngoroutine 1\nlevel=ERROR msg=\"a call " +
		"failed\" error=x"))
	select {
	case <-l.serving:
	default:
		t.Error("serving was not seen")
	}
	if faults := l.takeFaults(); len(faults) != 2 {
		t.Errorf("%q", faults)
	}
}
