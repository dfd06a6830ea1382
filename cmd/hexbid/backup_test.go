package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	"github.com/hexbid/hexbid/ledger/audit"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	ledgerpebble "github.com/hexbid/hexbid/ledger/pebble"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// backupLoad are clients that look, click and edit while a backup is made. They note what they were told.
type backupLoad struct {
	server *testServer
	events pb.EventServiceClient

	mu          sync.Mutex // guards what follows
	records     map[uint64][]byte
	advertisers []string
	used        *pb.Event // answered before the backup
	usedAnswer  *pb.EventResult
	unused      string // a token that was issued before the backup and did not come back
}

func (l *backupLoad) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// sponsored searches at a place in the demo's city.
func (s *testServer) sponsored(ctx context.Context, i int) ([]*pb.SponsoredResult, error) {
	r, err := s.search.SearchNearby(ctx, &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: demo.Center.Lat + float64(i%40)/1000, Longitude: demo.Center.Lng}})
	return r.GetSponsored(), err
}

// look searches and reports what it saw, until it is stopped.
func (l *backupLoad) look(t *testing.T, ctx context.Context, worker int, stop *atomic.Bool) {
	for i := 0; !stop.Load(); i++ {
		results, err := l.server.sponsored(ctx, i)
		if err != nil {
			t.Error(err)
			return
		}
		for n, result := range results {
			event := &pb.Event{Kind: pb.EventKind_EVENT_KIND_CLICK, Token: result.GetToken(),
				EventId: fmt.Sprint(worker, "-", i, "-", n)}
			if i == 0 && n == 0 && worker == 0 {
				l.note(func() { l.unused = event.Token })
				continue
			}
			r, err := l.events.RecordEvents(ctx, &pb.RecordEventsRequest{Events: []*pb.Event{event}})
			if err != nil {
				t.Error(err)
				return
			}
			l.answered(event, r.GetResults()[0])
		}
	}
}

func (l *backupLoad) note(what func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what()
}

func (l *backupLoad) answered(event *pb.Event, result *pb.EventResult) {
	l.note(func() {
		if result.GetSequence() > 0 {
			l.records[result.GetSequence()] = result.GetChainHash()
		}
		if l.used == nil && result.GetSequence() > 0 {
			l.used, l.usedAnswer = event, result
		}
	})
}

// edit creates advertisers until it is stopped.
func (l *backupLoad) edit(t *testing.T, ctx context.Context, stop *atomic.Bool) {
	for i := 0; !stop.Load(); i++ {
		a, err := l.server.campaigns.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{
			AdvertiserId: fmt.Sprint("backed-up-", i), Advertiser: &pb.Advertiser{DisplayName: "x"}})
		if err != nil {
			t.Error(err)
			return
		}
		l.note(func() { l.advertisers = append(l.advertisers, a.GetName()) })
	}
}

// until waits for a condition that load brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// known is what was acknowledged before a backup was asked for.
type known struct {
	records     map[uint64][]byte
	advertisers []string
}

// backUp makes a backup under load, and returns what must be in it.
func (l *backupLoad) backUp(t *testing.T, ctx context.Context, dir string) (known, *pb.Backup) {
	t.Helper()
	var stop atomic.Bool
	var work sync.WaitGroup
	for worker := range 3 {
		work.Go(func() { l.look(t, ctx, worker, &stop) })
	}
	work.Go(func() { l.edit(t, ctx, &stop) })
	defer work.Wait()
	defer stop.Store(true)
	until(t, "events", func() bool { return l.acknowledged() > 60 })
	before := known{records: map[uint64][]byte{}}
	l.note(func() {
		for sequence, hash := range l.records {
			before.records[sequence] = hash
		}
		before.advertisers = append(before.advertisers, l.advertisers...)
	})
	client := pb.NewLedgerServiceClient(l.server.conn)
	made, err := client.CreateBackup(ctx, &pb.CreateBackupRequest{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	after := l.acknowledged()
	until(t, "events after the backup", func() bool { return l.acknowledged() > after+20 })
	if _, err := client.CreateBackup(ctx, &pb.CreateBackupRequest{Directory: dir}); status.Code(err) !=
		codes.AlreadyExists {
		t.Errorf("a second backup in the same folder: %v", err)
	}
	return before, made
}

// TestABackupUnderLoadHoldsAllThatWasAcknowledged makes a backup while clients search, click and edit, restores it and
// compares.
func TestABackupUnderLoadHoldsAllThatWasAcknowledged(t *testing.T) {
	ctx, root := testContext(t), t.TempDir()
	s := boot(t, func(c *ServeConfig) { c.Demo, c.Data = true, filepath.Join(root, "data") })
	load := &backupLoad{server: s, events: pb.NewEventServiceClient(s.conn), records: map[uint64][]byte{}}
	dir := filepath.Join(root, "backup")
	before, made := load.backUp(t, ctx, dir)
	s.stop()
	clock := func() time.Time { return testNow.Add(time.Minute) }

	restored := filepath.Join(root, "restored")
	manifest, begun, err := (&restoreCommand{Backup: dir, Data: restored}).restore(ctx, clock)
	if err != nil {
		t.Fatal(err)
	}
	if manifest.LedgerSequence != made.GetSequence() || begun.Sequence <= made.GetSequence() {
		t.Errorf("the backup ends with record %d, the manifest says %d, the epoch begins with %d", made.GetSequence(),
			manifest.LedgerSequence, begun.Sequence)
	}
	wantInLedger(t, ctx, restored, before.records, made)
	again := bootAt(t, restored)
	wantAdvertisers(t, ctx, again, before.advertisers)
	load.wantAnswers(t, ctx, again, false)
	again.stop()

	abandoned := filepath.Join(root, "abandoned")
	if _, _, err := (&restoreCommand{Backup: dir, Data: abandoned, AbandonLaterAnswers: true}).restore(ctx,
		clock); err != nil {
		t.Fatal(err)
	}
	load.wantAnswers(t, ctx, bootAt(t, abandoned), true)
	wantRefusedRestores(t, ctx, root)
}

// TestABackupIsNeverMadeInTheDataFolder names folders that only look as if they were outside of it.
func TestABackupIsNeverMadeInTheDataFolder(t *testing.T) {
	root := t.TempDir()
	data, link := filepath.Join(root, "data"), filepath.Join(root, "link")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{data, link} {
		b := &backups{data: from}
		for _, dir := range []string{data + "/..copy", data + "/copy", link + "/copy", data + "/x/../copy", data, "copy",
			root + "/none/copy"} {
			if _, err := b.check(dir); hexbid.KindOf(err) != hexbid.Invalid {
				t.Errorf("a backup of %s in %s: %v", from, dir, err)
			}
		}
		for _, dir := range []string{"/", root} {
			if _, err := b.check(dir); hexbid.KindOf(err) != hexbid.AlreadyExists {
				t.Errorf("a backup in %s: %v", dir, err)
			}
		}
		if dir, err := b.check(root + "/copy/"); err != nil || dir != filepath.Join(root, "copy") {
			t.Errorf("a path that ends with a slash leads to %q: %v", dir, err)
		}
	}
}

// bootAt boots a server on a data folder whose clock is two minutes after testNow.
func bootAt(t *testing.T, data string) *testServer {
	t.Helper()
	return bootWhen(t, testNow.Add(2*time.Minute), func(c *ServeConfig) { c.Data = data })
}

// wantInLedger compares a restored ledger with what clients were told, and verifies it.
func wantInLedger(t *testing.T, ctx context.Context, data string, records map[uint64][]byte, made *pb.Backup) {
	t.Helper()
	j, err := ledgerpebble.Open(ledgerpebble.Options{Dir: filepath.Join(data, ledgerName), Currency: "CNY"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	v, err := j.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for sequence, hash := range records {
		record, err := v.Get(journal.Records, journal.SequenceKey(sequence))
		if err != nil {
			t.Fatal(err)
		}
		if got := fold.HashOf(record); sequence > made.GetSequence() || !bytes.Equal(got[:], hash) {
			t.Errorf("record %d was acknowledged before the backup, which ends with %d, and has hash %x, not %x", sequence,
				made.GetSequence(), got, hash)
		}
	}
	tail := audit.Known{Point: fold.Point{Sequence: made.GetSequence(), Tail: fold.Hash(made.GetChainHash())},
		By: "backup"}
	report, err := audit.Verify(ctx, audit.Options{View: v, Known: []audit.Known{tail}, Now: testNow.Add(time.Minute)})
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("verifying the restored ledger: %v, faults %+v", err, report.Faults)
	}
}

func wantAdvertisers(t *testing.T, ctx context.Context, s *testServer, names []string) {
	t.Helper()
	for _, name := range names {
		if _, err := s.campaigns.GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: name}); err != nil {
			t.Errorf("%s was acknowledged before the backup: %v", name, err)
		}
	}
}

// wantAnswers sends an event that was answered before the backup, one of a token from before that did not come back,
// and one of a new token. Taken says whether tokens from before the restore are taken.
func (l *backupLoad) wantAnswers(t *testing.T, ctx context.Context, s *testServer, taken bool) {
	t.Helper()
	fresh, err := s.sponsored(ctx, 1)
	if err != nil || len(fresh) == 0 {
		t.Fatalf("%d sponsored results: %v", len(fresh), err)
	}
	click := func(token string) *pb.Event {
		return &pb.Event{Kind: pb.EventKind_EVENT_KIND_CLICK, Token: token, EventId: "after the restore"}
	}
	r, err := pb.NewEventServiceClient(s.conn).RecordEvents(ctx, &pb.RecordEventsRequest{Events: []*pb.Event{l.used,
		click(l.unused), click(fresh[0].GetToken())}})
	if err != nil {
		t.Fatal(err)
	}
	got := r.GetResults()
	if !got[0].GetRepeatedAnswer() || got[0].GetSequence() != l.usedAnswer.GetSequence() ||
		got[0].GetOutcome() != l.usedAnswer.GetOutcome() {
		t.Errorf("an event that was answered %v is answered %v", l.usedAnswer, got[0])
	}
	if expired := got[1].GetOutcome() == pb.EventOutcome_EVENT_OUTCOME_EXPIRED; expired == taken ||
		(got[1].GetSequence() > 0) != taken {
		t.Errorf("a token from before the restore is answered %v, want that it is taken: %v", got[1], taken)
	}
	if got[2].GetSequence() == 0 {
		t.Errorf("a new token is answered %v", got[2])
	}
}

// wantRefusedRestores restores to a folder that is there, and restores damaged backups. Nothing is left behind.
func wantRefusedRestores(t *testing.T, ctx context.Context, root string) {
	t.Helper()
	dir, to := filepath.Join(root, "backup"), filepath.Join(root, "refused")
	_, _, err := (&restoreCommand{Backup: dir, Data: filepath.Join(root, "restored")}).restore(ctx, time.Now)
	if hexbid.KindOf(err) != hexbid.AlreadyExists {
		t.Errorf("restoring over a data folder: %v", err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, path := range append(tables, filepath.Join(dir, "manifest.json"), filepath.Join(dir, "keys")) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) == 0 {
			continue // a marker
		}
		content[len(content)/2] ^= 1
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err = (&restoreCommand{Backup: dir, Data: to}).restore(ctx, time.Now); hexbid.KindOf(err) !=
			hexbid.DataLoss {
			t.Errorf("restoring with a flipped bit in %s: %v", path, err)
		}
		content[len(content)/2] ^= 1
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(to + "*"); err != nil || len(left) > 0 {
		t.Errorf("refused restores leave %v", left)
	}
}

// TestALostLedgerChargesNoTokenTwice deletes the ledger and accepts the loss. What was charged comes again.
func TestALostLedgerChargesNoTokenTwice(t *testing.T) {
	ctx, data := testContext(t), filepath.Join(t.TempDir(), "data")
	s := boot(t, func(c *ServeConfig) { c.Demo, c.Data = true, data })
	results, err := s.sponsored(ctx, 0)
	if err != nil || len(results) == 0 {
		t.Fatal(results, err)
	}
	click := &pb.RecordEventsRequest{Events: []*pb.Event{{Kind: pb.EventKind_EVENT_KIND_CLICK,
		Token: results[0].GetToken(), EventId: "once"}}}
	want := func(s *testServer, request *pb.RecordEventsRequest, outcome pb.EventOutcome) {
		t.Helper()
		r, err := pb.NewEventServiceClient(s.conn).RecordEvents(ctx, request)
		if err != nil || r.GetResults()[0].GetOutcome() != outcome {
			t.Errorf("%v, %v; want %v", r, err, outcome)
		}
	}
	want(s, click, pb.EventOutcome_EVENT_OUTCOME_CHARGED)
	s.stop()
	if err := os.RemoveAll(filepath.Join(data, ledgerName)); err != nil {
		t.Fatal(err)
	}
	config := DefaultServeConfig()
	config.Listen, config.MetricsListen, config.HTTPListen, config.Data = "127.0.0.1:0", "", "", data
	if err := NewMain(config).Open(ctx); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("a server without its ledger starts: %v", err)
	}
	for _, accept := range []bool{true, false} {
		again := bootWhen(t, testNow.Add(time.Second), func(c *ServeConfig) { c.Data, c.AcceptLoss = data, accept })
		want(again, click, pb.EventOutcome_EVENT_OUTCOME_EXPIRED)
		again.stop()
	}
}
