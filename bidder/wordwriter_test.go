package bidder

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/targeting"
)

// plainTokens is what tokenLists are compared with: tokens, and the ordinals that they
// lead to.
type plainTokens map[string][]uint32

func (p plainTokens) clone() plainTokens {
	own := plainTokens{}
	for token, ordinals := range p {
		own[token] = slices.Clone(ordinals)
	}
	return own
}

// move is tokenWriter.move in the plain form.
func (p plainTokens) move(ordinal uint32, before, now []string) {
	for _, token := range before {
		p[token] = slices.DeleteFunc(p[token], func(i uint32) bool { return i == ordinal })
	}
	for _, token := range now {
		if !slices.Contains(p[token], ordinal) {
			p[token] = append(p[token], ordinal)
			slices.Sort(p[token])
		}
	}
}

// check compares lists with the plain form: every token, and that there are no others.
func (p plainTokens) check(t *rapid.T, l tokenLists, most int) {
	t.Helper()
	known := 0
	for token, want := range p {
		got, isMany := l.of(token)
		if wantMany := len(want) > most; isMany != wantMany || !wantMany && !slices.Equal(got, want) ||
			wantMany && len(got) > 0 {
			t.Fatalf("%s leads to %v, many: %v; want %v, at most %d listed", token, got, isMany, want, most)
		}
		if len(want) > 0 {
			known++
		}
	}
	if l.count != known {
		t.Fatalf("%d tokens are known, want %d", l.count, known)
	}
}

// TestTokensLeadToWhatHasThem edits lists at random, with a bound so low that tokens
// keep crossing it both ways, and compares each publication with plain maps. A
// publication stays as it was however the writer goes on.
func TestTokensLeadToWhatHasThem(t *testing.T) {
	alphabet := []string{"a", "b", "c", "d", "e", "f"}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(t, "most")
		w, plain := newTokenWriter(most), plainTokens{}
		has := map[uint32][]string{}
		type publication struct {
			lists tokenLists
			want  plainTokens
		}
		var published []publication
		for range rapid.IntRange(1, 25).Draw(t, "publications") {
			for range rapid.IntRange(0, 12).Draw(t, "edits") {
				ordinal := rapid.Uint32Range(0, 15).Draw(t, "ordinal")
				now := rapid.SliceOfNDistinct(rapid.SampledFrom(alphabet), 0, 4, rapid.ID).Draw(t, "tokens")
				w.move(ordinal, has[ordinal], now)
				plain.move(ordinal, has[ordinal], now)
				has[ordinal] = now
				if rapid.IntRange(0, 9).Draw(t, "early") == 0 {
					w.apply() // as when very many edits wait
				}
			}
			published = append(published, publication{w.publish(), plain.clone()})
		}
		for _, p := range published {
			p.want.check(t, p.lists, most)
		}
		crowded := map[uint64]int{}
		for token, ordinals := range plain {
			if len(ordinals) > most {
				crowded[tokenKey(token)] = len(ordinals)
			}
		}
		kept := map[uint64]int{}
		for token, crowd := range w.crowds {
			kept[token] = crowd.count
		}
		if !maps.Equal(kept, crowded) {
			t.Fatalf("the writer keeps crowds of %v, want %v", kept, crowded)
		}
	})
}

// crowdedWriter has so many programs that share two tokens and have one each of their own.
func crowdedWriter(programs int) *wordWriter {
	w := newWordWriter()
	for i := range programs {
		w.name(uint32(i), "", textOfProgram(i))
	}
	w.publish()
	return &w
}

func textOfProgram(i int) targeting.Text { return targeting.NewText("商店", fmt.Sprint(i)) }

// bytesOf is what f allocates.
func bytesOf(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestAChangeOfAProgramCopiesTheSameHoweverManyShareItsTokens counts what publications
// allocate, in units of ordinals, when programs that share tokens with all others get
// other names. A copy of one list of them all is 4,000 and 256,000 ordinals.
func TestAChangeOfAProgramCopiesTheSameHoweverManyShareItsTokens(t *testing.T) {
	const changes, ordinalBytes = 100, 4
	copied := func(programs int) uint64 {
		w := crowdedWriter(programs)
		bytes := bytesOf(func() {
			for i := range changes {
				at := i * programs / changes
				w.name(uint32(at), textOfProgram(at), targeting.NewText("商店", "new", fmt.Sprint(at)))
				w.publish()
			}
		})
		return bytes / ordinalBytes / changes
	}
	few, many := copied(4_000), copied(256_000)
	t.Logf("%d ordinals a change beside 4,000 programs, %d beside 256,000", few, many)
	if many > 2*few || many > 16_000 {
		t.Errorf("a change copies %d ordinals beside 4,000 programs, %d beside 256,000", few, many)
	}
}

// TestManyEditsAtOnceLeaveNoMemory: what was noted while a catalogue was loaded is let
// go of.
func TestManyEditsAtOnceLeaveNoMemory(t *testing.T) {
	w := newTokenWriter(fewPrograms)
	for i := range uint32(3 * mostTokenEdits) {
		w.move(i, nil, []string{"a"})
		if cap(w.edits) > 2*mostTokenEdits {
			t.Fatalf("room for %d edits after %d", cap(w.edits), i)
		}
	}
	if w.publish(); cap(w.edits) > reusedTokenEdits {
		t.Errorf("room for %d edits is kept", cap(w.edits))
	}
	if _, isMany := (&tokenLists{w.lists.freeze()}).of("a"); !isMany {
		t.Error("a token of so many is not marked")
	}
}

// TestAWordIsFoundHoweverManyHaveIt: programs with one word come one by one until their
// campaigns are too many to be found by it, and go again. The answers are those of the
// plain evaluation, and up to the bounds no list is read.
func TestAWordIsFoundHoweverManyHaveIt(t *testing.T) {
	m := newTestMarket(t, 11, hangzhou)
	owner := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/w"}}
	program := func(i int, name string) *hexbid.Program {
		return &hexbid.Program{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/w/programs/p%d", i)}, DisplayName: name,
			Category: hexbid.Shopping, Hosts: []hexbid.Host{hexbid.WeChat}}
	}
	all := []hexbid.Resource{owner}
	for i := range fewPrograms + 2 {
		p := program(i, "other")
		all = append(all, p, &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/w/campaigns/c%d", i)},
			Program: p.Name, Pricing: hexbid.CPC, Bid: hexbid.Money(1_000_000 + i),
			Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 2000}}}})
	}
	m.commit(t, all...)
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 10, Words: "lantern",
		Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
	var w Scratch
	check := func(having int) {
		t.Helper()
		s := m.indexer.Snapshot()
		got, want := s.Search(&q, &w), s.Plain(&q).Awards
		if !slices.Equal(got, want) || len(got) != min(1, having) { // one advertiser has one slot
			t.Fatalf("%d have the word: got %+v, want %+v", having, got, want)
		}
		if listsRead := w.Sifted > 0; listsRead != (having > fewPrograms) {
			t.Fatalf("%d have the word: %d postings were sifted", having, w.Sifted)
		}
	}
	check(0)
	rename := func(from, to int, name string) {
		var some []hexbid.Resource
		for i := from; i < to; i++ {
			some = append(some, program(i, name))
		}
		m.commit(t, some...)
	}
	rename(0, fewPrograms-1, "lantern")
	check(fewPrograms - 1)
	for n := fewPrograms - 1; n < fewPrograms+2; n++ {
		rename(n, n+1, "the lantern")
		check(n + 1)
	}
	for n := fewPrograms + 2; n > fewPrograms-2; n-- {
		rename(n-1, n, "gone")
		check(n - 1)
	}
}

// TestTheRarestWordLeadsToThePrograms, and what all words anchor counts together.
func TestTheRarestWordLeadsToThePrograms(t *testing.T) {
	w := newWordWriter()
	having := map[string]int{"one": 1, "some": 200, "full": fewPrograms, "most": fewPrograms + 1, "all": fewCampaigns + 1}
	for token, n := range having {
		for i := range uint32(n) {
			w.name(i, "", targeting.NewText(token))
			w.anchor(i, nil, []string{token})
		}
	}
	x := w.publish()
	for words, want := range map[string]struct{ programs, campaigns int }{ // -1 is many
		"one": {1, 1}, "full": {256, 256}, "most": {-1, 257}, "all": {-1, -1}, "unknown": {0, 0},
		"some one": {1, 201}, "one some full": {1, 457}, "full most": {256, -1}, "some all": {200, -1}, "all most": {-1, -1},
		"all unknown": {0, -1}, "full full": {256, 512},
	} {
		parsed := targeting.ParseWords(words)
		if rarest, few := x.rarestNamed(&parsed); few != (want.programs >= 0) || few && len(rarest) != want.programs {
			t.Errorf("%q: %d programs, few: %v; want %d", words, len(rarest), few, want.programs)
		}
		if found, few := x.fewAnchored(&parsed, nil); few != (want.campaigns >= 0) || len(found) != max(0, want.campaigns) {
			t.Errorf("%q: %d campaigns, few: %v; want %d", words, len(found), few, want.campaigns)
		}
	}
}
