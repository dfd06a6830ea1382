package fold

import (
	"context"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// commit commits the batch of a desk.
func (d *desk) commit(log journal.Journal) {
	d.Helper()
	d.Settle(d.batch)
	view, err := log.View()
	if err == nil {
		d.batch.After = view.Last()
		err = log.Commit(context.Background(), d.batch)
	}
	if err != nil {
		d.Fatal(err)
	}
	*d.batch = journal.Batch{}
}

// restart goes on with the books of what was written so far, which ends with a checkpoint.
func (d *desk) restart() {
	d.Helper()
	log := journal.NewMemory()
	d.commit(log)
	view, err := log.View()
	if err == nil {
		d.Books, err = Restore(view)
	}
	if err != nil {
		d.Fatal(err)
	}
}

const benchCampaigns = 10_000

// openMarket is a desk with ten thousand campaigns of two thousand advertisers.
func openMarket(b *testing.B) *desk {
	d := openDesk(b)
	for i := range benchCampaigns {
		d.write(&Terms{Campaign: hexbid.UID(10 + i), Advertiser: hexbid.UID(10_000_000 + i/5), DailyBudget: 1 << 50,
			Zone: "Asia/Shanghai", Version: uint64(i)})
	}
	d.write(&HourOpened{Hour: HourOf(d.at)})
	*d.batch = journal.Batch{}
	return d
}

// benchEvent is event i of a stream: impressions and clicks in turn, of many campaigns, of tokens in disorder.
func (d *desk) benchEvent(i int) *Event {
	e := anEvent()
	now := d.at / 1000
	e.Award.Campaign = hexbid.UID(10 + i*7%benchCampaigns)
	e.Award.Advertiser = 10_000_000 + (e.Award.Campaign-10)/5
	e.Award.IssuedAt, e.Award.ClickExpiry = now, now+1_800_000
	e.Token.Sequence = uint64(i/2) * 2_654_435_761 % tokensInUse
	if e.Kind = hexbid.Impression; i%2 == 1 {
		e.Kind = hexbid.Click
	}
	return e
}

// BenchmarkEvents is what the owner's goroutine does for an event, with rows for a journal: half of the events charge.
// What callers encode ahead is not in it.
func BenchmarkEvents(b *testing.B) {
	d := openMarket(b)
	events, aheads := make([]*Event, 100_000), make([][]byte, 100_000)
	b.ReportAllocs()
	var bytes int
	for i := 0; b.Loop(); i++ {
		if i%len(events) == 0 {
			b.StopTimer()
			for j := range events {
				events[j] = d.benchEvent(i + j)
				aheads[j] = EncodeAhead(events[j])
			}
			b.StartTimer()
		}
		e := events[i%len(events)]
		if err := d.Judge(e); err != nil {
			b.Fatal(err)
		}
		r := d.Next(e)
		encoded := Complete(aheads[i%len(events)], &r)
		if err := d.Apply(&r, encoded, d.batch); err != nil {
			b.Fatal(err)
		}
		bytes += len(encoded)
		if i%1000 == 999 {
			d.Settle(d.batch)
			d.batch.Rows = d.batch.Rows[:0]
		}
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "recordbytes/op")
}

// BenchmarkEncodeAhead is what a caller does for an event.
func BenchmarkEncodeAhead(b *testing.B) {
	e := anEvent()
	b.ReportAllocs()
	for b.Loop() {
		EncodeAhead(e)
	}
}

// BenchmarkReplay decodes and applies records, as a start does after a checkpoint.
func BenchmarkReplay(b *testing.B) {
	d := openMarket(b)
	var chain [][]byte
	for i := range 100_000 {
		e := d.benchEvent(i)
		if err := d.Judge(e); err != nil {
			b.Fatal(err)
		}
		r := d.Next(e)
		chain = append(chain, r.Encode())
		if err := d.Apply(&r, chain[i], nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	fresh := openMarket(b)
	for i := 0; b.Loop(); i++ {
		if i%len(chain) == 0 && i > 0 {
			b.StopTimer()
			fresh = openMarket(b)
			b.StartTimer()
		}
		r, err := Decode(chain[i%len(chain)])
		if err == nil {
			err = fresh.Apply(r, chain[i%len(chain)], nil)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAllTokensInUse remembers impressions, clicks and claims of 81 million tokens in disorder, and reports the
// most memory on the way. (Full chunks take next to none.)
func BenchmarkAllTokensInUse(b *testing.B) {
	for b.Loop() {
		books, before := New(), heap()
		var mostBitmaps, mostHeap uint64
		e := Event{Award: Award{ClickExpiry: 1}, Token: token.Name{Issuer: token.Issuer{1}}}
		for i := range uint64(tokensInUse) {
			e.Token.Sequence = i * 2_654_435_761 % tokensInUse // a prime, so each once
			for _, kind := range usedKinds {
				books.use(kind, &e)
			}
			if i%(tokensInUse/16) == 0 {
				bytes, _ := books.UsesBytes()
				mostBitmaps, mostHeap = max(mostBitmaps, bytes), max(mostHeap, heap()-before)
			}
		}
		_, chunks := books.UsesBytes()
		b.ReportMetric(float64(mostBitmaps), "bitmapbytes")
		b.ReportMetric(float64(mostHeap), "heapbytes")
		b.ReportMetric(float64(chunks), "chunks")
	}
}

// BenchmarkCheckpoint is one after a hundred thousand events of ten thousand campaigns.
func BenchmarkCheckpoint(b *testing.B) {
	d := openMarket(b)
	rows := 0
	for i := 0; b.Loop(); {
		b.StopTimer()
		for range 100_000 {
			if e := d.benchEvent(i); !d.Used(e.Kind, e.Token) {
				d.take(e)
			}
			i++
		}
		*d.batch = journal.Batch{}
		b.StartTimer()
		d.write(d.Checkpoint(1, d.batch))
		rows = len(d.batch.Rows)
	}
	b.ReportMetric(float64(rows), "rows")
}

// BenchmarkRestore is what a start does with a checkpoint of a million campaigns and of all tokens in use.
func BenchmarkRestore(b *testing.B) {
	d, log := openDesk(b), journal.NewMemory()
	for i := range 1_000_000 {
		d.write(&Terms{Campaign: hexbid.UID(10 + i), Advertiser: hexbid.UID(10_000_000 + i/5), DailyBudget: 1 << 50,
			Zone: "Asia/Shanghai", Version: uint64(i)})
	}
	for i := range uint64(chunksInUse * 40) {
		for _, kind := range usedKinds {
			d.use(kind, d.event(hexbid.Click, token.Name{Sequence: i * 1637}))
		}
	}
	d.write(d.Checkpoint(1, d.batch))
	d.commit(log)
	v, err := log.View()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Restore(v); err != nil {
			b.Fatal(err)
		}
	}
}
