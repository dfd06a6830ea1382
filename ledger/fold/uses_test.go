package fold

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// desk writes records as an owner does, one campaign of one postpaid advertiser.
type desk struct {
	testing.TB
	*Books
	batch *journal.Batch
}

// openDesk opens books at twenty to one in the morning, UTC, with campaign 1 of advertiser 2.
func openDesk(t testing.TB) *desk {
	d := &desk{TB: t, Books: New(), batch: new(journal.Batch)}
	d.Advance(historyStart/hourMicros/24*hourMicros*24+40*minuteMicros, d.batch)
	d.write(&Epoch{Number: 1})
	d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 1 << 50, Zone: "Asia/Shanghai", Version: 1,
		Coupons: []Coupon{{Total: 1 << 40, ValidUntil: 1 << 45}}})
	return d
}

func (d *desk) write(body Body) {
	d.Helper()
	r := d.Next(body)
	encoded := r.Encode()
	if err := d.Apply(&r, encoded, d.batch); err != nil {
		d.Fatal(err)
	}
	d.batch.Records = append(d.batch.Records, encoded)
}

// event is one of a token that was issued just now.
func (d *desk) event(kind hexbid.EventKind, name token.Name) *Event {
	now := d.at / 1000
	return &Event{Kind: kind, Token: name, Award: Award{Campaign: 1, Advertiser: 2, Price: 1000, IssuedAt: now,
		ClickExpiry: now + 1_800_000, Basis: auction.Basis{Mechanism: hexbid.MechanismGSP, Pricing: hexbid.CPC}}}
}

// take judges an event and takes it in, and returns its outcome.
func (d *desk) take(e *Event) hexbid.EventOutcome {
	d.Helper()
	if err := d.Judge(e); err != nil {
		d.Fatal(err)
	}
	if hour, due := d.HourToOpen(); due && e.Charged > 0 {
		if closed := d.HourToClose(); closed != nil {
			d.write(closed)
		}
		d.write(&HourOpened{Hour: hour})
	}
	if UsesUp(e.Outcome) {
		d.write(e)
	}
	return e.Outcome
}

// usedKinds are what can be remembered of one token at most: an impression is beyond a cap or filtered, never both.
var usedKinds = []useKind{useKind(hexbid.Impression), useKind(hexbid.Click), useKind(hexbid.Claim), seenBeyondCap}

// The tokens of thirty minutes at 45,000 a second, and what remembering all of them may cost.
const (
	tokensInUse   = 45_000 * 30 * 60
	chunksInUse   = (tokensInUse + 1<<chunkBits - 1) >> chunkBits
	mostUsesBytes = 64 << 20
)

// TestAllTokensOfThirtyMinutesAreRememberedIn64MB fills some chunks to every degree that could be the costliest, and
// counts what all chunks would take at that rate: by the bitmaps' own sizes, and by the heap.
func TestAllTokensOfThirtyMinutesAreRememberedIn64MB(t *testing.T) {
	const sample = 24 // chunks
	for _, tokens := range []int{1, 3000, 4096, 4097, 20_000, 1 << chunkBits} {
		b := New()
		before := heap()
		r := rand.New(rand.NewPCG(1, 2))
		for number := range uint64(sample) {
			order := r.Perm(1 << chunkBits)[:tokens]
			for _, kind := range usedKinds {
				e := Event{Award: Award{ClickExpiry: 1}}
				for _, i := range order {
					e.Token.Sequence = number<<chunkBits | uint64(i)
					b.use(kind, &e)
				}
			}
		}
		onHeap := heap() - before
		counted, chunks := b.UsesBytes()
		if chunks != sample*len(usedKinds) {
			t.Fatalf("%d chunks", chunks)
		}
		const all = chunksInUse / sample
		t.Logf("%5d of %d tokens a chunk: %d bytes of bitmaps, %d of heap, for %d tokens", tokens, 1<<chunkBits,
			counted*all, onHeap*all, tokensInUse)
		if counted*all > mostUsesBytes || onHeap*all > mostUsesBytes {
			t.Errorf("%d tokens a chunk: %d tokens would take %d bytes, %d on the heap", tokens, tokensInUse, counted*all,
				onHeap*all)
		}
		runtime.KeepAlive(b)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestChunksAreDroppedOnceTheirTokensHaveExpired lets an issuer issue for three hours, 41 chunks a minute of which one
// token each comes back.
func TestChunksAreDroppedOnceTheirTokensHaveExpired(t *testing.T) {
	d := openDesk(t)
	const aMinute, minutes = 41, 180
	most := 0
	var name token.Name
	for range minutes {
		d.Advance(d.at+minuteMicros, d.batch)
		for range aMinute {
			name.Sequence += 1 << chunkBits
			d.take(d.event(hexbid.Claim, name))
		}
		_, chunks := d.UsesBytes()
		most = max(most, chunks)
	}
	if most > 31*aMinute || most < 30*aMinute {
		t.Errorf("%d chunks were kept at a time, expected those of half an hour", most)
	}
	if d.Digest(); len(d.rows.unwritten) > 3*aMinute*minutes {
		t.Errorf("%d rows wait to be written", len(d.rows.unwritten))
	}
	d.Advance(d.at+31*minuteMicros, d.batch)
	if _, chunks := d.UsesBytes(); chunks != 0 {
		t.Errorf("%d chunks are left of expired tokens", chunks)
	}
}

// TestAnOddIssuerIsStoppedAtTheMostChunks uses one token of each chunk, and of many issuers.
func TestAnOddIssuerIsStoppedAtTheMostChunks(t *testing.T) {
	d := openDesk(t)
	e := d.event(hexbid.Click, token.Name{})
	for i := range uint64(MaxChunks - 1) {
		e.Token = token.Name{Issuer: token.Issuer{byte(i), byte(i >> 8)}, Sequence: i << chunkBits}
		d.use(useKind(hexbid.Click), e)
	}
	fresh := func(kind hexbid.EventKind) *Event { return d.event(kind, token.Name{Issuer: token.Issuer{1, 2, 3, 4}}) }
	var refusal *hexbid.Error
	if err := d.Judge(fresh(hexbid.Click)); !errors.As(err, &refusal) || refusal.Kind != hexbid.Exhausted {
		t.Errorf("a click that implies its impression needs two chunks where there is room for one: %v", err)
	}
	if outcome := d.take(fresh(hexbid.Impression)); outcome != hexbid.EventRecorded {
		t.Errorf("the last chunk is refused: %s", outcome)
	}
	if err := d.Judge(fresh(hexbid.Click)); !errors.As(err, &refusal) || refusal.Kind != hexbid.Exhausted {
		t.Errorf("one chunk too many: %v", err)
	}
	if outcome := d.take(d.event(hexbid.Impression, token.Name{Issuer: token.Issuer{1, 2, 3, 4}, Sequence: 9})); outcome !=
		hexbid.EventRecorded {
		t.Errorf("a token of a known chunk is refused: %s", outcome)
	}
	if err := d.Judge(fresh(hexbid.Conversion)); err != nil {
		t.Errorf("a conversion needs no chunk: %v", err)
	}
	d.Advance(d.at+31*minuteMicros, d.batch)
	if outcome := d.take(fresh(hexbid.Click)); outcome != hexbid.EventCharged {
		t.Errorf("a click after the others have expired is %s", outcome)
	}
}

// TestATokenOfAFormerProcessIsUsedOnceAfterARestart restores books from a checkpoint, without any record after it.
func TestATokenOfAFormerProcessIsUsedOnceAfterARestart(t *testing.T) {
	d := openDesk(t)
	former, present := token.Name{Issuer: token.Issuer{1}, Sequence: 5}, token.Name{Issuer: token.Issuer{2}, Sequence: 5}
	d.take(d.event(hexbid.Impression, former))
	log := journal.NewMemory()
	d.commit(log)
	d.write(d.Checkpoint(1, d.batch))
	d.commit(log)
	view, _ := log.View()
	restored, err := Restore(view)
	if err != nil || restored.Last() != d.Last() {
		t.Fatalf("%+v, %v", restored, err)
	}
	d.Books = restored
	for name, want := range map[token.Name]hexbid.EventOutcome{former: hexbid.EventDuplicate,
		present: hexbid.EventRecorded} {
		if got := d.take(d.event(hexbid.Impression, name)); got != want {
			t.Errorf("an impression of issuer %s is %s, expected %s", name.Issuer, got, want)
		}
	}
	if got := d.take(d.event(hexbid.Click, former)); got != hexbid.EventCharged {
		t.Errorf("the click of a former process's token is %s", got)
	}
}
