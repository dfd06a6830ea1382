package exchange

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// learner is the part of delivery that learns the quality of campaigns. Events teach it, and awards alone do not: only
// what was seen can have been clicked.
type learner struct {
	indexer *bidder.Indexer
	ledger  *ledger.Ledger
	slots   *positions

	mu     sync.Mutex // guards the fields below; no search takes it
	book   *quality.Book
	sample *quality.Sample
	shares *clickShares // that the book has, with the distances of a version of the market
	market uint64
}

const (
	learnerLetter = 'q'
	// programsAStep bounds the programs that are handed in at a time.
	programsAStep = 1000
)

func newLearner(e *Exchange) *learner {
	life := e.config.ClickExpiry
	return &learner{indexer: e.indexer, ledger: e.config.Ledger, slots: e.positions, book: quality.NewBook(life),
		sample: quality.NewSample(life)}
}

func (*learner) letter() byte { return learnerLetter }

func (*learner) owner() bidder.Owner { return bidder.OwnerQuality }

func (l *learner) restore(latest time.Time, key, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.Restore(latest.UnixMilli(), key[1:], value)
}

// opened returns the quality of all campaigns with evidence. It hands in that of their programs itself.
func (l *learner) opened(now time.Time) []bidder.LiveUpdate {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setTables()
	l.book.Restored(now.UnixMilli())
	campaigns, programs := l.book.All()
	for some := range slices.Chunk(programs, bidder.MaxLiveUpdates) {
		_ = l.indexer.HandInProgramsFirst(programUpdates(some)) // the book has no quality that is out of range
	}
	return qualityUpdates(campaigns)
}

// teaches reports whether an event of an outcome tells something of people. Filtered ones are not of people.
func teaches(outcome hexbid.EventOutcome) bool {
	switch outcome {
	case hexbid.EventRecorded, hexbid.EventCharged, hexbid.EventBudgetExhausted, hexbid.EventBeyondCap:
		return true
	}
	return false
}

// happened counts impressions, and clicks on impressions that were counted. A click that implies its impression is left
// out with it: nobody knows how many impressions its client leaves out that had no click.
func (l *learner) happened(e *happening) {
	if !teaches(e.outcome) || e.implied || e.Kind != hexbid.Impression && e.Kind != hexbid.Click {
		return
	}
	show, at, name := l.show(e.Award), e.at.UnixMilli(), hashOf(&e.Name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if show.Program == 0 { // the campaign is deleted; the book may know it
		var known bool
		if show.Subject, known = l.book.Subject(e.Award.Campaign); !known {
			return
		}
	}
	if e.Kind == hexbid.Impression {
		l.book.Seen(at, &show)
		l.sample.Seen(name, at)
		return
	}
	l.book.Clicked(at, &show)
	if delay, known := l.sample.Clicked(name, at); known {
		l.book.Delayed(at, delay)
	}
}

// show describes a result that was seen.
func (l *learner) show(a *token.Award) quality.Show {
	snapshot := l.indexer.Snapshot()
	program, prior, _ := snapshot.PriorOf(a.Campaign)
	category, _ := snapshot.CategoryOf(a.Campaign)
	return quality.Show{
		Subject: quality.Subject{Campaign: a.Campaign, Program: program, PriorPPM: prior, Category: category},
		Setting: l.slots.settingOf(a), Host: a.Host, Scene: a.Scene, PredictedPPM: a.Basis.QualityPPM,
		ScenePPM: factor(a.Prediction.ScenePPM), DistancePPM: factor(a.Prediction.DistancePPM), Explored: a.Explored}
}

// setTables has the book weigh all evidence by what is known of slots at present, and by the distances that searches
// use.
func (l *learner) setTables() {
	snapshot, shares := l.indexer.Snapshot(), l.slots.shares.Load()
	if shares == l.shares && snapshot.MarketVersion() == l.market {
		return
	}
	l.shares, l.market = shares, snapshot.MarketVersion()
	l.book.SetTables(&quality.Tables{Shares: *shares, Distances: *snapshot.Distances()})
}

// factor is a factor of a token, of which earlier formats have none.
func factor(ppm int64) int64 {
	if ppm <= 0 {
		return quality.PPM
	}
	return ppm
}

// hashOf returns a number by which the events of a token find each other.
func hashOf(name *token.Name) uint64 {
	return name.Sequence ^ binary.LittleEndian.Uint64(name.Issuer[:8])*0x9E3779B97F4A7C15
}

// value hands in programs, and returns the campaigns whose quality has changed.
func (l *learner) value(ctx context.Context, now time.Time, room int) ([]bidder.LiveUpdate, error) {
	l.mu.Lock()
	at := now.UnixMilli()
	factors := quality.SceneFactors(l.indexer.Snapshot().SceneFactors())
	l.book.SetSceneFactors(at, &factors)
	l.setTables()
	l.book.Step(at)
	campaigns, programs := l.book.Take(at, room), l.book.TakePrograms(programsAStep)
	l.mu.Unlock()
	if len(programs) > 0 {
		if err := l.indexer.HandInPrograms(ctx, programUpdates(programs)); err != nil {
			return nil, err
		}
	}
	return qualityUpdates(campaigns), nil
}

// learn states the factors of host and scene, once there is evidence of some campaign.
func (l *learner) learn(to *bidder.Learned) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if campaigns, _ := l.book.Size(); campaigns > 0 {
		factors := l.book.SceneFactors(l.ledger.Now().UnixMilli())
		to.SceneFactorPPM = (*bidder.SceneFactors)(&factors)
	}
}

// estimate returns what is thought of a campaign at an instant, false for one without evidence.
func (l *learner) estimate(now time.Time, campaign hexbid.UID) (quality.Estimate, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.Estimate(now.UnixMilli(), campaign)
}

func (l *learner) rows() []journal.Row {
	l.mu.Lock()
	defer l.mu.Unlock()
	learned := l.book.Rows()
	rows := make([]journal.Row, len(learned))
	for i, r := range learned {
		rows[i] = journal.Row{Table: journal.Learned, Key: append([]byte{learnerLetter}, r.Key...), Value: r.Value}
	}
	return rows
}

func qualityUpdates(estimates []quality.Estimate) []bidder.LiveUpdate {
	updates := make([]bidder.LiveUpdate, len(estimates))
	for i, e := range estimates {
		updates[i] = bidder.LiveUpdate{Campaign: e.Of, QualityPPM: e.PPM, ExploredPPM: e.ExploredPPM}
		if e.HasNoneAnyMore {
			updates[i] = bidder.LiveUpdate{Campaign: e.Of, Withdrawn: true}
		}
	}
	return updates
}

func programUpdates(estimates []quality.Estimate) []bidder.ProgramUpdate {
	updates := make([]bidder.ProgramUpdate, len(estimates))
	for i, e := range estimates {
		updates[i] = bidder.ProgramUpdate{Program: e.Of, QualityPPM: e.PPM, ExploredPPM: e.ExploredPPM}
		if e.HasNoneAnyMore {
			updates[i] = bidder.ProgramUpdate{Program: e.Of, Withdrawn: true}
		}
	}
	return updates
}

// Quality is how well clicks are predicted, for the operator's metrics.
type Quality struct {
	Campaigns, Programs int                // with evidence
	Deciles             [10]quality.Decile // of impressions, by predicted quality
}

// Quality returns how well clicks are predicted, nothing in a market without a ledger.
func (e *Exchange) Quality() (q Quality) {
	if e.learner == nil {
		return q
	}
	e.learner.mu.Lock()
	defer e.learner.mu.Unlock()
	q.Campaigns, q.Programs = e.learner.book.Size()
	q.Deciles = e.learner.book.Calibration(e.config.Ledger.Now().UnixMilli())
	return q
}
