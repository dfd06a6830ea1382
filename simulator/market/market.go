// Package market runs the real exchange in virtual time, with people who search, look and click by a true model that
// the exchange does not know. Store, ledger and keys are the real ones, in memory. So a proof can compare what the
// market has learned with the truth, and a day takes seconds.
//
// Everything follows from the seed: equal seeds give equal markets, event by event. The package sleeps nowhere and
// reads no clock of the machine.
package market

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// People are who searches, looks and clicks: the truth of a simulation. Its methods draw from the given source alone.
type People interface {
	// Rate returns how many searches a second begin at an instant.
	Rate(at time.Time) float64
	// Search draws a request. Its ClientID reports what happens with the results.
	Search(r *rand.Rand, at time.Time) *hexbid.Request
	// React draws what the person who searched does with a result.
	React(r *rand.Rand, q *hexbid.Request, s *exchange.Sponsored) Reaction
}

// Reaction is what a person does with a result, and how long after the search its client reports it. A click that is
// not reported later than its impression implies it.
type Reaction struct {
	Seen, Clicked           bool
	SeenAfter, ClickedAfter time.Duration
}

// Config holds the settings of a market.
type Config struct {
	Seed   uint64
	Start  time.Time
	People People
	// Every is the virtual time between two steps of the exchange, a second if it is 0. In between nothing is learned.
	Every time.Duration
	// Change alters exchange.DefaultConfig, whose time budgets never end here; nil changes nothing.
	Change func(*exchange.Config)
	// Searched is called with each answer to a search, and Answered with each answer to an event; nil is not called.
	Searched func(*hexbid.Request, *exchange.Response)
	Answered func(*Event, *hexbid.EventResult)
}

// Event is something that a person did with a result.
type Event struct {
	Kind    hexbid.EventKind
	Of      exchange.Sponsored
	Request *hexbid.Request
	at      time.Time
	number  int // events of one instant happen in the order in which they were drawn
}

// Market is a running simulation. One goroutine uses it.
type Market struct {
	Exchange *exchange.Exchange
	Ledger   *ledger.Ledger
	Store    *store.Memory
	config   Config
	keys     *token.Keys
	folder   string // of the keys
	journal  journal.Journal
	random   *rand.Rand
	ids      *rand.Rand // of requests
	now      time.Time
	events   events // to come
	drawn    int    // events so far
}

// Context is whom the simulation calls the exchange for.
var Context = hexbid.WithPrincipal(context.Background(), hexbid.Principal{Role: hexbid.System, ID: "simulation",
	Origin: hexbid.InProcess})

// Open opens an empty market. Close it after use.
func Open(config Config) (m *Market, err error) {
	if config.Every == 0 {
		config.Every = time.Second
	}
	m = &Market{config: config, Store: store.NewMemory(), journal: journal.NewMemory(), now: config.Start,
		random: rand.New(rand.NewPCG(config.Seed, 1)), ids: rand.New(rand.NewPCG(config.Seed, 2))}
	if m.folder, err = os.MkdirTemp("", "hexbid-market"); err != nil {
		return nil, err
	}
	m.keys, err = token.OpenKeys(token.Source{Path: filepath.Join(m.folder, "keys")})
	if err == nil {
		err = m.open()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(m.folder))
	}
	return m, nil
}

// open opens ledger and exchange over what is stored.
func (m *Market) open() (err error) {
	start, quiet := m.now, slog.New(slog.DiscardHandler)
	m.Ledger, err = ledger.Open(Context, ledger.Options{Journal: m.journal, Wall: m.Now, Log: quiet,
		Monotonic: func() time.Duration { return m.now.Sub(start) }})
	if err != nil {
		return err
	}
	c := exchange.DefaultConfig()
	c.Manual, c.Clock, c.Stopwatch, c.Log, c.Ledger, c.Currency = true, m.Now, m.Now, quiet, m.Ledger, "CNY"
	c.AuctionBudget, c.NearbyBudget = 1<<62, 1<<62
	c.RequestID = func() string { return fmt.Sprintf("%016x", m.ids.Uint64()) }
	if m.config.Change != nil {
		m.config.Change(&c)
	}
	if m.Exchange, err = exchange.Open(Context, c, m.Store, m.keys); err != nil {
		return errors.Join(err, m.Ledger.Close())
	}
	return nil
}

// Restart closes the exchange and its ledger in order, and opens them anew on what they have stored.
func (m *Market) Restart() error {
	m.Exchange.Close()
	if err := m.Ledger.Close(); err != nil {
		return err
	}
	return m.open()
}

// Close ends the market.
func (m *Market) Close() error {
	m.Exchange.Close()
	return errors.Join(m.Ledger.Close(), os.RemoveAll(m.folder))
}

// Now returns the virtual time.
func (m *Market) Now() time.Time { return m.now }

// Put stores resources, whether or not they are there already.
func (m *Market) Put(resources ...hexbid.Resource) error {
	for i, o := range m.Exchange.Import(Context, resources, false) {
		if o.Err != nil {
			return fmt.Errorf("%s: %w", resources[i].Metadata().Name, o.Err)
		}
	}
	return nil
}

// Run lets time pass: people search, look and click, and the exchange steps every Config.Every. What they still do
// after the end happens in the next call.
func (m *Market) Run(d time.Duration) error {
	for end := m.now.Add(d); m.now.Before(end); {
		next := m.now.Add(min(m.config.Every, end.Sub(m.now)))
		if err := m.pass(next); err != nil {
			return err
		}
		if err := m.Exchange.Step(Context); err != nil {
			return err
		}
	}
	return nil
}

// pass lets people do what they do until an instant.
func (m *Market) pass(until time.Time) error {
	for _, at := range m.searches(until) {
		if err := m.happen(at); err != nil {
			return err
		}
		m.now = at
		if err := m.search(); err != nil {
			return err
		}
	}
	if err := m.happen(until); err != nil {
		return err
	}
	m.now = until
	return nil
}

// searches draws the instants until another at which people search: a Poisson process.
func (m *Market) searches(until time.Time) (at []time.Time) {
	length := until.Sub(m.now)
	expected := m.config.People.Rate(m.now) * length.Seconds()
	for sum := m.random.ExpFloat64(); sum < expected; sum += m.random.ExpFloat64() {
		at = append(at, m.now.Add(time.Duration(m.random.Float64()*float64(length))))
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// search answers one search, and draws what happens with its results.
func (m *Market) search() error {
	request := m.config.People.Search(m.random, m.now)
	response, err := m.Exchange.Search(Context, request, time.Now())
	if err != nil {
		return err
	}
	if m.config.Searched != nil {
		m.config.Searched(request, response)
	}
	for i := range response.Sponsored {
		of := response.Sponsored[i]
		reaction := m.config.People.React(m.random, request, &of)
		if reaction.Seen {
			m.plan(Event{Kind: hexbid.Impression, Of: of, Request: request, at: m.now.Add(reaction.SeenAfter)})
		}
		if reaction.Clicked {
			m.plan(Event{Kind: hexbid.Click, Of: of, Request: request, at: m.now.Add(reaction.ClickedAfter)})
		}
	}
	return nil
}

func (m *Market) plan(e Event) {
	m.drawn++
	e.number = m.drawn
	heap.Push(&m.events, e)
}

// happen reports the events up to an instant, each at its own.
func (m *Market) happen(until time.Time) error {
	for len(m.events) > 0 && !m.events[0].at.After(until) {
		e := heap.Pop(&m.events).(Event)
		m.now = e.at
		results, err := m.Exchange.RecordEvents(Context, &hexbid.EventReport{ClientID: e.Request.ClientID,
			Events: []hexbid.Event{{Kind: e.Kind, Token: e.Of.Token, ID: fmt.Sprint(e.number)}}})
		if err != nil {
			return err
		}
		if m.config.Answered != nil {
			m.config.Answered(&e, &results[0])
		}
	}
	return nil
}

// events is a heap of what is still to happen.
type events []Event

// Len implements heap.Interface.
func (e events) Len() int { return len(e) }

// Swap implements heap.Interface.
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Less implements heap.Interface: the earliest event first.
func (e events) Less(i, j int) bool {
	if e[i].at.Equal(e[j].at) {
		return e[i].number < e[j].number
	}
	return e[i].at.Before(e[j].at)
}

// Push implements heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(Event)) }

// Pop implements heap.Interface.
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
