package fold

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// history is a random life of a ledger in virtual time: an owner with a journal in memory, and the model beside it.
// Numbers are small, so that limits are met all the time.
type history struct {
	*rand.Rand
	failed string // what was wrong first
	seed   uint64

	log   *journal.Memory
	books *Books
	model *model
	batch journal.Batch

	wall    int64 // microseconds; jumps both ways
	tokens  []modelEvent
	names   map[string]token.Name
	zones   map[uint64]int64 // what a campaign's zone is ahead of UTC, in microseconds
	version uint64
	chain   [][]byte
	charges []uint64 // sequences

	converted map[string]bool // tokens

	outcomes [hexbid.EventOutcomeCount]uint64
}

const (
	secondMicros = int64(1_000_000)
	historyStart = int64(1_795_000_000) * secondMicros
)

func newHistory(seed uint64) *history {
	h := &history{Rand: rand.New(rand.NewPCG(seed, 77)), seed: seed, log: journal.NewMemory(), books: New(),
		model: newModel(), wall: historyStart, names: map[string]token.Name{},
		converted: map[string]bool{}, zones: map[uint64]int64{}}
	h.advance()
	h.write(&Epoch{Number: 1}, nil)
	return h
}

func (h *history) wrong(format string, args ...any) {
	if h.failed == "" {
		h.failed = fmt.Sprintf("history %d, record %d: ", h.seed, h.books.Last().Sequence) + fmt.Sprintf(format, args...)
	}
}

func (h *history) one(in int) bool { return h.IntN(in) == 0 }

// run lives through some steps, with a commit every few.
func (h *history) run(steps int) {
	for range steps {
		h.step()
		if h.one(4) {
			h.commit()
		}
		if h.failed != "" {
			return
		}
	}
	h.commit()
	h.restart()
	h.books.Settle(&h.batch)
	h.flush()
	h.compare()
	h.audit()
}

func (h *history) step() {
	h.tick()
	switch n := h.IntN(100); {
	case n < 8 || len(h.zones) < 2:
		h.edit()
	case n < 78:
		h.event()
	case n < 86:
		h.move()
	case n < 91:
		h.credit()
	case n < 94:
		h.checkpoint()
	case n < 96:
		h.commit()
		h.restart()
	case n < 97:
		uid := uint64(1 + h.IntN(2))
		h.model.advertiser(uid)
		h.write(&AdvertiserTerms{Advertiser: hexbid.UID(uid), Paused: h.one(2), Version: h.next()}, nil)
	case n < 98:
		h.epoch()
	default:
		h.compact()
	}
}

// tick moves the wall. The owner stamps with the later of the wall and the last stamp.
func (h *history) tick() {
	switch n := h.IntN(60); {
	case n < 50:
		h.wall += h.Int64N(5 * secondMicros)
	case n < 55:
		h.wall += h.Int64N(20 * 60 * secondMicros)
	case n < 56:
		h.wall += h.Int64N(30 * 3600 * secondMicros)
	case n < 58 && len(h.tokens) > 0: // the very instant that a token expires at, or just before
		h.wall = h.tokens[max(0, len(h.tokens)-1-h.IntN(4))].expiryMS*1000 - h.Int64N(2)
	default:
		h.wall -= h.Int64N(40 * 60 * secondMicros)
	}
	h.advance()
}

func (h *history) advance() {
	at := max(h.wall, h.books.Last().At)
	h.books.Advance(at, &h.batch)
	if closed := h.books.HourToClose(); closed != nil {
		h.write(closed, nil)
	}
}

// write makes a record of a body, as the owner does.
func (h *history) write(body Body, ahead []byte) uint64 {
	r := h.books.Next(body)
	if ahead == nil {
		ahead = EncodeAhead(body)
	}
	encoded := Complete(ahead, &r)
	if err := h.books.Apply(&r, encoded, &h.batch); err != nil {
		h.wrong("%T %+v: %v", body, body, err)
	}
	h.batch.Records = append(h.batch.Records, encoded)
	h.chain = append(h.chain, encoded)
	return r.Sequence
}

// commit writes the batch. Rows of totals may be behind for a while.
func (h *history) commit() {
	if h.one(2) {
		h.books.Settle(&h.batch)
	}
	h.flush()
}

func (h *history) flush() {
	h.batch.After = uint64(len(h.chain) - len(h.batch.Records))
	h.batch.Tail = h.books.Last().Tail
	if err := h.log.Commit(context.Background(), &h.batch); err != nil {
		h.wrong("commit: %v", err)
	}
	h.batch = journal.Batch{}
}

func (h *history) next() uint64 { h.version++; return h.version }

func (h *history) edit() {
	uid := uint64(1 + h.IntN(3))
	t := &Terms{Campaign: hexbid.UID(uid), Advertiser: hexbid.UID(1 + uid%2), DailyBudget: hexbid.Money(h.IntN(120)),
		Zone: fmt.Sprint("zone ", h.IntN(3)), Paused: h.one(5), Deleted: h.one(9), Version: h.next()}
	if h.one(2) {
		t.TotalBudget = hexbid.Money(h.IntN(250))
	}
	for _, host := range []hexbid.Host{0, hexbid.WeChat} {
		if h.one(2) {
			t.Coupons = append(t.Coupons, Coupon{Host: host, Total: h.Int64N(4), ValidUntil: h.wall/1000 + h.Int64N(1e7)})
		}
	}
	h.zones[uid] = (h.Int64N(27) - 12) * 3600 * secondMicros
	h.model.edit(t)
	h.write(t, nil)
	if !h.books.SameTerms(t) {
		h.wrong("terms are not in force: %+v", t)
	}
}

// date is the campaign's local date; now and then one that is far off.
func (h *history) date(campaign uint64) int32 {
	date := int32((h.wall + h.zones[campaign]) / (24 * 3600 * secondMicros))
	if h.one(30) {
		date += int32(h.IntN(5) - 2)
	}
	return date
}

func (h *history) posted() int32 {
	return int32((h.wall + 8*3600*secondMicros) / (24 * 3600 * secondMicros))
}

// issue makes a token.
func (h *history) issue() modelEvent {
	n := uint64(len(h.tokens))
	issuer, sequence := byte(n/2%2), n/4+n%2<<chunkBits // names differ in the issuer or in the chunk alone
	uid := uint64(1 + h.IntN(3))
	e := modelEvent{token: fmt.Sprint(issuer, "/", sequence), campaign: uid, advertiser: 1 + uid%2, cpm: h.one(2),
		price: int64(h.IntN(50)), host: uint8(h.IntN(3)), issuedMS: h.wall / 1000}
	if h.one(60) {
		e.advertiser = 3 - e.advertiser
	}
	if e.cpm {
		e.price *= 1000
	}
	e.expiryMS = e.issuedMS + 1_800_000
	h.names[e.token] = token.Name{Issuer: token.Issuer{issuer}, Sequence: sequence}
	h.tokens = append(h.tokens, e)
	return e
}

// event returns a new token or an old one, with any kind of event, so in any order and again and again.
func (h *history) event() {
	e := h.issue()
	if h.one(2) {
		e = h.tokens[max(0, len(h.tokens)-1-h.IntN(12))]
	}
	e.kind = []hexbid.EventKind{hexbid.Impression, hexbid.Impression, hexbid.Click, hexbid.Click, hexbid.Conversion,
		hexbid.Claim}[h.IntN(6)]
	if e.kind == hexbid.Conversion && h.converted[e.token] { // the owner finds its first answer on disk
		e.kind = hexbid.Claim
	}
	e.at, e.date, e.posted = h.books.at, h.date(e.campaign), h.posted()
	if h.one(8) {
		e.verdict = []Verdict{VerdictFiltered, VerdictBeyondCap, VerdictAlready}[h.IntN(3)]
	}
	if e.kind == hexbid.Conversion {
		e.value = h.Int64N(100)
	}
	record := h.eventOf(&e)
	ahead := EncodeAhead(record)
	if err := h.books.Judge(record); err != nil {
		h.wrong("judge: %v", err)
	}
	if hour, due := h.books.HourToOpen(); record.Charged > 0 && due {
		h.write(&HourOpened{Hour: hour, Salt: [32]byte{byte(hour)}}, nil)
	}
	want := h.model.event(&e, h.books.Last().Sequence+1)
	got := modelAnswer{record.Outcome, int64(record.Charged), int64(record.Free), record.Implies, uint8(record.Creative),
		record.Date, record.Posted}
	if !UsesUp(got.outcome) {
		got.date, got.posted = 0, 0
	}
	if got != want {
		h.wrong("%+v is %+v, by the model %+v", e, got, want)
	}
	h.outcomes[record.Outcome]++
	if UsesUp(record.Outcome) {
		h.converted[e.token] = h.converted[e.token] || e.kind == hexbid.Conversion
		sequence := h.write(record, ahead)
		if record.Charged > 0 {
			h.charges = append(h.charges, sequence)
		}
	}
}

func (h *history) eventOf(e *modelEvent) *Event {
	pricing := hexbid.CPC
	if e.cpm {
		pricing = hexbid.CPM
	}
	return &Event{Kind: e.kind, Token: h.names[e.token], Value: hexbid.Money(e.value), Award: Award{
		Campaign: hexbid.UID(e.campaign), Advertiser: hexbid.UID(e.advertiser), Price: hexbid.Money(e.price),
		Host: hexbid.Host(e.host), IssuedAt: e.issuedMS, ClickExpiry: e.expiryMS,
		Basis: auction.Basis{Mechanism: hexbid.MechanismGSP, Pricing: pricing}},
		Ruling: Ruling{Verdict: e.verdict, Date: e.date, Posted: e.posted}}
}

func (h *history) move() {
	m := &Movement{Advertiser: hexbid.UID(1 + h.IntN(2)), RequestID: fmt.Sprint(len(h.chain)),
		Ruling: Ruling{Posted: h.posted()}}
	switch n := h.IntN(10); {
	case n < 5:
		m.What = TopUp
	case n < 7:
		m.What = Withdrawal
	default:
		m.What = ToPrepaid + MovementKind(h.IntN(2))
	}
	if m.What <= Withdrawal {
		m.Amount = hexbid.Money(1 + h.IntN(100))
	}
	err := h.books.JudgeMovement(m)
	posted, permitted := h.model.move(uint64(m.Advertiser), m.What, int64(m.Amount), m.Posted)
	if permitted != (err == nil) {
		h.wrong("%+v: %v; by the model %v", m, err, permitted)
	}
	if err == nil {
		if m.Posted != posted || int64(m.Balance) != h.model.advertisers[uint64(m.Advertiser)].balance() {
			h.wrong("%+v is of date %d and leaves %d by the model", m, posted,
				h.model.advertisers[uint64(m.Advertiser)].balance())
		}
		h.write(m, nil)
	}
}

func (h *history) credit() {
	uid := hexbid.UID(1 + h.IntN(3))
	r := &Credit{Campaign: uid, Advertiser: 1 + uid%2, RequestID: fmt.Sprint(len(h.chain)),
		Ruling: Ruling{Date: h.date(uint64(uid)), Posted: h.posted()}}
	if len(h.charges) > 0 && h.one(2) {
		for i := max(0, len(h.charges)-1-h.IntN(5)); i < len(h.charges) && len(r.Charges) < 3; i += 1 + h.IntN(2) {
			charge := h.model.charges[h.charges[i]]
			if charge.campaign != int64(uid) {
				continue
			}
			amount := hexbid.Money(1 + h.Int64N((charge.charged+1)/2))
			r.Charges, r.Charged = append(r.Charges, h.charges[i]), append(r.Charged, hexbid.Money(charge.charged))
			r.Amounts, r.Amount = append(r.Amounts, amount), r.Amount+amount
		}
	}
	if len(r.Charges) == 0 {
		r.Amount = hexbid.Money(1 + h.IntN(40))
	}
	err := h.books.JudgeCredit(r)
	if permitted := h.model.credit(r, h.books.at); permitted != (err == nil) {
		h.wrong("%+v: %v; by the model %v", r, err, permitted)
	}
	if err == nil {
		h.write(r, nil)
	}
}

func (h *history) checkpoint() {
	body := h.books.Checkpoint(h.books.CatalogueVersion()+uint64(h.IntN(2)), &h.batch)
	h.version = max(h.version, body.CatalogueVersion)
	h.write(body, nil)
	h.commit()
}

func (h *history) epoch() {
	e := &Epoch{Number: h.books.Epoch().Number + 1, Abandons: !h.one(4)}
	if !e.Abandons {
		e.IssuedBefore = h.wall / 1000
		if len(h.tokens) > 0 && h.one(2) { // the very instant that a token was issued at, or the next
			e.IssuedBefore = h.tokens[max(0, len(h.tokens)-1-h.IntN(6))].issuedMS + h.Int64N(2)
		}
	}
	h.model.refused = max(h.model.refused, e.IssuedBefore)
	h.write(e, nil)
}

// compact moves the base on to some record.
func (h *history) compact() {
	h.commit()
	v, _ := h.log.View()
	base, err := RestoreBase(v)
	if err != nil {
		h.wrong("base: %v", err)
		return
	}
	h.replay(base, base.Last().Sequence+uint64(h.IntN(len(h.chain)-int(base.Last().Sequence))))
	if base.Last().Sequence == 0 {
		return
	}
	h.write(&Compacted{Upto: base.Last().Sequence, Digest: base.CheckpointBase(&h.batch)}, nil)
	h.commit()
}

// replay applies the records up to a sequence.
func (h *history) replay(b *Books, upto uint64) {
	for b.Last().Sequence < upto {
		encoded := h.chain[b.Last().Sequence]
		r, err := Decode(encoded)
		if err == nil {
			err = b.Apply(r, encoded, nil)
		}
		if err != nil {
			h.wrong("replay: %v", err)
			return
		}
	}
}

// restart makes the books anew, now and then of the base too.
func (h *history) restart() {
	h.reopen()
	if h.one(2) {
		h.rebased()
	}
}

// rebased replays the whole chain from the base.
func (h *history) rebased() {
	v, _ := h.log.View()
	base, err := RestoreBase(v)
	if err != nil {
		h.wrong("restore the base: %v", err)
		return
	}
	h.replay(base, uint64(len(h.chain)))
	h.same(base)
}

// same brings books to the present instant and compares them with those that have lived on.
func (h *history) same(b *Books) {
	b.Advance(h.books.at, &h.batch)
	if b.Digest() != h.books.Digest() || b.Last() != h.books.Last() {
		h.wrong("a restart at %+v makes other books than those of %+v", b.Last(), h.books.Last())
	}
}

// reopen goes on with books of the last checkpoint and the records after it. Rows of totals may be behind on disk: the
// next call of Settle puts them.
func (h *history) reopen() {
	v, _ := h.log.View()
	restored, err := Restore(v)
	if err != nil {
		h.wrong("restore: %v", err)
		return
	}
	h.replay(restored, uint64(len(h.chain)))
	h.same(restored)
	h.books = restored
}

func TestBooksEqualTheModelInRandomHistories(t *testing.T) {
	runHistories(t, 10_000)
}
