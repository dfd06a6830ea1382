package frequency

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

const hour = int64(time.Hour / time.Microsecond)

func everyHour(n int) hexbid.FrequencyCap {
	return hexbid.FrequencyCap{Impressions: n, Window: time.Hour}
}

// naive is every impression ever, in order.
type naive []int64

func (n naive) allow(limit hexbid.FrequencyCap, at int64) bool {
	if limit.Impressions == 0 {
		return true
	}
	count := 0
	for _, seen := range n {
		if limit.Window == 0 || at-seen < limit.Window.Microseconds() {
			count++
		}
	}
	return count < limit.Impressions
}

func drawCap(t *rapid.T) hexbid.FrequencyCap {
	return hexbid.FrequencyCap{
		Impressions: rapid.OneOf(rapid.IntRange(0, 4), rapid.SampledFrom([]int{999, 1000})).Draw(t, "impressions"),
		Window: rapid.SampledFrom([]time.Duration{0, time.Hour, time.Hour + time.Microsecond, 24 * time.Hour,
			LongestWindow}).Draw(t, "window"),
	}
}

func TestExposuresDecideAsAListOfAllImpressionsDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Exposures
		var all naive
		at := int64(1e15)
		for range rapid.IntRange(1, 30).Draw(t, "turns") {
			at += rapid.SampledFrom([]int64{0, 1, hour - 1, hour, 24 * hour, LongestWindow.Microseconds() - 1,
				LongestWindow.Microseconds()}).Draw(t, "later")
			for range 8 {
				limit := drawCap(t)
				if x.Allow(&limit, at) != all.allow(limit, at) {
					t.Fatalf("%+v at %d after %v: allows %v", limit, at, all, x.Allow(&limit, at))
				}
			}
			for range rapid.SampledFrom([]int{1, 1, 2, 600}).Draw(t, "impressions") {
				x.Add(at)
				all = append(all, at)
			}
			again, err := Decode(x.AppendTo(nil))
			if err != nil || again.Ever != x.Ever || !slices.Equal(again.Stamps, x.Stamps) {
				t.Fatalf("%+v decodes to %+v, %v", x, again, err)
			}
			x = again
		}
	})
}

func TestAnImpressionLeavesItsWindowWhenItsLengthHasPassed(t *testing.T) {
	var x Exposures
	x.Add(1000)
	limit := everyHour(1)
	if x.Allow(&limit, 1000) || x.Allow(&limit, 1000+hour-1) || !x.Allow(&limit, 1000+hour) {
		t.Error("the window of an hour does not end after exactly an hour")
	}
	forEver := hexbid.FrequencyCap{Impressions: 1}
	if x.Allow(&forEver, 1000+100*LongestWindow.Microseconds()) {
		t.Error("a cap for ever forgets")
	}
}

func TestExposuresKeepNoMoreStampsThanACapCounts(t *testing.T) {
	var x Exposures
	for i := range int64(3 * MaxStamps) {
		x.Add(1e15 + i)
	}
	if len(x.Stamps) != MaxStamps || x.Ever != 3*MaxStamps {
		t.Errorf("%d stamps of %d impressions", len(x.Stamps), x.Ever)
	}
	if n := len(x.AppendTo(nil)); n > 8<<10 {
		t.Errorf("a row takes %d bytes", n)
	}
	x.Add(1e15 + 2*LongestWindow.Microseconds())
	if len(x.Stamps) != 1 {
		t.Errorf("%d stamps, all but one of them older than any window", len(x.Stamps))
	}
}

func TestStampsOfAwardsMayComeOutOfOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Exposures
		var all naive
		for range rapid.IntRange(1, 20).Draw(t, "impressions") {
			at := int64(1e15) + rapid.Int64Range(0, 3*hour).Draw(t, "at")
			before := slices.Clone(x.Stamps)
			shared := x.Stamps
			x.Add(at)
			if !slices.Equal(before, shared) {
				t.Fatal("adding changes the stamps that others have")
			}
			all = append(all, at)
		}
		if !slices.IsSorted(x.Stamps) {
			t.Fatalf("%v is out of order", x.Stamps)
		}
		limit, at := everyHour(rapid.IntRange(1, 20).Draw(t, "cap")), slices.Max(all)
		if x.Allow(&limit, at) != all.allow(limit, at) {
			t.Fatalf("%+v of %v", limit, x.Stamps)
		}
	})
}

func TestDamagedExposuresDoNotDecode(t *testing.T) {
	x := Exposures{Ever: 5, Stamps: []int64{1e15, 1e15 + 7, 1e15 + hour}}
	good := x.AppendTo(nil)
	for name, b := range map[string][]byte{
		"nothing":            {},
		"no stamps":          {1, 0},
		"cut":                good[:len(good)-1],
		"longer":             append(slices.Clone(good), 0),
		"more than ever":     {1, 2, 9, 1},
		"before 1970":        {2, 2, 9, 10},
		"a number too long":  {0x81, 0, 1, 9},
		"beyond the longest": binary.AppendUvarint(binary.AppendUvarint([]byte{2, 2}, 1e15), uint64(30*24*hour)),
		"beyond all time":    binary.AppendUvarint([]byte{1, 1}, 1<<63),
	} {
		if _, err := Decode(b); hexbid.KindOf(err) != hexbid.DataLoss {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	x := Exposures{Ever: 5, Stamps: []int64{1e15, 1e15 + 7, 1e15 + hour}}
	f.Add(x.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Decode(b)
		if err == nil && (!bytes.Equal(x.AppendTo(nil), b) || !slices.IsSorted(x.Stamps)) {
			t.Errorf("%x decodes to %+v, which encodes to %x", b, x, x.AppendTo(nil))
		}
	})
}

// drawHistory returns a history of a few subjects, and what they have seen.
func drawHistory(t *rapid.T) (*History, map[hexbid.UID]naive) {
	h, all := None, map[hexbid.UID]naive{}
	at := int64(1e15)
	for range rapid.IntRange(0, 20).Draw(t, "impressions") {
		at += rapid.Int64Range(0, hour/2).Draw(t, "later")
		campaign := hexbid.UID(rapid.IntRange(1, 6).Draw(t, "campaign"))
		before := h
		sizes := before.Bytes()
		h = h.With(Impression{at, campaign, 100})
		if before.Bytes() != sizes {
			t.Fatal("a history has changed")
		}
		all[campaign] = append(all[campaign], at)
		all[100] = append(all[100], at)
	}
	return h, all
}

func TestAHistoryKeepsTheExposuresOfEachSubject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, all := drawHistory(t)
		at := int64(1e15) + rapid.Int64Range(0, 12*hour).Draw(t, "at")
		for _, seen := range all {
			at = max(at, slices.Max(seen))
		}
		for _, subject := range []hexbid.UID{0, 1, 2, 3, 4, 5, 6, 7, 100} {
			limit := drawCap(t)
			seen, there := h.Of(subject)
			got, want := seen.Allow(&limit, at), all[subject].allow(limit, at)
			if got != want || there != (all[subject] != nil) {
				t.Fatalf("subject %d under %+v after %v: %v, %v", subject, limit, all, got, there)
			}
		}
	})
}

func TestAHistoryIsBounded(t *testing.T) {
	h := None
	for uid := range hexbid.UID(MaxSubjects) {
		if h = h.With(Impression{1e15, uid + 1, 0}); h == nil {
			t.Fatalf("unknown after %d subjects", uid+1)
		}
	}
	if h.With(Impression{1e15, 1, 0}) == nil || h.With(Impression{1e15, MaxSubjects + 1, 0}) != nil {
		t.Error("the bound is not at MaxSubjects")
	}
	if NewHistory(make([]Seen, MaxSubjects+1)) != nil {
		t.Error("a history of too many subjects is known")
	}
}

func TestAskingAHistoryAllocatesNothing(t *testing.T) {
	h, limit := None.With(Impression{1e15, 7, 9}), everyHour(1)
	if n := testing.AllocsPerRun(100, func() {
		seen, _ := h.Of(9)
		seen.Allow(&limit, 1e15)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func pseudonym(r *rand.Rand) (p [16]byte) {
	binary.BigEndian.PutUint64(p[:8], r.Uint64())
	binary.BigEndian.PutUint64(p[8:], r.Uint64())
	return p
}

func TestAFilterMissesNobodyAndIsSeldomWrong(t *testing.T) {
	const viewers = 40_000
	f, r := NewFilter(viewers*12/8), rand.New(rand.NewPCG(1, 2))
	if p := pseudonym(r); f.MayHold(&p) || f.FalsePositives() != 0 {
		t.Error("an empty filter holds somebody")
	}
	held := make([][16]byte, viewers)
	for i := range held {
		held[i] = pseudonym(r)
		f.Add(&held[i])
	}
	for i := range held {
		if !f.MayHold(&held[i]) {
			t.Fatal("somebody is missed")
		}
	}
	wrong := 0
	for range viewers {
		if p := pseudonym(r); f.MayHold(&p) {
			wrong++
		}
	}
	measured, estimated := float64(wrong)/viewers, f.FalsePositives()
	if measured > 0.01 || estimated < measured/2 || estimated > 2*measured {
		t.Errorf("%.4f are taken for others; the filter estimates %.4f", measured, estimated)
	}
}

func BenchmarkOf(b *testing.B) {
	h := None
	for uid := range hexbid.UID(64) {
		h = h.With(Impression{1e15, 2*uid + 1, 0})
	}
	limit := everyHour(1)
	for i := range b.N {
		if seen, there := h.Of(hexbid.UID(i % 128)); there {
			seen.Allow(&limit, 1e15)
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	f, r := NewFilter(16<<20), rand.New(rand.NewPCG(1, 2))
	p := pseudonym(r)
	for range b.N {
		p[0]++
		f.MayHold(&p)
	}
}
