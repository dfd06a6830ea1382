package outstanding

import (
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/token"
)

// bills are the ledger's books, with an owner who stamps and writes records as the real one does.
type bills struct {
	testing.TB
	*fold.Books
	date     int32
	sequence uint64
}

const dayMillis = 24 * 3_600_000

func openBills(t testing.TB, now int64) *bills {
	b := &bills{TB: t, Books: fold.New(), date: int32(now / dayMillis)}
	b.Advance(now*1000, nil)
	b.write(&fold.Epoch{Number: 1})
	return b
}

func (b *bills) write(body fold.Body) {
	b.Helper()
	r := b.Next(body)
	if err := b.Apply(&r, r.Encode(), nil); err != nil {
		b.Fatal(err)
	}
}

// open tells the books of a payer's campaigns. Of those that are not prepaid, every other one has a total budget beside
// a daily one that is no limit.
func (b *bills) open(of *payer) {
	b.write(&fold.AdvertiserTerms{Advertiser: of.uid, Version: 1})
	if of.prepaid {
		b.write(b.judged(&fold.Movement{Advertiser: of.uid, What: fold.TopUp, Amount: of.limit, RequestID: "1",
			Ruling: fold.Ruling{Posted: b.date}}))
	}
	for _, p := range of.campaigns {
		terms := &fold.Terms{Campaign: p.uid, Advertiser: of.uid, DailyBudget: of.limit, Zone: "UTC", Version: 1}
		switch {
		case of.prepaid:
			terms.DailyBudget = 1 << 50
		case p.uid%2 == 0:
			terms.DailyBudget, terms.TotalBudget = 1<<50, of.limit
		}
		b.write(terms)
	}
}

func (b *bills) judged(m *fold.Movement) *fold.Movement {
	b.Helper()
	if err := b.JudgeMovement(m); err != nil {
		b.Fatal(err)
	}
	return m
}

func (b *bills) left(p *player) fold.Left { return b.Left(p.uid, b.date) }

// bill has the books judge an event, and writes its record.
func (b *bills) bill(now int64, e *planned) (charged, free hexbid.Money) {
	b.Helper()
	b.Advance(now*1000, nil)
	kind, price := hexbid.Click, e.award.Price
	if e.award.Pricing == hexbid.CPM {
		kind, price = hexbid.Impression, price*1000
	}
	b.sequence++
	record := &fold.Event{Kind: kind, Token: token.Name{Sequence: b.sequence},
		Award: fold.Award{Campaign: e.award.Campaign, Advertiser: e.award.Advertiser, Price: price, IssuedAt: e.issued,
			ClickExpiry: e.issued + 1_800_000,
			Basis: auction.Basis{Mechanism: hexbid.MechanismGSP,
				Pricing: e.award.Pricing}}, Ruling: fold.Ruling{Date: b.date, Posted: b.date}}
	if err := b.Judge(record); err != nil {
		b.Fatal(err)
	}
	if hour, due := b.HourToOpen(); due && record.Charged > 0 {
		if closed := b.HourToClose(); closed != nil {
			b.write(closed)
		}
		b.write(&fold.HourOpened{Hour: hour})
	}
	if !fold.UsesUp(record.Outcome) {
		b.Fatalf("an event of %d ms after its award is %s", now-e.issued, record.Outcome)
	}
	b.write(record)
	return record.Charged, record.Free
}
