package exchange

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hexbid/hexbid/bidder"
)

// auctionSample holds a random sample of the auctions of the last hour, without their viewers, in memory alone. A
// change of the market is forecast from it. It has the auctions of each minute whose requests have the lowest hashes
// (Vitter 1985 keeps a random sample by a draw; a hash draws the same way in a replay). With sampleMinutes times
// sampleAMinute auctions of half a kilobyte it takes two megabytes at most.
//
// A search counts and compares one number. It takes the lock of the minute only if its auction enters the sample. Of n
// auctions a minute some sampleAMinute·(1 + ln(n/sampleAMinute)) do: 650 of 600,000.
type auctionSample struct{ minutes [sampleMinutes]sampleMinute }

const (
	sampleMinutes = 60
	sampleAMinute = 64
)

// sampleMinute is the sample of one minute, and of the same minute of the hours before until a search resets it.
type sampleMinute struct {
	minute   atomic.Int64  // since 1970
	auctions atomic.Uint64 // of the minute
	bound    atomic.Uint64 // auctions with this hash or a higher one do not enter

	mu   sync.Mutex // guards the field below
	kept []keptAuction
}

type keptAuction struct {
	hash    uint64
	auction bidder.SampledAuction
}

// offer counts an auction of a minute, and takes it into the sample if its hash is low enough. write writes it down.
func (s *auctionSample) offer(minute int64, hash uint64, write func(*bidder.SampledAuction)) {
	m := &s.minutes[minute%sampleMinutes]
	if m.minute.Load() != minute {
		m.turn(minute)
	}
	m.auctions.Add(1)
	if hash < m.bound.Load() {
		m.keep(minute, hash, write)
	}
}

// turn forgets an earlier minute.
func (m *sampleMinute) turn(minute int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.minute.Load() == minute {
		return
	}
	m.kept = m.kept[:0]
	m.auctions.Store(0)
	m.bound.Store(math.MaxUint64)
	m.minute.Store(minute)
}

// keep takes an auction into the sample, in place of the one with the highest hash when the minute has its number.
func (m *sampleMinute) keep(minute int64, hash uint64, write func(*bidder.SampledAuction)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.minute.Load() != minute {
		return
	}
	at := len(m.kept)
	if at < sampleAMinute {
		m.kept = append(m.kept, keptAuction{})
	} else if at = m.highest(); m.kept[at].hash <= hash {
		return
	}
	m.kept[at].hash = hash
	write(&m.kept[at].auction)
	if len(m.kept) == sampleAMinute {
		m.bound.Store(m.kept[m.highest()].hash)
	}
}

// highest returns the index of the auction with the highest hash.
func (m *sampleMinute) highest() (at int) {
	for i := range m.kept {
		if m.kept[i].hash > m.kept[at].hash {
			at = i
		}
	}
	return at
}

// minuteSample is a copy of a minute's sample.
type minuteSample struct {
	auctions uint64 // of the minute, sampled or not
	sampled  []bidder.SampledAuction
}

// lastHour copies the samples of the hour that ends with a minute.
func (s *auctionSample) lastHour(minute int64) (hour []minuteSample) {
	for i := range s.minutes {
		m := &s.minutes[i]
		m.mu.Lock()
		of := m.minute.Load()
		if of > minute-sampleMinutes && of <= minute && len(m.kept) > 0 {
			copied := minuteSample{auctions: max(m.auctions.Load(), uint64(len(m.kept)))}
			inOrder := slices.Clone(m.kept)
			slices.SortFunc(inOrder, func(a, b keptAuction) int { return cmp.Compare(a.hash, b.hash) })
			for j := range inOrder {
				copied.sampled = append(copied.sampled, inOrder[j].auction)
			}
			hour = append(hour, copied)
		}
		m.mu.Unlock()
	}
	return hour
}

// minuteOf returns the minute of a search, since 1970.
func (s *searching) minuteOf() int64 { return s.out.EvaluatedAt.Unix() / 60 }

// sample offers the auction that has just run to the sample.
func (s *searching) sample() {
	minute, hash := s.minuteOf(), s.query.Ties.SampleHash()
	s.market.sample.offer(minute, hash, func(a *bidder.SampledAuction) {
		s.snapshot.SampleInto(a, &s.query, s.query.At.Cell.Parent(tokenResolution), &s.scratch.bidder)
	})
}
