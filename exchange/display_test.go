package exchange

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// readStore counts the records that are read by uid.
type readStore struct {
	store.Store
	reads int
}

func (c *readStore) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	c.reads++
	return c.Store.ByUID(ctx, uid)
}

// sponsoredCards returns the cards of the one sponsored result.
func sponsoredCards(t *testing.T, e *Exchange) (program, campaign string) {
	t.Helper()
	response := mustSearch(t, e, at(hub))
	if len(response.Sponsored) != 1 {
		t.Fatalf("%d sponsored, want one", len(response.Sponsored))
	}
	cards := &response.Sponsored[0].Cards
	return string(cards.Program) + " at " + string(cards.Place), string(cards.Campaign)
}

// TestCardsFollowWhatTheyAreMadeOf changes a program, a place and a campaign in turn. Each change shows in the next
// answer, and what has not changed is read once.
func TestCardsFollowWhatTheyAreMadeOf(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	reads := &readStore{Store: e.store}
	e.display.store = &patientStore{Store: reads}
	sponsoredCards(t, e)
	for i := range 5 {
		text := fmt.Sprint("text ", i)
		p, l, c := hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: text, Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}}, place("l", hub), campaign("c")
		l.Address, c.Creatives = text, []hexbid.Creative{{Title: text}}
		for _, change := range []struct {
			resource hexbid.Resource
			want     string
		}{{&p, program + " title " + text + " at "}, {l, " address " + text}, {c, " title " + text}} {
			if o := e.Import(ctx, []hexbid.Resource{change.resource}, false)[0]; o.Err != nil {
				t.Fatal(o.Err)
			}
			reads.reads = 0
			for range 3 {
				if card, ad := sponsoredCards(t, e); !strings.Contains(card+ad, change.want) {
					t.Errorf("after %T says %q: %s; %s", change.resource, text, card, ad)
				}
			}
			if reads.reads > 1 {
				t.Errorf("after %T changed, %d records were read, want it alone", change.resource, reads.reads)
			}
		}
	}
	if e.CacheHitRatio() == 0 {
		t.Error("no card was found")
	}
}

// TestCardsOfWhatIsMadeAgainAreNew deletes everything that a card shows and makes it again under the same names.
func TestCardsOfWhatIsMadeAgainAreNew(t *testing.T) {
	e := open(t, nil)
	for i := range 4 {
		text := fmt.Sprint("text ", i)
		l, c := place("l", hub), campaign("c")
		l.Address, c.Creatives = text, []hexbid.Creative{{Title: text}}
		fill(t, e, l, c)
		card, ad := sponsoredCards(t, e)
		if !strings.Contains(card, "address "+text) || !strings.Contains(ad, "title "+text) {
			t.Errorf("made again with %q: %s; %s", text, card, ad)
		}
		for _, name := range []string{c.Name, l.Name, program} {
			if err := e.Delete(ctx, name, store.AnyVersion, false); err != nil {
				t.Fatal(err)
			}
		}
		if response := mustSearch(t, e, at(hub)); len(response.Sponsored)+len(response.Nearby) > 0 {
			t.Errorf("after everything is deleted: %+v", response)
		}
	}
}

// TestAllCampaignsOfAProgramShareItsCard reads one more record for each further campaign.
func TestAllCampaignsOfAProgramShareItsCard(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c0"))
	reads := &readStore{Store: e.store}
	e.display.store = &patientStore{Store: reads}
	if sponsoredCards(t, e); reads.reads != 3 {
		t.Errorf("the first search read %d records, want the program, the place and the campaign", reads.reads)
	}
	for i := 1; i < 5; i++ {
		c := campaign(fmt.Sprint("c", i))
		c.Bid += hexbid.Money(i) * 1000
		fill(t, e, c)
		reads.reads = 0
		if _, ad := sponsoredCards(t, e); !strings.HasPrefix(ad, c.Name+" for ") {
			t.Errorf("%s won, want %s", ad, c.Name)
		}
		if reads.reads != 1 {
			t.Errorf("a search that a further campaign won read %d records, want the campaign alone", reads.reads)
		}
	}
}

// TestAStartKeepsTheCardsThatItHasRoomFor searches at an exchange that was just opened on a store with records.
func TestAStartKeepsTheCardsThatItHasRoomFor(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	for cacheBytes, want := range map[int64]int{1 << 20: 0, 1: 3} {
		display := newDisplay(e.store.(*patientStore), plainCards{}, cacheBytes)
		if cacheBytes == 1 {
			for i := uint64(0); display.shelf.Offer(1000+i, 1, make([]byte, 200)); i++ {
			}
		}
		none := func(store.Record, *store.Derived) error { return nil }
		if _, err := (prefilled{e.store, display}).Scan(ctx, none); err != nil {
			t.Fatal(err)
		}
		reads := &readStore{Store: e.store}
		display.store, e.display = &patientStore{Store: reads}, display
		if sponsoredCards(t, e); reads.reads != want {
			t.Errorf("with a cache of %d bytes, the first search after a start read %d records, want %d", cacheBytes,
				reads.reads, want)
		}
	}
}

// unreadable is a store whose records cannot be read by uid while it is down.
type unreadable struct {
	store.Store
	down bool
}

func (u *unreadable) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	if u.down {
		return store.Record{}, hexbid.Errorf(hexbid.Unavailable, "", "the disk does not answer")
	}
	return u.Store.ByUID(ctx, uid)
}

// TestASearchThatFailsLeavesNothingToTheNext lets a search fail while it reads the cards of an ad with a place. The
// next search, in the same memory, shows an ad without a place.
func TestASearchThatFailsLeavesNothingToTheNext(t *testing.T) {
	const placeless = "advertisers/a/programs/online"
	far := hexbid.Point{Lat: 39.9, Lng: 116.4}
	for what, before := range map[string]func(*Exchange){
		"no card was kept": func(*Exchange) {},
		"its place was kept": func(e *Exchange) {
			mustSearch(t, e, at(hub))
			better := campaign("better")
			better.Bid *= 2
			fill(t, e, place("l", hub), better)
		},
	} {
		e := open(t, nil)
		memory := e.newScratch()
		e.scratch.New = func() any { return memory }
		everywhere := campaign("everywhere")
		everywhere.Program, everywhere.Area = placeless, hexbid.Area{Everywhere: true}
		everywhere.Bid /= 2
		fill(t, e, place("l", hub), campaign("c"), &hexbid.Program{Meta: hexbid.Meta{Name: placeless}, DisplayName: "O",
			Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}, everywhere)
		disk := &unreadable{Store: e.store}
		e.display.store = &patientStore{Store: disk}
		before(e)
		disk.down = true
		if _, err := e.Search(ctx, at(hub), time.Now()); hexbid.KindOf(err) != hexbid.Unavailable {
			t.Fatalf("%s: a search of a disk that is down: %v", what, err)
		}
		disk.down = false
		response := mustSearch(t, e, at(far))
		if len(response.Sponsored) != 1 || response.Sponsored[0].Cards.Place != nil {
			t.Errorf("%s: %+v", what, response.Sponsored)
		}
	}
}
