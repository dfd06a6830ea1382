package outstanding

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestEveryAwardIsDrainedOnceOrSpilled(t *testing.T) {
	lanes := NewLanes(2)
	const searches, each = 8, 20_000
	var running sync.WaitGroup
	var over atomic.Bool
	seen, drained, spilledValue := map[hexbid.UID]int{}, 0, hexbid.Money(0)
	drain := func() {
		lanes.Drain(func(a *Award) { seen[a.Campaign]++; drained++ },
			func(cell int, value, _ hexbid.Money) {
				if cell < cells {
					spilledValue += value
				}
			})
	}
	done := make(chan struct{})
	go func() {
		for !over.Load() {
			drain()
		}
		close(done)
	}()
	for s := range searches {
		lane := lanes.Lane()
		running.Go(func() {
			var awards [3]Award
			for i := range each {
				for j := range awards {
					awards[j] = Award{Campaign: hexbid.UID(1 + s*each*3 + i*3 + j), Price: 1_000_000, Chance: 0.5, Pricing: hexbid.CPC}
				}
				lane.Add(awards[:1+i%3])
			}
		})
	}
	running.Wait()
	over.Store(true)
	<-done
	drain()
	drain() // both buffers of each lane
	for uid, times := range seen {
		if times != 1 {
			t.Fatalf("the award of campaign %d was drained %d times", uid, times)
		}
	}
	total, spilled := 0, int(lanes.Spilled())
	for i := range each {
		total += searches * (1 + i%3)
	}
	if drained+spilled != total || spilledValue != hexbid.Money(spilled)*500_000 {
		t.Errorf("of %d awards %d were drained and %d spilled, with a value of %s", total, drained, spilled, spilledValue)
	}
}

func TestAwardsWithoutRoomCountForAllOfTheirCell(t *testing.T) {
	lanes, b := NewLanes(1), opened()
	lane := lanes.Lane()
	for range laneAwards {
		lane.Add([]Award{*click(1)})
	}
	a := []Award{*click(7), *click(7), *click(8)}
	lane.Add(a)
	if lanes.Spilled() != 3 {
		t.Fatalf("%d found no room", lanes.Spilled())
	}
	lanes.Drain(b.Add, b.AddSpilled)
	worth := hexbid.Money(float64(a[0].Price) * float64(a[0].Chance))
	if out := b.Campaign(7); out.Expected < 2*worth || out.Highest != a[0].Price {
		t.Errorf("%+v, for two awards of %s", out, worth)
	}
	if out := b.Advertiser(100); !close2(out.Expected, (laneAwards+3)*worth, 0.01) {
		t.Errorf("%+v of the advertiser, for %d awards of %s", out, laneAwards+3, worth)
	}
	b.Add(click(7))
	b.Happen(click(7), start, true) // perhaps one of those that found no room: none is taken out for it
	if out := b.Campaign(7); out.Expected < 3*worth {
		t.Errorf("%+v, for three awards of %s of which one may be over", out, worth)
	}
	b.Advance(start + 1_900_000)
	if out := b.Campaign(7); out.Expected != 0 {
		t.Errorf("%+v after their tokens have expired", out)
	}
}

func TestASearchThatWritesHoldsItsBufferBack(t *testing.T) {
	lanes := NewLanes(1)
	lane := lanes.Lane()
	slow := lane.open.Load()
	slow.reserved.Add(1) // a search that is stopped between its two additions
	lane.Add([]Award{*click(2)})
	drained := 0
	drain := func() { lanes.Drain(func(*Award) { drained++ }, nil) }
	drain()
	for range 5 {
		lane.Add([]Award{*click(3)})
		drain()
	}
	if drained != 0 {
		t.Fatalf("%d awards were drained past a search that still writes", drained)
	}
	slow.awards[0] = *click(1)
	slow.written.Add(1)
	drain()
	drain()
	if drained != 7 {
		t.Errorf("%d of 7 awards were drained", drained)
	}
}

func TestAddingAwardsAllocatesNothing(t *testing.T) {
	lane, awards := NewLanes(1).Lane(), []Award{*click(1), *click(2), *click(3)}
	if n := testing.AllocsPerRun(5000, func() { lane.Add(awards) }); n != 0 { // with room and without
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	lanes, awards := NewLanes(1), []Award{*click(1), *click(2), *click(3)}
	lane := lanes.Lane()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if lane.Add(awards); i%1000 == 0 {
			lanes.Drain(func(*Award) {}, func(int, hexbid.Money, hexbid.Money) {})
		}
	}
}

func BenchmarkBook(b *testing.B) {
	book := opened()
	for range 200_000 {
		book.unixMillis += 10
		book.Advance(book.unixMillis)
		book.Add(click(1))
	}
	b.Run("Add", func(b *testing.B) {
		for b.Loop() {
			book.Add(click(1))
		}
	})
	b.Run("Campaign", func(b *testing.B) {
		for b.Loop() {
			book.Campaign(1)
		}
	})
}
