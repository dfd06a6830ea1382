package benchmarks

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
)

// BudgetSize is the size of a measurement of budgets.
type BudgetSize struct {
	Campaigns int // of a market
	Spent     int // of them have a budget that is charged whole at once
	Searches  int // before a midnight
	Charges   int // beside edits
	Lone      int // campaigns that are brought back one by one
	Rounds    int
}

// QuickBudgets is what the goals are about.
var QuickBudgets = BudgetSize{Campaigns: 200_000, Spent: 50_000, Searches: 50_000, Charges: 500, Lone: 100, Rounds: 3}

const (
	tillDay   = hexbid.Money(1_000_000_000_000) // a daily budget that the awards of a round do not fill
	tillSlots = 3
)

// Budgets measures how fast budgets come into force in the auction: from a durable charge until a campaign is out,
// beside 10,000 edits a second; from a top-up or a raised budget until a search finds the campaign again; and from a
// midnight until the campaigns are back that had spent their day, spread over the cities and all over one point.
//
// It says on progress what it has done, with how long that took.
func Budgets(w *Workload, dir string, size BudgetSize, progress func(string)) (map[string]Spread, error) {
	defer useMemoryAsServer()()
	all := map[string]Spread{}
	for _, onePoint := range []bool{false, true} {
		over := map[bool]string{false: "cities", true: "point"}[onePoint]
		m := &budgetMarket{BudgetSize: size, steps: steps{tell: progress, began: time.Now(), of: over}}
		err := m.open(w, filepath.Join(dir, "budgets-"+over), onePoint)
		if err != nil {
			return all, err
		}
		m.done("market made")
		some, err := m.measure(over)
		if err = errors.Join(err, m.close()); err != nil {
			return all, fmt.Errorf("over %s: %w", over, err)
		}
		maps.Copy(all, some)
	}
	return all, nil
}

// budgetMarket is a market whose campaigns are drawn by their number.
type budgetMarket struct {
	*till
	BudgetSize
	steps
	campaign func(i int) *hexbid.Campaign
	requests []*hexbid.Request
	spent    []buyer // the campaigns with a budget
	lone     []buyer // campaigns each with an advertiser of its own, far from all others
}

// steps tells of the steps of a measurement, with how long each took.
type steps struct {
	tell  func(string)
	of    string
	began time.Time // the present step
}

// done ends a step.
func (s *steps) done(step string) {
	now := time.Now()
	s.tell(fmt.Sprintf("budgets over %s: %s in %.1f s", s.of, step, now.Sub(s.began).Seconds()))
	s.began = now
}

// open makes a market of campaigns spread over the cities, or all over DensePoint, where viewers then are too.
func (m *budgetMarket) open(w *Workload, dir string, onePoint bool) (err error) {
	if m.till, err = openTill(dir); err != nil {
		return err
	}
	m.campaign = func(i int) *hexbid.Campaign {
		c := w.Campaign(i)
		if c.DailyBudget = 1000 * tillDay; i < m.Spent {
			c.DailyBudget = tillDay
		}
		if onePoint {
			c.Area.Circles[0] = hexbid.Circle{Center: DensePoint, RadiusM: 1000 + float64(i%1000)}
		}
		return c
	}
	for i := range distinctRequests {
		r := w.Request(i, tillSlots, 0)
		if onePoint {
			r.Point = DensePoint
		}
		m.requests = append(m.requests, r)
	}
	if err := errors.Join(m.fill(w), m.fillLone()); err != nil {
		return errors.Join(err, m.close())
	}
	return nil
}

// fill imports the campaigns with what they need.
func (m *budgetMarket) fill(w *Workload) error {
	var owners, programs, campaigns []hexbid.Resource
	for i := range m.Campaigns / w.anOwner {
		advertiser, program, _ := w.Owner(i)
		owners, programs = append(owners, advertiser), append(programs, program)
	}
	ownerUIDs, err := m.put(owners)
	if err == nil {
		_, err = m.put(programs)
	}
	if err != nil {
		return err
	}
	for i := range m.Campaigns {
		campaigns = append(campaigns, m.campaign(i))
	}
	uids, err := m.put(campaigns)
	if err != nil {
		return err
	}
	for i, uid := range uids[:m.Spent] {
		m.spent = append(m.spent, buyer{uid, ownerUIDs[i/w.anOwner]})
	}
	return nil
}

// lonePoint is where the i-th lone campaign is: on the ocean.
func lonePoint(i int) hexbid.Point { return hexbid.Point{Lat: -50, Lng: -140 + float64(i)/2} }

func loneCampaign(i int, dailyBudget hexbid.Money) *hexbid.Campaign {
	owner := fmt.Sprintf("advertisers/lone%d", i)
	return &hexbid.Campaign{Meta: hexbid.Meta{Name: owner + "/campaigns/c"}, DisplayName: "c",
		Program: owner + "/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: dailyBudget,
		Area: hexbid.Area{Circles: []hexbid.Circle{{Center: lonePoint(i), RadiusM: 2000}}}}
}

// fillLone imports the lone campaigns.
func (m *budgetMarket) fillLone() error {
	for i := range m.Lone {
		c := loneCampaign(i, tillDay)
		owner, _ := hexbid.ParseName(c.Name)
		uids, err := m.put([]hexbid.Resource{
			&hexbid.Advertiser{Meta: hexbid.Meta{Name: owner.Owner().String()}, DisplayName: "lone"},
			&hexbid.Program{Meta: hexbid.Meta{Name: c.Program}, DisplayName: "lone", Category: hexbid.Catering,
				Hosts: []hexbid.Host{hexbid.WeChat}}, c})
		if err != nil {
			return err
		}
		m.lone = append(m.lone, buyer{uids[2], uids[0]})
	}
	return nil
}

// measure measures a market. Over one point it measures midnights alone.
func (m *budgetMarket) measure(over string) (map[string]Spread, error) {
	return Rounds(m.Rounds, func() (Figures, error) {
		figures, err := m.midnight()
		for name, f := range figures {
			delete(figures, name)
			figures[name+"_"+over] = f
		}
		if err != nil || over != "cities" {
			return figures, err
		}
		for _, measure := range []func(Figures) error{m.chargesBesideEdits, m.returns} {
			if err := measure(figures); err != nil {
				return figures, err
			}
		}
		return figures, nil
	})
}

// midnight measures how long the campaigns take to come back that had spent their day, and compares searches meanwhile
// with searches just before.
func (m *budgetMarket) midnight() (Figures, error) {
	err := m.charge(m.spent, tillDay)
	if err == nil {
		err = m.awaitAll(m.spent, true)
	}
	if err == nil {
		err = m.leaveLists()
	}
	if err != nil {
		return nil, err
	}
	m.done("day spent")
	before, err := m.searches(func(n int) bool { return n < m.Searches })
	if err != nil {
		return nil, err
	}
	m.done("searches before midnight")
	m.pass(24 * time.Hour)
	began := time.Now()
	var took time.Duration
	back := make(chan error, 1)
	var over atomic.Bool
	go func() {
		err := m.awaitAll(m.spent, false)
		took = time.Since(began)
		over.Store(true)
		back <- err
	}()
	meanwhile, err := m.searches(func(n int) bool { return !over.Load() })
	if err = errors.Join(err, <-back); err != nil {
		return nil, err
	}
	m.done("midnight")
	return Figures{"midnight_s": took.Seconds(), "midnight_search_p99_ratio": meanwhile / before,
		"midnight_search_p99_us": meanwhile / 1e3}, nil
}

// searches searches without pause for as long as goOn says, and returns the p99 in nanoseconds.
func (m *budgetMarket) searches(goOn func(n int) bool) (float64, error) {
	var took []time.Duration
	for n := 0; goOn(n); n++ {
		started := time.Now()
		if _, err := m.search(m.requests[n%len(m.requests)]); err != nil {
			return 0, err
		}
		took = append(took, time.Since(started))
	}
	_, p99 := quantiles(took)
	return p99, nil
}

// Edits come in calls of editsACall, and a call is due every editsEvery: 10,000 a second. At most editsAtOnce calls are
// under way.
const (
	editsACall  = 100
	editsEvery  = 10 * time.Millisecond
	editsAtOnce = 16
)

// editUntil changes bids until stop is set. It returns the rate that it reached.
func (m *budgetMarket) editUntil(stop *atomic.Bool) (perSecond float64, err error) {
	var calls sync.WaitGroup
	var edited atomic.Int64
	failed := make(chan error, editsAtOnce)
	free := make(chan struct{}, editsAtOnce)
	started := time.Now()
	for n := 0; !stop.Load(); n++ {
		time.Sleep(time.Until(started.Add(time.Duration(n) * editsEvery)))
		free <- struct{}{}
		calls.Go(func() {
			defer func() { <-free }()
			if _, err := m.put(m.someEdits(n)); err != nil {
				select {
				case failed <- err:
				default:
				}
				return
			}
			edited.Add(editsACall)
		})
	}
	calls.Wait()
	lasted := time.Since(started)
	close(failed)
	for err = range failed {
		break
	}
	return float64(edited.Load()) / lasted.Seconds(), err
}

// someEdits returns the n-th call's campaigns with other bids.
func (m *budgetMarket) someEdits(n int) []hexbid.Resource {
	edits := make([]hexbid.Resource, editsACall)
	for i := range edits {
		c := m.campaign((n*editsACall + i) % m.Campaigns)
		c.Bid = 500_000 + hexbid.Money((n*7919+i*104_729)%2_000_000)
		edits[i] = c
	}
	return edits
}

// chargesBesideEdits measures the time from a durable charge that exhausts a budget until the campaign is out.
func (m *budgetMarket) chargesBesideEdits(figures Figures) error {
	var stop atomic.Bool
	type outcome struct {
		perSecond float64
		err       error
	}
	editing := make(chan outcome, 1)
	go func() {
		perSecond, err := m.editUntil(&stop)
		editing <- outcome{perSecond, err}
	}()
	took := make([]time.Duration, m.Charges)
	var err error
	for i := range took {
		time.Sleep(time.Duration(i*7919%20) * time.Millisecond) // at any moment between publications
		if err = m.charge(m.spent[i:i+1], tillDay); err != nil {
			break
		}
		durable := time.Now()
		for !m.isOut(m.spent[i].campaign) && time.Since(durable) < time.Minute {
			time.Sleep(100 * time.Microsecond)
		}
		took[i] = time.Since(durable)
	}
	stop.Store(true)
	edits := <-editing
	figures["charge_out_edits_per_s"] = edits.perSecond
	p50, p99 := quantiles(took)
	figures["charge_out_p50_ms"], figures["charge_out_p99_ms"] = p50/1e6, p99/1e6
	figures["charge_out_max_ms"] = took[len(took)-1].Seconds() * 1e3
	m.done("charges beside edits")
	return errors.Join(err, edits.err)
}

// returns measures the time from a top-up, and from a raised budget, until a search finds a campaign again that had
// left the lists.
func (m *budgetMarket) returns(figures Figures) error {
	for i := 0; i < len(m.lone) && m.moved < len(m.lone); i++ { // a later round finds as much left of the round before
		if err := m.topUp(m.lone[i].advertiser, tillDay); err != nil {
			return err
		}
	}
	if err := m.outAndGone(); err != nil {
		return err
	}
	m.pass(24 * time.Hour) // so that it is the balance alone that ends
	topUp := func(i int) error { return m.topUp(m.lone[i].advertiser, 2*tillDay) }
	if err := m.back(figures, "topup_back", topUp); err != nil {
		return err
	}
	if err := m.outAndGone(); err != nil {
		return err
	}
	err := m.back(figures, "raised_back", func(i int) error {
		_, err := m.put([]hexbid.Resource{loneCampaign(i, 2*tillDay)})
		return err
	})
	if err != nil {
		return err
	}
	var as []hexbid.Resource // they were
	for i := range m.lone {
		as = append(as, loneCampaign(i, tillDay))
	}
	_, err = m.put(as)
	m.done("top-ups and raised budgets")
	return err
}

// outAndGone exhausts the lone campaigns and lets them leave the lists.
func (m *budgetMarket) outAndGone() error {
	if err := m.charge(m.lone, tillDay); err != nil {
		return err
	}
	if err := m.awaitAll(m.lone, true); err != nil {
		return err
	}
	return m.leaveLists()
}

// back brings the lone campaigns back one by one, and measures how long each takes until a search finds it.
func (m *budgetMarket) back(figures Figures, name string, bring func(i int) error) error {
	took := make([]time.Duration, len(m.lone))
	for i := range m.lone {
		r := &hexbid.Request{Point: lonePoint(i), RadiusM: hexbid.DefaultRadiusM, Slots: 1, Host: hexbid.WeChat,
			Scene: hexbid.NearbyList, Viewer: hexbid.Viewer{UserKey: "u", Age: 30, OS: hexbid.IOS}}
		found, err := m.search(r)
		if err == nil && found > 0 {
			err = fmt.Errorf("lone campaign %d is not out", i)
		}
		if err = errors.Join(err, bring(i)); err != nil {
			return err
		}
		done := time.Now()
		for found == 0 && err == nil {
			found, err = m.search(r)
		}
		if err != nil {
			return err
		}
		took[i] = time.Since(done)
	}
	p50, p99 := quantiles(took)
	figures[name+"_p50_ms"], figures[name+"_p99_ms"] = p50/1e6, p99/1e6
	figures[name+"_max_ms"] = slices.Max(took).Seconds() * 1e3
	return nil
}
