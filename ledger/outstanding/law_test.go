package outstanding

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// TestWhatTheIndexIsToldKeepsEveryEventWithinWhatIsLeft follows a campaign whose rest, awards out and bids change. No
// event costs more than the affordable, not even at a bid that is raised later. Far from the end no bid is lowered.
func TestWhatTheIndexIsToldKeepsEveryEventWithinWhatIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := Prices{Least: hexbid.Money(rapid.IntRange(1, 1000).Draw(t, "least"))}
		var told Remainder
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			of.Dearest = of.Least + hexbid.Money(rapid.IntRange(0, 1_000_000).Draw(t, "bid"))
			left := hexbid.Money(rapid.OneOf(rapid.Int64Range(0, 3_000_000), rapid.Int64Range(0, 1<<40)).Draw(t, "left"))
			var out Out
			if rapid.Bool().Draw(t, "awards are out") {
				out.Expected, out.Margin = hexbid.Money(rapid.IntRange(0, 500_000).Draw(t, "expected")), 10_000
			}
			now := RemainderOf(left, out, of)
			if now.Calls(told, of) {
				told = now
			}
			affordable := Affordable(left, out)
			if told.Spent != (affordable < of.Least) {
				t.Fatalf("%+v with %d affordable, an event costs %d at least", told, affordable, of.Least)
			}
			if told.Bound() > affordable && affordable < hexbid.MaxBidCPC && !told.Spent {
				t.Fatalf("a bid raised later may cost %d, affordable is %d", told.Bound(), affordable)
			}
			most := min(told.Bound(), of.Dearest)
			if !told.Spent && most > affordable {
				t.Fatalf("an event may cost %d, affordable is %d", most, affordable)
			}
			if !told.Spent && most < min(of.Dearest, affordable-affordable/16) {
				t.Fatalf("an event may cost %d at most, affordable is %d and the dearest bid %d", most, affordable, of.Dearest)
			}
		}
	})
}

// TestFewHandInsAccompanyABudgetToItsEnd counts them over a budget of 100,000 clicks.
func TestFewHandInsAccompanyABudgetToItsEnd(t *testing.T) {
	const click, clicks = 10_000, 100_000
	of, told, handIns := Prices{1, click}, Remainder{}, 0
	for left := hexbid.Money(click * clicks); left >= 0; left -= click {
		if now := RemainderOf(left, Out{}, of); now.Calls(told, of) {
			told = now
			handIns++
		}
	}
	if !told.Spent || handIns > 20 {
		t.Errorf("%d hand-ins, at last %+v", handIns, told)
	}
}

// TestABalanceNeverPaysMoreThanItHas, is told in few steps, and rises with them.
func TestABalanceNeverPaysMoreThanItHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const least = 100
		var told Funds
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			balance := hexbid.Money(rapid.OneOf(rapid.Int64Range(0, 3_000), rapid.Int64Range(0, 1<<32),
				rapid.Just(int64(math.MaxInt64))).Draw(t, "balance"))
			if now := FundsOf(balance, Out{}, least); now.Calls(told) {
				told = now
			}
			switch {
			case told.None != (balance < least):
				t.Fatalf("%+v with a balance of %d", told, balance)
			case told.None:
			case told.Left == 0 && balance < hexbid.MaxBidCPC, told.Left > balance:
				t.Fatalf("an event may cost %d, the balance is %d", told.Left, balance)
			case told.Left > 0 && told.Left < min(balance, hexbid.MaxBidCPC)*2/3:
				t.Fatalf("an event may cost %d only, the balance is %d", told.Left, balance)
			}
		}
	})
	steps, told := 0, Funds{}
	for balance := hexbid.Money(1 << 30); balance > 0; balance -= 1 << 10 {
		if now := FundsOf(balance, Out{}, 1); now.Calls(told) {
			told, steps = now, steps+1
		}
	}
	if steps > 8*30 {
		t.Errorf("%d steps from 1,000 to nothing", steps)
	}
}
