package exchange

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	invalid "github.com/hexbid/hexbid/ledger/traffic"
	"github.com/hexbid/hexbid/store"
)

// export returns all pages of what is held of a viewer.
func (b *billed) export(viewer string) (all []hexbid.ViewerRecord) {
	b.Helper()
	for token := ""; ; {
		page, err := b.ExportViewer(ctx, viewer, token)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, page.Records...)
		if token = page.Next; token == "" {
			return all
		}
	}
}

// mentions counts the rows of each table, on disk, in which the pseudonym of a viewer occurs.
func (b *billed) mentions(viewer string) map[journal.Table]int {
	b.Helper()
	p, found := b.keys.Ring().Pseudonym(viewer), map[journal.Table]int{}
	if err := b.ledger.ReadSynced(ctx, func(v journal.View) error {
		for table := journal.Table(1); table < journal.TableCount; table++ {
			if err := v.Scan(table, nil, nil, func(key, value []byte) (bool, error) {
				if bytes.Contains(key, p[:]) || bytes.Contains(value, p[:]) {
					found[table]++
				}
				return true, nil
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return found
}

// onDisk counts the records that are on disk.
func onDisk(records []hexbid.ViewerRecord) (n int) {
	for i := range records {
		if records[i].Kind != hexbid.AwardOfViewer {
			n++
		}
	}
	return n
}

// Whatever viewers do, each row of each table that tells of one is in the export, and after an erasure neither has
// anything. Nobody else's rows change.
func TestAnExportHasAllThatIsHeldAndAnErasureLeavesNothing(t *testing.T) {
	keys, kinds := openBank(t).keys, map[hexbid.ViewerRecordKind]bool{}
	rapid.Check(t, func(r *rapid.T) {
		b := &billed{TB: t, clock: &handClock{at: now}, journal: journal.NewMemory(), keys: keys}
		b.traffic = invalid.Limits{RepeatClicks: 5, RepeatWindow: 24 * time.Hour, ViewerClicks: 100, ViewerImpressions: 100}
		b.open(store.NewMemory())
		defer b.close()
		fill(t, b.Exchange, place("l", hub))
		c, d := cappedCampaign("c", 50), cappedCampaign("d", 50)
		c.Creatives = []hexbid.Creative{{Coupon: &hexbid.Coupon{Text: "8 off", TotalCount: 100,
			ValidUntil: now.Add(time.Hour)}}}
		b.put(c, d)
		viewers, tokens := []string{"viewer one", "viewer two", "viewer three"}, map[string][]string{}
		for i := range rapid.IntRange(1, 25).Draw(r, "steps") {
			viewer := rapid.SampledFrom(viewers).Draw(r, "viewer")
			b.clock.pass(time.Duration(rapid.IntRange(1, 120).Draw(r, "seconds")) * time.Second)
			if of := tokens[viewer]; len(of) > 0 && rapid.Bool().Draw(r, "reports") {
				kind := rapid.SampledFrom([]hexbid.EventKind{hexbid.Impression, hexbid.Click, hexbid.Claim}).Draw(r, "kind")
				b.report("app", hexbid.Event{Kind: kind, Token: rapid.SampledFrom(of).Draw(r, "token"), ID: fmt.Sprint(i)})
				continue
			}
			tokens[viewer] = append(tokens[viewer], b.search(viewer)...)
		}
		erased := rapid.SampledFrom(viewers).Draw(r, "erased")
		before := map[string][]hexbid.ViewerRecord{}
		for _, viewer := range viewers {
			before[viewer] = b.export(viewer)
			for _, r := range before[viewer] {
				kinds[r.Kind] = true
			}
			rows := 0
			for table, n := range b.mentions(viewer) {
				if rows += n; !slices.Contains(journal.OfViewers, table) {
					t.Errorf("the table %s tells of viewers, and journal.OfViewers does not name it", table)
				}
			}
			if n := onDisk(before[viewer]); n != rows {
				t.Errorf("of %d rows %d are exported: %+v", rows, n, before[viewer])
			}
		}
		if err := b.EraseViewerHistory(ctx, erased); err != nil {
			t.Fatal(err)
		}
		if left := b.export(erased); len(left) != 0 || len(b.mentions(erased)) != 0 {
			t.Errorf("after the erasure %+v, and rows %v", left, b.mentions(erased))
		}
		for _, viewer := range viewers {
			if now := b.export(viewer); viewer != erased && fmt.Sprint(now) != fmt.Sprint(before[viewer]) {
				t.Errorf("the erasure of another changed %v to %v", before[viewer], now)
			}
		}
	})
	for _, kind := range []hexbid.ViewerRecordKind{hexbid.CampaignImpressions, hexbid.CampaignClicks,
		hexbid.CouponOfViewer, hexbid.AwardOfViewer} {
		if !kinds[kind] {
			t.Errorf("no viewer had a record of kind %d", kind)
		}
	}
}

// An export says of each row what it is, of whom, how often and when.
func TestAnExportSaysWhatIsHeld(t *testing.T) {
	b := openBank(t)
	c := cappedCampaign("c", 10)
	b.put(c)
	b.see(b.search("someone")...)
	b.clock.pass(time.Minute)
	b.see(b.search("someone")...)
	b.clock.pass(time.Minute)
	b.search("someone") // nobody reports its impression
	all := b.export("someone")
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	seen, award := all[0], all[1]
	if seen.Kind != hexbid.CampaignImpressions || seen.Name != c.Name || seen.Count != 2 || len(seen.Times) != 2 ||
		!seen.Times[0].Equal(now) || !seen.Times[1].Equal(now.Add(time.Minute)) {
		t.Errorf("impressions: %+v", seen)
	}
	if award.Kind != hexbid.AwardOfViewer || award.Name != c.Name || len(award.Times) != 1 ||
		award.Times[0].Sub(now.Add(2*time.Minute)).Abs() > time.Second {
		t.Errorf("an award: %+v", award)
	}
	if others := b.export("another"); len(others) != 0 {
		t.Errorf("of another: %+v", others)
	}
}

// More rows than a page has, some of which cannot be read, come once each.
func TestAnExportOfManyRowsHasPages(t *testing.T) {
	b := openBank(t)
	p := b.keys.Ring().Pseudonym("someone")
	var rows []journal.Row
	for i := range 2*exportRows + 300 {
		key := ledger.CouponKey(p, hexbid.UID(i+1))
		if i%100 == 7 {
			key[len(key)-1] = 'z' // of a later version
		}
		rows = append(rows, journal.Row{Table: journal.Viewers, Key: key,
			Value: binary.BigEndian.AppendUint64(nil, uint64(i+1))})
	}
	if err := b.journal.Keep(rows); err != nil {
		t.Fatal(err)
	}
	b.put(cappedCampaign("c", 10))
	b.see(b.search("somebody else")...) // a commit, after which the rows are seen
	all, unread := b.export("someone"), 0
	for i := range all {
		if all[i].Kind == hexbid.UnreadOfViewer {
			unread++
			if !bytes.Contains(all[i].Unread, []byte("z")) {
				t.Errorf("%+v", all[i])
			}
		} else if all[i].Kind != hexbid.CouponOfViewer || all[i].Sequence != uint64(all[i].UID) ||
			all[i].Sequence != uint64(i+1) {
			t.Fatalf("record %d: %+v", i, all[i])
		}
	}
	if len(all) != len(rows) || unread != 23 {
		t.Errorf("%d of %d rows, %d of them unread", len(all), len(rows), unread)
	}
	first, err := b.ExportViewer(ctx, "someone", "")
	if err != nil || first.Next == "" {
		t.Fatalf("%v", err)
	}
	if _, err := b.ExportViewer(ctx, "another", first.Next); hexbid.KindOf(err) != hexbid.Invalid ||
		!strings.Contains(err.Error(), "page_token") {
		t.Errorf("another viewer's page: %v", err)
	}
}

// An erased viewer's pseudonym is nowhere in the awards in memory.
func TestForgottenAwardsNameNobody(t *testing.T) {
	r := recentAwards{keepFor: time.Hour}
	someone := [16]byte{14: 3, 1: 9}
	r.add(someone, cappedAward{campaign: 7})
	r.forget(someone)
	if s := r.shardOf(&someone); len(s.queue) != 1 || s.queue[0].viewer == someone || s.queue[0].campaign != 0 {
		t.Errorf("%+v", s.queue)
	}
}
