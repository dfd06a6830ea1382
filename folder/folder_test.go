package folder

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func opened(t *testing.T) *Folder {
	t.Helper()
	f, err := Open(Options{Dir: "d", FS: vfs.NewMem(), Log: quiet, Magic: "testing1", RestBytes: 8, CacheBytes: 1 << 20,
		Position: func(_, _ []byte) (uint64, bool) { return 0, false }})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Testify(Testimony{Rest: make([]byte, 8)}), f.Start()); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAFolderWhosePebbleGivesUpStillCloses calls what Pebble calls when it gives up, which never returns.
func TestAFolderWhosePebbleGivesUpStillCloses(t *testing.T) {
	f := opened(t)
	go (&logger{log: quiet, gaveUp: f.gaveUp}).Fatalf("%v", io.ErrUnexpectedEOF)
	<-f.Failed()
	closed := make(chan error, 1)
	go func() { closed <- f.Close(func() {}, nil) }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it does not close")
	}
	if hexbid.KindOf(f.Failure()) != hexbid.Unavailable {
		t.Errorf("failure %v", f.Failure())
	}
}

func FuzzDecodeTestimony(f *testing.F) {
	form := witnessForm{"testing1", 24}
	f.Add(form.encode(&Testimony{1, bytes.Repeat([]byte{7}, 24)}, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		if said, sequence, ok := form.decode(b); ok && !bytes.HasPrefix(b, form.encode(&said, sequence)) {
			t.Errorf("%x decodes to %+v", b, said)
		}
	})
}
