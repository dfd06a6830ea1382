package bidder

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/hexbid/hexbid/targeting"
)

// wordWriter makes word indexes. The indexer tells it which tokens lead to a campaign or a program, and takes an index
// of the present state at each publication. Only the indexer's goroutine uses it.
type wordWriter struct{ anchored, named tokenWriter }

func newWordWriter() wordWriter {
	return wordWriter{newTokenWriter(fewCampaigns), newTokenWriter(fewPrograms)}
}

// anchor replaces the tokens that lead to a campaign.
func (w *wordWriter) anchor(campaign uint32, before, now []string) {
	w.anchored.move(campaign, before, now)
}

// name replaces the text whose tokens lead to a program.
func (w *wordWriter) name(program uint32, before, now targeting.Text) {
	w.named.move(program, before.Tokens(), now.Tokens())
}

// publish shares the present index with a snapshot.
func (w *wordWriter) publish() wordIndex {
	return wordIndex{w.anchored.publish(), w.named.publish()}
}

// tokenWriter makes lists by token. The ordinals of a rare token are a list in the table that snapshots share; such
// lists are short, so a change copies little. The ordinals of a common token are a crowd, which only the writer has and
// changes in place. The writer must know a crowd to list it again once it has shrunk.
type tokenWriter struct {
	most   int // ordinals in a list; more are a crowd
	lists  tableWriter[uint32, many]
	crowds map[uint64]*crowd
	edits  []tokenEdit // since apply last ran
}

// crowd holds the ordinals of a common token. A Roaring bitmap takes one bit to two bytes for an ordinal, depending on
// density, and a change of it copies some kilobytes at most.
type crowd struct {
	members *roaring.Bitmap
	count   int
}

// tokenEdit makes a token lead to an ordinal, or no longer lead to it.
type tokenEdit struct {
	token   uint64 // the key of the token
	ordinal uint32
	leads   bool
}

const (
	mostTokenEdits   = 1 << 16 // applied at the latest when so many wait: a megabyte
	reusedTokenEdits = 1 << 12 // edits up to this many keep their memory for reuse
)

func newTokenWriter(most int) tokenWriter {
	return tokenWriter{most: most, crowds: map[uint64]*crowd{}}
}

// move replaces the tokens that lead to an ordinal.
func (w *tokenWriter) move(ordinal uint32, before, now []string) {
	for _, token := range before {
		w.note(tokenEdit{tokenKey(token), ordinal, false})
	}
	for _, token := range now {
		w.note(tokenEdit{tokenKey(token), ordinal, true})
	}
}

func (w *tokenWriter) note(e tokenEdit) {
	if w.edits = append(w.edits, e); len(w.edits) == mostTokenEdits {
		w.apply()
	}
}

// publish shares the present lists with a snapshot.
func (w *tokenWriter) publish() tokenLists {
	w.apply()
	if cap(w.edits) > reusedTokenEdits {
		w.edits = nil
	}
	return tokenLists{w.lists.freeze()}
}

// apply makes the edits that wait.
func (w *tokenWriter) apply() {
	var changes []keyChange[uint32, many]
	for edits := lastEdits(w.edits); len(edits) > 0; {
		n := 1
		for n < len(edits) && edits[n].token == edits[0].token {
			n++
		}
		if c, changed := w.edited(edits[:n]); changed {
			changes = append(changes, c)
		}
		edits = edits[n:]
	}
	w.lists.apply(changes)
	w.edits = w.edits[:0]
}

// lastEdits sorts edits by token and ordinal, in place. Of several with the same token and ordinal it keeps the last.
func lastEdits(edits []tokenEdit) []tokenEdit {
	slices.SortStableFunc(edits, tokenEdit.compare)
	last := edits[:0]
	for i, e := range edits {
		if i+1 == len(edits) || e.compare(edits[i+1]) != 0 {
			last = append(last, e)
		}
	}
	return last
}

func (e tokenEdit) compare(f tokenEdit) int {
	return cmp.Or(cmp.Compare(e.token, f.token), cmp.Compare(e.ordinal, f.ordinal))
}

// edited applies the sorted edits of one token, one for each ordinal. It returns the change of the token's table entry
// and reports whether there is one.
func (w *tokenWriter) edited(edits []tokenEdit) (c keyChange[uint32, many], changed bool) {
	c.key = edits[0].token
	if crowd := w.crowds[c.key]; crowd != nil {
		if crowd.edit(edits); crowd.count > w.most {
			return c, false
		}
		delete(w.crowds, c.key)
		c.run = crowd.members.ToArray()
		return c, true
	}
	before, _ := w.lists.get(c.key)
	after := editedList(before, edits)
	if c.isNew = len(before) == 0; len(after) > w.most {
		w.crowds[c.key] = &crowd{roaring.BitmapOf(after...), len(after)}
		c.extra = &many{}
	} else {
		c.run = after
	}
	return c, !slices.Equal(before, after)
}

// editedList returns an ascending list of ordinals after ascending edits.
func editedList(before []uint32, edits []tokenEdit) []uint32 {
	after := make([]uint32, 0, len(before)+len(edits))
	for _, e := range edits {
		at, listed := slices.BinarySearch(before, e.ordinal)
		after = append(after, before[:at]...)
		if before = before[at:]; listed {
			before = before[1:]
		}
		if e.leads {
			after = append(after, e.ordinal)
		}
	}
	return append(after, before...)
}

func (c *crowd) edit(edits []tokenEdit) {
	for _, e := range edits {
		switch {
		case e.leads && c.members.CheckedAdd(e.ordinal):
			c.count++
		case !e.leads && c.members.CheckedRemove(e.ordinal):
			c.count--
		}
	}
}
