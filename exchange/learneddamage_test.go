package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
)

// damagedJournal reads one row otherwise than it was written.
type damagedJournal struct {
	journal.Journal
	row journal.Row
}

func (j *damagedJournal) View() (journal.View, error) {
	v, err := j.Journal.View()
	return &damagedView{v, &j.row}, err
}

type damagedView struct {
	journal.View
	row *journal.Row
}

func (v *damagedView) Get(t journal.Table, key []byte) ([]byte, error) {
	value, err := v.View.Get(t, key)
	if value != nil && t == v.row.Table && bytes.Equal(key, v.row.Key) {
		value = v.row.Value
	}
	return value, err
}

func (v *damagedView) Scan(t journal.Table, from, to []byte, visit journal.Visit) error {
	return v.View.Scan(t, from, to, func(key, value []byte) (bool, error) {
		if t == v.row.Table && bytes.Equal(key, v.row.Key) {
			if value = v.row.Value; value == nil {
				return true, nil // it is gone
			}
		}
		return visit(key, value)
	})
}

// rowsOf returns the rows of a table.
func rowsOf(t testing.TB, j journal.Journal, table journal.Table) (rows []journal.Row) {
	t.Helper()
	view, err := j.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	if err := view.Scan(table, nil, nil, func(key, value []byte) (bool, error) {
		rows = append(rows, journal.Row{Table: table, Key: bytes.Clone(key), Value: bytes.Clone(value)})
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return rows
}

// damages calls f with a row, damaged in one way after another: places of some bytes, and bits.
func damages(row journal.Row, f func(what string, damaged journal.Row)) {
	for _, mask := range []byte{0x01, 0x80, 0xff} {
		for from := 0; from < len(row.Value); from += max(1, len(row.Value)/6) {
			damaged := row
			damaged.Value = bytes.Clone(row.Value)
			for i := from; i < min(from+8, len(row.Value)); i++ {
				damaged.Value[i] ^= mask
			}
			f(fmt.Sprintf("row %q, bytes %d to %d ^ %#x", row.Key, from, from+7, mask), damaged)
		}
	}
}

// TestDamagedRowsOfLearningHarmNothing flips bytes of every row. The market opens, hands in nothing that the index
// refuses, and learns on.
func TestDamagedRowsOfLearningHarmNothing(t *testing.T) {
	var log bytes.Buffer
	m := openTill(t, func(c *Config) {
		manual(c)
		c.SwapPPM, c.Market.Distance = 10_000, quality.PriorDistances()
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	c, capped := campaign("c"), campaign("capped")
	c.DailyBudget, c.Pacing = 1_000_000_000, hexbid.PaceEven
	capped.Cap = hexbid.FrequencyCap{Impressions: 3}
	fill(t, m.Exchange, c, capped, place("l", hub))
	for range 90 {
		m.look(4, 1)
		m.pass(3 * time.Minute)
		m.step()
	}
	if err := m.Delete(ctx, capped.Name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	m.stop()
	original := m.Journal
	kinds := map[string]bool{}
	for _, row := range rowsOf(t, original, journal.Learned) {
		if kind := string(row.Key[:min(2, len(row.Key))]); !kinds[kind] {
			kinds[kind] = true
		} else {
			continue
		}
		damages(row, func(what string, damaged journal.Row) {
			log.Reset()
			m.Journal = &damagedJournal{original, damaged}
			m.start()
			for range 3 {
				m.look(1, 1)
				m.pass(time.Minute)
				if err := m.Step(ctx); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if live := m.live(c.Name); live.QualityPPM < 1 || live.QualityPPM > 1_000_000 || live.QualityIsPrior {
				t.Errorf("%s: %+v", what, live)
			}
			m.stop()
			if text := log.String(); strings.Contains(text, "level=ERROR") {
				t.Errorf("%s: %s", what, text)
			}
		})
	}
	m.Journal = original
	m.start()
	if len(kinds) < 12 {
		t.Errorf("there are rows of the kinds %v alone", kinds)
	}
}

// TestAFlippedBitIsAsIfTheRowWereNotThere, whichever bit it is of whatever part learned of a campaign: the log counts
// the row, and the other campaign is worth what it is worth without it.
func TestAFlippedBitIsAsIfTheRowWereNotThere(t *testing.T) {
	var log bytes.Buffer
	m := openTill(t, func(c *Config) {
		manual(c)
		c.SwapPPM, c.Market.Distance = 10_000, quality.PriorDistances()
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	harmed, other := campaign("c"), campaign("other")
	harmed.DailyBudget, other.DailyBudget = 1_000_000_000, 1_000_000_000
	fill(t, m.Exchange, harmed, other, place("l", hub))
	for range 30 {
		m.look(4, 1)
		m.pass(3 * time.Minute)
		m.step()
	}
	m.stop()
	original := m.Journal
	with := func(row journal.Row) bidder.LiveState {
		t.Helper()
		log.Reset()
		m.Journal = &damagedJournal{original, row}
		m.start()
		defer m.stop()
		return m.live(other.Name)
	}
	random, flips := rand.New(rand.NewPCG(1, 1)), 0
	for _, row := range rowsOf(t, original, journal.Learned) {
		without := with(journal.Row{Table: row.Table, Key: row.Key})
		for range 12 {
			damaged := row
			damaged.Value = bytes.Clone(row.Value)
			bit := random.IntN(8 * len(row.Value))
			damaged.Value[bit/8] ^= 1 << (bit % 8)
			if live := with(damaged); !reflect.DeepEqual(live, without) {
				t.Errorf("row %q, bit %d: %+v, without the row %+v", row.Key, bit, live, without)
			}
			if !strings.Contains(log.String(), "rows=1") {
				t.Errorf("row %q, bit %d: the log counts no row: %s", row.Key, bit, log.String())
			}
			flips++
		}
	}
	m.Journal = original
	m.start()
	if flips < 100 {
		t.Errorf("only %d bits were flipped", flips)
	}
}

// TestRowsOfTheFutureAreLeftOut: what they count would not fade until then. Rows of before there were seals are read,
// and looked at as well.
func TestRowsOfTheFutureAreLeftOut(t *testing.T) {
	m := openTill(t, func(c *Config) {
		manual(c)
		c.SwapPPM, c.Market.Distance = 10_000, quality.PriorDistances()
	})
	c := campaign("c")
	c.DailyBudget = 1_000_000_000
	fill(t, m.Exchange, c, place("l", hub))
	for range 30 {
		m.look(4, 1)
		m.pass(3 * time.Minute)
		m.step()
	}
	parts := map[byte]part{}
	for _, p := range m.learns().all {
		parts[p.letter()] = p
	}
	timeless, dated := []byte{learnerLetter, 'm'}, 0 // the market's means have no instant
	for _, row := range rowsOf(t, m.Journal, journal.Learned) {
		value, ok := unseal(row.Key, row.Value)
		if !ok {
			t.Fatalf("row %q is damaged", row.Key)
		}
		restore := parts[row.Key[0]].restore
		if bytes.HasPrefix(row.Key, timeless) {
			continue
		}
		if restore(m.now().Add(-30*24*time.Hour), row.Key, value) == nil {
			t.Errorf("row %q of a month later is read", row.Key)
		}
		if err := restore(m.now(), row.Key, value); err != nil {
			t.Errorf("row %q: %v", row.Key, err)
		}
		dated++
	}
	if dated < 10 {
		t.Errorf("only %d rows have instants", dated)
	}
}

// TestADamagedRowOfAViewerCountsAnew, is told, and stops nobody else's events.
func TestADamagedRowOfAViewerCountsAnew(t *testing.T) {
	var log bytes.Buffer
	m := openTill(t, func(c *Config) {
		manual(c)
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	c := cappedCampaign("c", 2)
	fill(t, m.Exchange, c, place("l", hub))
	search := func(viewer string) (tokens []string) {
		r := at(hub)
		r.ClientID, r.Viewer.UserKey = "app", viewer
		for _, s := range mustSearch(t, m.Exchange, r).Sponsored {
			tokens = append(tokens, s.Token)
		}
		return tokens
	}
	see := func(id string, tokens ...string) {
		t.Helper()
		report := &hexbid.EventReport{ClientID: "app"}
		for _, token := range tokens {
			report.Events = append(report.Events, hexbid.Event{Kind: hexbid.Impression, Token: token, ID: id})
		}
		results, err := m.RecordEvents(ctx, report)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Outcome != hexbid.EventRecorded {
				t.Errorf("%s came out %s", id, r.Outcome)
			}
		}
	}
	see("first", search("someone")[0], search("another")[0])
	m.stop()
	original := m.Journal
	row := rowsOf(t, original, journal.Viewers)[0]
	row.Value = []byte("damaged")
	m.Journal = &damagedJournal{original, row}
	m.start()
	if err := m.newSweep().run(ctx); err != nil {
		t.Errorf("a sweep: %v", err)
	}
	if m.viewers.filter.Load() == nil {
		t.Error("the filter is not there")
	}
	see("second", search("someone")[0], search("another")[0])
	if !strings.Contains(log.String(), "cannot be read") {
		t.Errorf("the log says nothing: %s", log.String())
	}
}

// spiedJournal tells of rows that are durable.
type spiedJournal struct {
	journal.Journal
	committed func([]journal.Row)
}

func (j *spiedJournal) Commit(ctx context.Context, b *journal.Batch) error {
	err := j.Journal.Commit(ctx, b)
	if err == nil {
		j.committed(b.Rows)
	}
	return err
}

// versionsIn returns the numbers of the market's versions that rows keep.
func versionsIn(rows []journal.Row) (numbers []uint64) {
	for _, row := range rows {
		if row.Table == journal.Learned && row.Key[0] == 'm' && row.Value != nil {
			numbers = append(numbers, binary.BigEndian.Uint64(row.Key[1:]))
		}
	}
	return numbers
}

// TestNoTwoMarketsHaveOneVersion: a version is durable before searches use it, also when the last one cannot be read.
func TestNoTwoMarketsHaveOneVersion(t *testing.T) {
	m := openTill(t, func(c *Config) {
		manual(c)
		c.SwapPPM = 10_000
	})
	fill(t, m.Exchange, campaign("c"), place("l", hub))
	var durable sync.Map // versions
	spy := func(rows []journal.Row) {
		for _, number := range versionsIn(rows) {
			durable.Store(number, true)
		}
	}
	m.stop()
	m.Journal = &spiedJournal{m.Journal, spy}
	m.change = func(c *Config) {
		manual(c)
		c.SwapPPM, c.Market.Increment = 10_000, 1 // other rules of the operator: a new version before the first search
	}
	m.start()
	check := func() uint64 {
		t.Helper()
		version := m.indexer.Snapshot().MarketVersion()
		if _, is := durable.Load(version); !is {
			t.Errorf("version %d is in force, and no crash may forget it", version)
		}
		return version
	}
	first := check()
	for range 8 {
		m.look(40, 4)
		m.pass(time.Hour / 4)
		if err := m.Step(ctx); err != nil {
			t.Fatal(err)
		}
		check()
	}
	last := check()
	if last == first {
		t.Fatal("no version was learned")
	}
	m.stop()
	rows := rowsOf(t, m.Journal, journal.Learned)
	for _, row := range rows {
		if row.Key[0] == 'm' && binary.BigEndian.Uint64(row.Key[1:]) == last {
			row.Value = []byte("damaged")
			m.Journal = &damagedJournal{m.Journal, row}
		}
	}
	durable.Clear()
	m.change = manual // the rules of before
	m.start()
	if version := check(); version <= last {
		t.Errorf("version %d comes after version %d", version, last)
	}
}
