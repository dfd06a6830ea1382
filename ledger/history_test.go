package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// history is a random life of a ledger: many callers at once, edits, movements, clocks that jump, commits that fail,
// crashes and restarts. It keeps a record of its own of what callers were told.
type history struct {
	*bank
	random *rand.Rand // of the rounds; callers have their own
	tokens []ledger.Event

	mu      sync.Mutex // guards the fields below
	told    []told
	moved   map[string]ledger.Moved
	version uint64
}

// told is an event and its answer.
type told struct {
	event  ledger.Event
	answer ledger.Answer
}

const campaigns = 3

// histories is how many histories a run of the tests plays. HEXBID_HISTORIES says another number.
func histories(t *testing.T) uint64 {
	if text := os.Getenv("HEXBID_HISTORIES"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testing.Short() {
		return 30
	}
	return 200
}

// TestRandomHistoriesEqualTheModel plays histories. Afterwards an auditor reads the chain with the naive model, and
// compares it with what callers were told and with what the ledger says.
func TestRandomHistoriesEqualTheModel(t *testing.T) {
	for seed := range histories(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playHistory(t, seed) })
	}
}

func playHistory(t *testing.T, seed uint64) {
	h := &history{random: rand.New(rand.NewPCG(seed, 7)), moved: map[string]ledger.Moved{}, version: 1}
	h.bank = openBank(t, func(o *ledger.Options) {
		o.CheckpointRecords = 1 + h.random.IntN(60)
		o.BatchRecords = 1 + h.random.IntN(40)
	})
	h.edit(h.random)
	for range 2 + h.random.IntN(5) {
		h.issue()
		h.round()
		h.interrupt()
	}
	h.repeatAll()
	h.audit()
}

// issue makes tokens that callers return.
func (h *history) issue() {
	for range 1 + h.random.IntN(20) {
		pricing, price := hexbid.CPC, hexbid.Money(h.random.IntN(5))*yuan/4
		if h.random.IntN(2) == 0 {
			pricing, price = hexbid.CPM, price*1000
		}
		e := h.event(hexbid.Click, pricing, price)
		e.Award.Campaign = campaign + hexbid.UID(h.random.IntN(campaigns))
		e.Award.IssuedAt = h.Now()
		e.Award.ClickExpiry = h.Now().Truncate(time.Millisecond).Add(time.Duration(1+h.random.IntN(60)) * time.Minute)
		e.Award.Viewer = [16]byte{byte(h.random.IntN(3))}
		h.tokens = append(h.tokens, e)
	}
}

// round has many callers at work, perhaps with commits that fail after a while.
func (h *history) round() {
	failFrom, commits := h.random.IntN(60), 0
	fails := h.random.IntN(3) == 0
	h.journal.onCommit(func(*journal.Batch) error {
		if commits++; fails && commits > failFrom {
			return errDisk
		}
		return nil
	})
	var callers sync.WaitGroup
	for range 6 {
		own := rand.New(rand.NewPCG(h.random.Uint64(), 1))
		callers.Go(func() {
			for range 10 {
				h.act(own)
			}
		})
	}
	callers.Go(func() {
		own := rand.New(rand.NewPCG(h.random.Uint64(), 2))
		for range 3 {
			h.edit(own)
		}
	})
	callers.Wait()
}

// act makes one random call.
func (h *history) act(r *rand.Rand) {
	switch r.IntN(12) {
	case 0:
		h.move(r)
	case 1:
		h.credit(r)
	case 2:
		h.Clock.Pass(time.Duration(r.IntN(600)) * time.Second)
	default:
		h.report(r)
	}
}

func (h *history) report(r *rand.Rand) {
	var events []ledger.Event
	for range 1 + r.IntN(4) {
		e := h.tokens[r.IntN(len(h.tokens))]
		e = as(e, hexbid.EventKind(1+r.IntN(4)), strconv.Itoa(r.IntN(2)))
		if e.Kind == hexbid.Click && e.Name.Sequence%4 == 0 || e.Kind == hexbid.Impression && e.Name.Sequence%8 == 1 {
			e = filtered(e)
		}
		events = append(events, e)
	}
	answers, err := h.Record(ctx, events)
	if err != nil {
		return // nobody knows: it is sent again at the end
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range events {
		h.told = append(h.told, told{events[i], answers[i]})
	}
}

func (h *history) move(r *rand.Rand) {
	m := topUp(strconv.Itoa(r.IntN(10)), yuan*hexbid.Money(1+r.IntN(3)))
	m.What = fold.MovementKind(1 + r.IntN(4))
	if m.What == fold.ToPrepaid || m.What == fold.ToPostpaid {
		m.Amount = 0
	}
	moved, err := h.Move(ctx, m)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	first, known := h.moved[m.RequestID]
	moved.Again = false
	if known && first != moved {
		h.Errorf("request %s got %+v, then %+v", m.RequestID, first, moved)
	}
	h.moved[m.RequestID] = moved
}

func (h *history) credit(r *rand.Rand) {
	_, _ = h.Credit(ctx, fold.Credit{Advertiser: advertiser, Campaign: campaign + hexbid.UID(r.IntN(campaigns)),
		RequestID: "credit " + strconv.Itoa(r.IntN(5)), Amount: yuan / 4})
}

// edit changes the terms of all campaigns.
func (h *history) edit(r *rand.Rand) {
	var terms []fold.Terms
	for i := range campaigns {
		t := fold.Terms{DailyBudget: yuan * hexbid.Money(r.IntN(6)), Zone: []string{"Asia/Shanghai",
			"America/New_York", "UTC"}[r.IntN(3)], Deleted: r.IntN(5) == 0,
			Coupons: []fold.Coupon{{Total: int64(r.IntN(3)), ValidUntil: noon.AddDate(0, 0, 20).UnixMilli()}}}
		if r.IntN(2) == 0 {
			t.TotalBudget = yuan * hexbid.Money(1+r.IntN(9))
		}
		t = filled(t)
		t.Campaign += hexbid.UID(i)
		terms = append(terms, t)
	}
	h.mu.Lock()
	h.version++
	version := h.version
	h.mu.Unlock()
	if h.SetTerms(ctx, version, terms, nil) == nil && h.CatalogueVersion() < version {
		h.Errorf("version %d is acknowledged, the ledger has %d", version, h.CatalogueVersion())
	}
}

// interrupt lets time pass or jump, and crashes or restarts.
func (h *history) interrupt() {
	h.journal.onCommit(nil)
	switch h.random.IntN(4) {
	case 0:
		h.Clock.Pass(time.Duration(h.random.IntN(100)) * time.Hour)
	case 1:
		h.Clock.Step(time.Duration(h.random.IntN(19)-9) * time.Second)
	}
	acknowledged := h.CatalogueVersion()
	switch h.random.IntN(3) {
	case 0:
		h.Restart()
	default:
		acknowledged = 0 // a version without terms may be behind after a crash
		h.Crash()
	}
	if got := h.CatalogueVersion(); got < acknowledged {
		h.Errorf("version %d after a restart, %d before", got, acknowledged)
	}
}

// repeatAll sends everything again under the same ids: what was told with a record is told again.
func (h *history) repeatAll() {
	h.Helper()
	for i := range h.told {
		before := &h.told[i]
		again := h.Report(before.event)[0]
		if before.answer.Sequence == 0 {
			continue
		}
		want := before.answer
		if want.Again = true; again != want && h.Now().Before(before.event.Award.ClickExpiry.Add(8*24*time.Hour)) {
			h.Fatalf("%s of token %d was %+v, now it is %+v", before.event.Kind, before.event.Name.Sequence, before.answer,
				again)
		}
	}
}

// audit reads the chain, and compares it with what callers were told and with what the ledger says.
func (h *history) audit() {
	h.Helper()
	m := newModel(h.TB)
	hashes := map[uint64][32]byte{}
	h.scan(journal.Records, func(_, encoded []byte) {
		m.read(encoded)
		hashes[m.number] = m.previous
	})
	for i := range h.told {
		a := &h.told[i].answer
		if a.Sequence > 0 && hashes[a.Sequence] != a.Hash {
			h.Errorf("record %d was acknowledged with another hash than the chain has", a.Sequence)
		}
		if u := (use{h.told[i].event.Name, h.told[i].event.Kind}); a.Outcome == hexbid.EventDuplicate && m.used[u] == nil {
			h.Errorf("%s is a duplicate of nothing", u)
		}
	}
	for id, moved := range h.moved {
		if hashes[moved.Sequence] != moved.Hash {
			h.Errorf("request %s was acknowledged with another hash than the chain has", id)
		}
	}
	for i := range hexbid.UID(campaigns) {
		s, err := h.Campaign(ctx, campaign+i)
		if err != nil || s.Ever.Charged != m.spent[campaign+i] || s.Ever.Credited != m.credited[campaign+i] {
			h.Errorf("campaign %d: %+v, %v; the model has charged %s", i, s.Ever, err, m.spent[campaign+i])
		}
	}
	if a, err := h.Advertiser(ctx, advertiser); err != nil || a.Ever.Balance != m.balance[advertiser] {
		h.Errorf("%+v, %v; the model has a balance of %s", a, err, m.balance[advertiser])
	}
}
