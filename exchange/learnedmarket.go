package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/outstanding"
)

// learnedMarket puts what is learned of all campaigns alike into force, each hour that changes it, as a version of the
// market. It keeps the versions, so that a start goes on with the last one and a receipt's version can be looked up.
type learnedMarket struct {
	operator *bidder.Market
	indexer  *bidder.Indexer
	learn    []func(*bidder.Learned) // by other parts: each states what it has learned
	keep     func([]journal.Row) error
	versions []uint64 // that are kept, in order
	inForce  marketVersion
	due      time.Time     // when the next version may come into force
	unkept   []journal.Row // that could not be kept yet
}

// marketVersion is a version of the market, as kept.
type marketVersion struct {
	number   uint64         // in the key
	Since    time.Time      `json:"since"`
	Operator string         `json:"operator"` // fingerprint of the operator's own rules
	Learned  bidder.Learned `json:"learned"`
}

const (
	// marketEvery spaces versions of the market.
	marketEvery = time.Hour
	// mostMarkets is how many versions are kept: six weeks of new ones each hour.
	mostMarkets = 1000
	// mostVersion leaves numbers for later versions.
	mostVersion = 1 << 62
	// leastChange is the part of a factor by which it must change to be worth a version.
	leastChange = 0.001
)

func newLearnedMarket(e *Exchange, learn ...func(*bidder.Learned)) *learnedMarket {
	return &learnedMarket{operator: &e.config.Market, indexer: e.indexer, learn: learn,
		keep: func(rows []journal.Row) error { return keepLearned(e.config.Ledger, rows) }}
}

// rulesOf returns a fingerprint of the operator's rules.
func rulesOf(m *bidder.Market) string {
	rules := *m
	rules.Version = 0
	text, err := json.Marshal(&rules)
	if err != nil {
		panic(err) // rules are numbers and texts
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func (m *learnedMarket) letter() byte { return 'm' }

// owner is of no matter: nothing is handed in about single campaigns.
func (m *learnedMarket) owner() bidder.Owner { return bidder.OwnerQuality }

func (m *learnedMarket) awarded(*outstanding.Award, int64) {}

func (m *learnedMarket) happened(*happening) {}

// restore takes in a version. The number of one that cannot be read counts all the same, for tokens may name it: no
// later version gets it.
func (m *learnedMarket) restore(latest time.Time, key, value []byte) error {
	if len(key) != 9 {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "a key of %d bytes is of no version of the market", len(key))
	}
	v := marketVersion{number: binary.BigEndian.Uint64(key[1:])}
	if v.number > mostVersion {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "%d is no number of a version of the market", v.number)
	}
	m.versions = append(m.versions, v.number)
	if err := json.Unmarshal(value, &v); err != nil {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "a row of %d bytes is no version of the market", len(value))
	}
	if v.Since.After(latest) {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "version %d of the market is of later than now", v.number)
	}
	if operator := m.operator.With(&v.Learned, max(v.number, 1)); operator.Validate() != nil {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "version %d of the market has factors that no auction takes",
			v.number)
	}
	m.inForce = v
	return nil
}

// opened goes on with the last version, or with a new one if the operator's rules are others now.
func (m *learnedMarket) opened(now time.Time) []bidder.LiveUpdate {
	if print := rulesOf(m.operator); m.inForce.Operator != print {
		m.inForce.Operator = print
		m.begin(max(m.next(), m.operator.Version), now)
	}
	m.due = now.Truncate(marketEvery).Add(marketEvery)
	// restore has checked the factors.
	_ = m.indexer.SetLearnedFirst(m.operator, &m.inForce.Learned, m.inForce.number)
	return nil
}

// next returns a number that no version has had.
func (m *learnedMarket) next() uint64 {
	if last := len(m.versions) - 1; last >= 0 {
		return m.versions[last] + 1
	}
	return m.inForce.number + 1
}

// begin makes the version in force another one, and keeps it. That comes before searches use it: the row is then in the
// journal before any record that names the version, so that no crash lets another version have its number.
func (m *learnedMarket) begin(number uint64, now time.Time) {
	m.inForce.number, m.inForce.Since = number, now.UTC()
	value, err := json.Marshal(&m.inForce)
	if err != nil {
		panic(err) // a version has numbers and texts alone
	}
	m.versions = append(m.versions, number)
	m.unkept = append(m.unkept, journal.Row{Table: journal.Learned, Key: m.key(number), Value: value})
	for len(m.versions) > mostMarkets {
		m.unkept = append(m.unkept, journal.Row{Table: journal.Learned, Key: m.key(m.versions[0])})
		m.versions = m.versions[1:]
	}
	if m.keep(m.unkept) == nil { // or with the rows of other parts, which tell of a failure
		m.unkept = nil
	}
}

func (m *learnedMarket) key(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{m.letter()}, number)
}

func (m *learnedMarket) step(ctx context.Context, now time.Time, _ int) ([]bidder.LiveUpdate, error) {
	if now.Before(m.due) {
		return nil, nil
	}
	m.due = now.Truncate(marketEvery).Add(marketEvery)
	var learned bidder.Learned
	for _, learn := range m.learn {
		learn(&learned)
	}
	if !differs(&learned, &m.inForce.Learned) {
		return nil, nil
	}
	before := m.inForce.Learned
	m.inForce.Learned = learned
	m.begin(m.next(), now)
	err := m.indexer.SetLearned(ctx, m.operator, &learned, m.inForce.number)
	if err != nil {
		m.inForce.Learned = before // the next hour tries again, under another number
	}
	return nil, err
}

func (m *learnedMarket) rows() []journal.Row {
	rows := m.unkept
	m.unkept = nil
	return rows
}

// differs reports whether some factor differs by more than leastChange of it.
func differs(a, b *bidder.Learned) bool {
	return factorsDiffer(a.PositionFactors, b.PositionFactors) || factorsDiffer(a.FactorsOnRender, b.FactorsOnRender) ||
		scenesDiffer(a.SceneFactorPPM, b.SceneFactorPPM) || distancesDiffer(a.Distance, b.Distance)
}

func scenesDiffer(a, b *bidder.SceneFactors) bool {
	if a == nil || b == nil {
		return a != b
	}
	for host := range a {
		if factorsDiffer(a[host][:], b[host][:]) {
			return true
		}
	}
	return false
}

func distancesDiffer(a, b *quality.Distances) bool {
	if a == nil || b == nil {
		return a != b
	}
	return !slices.Equal(a.EndsM, b.EndsM) || factorsDiffer(a.WithoutPlacePPM[:], b.WithoutPlacePPM[:]) ||
		!slices.EqualFunc(a.FactorPPM, b.FactorPPM, func(a, b quality.Categories) bool { return !factorsDiffer(a[:], b[:]) })
}

func factorsDiffer(a, b []int64) bool {
	return !slices.EqualFunc(a, b, func(a, b int64) bool {
		return float64(max(a, b)-min(a, b)) <= leastChange*float64(max(a, b))
	})
}
