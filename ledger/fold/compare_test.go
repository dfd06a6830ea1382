package fold

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// runHistories runs histories of seeds from 1, or from HEXBID_SEED, on all cores. HEXBID_HISTORIES sets how many.
func runHistories(t *testing.T, count int) {
	first := uint64(1)
	if s := os.Getenv("HEXBID_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
	}
	if testing.Short() {
		count /= 10
	}
	if n, err := strconv.Atoi(os.Getenv("HEXBID_HISTORIES")); err == nil {
		count = n
	}
	var next, records atomic.Uint64
	var outcomes [hexbid.EventOutcomeCount]atomic.Uint64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := next.Add(1); i <= uint64(count) && !t.Failed(); i = next.Add(1) {
				h := newHistory(first + i - 1)
				h.run(30 + h.IntN(70))
				if records.Add(uint64(len(h.chain))); h.failed != "" {
					t.Error(h.failed)
				}
				for outcome, n := range h.outcomes {
					outcomes[outcome].Add(n)
				}
				if i%50_000 == 0 {
					fmt.Printf("%d of %d histories, %d records\n", i, count, records.Load())
				}
			}
		})
	}
	group.Wait()
	for outcome := hexbid.EventCharged; outcome < hexbid.EventOutcomeCount; outcome++ {
		n := outcomes[outcome].Load()
		t.Logf("%s: %d", outcome, n)
		if outcome == hexbid.EventForged || outcome == hexbid.EventNoClick || outcome == hexbid.EventNoViewer {
			continue // the owner answers these itself
		}
		if n < uint64(count)/100 {
			t.Errorf("only %d events are answered %s: the histories are too tame", n, outcome)
		}
	}
	t.Logf("%d histories, %d records", count, records.Load())
}

func (t tally) totals() Totals {
	return Totals{t.impressions, t.clicks, t.conversions, t.claims, hexbid.Money(t.charged), hexbid.Money(t.credited),
		hexbid.Money(t.free), t.exhausted, t.filtered, hexbid.Money(t.value), t.beyond}
}

// compare compares all that the books and the rows in the journal say with the model.
func (h *history) compare() {
	v, _ := h.log.View()
	hours, days, advertiserDays := 0, 0, 0
	for uid, c := range h.model.campaigns {
		account, _ := h.books.Campaign(hexbid.UID(uid))
		if c.begun && (account.Ever != c.ever.totals() || account.Date != c.date ||
			account.Today != c.byDate[c.date].totals()) {
			h.wrong("campaign %d is\n%+v, by the model\n%+v", uid, account, c)
		}
		for i, p := range account.Coupons {
			if account.Taken[i] != c.taken[uint8(p.Host)] {
				h.wrong("campaign %d: %d coupons of host %d are taken, by the model %d", uid, account.Taken[i], p.Host,
					c.taken[uint8(p.Host)])
			}
		}
		for hour, t := range c.byHour {
			h.compareRow(v, journal.Hours, HourKey(uint32(hour), hexbid.UID(uid)), t.totals())
			if account.Hour == uint32(hour) && account.ThisHour != t.totals() {
				h.wrong("campaign %d has in hour %d %+v, by the model %+v", uid, hour, account.ThisHour, t)
			}
		}
		for date, t := range c.byDate {
			h.compareRow(v, journal.Days, DayKey(hexbid.UID(uid), date), t.totals())
		}
		hours, days = hours+len(c.byHour), days+len(c.byDate)
	}
	for uid, a := range h.model.advertisers {
		advertiserDays += h.compareAdvertiser(v, uid, a)
	}
	h.compareUses()
	h.count(v, journal.Hours, hours)
	h.count(v, journal.Days, days)
	h.count(v, journal.AdvertiserDays, advertiserDays)
	h.count(v, journal.Charges, len(h.model.charges))
}

func (h *history) compareRow(v journal.View, t journal.Table, key []byte, want Totals) {
	value, _ := v.Get(t, key)
	if got, err := DecodeTotals(value); err != nil || got != want {
		h.wrong("row %x of table %d is %+v, %v; by the model %+v", key, t, got, err, want)
	}
}

func (h *history) count(v journal.View, t journal.Table, want int) {
	got := 0
	_ = v.Scan(t, nil, nil, func(_, _ []byte) (bool, error) { got++; return true, nil })
	if got != want {
		h.wrong("table %d has %d rows, by the model %d", t, got, want)
	}
}

// compareAdvertiser returns how many rows of days there are, of the advertiser and of its campaigns.
func (h *history) compareAdvertiser(v journal.View, uid uint64, a *modelAdvertiser) int {
	account, _ := h.books.Advertiser(hexbid.UID(uid))
	want := AdvertiserTotals{Charged: hexbid.Money(a.charged), Credited: hexbid.Money(a.credited),
		ToppedUp: hexbid.Money(a.toppedUp), Withdrawn: hexbid.Money(a.withdrawn), Balance: hexbid.Money(a.balance()),
		Owed: hexbid.Money(a.owed)}
	if account.Ever != want || account.Prepaid != a.prepaid {
		h.wrong("advertiser %d is\n%+v, by the model\n%+v", uid, account, want)
	}
	if want.Balance < 0 {
		h.wrong("advertiser %d has the balance %d", uid, want.Balance)
	}
	rows, days, byCampaign := 0, 0, map[int32][2]int64{}
	_ = v.Scan(journal.AdvertiserDays, DayKey(hexbid.UID(uid), 0), DayKey(hexbid.UID(uid), 1<<30), func(key,
		value []byte) (bool, error) {
		got, err := DecodeAdvertiserTotals(value)
		date := int32(key[8])<<24 | int32(key[9])<<16 | int32(key[10])<<8 | int32(key[11])
		rows++
		if len(key) > 12 { // what one campaign has of the day
			sums := byCampaign[date]
			byCampaign[date] = [2]int64{sums[0] + int64(got.Charged), sums[1] + int64(got.Credited)}
			return true, err
		}
		days++
		day := a.byDate[date]
		if day == nil {
			day = new([4]int64) // a change of the billing alone
		}
		sums := [4]int64{int64(got.Charged), int64(got.Credited), int64(got.ToppedUp), int64(got.Withdrawn)}
		if err != nil || sums != *day {
			h.wrong("advertiser %d on date %d: %+v, %v; by the model %v", uid, date, got, err, day)
		}
		return true, nil
	})
	if days < len(a.byDate) {
		h.wrong("advertiser %d has %d days, by the model %d", uid, days, len(a.byDate))
	}
	for date, day := range a.byDate {
		if sums := byCampaign[date]; sums != [2]int64{day[0], day[1]} {
			h.wrong("advertiser %d on date %d: its campaigns add up to %v, by the model %v", uid, date, sums, *day)
		}
	}
	return rows
}

// compareUses compares the tokens in use that have not expired.
func (h *history) compareUses() {
	for _, e := range h.tokens {
		if h.books.at/1000 >= e.expiryMS {
			continue
		}
		for _, kind := range []hexbid.EventKind{hexbid.Impression, hexbid.Click, hexbid.Claim} {
			if got, want := h.books.Used(kind, h.names[e.token]), h.model.used[h.model.key(e.token, kind)]; got != want {
				h.wrong("%s of token %s used: %v, by the model %v", kind, e.token, got, want)
			}
		}
	}
}
