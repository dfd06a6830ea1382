package ledgertest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// model is a journal as the contract describes it: a map for each table.
type model struct {
	last uint64
	rows map[journal.Table]map[string]string
}

func newModel() *model { return &model{rows: map[journal.Table]map[string]string{}} }

func (m *model) copy() *model {
	c := newModel()
	c.last = m.last
	for table, rows := range m.rows {
		c.rows[table] = maps.Clone(rows)
	}
	return c
}

func (m *model) put(r *journal.Row) {
	if m.rows[r.Table] == nil {
		m.rows[r.Table] = map[string]string{}
	}
	if r.Value == nil {
		delete(m.rows[r.Table], string(r.Key))
		return
	}
	m.rows[r.Table][string(r.Key)] = string(r.Value)
}

func (m *model) apply(b *journal.Batch) {
	for _, r := range b.Erase {
		maps.DeleteFunc(m.rows[r.Table], func(key, _ string) bool {
			return key >= string(r.From) && (r.To == nil || key < string(r.To))
		})
	}
	for _, record := range b.Records {
		m.last++
		m.put(&journal.Row{Table: journal.Records, Key: journal.SequenceKey(m.last), Value: record})
	}
	for i := range b.Rows {
		m.put(&b.Rows[i])
	}
}

func (m *model) state() state {
	s := state{Last: m.last, Rows: map[journal.Table]string{}}
	for table, rows := range m.rows {
		var found pairs
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			found = append(found, fmt.Sprintf("%x=%s", key, rows[key]))
		}
		if len(found) > 0 {
			s.Rows[table] = fmt.Sprint(found)
		}
	}
	return s
}

func testModel(t *testing.T, e Engine) {
	rapid.Check(t, func(r *rapid.T) { playHistory(r, t, e) })
}

// history plays random steps on a journal and on the model.
type history struct {
	*rapid.T
	engine   Engine
	maker    testing.TB
	journal  journal.Journal
	now      *model // what the last commit left
	kept     *model // and the rows kept since
	view     journal.View
	viewedAt *model
}

func playHistory(r *rapid.T, maker testing.TB, e Engine) {
	h := &history{T: r, engine: e, maker: maker, journal: e.Open(maker), now: newModel(), kept: newModel()}
	defer func() {
		h.dropView()
		_ = h.journal.Close()
	}()
	steps := []func(){h.commit, h.commit, h.commit, h.stale, h.keep, h.lookAgain, h.lookAgain}
	for _, restart := range []func(testing.TB, journal.Journal) journal.Journal{e.Reopen, e.Crash} {
		if restart != nil {
			steps = append(steps, func() { h.restart(restart) })
		}
	}
	for range rapid.IntRange(1, 25).Draw(r, "steps") {
		steps[rapid.IntRange(0, len(steps)-1).Draw(r, "step")]()
		h.compare()
	}
}

var (
	somewhere = rapid.SampledFrom([]journal.Table{journal.Answers, journal.Accounts, journal.Meta})
	someKey   = rapid.SampledFrom([]string{"", "a", "a\x00", "b", "bb", "c", "\xff", "\xff\xff"})
	someBound = rapid.SampledFrom([][]byte{nil, {}, []byte("a"), []byte("b"), []byte("bc"), []byte("\xff")})
)

func (h *history) draw() (b *journal.Batch) {
	b = &journal.Batch{After: h.now.last, Rows: h.drawRows()}
	for i := range rapid.IntRange(0, 3).Draw(h.T, "records") {
		b.Records = append(b.Records, recordOf(b.After+uint64(i)+1))
		b.Tail = tailOf(b.After + uint64(i) + 1)
	}
	for range rapid.IntRange(0, 2).Draw(h.T, "ranges") {
		b.Erase = append(b.Erase, journal.Range{Table: somewhere.Draw(h.T, "table"), From: someBound.Draw(h.T, "from"),
			To: someBound.Draw(h.T, "to")})
	}
	if to := rapid.Uint64Range(0, 3*b.After+3).Draw(h.T, "compacted"); to <= b.After {
		b.Erase = append(b.Erase, journal.Range{Table: journal.Records, To: journal.SequenceKey(to)})
	}
	return b
}

func (h *history) drawRows() (rows []journal.Row) {
	for i := range rapid.IntRange(0, 4).Draw(h.T, "rows") {
		r := row(somewhere.Draw(h.T, "table"), someKey.Draw(h.T, "key"), fmt.Sprint(i))
		switch rapid.IntRange(0, 4).Draw(h.T, "value") {
		case 0:
			r.Value = nil
		case 1:
			r.Value = []byte{}
		}
		rows = append(rows, r)
	}
	return rows
}

func (h *history) commit() {
	b := h.draw()
	if err := h.journal.Commit(ctx, b); err != nil {
		h.Fatal(err)
	}
	h.kept.last = h.now.last
	h.kept.apply(b)
	h.now = h.kept.copy()
}

func (h *history) stale() {
	b := h.draw()
	b.After += 1 + rapid.Uint64Range(0, 3).Draw(h.T, "off")
	wantKind(h, h.journal.Commit(ctx, b), hexbid.Stale)
}

func (h *history) keep() {
	rows := h.drawRows()
	if err := h.journal.Keep(rows); err != nil {
		h.Fatal(err)
	}
	for i := range rows {
		h.kept.put(&rows[i])
	}
}

// restart commits first, because nothing says whether rows that were kept since the last commit survive.
func (h *history) restart(restart func(testing.TB, journal.Journal) journal.Journal) {
	h.commit()
	h.dropView()
	h.journal = restart(h.maker, h.journal)
}

// lookAgain compares an old view with the state that it was taken of, and takes a new one.
func (h *history) lookAgain() {
	h.dropView()
	v, err := h.journal.View()
	if err != nil {
		h.Fatal(err)
	}
	h.view, h.viewedAt = v, h.now.copy()
}

func (h *history) dropView() {
	if h.view == nil {
		return
	}
	if got, want := stateOf(h, h.view), h.viewedAt.state(); !equal(got, want) {
		h.Errorf("an old view shows\n%+v\nwant\n%+v", got, want)
	}
	_ = h.view.Close()
	h.view = nil
}

func (h *history) compare() {
	v, err := h.journal.View()
	if err != nil {
		h.Fatal(err)
	}
	defer v.Close()
	if got, want := stateOf(h, v), h.now.state(); !equal(got, want) {
		h.Fatalf("there is\n%+v\nwant\n%+v", got, want)
	}
	h.compareRange(v)
}

// compareRange compares a scan each way, and a lookup.
func (h *history) compareRange(v journal.View) {
	table, from, to := somewhere.Draw(h.T, "table"), someBound.Draw(h.T, "from"), someBound.Draw(h.T, "to")
	var want []string
	for _, key := range slices.Sorted(maps.Keys(h.now.rows[table])) {
		if key >= string(from) && (to == nil || key < string(to)) {
			want = append(want, key)
		}
	}
	collect := func(scan func(journal.Table, []byte, []byte, journal.Visit) error) (keys []string) {
		if err := scan(table, from, to, func(key, _ []byte) (bool, error) {
			keys = append(keys, string(key))
			return true, nil
		}); err != nil {
			h.Fatal(err)
		}
		return keys
	}
	if got := collect(v.Scan); !slices.Equal(got, want) {
		h.Fatalf("a scan shows %q, want %q", got, want)
	}
	back := collect(v.ScanBack)
	if slices.Reverse(back); !slices.Equal(back, want) {
		h.Fatalf("a scan back shows %q, want %q", back, want)
	}
	key := someKey.Draw(h.T, "key")
	value, err := v.Get(table, []byte(key))
	there, is := h.now.rows[table][key]
	if err != nil || is != (value != nil) || !bytes.Equal(value, []byte(there)) {
		h.Fatalf("row %q is %q, %v; want %q, %v", key, value, err, there, is)
	}
}
