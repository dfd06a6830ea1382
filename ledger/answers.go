package ledger

import (
	"context"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// The first answer to an event is its record: outcome, charge, sequence and hash. Table Answers leads from token and
// kind to the record. An event whose kind is used up is answered by its caller, after the batch that it was judged in:
// by then the first answer is on disk, even if it was judged a moment before. So a replayed token costs the owner a
// look at a bitmap, and its caller a look at the cache or two reads of the journal. So does an expired token, for
// eight days; then it costs nothing.

// firstAnswer is what a token's first event of a kind was answered. A token that had none has the zero one, which is
// cached only once none can come any more.
type firstAnswer struct {
	eventID [16]byte
	answer  Answer
}

// answersCached is how many first answers are kept in memory, some 16 MB of them.
const answersCached = 1 << 16

// answerCache keeps first answers that were read lately. Nothing in it ever changes. It has two parts: when the newer
// is full it becomes the older, whose entries go unless they are read again.
type answerCache struct {
	mu           sync.Mutex // guards the fields below
	newer, older map[string]firstAnswer
}

func (c *answerCache) get(key string) (firstAnswer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, found := c.newer[key]
	if !found {
		if first, found = c.older[key]; found {
			c.store(key, first)
		}
	}
	return first, found
}

func (c *answerCache) put(key string, first firstAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(key, first)
}

func (c *answerCache) store(key string, first firstAnswer) {
	if c.newer == nil || len(c.newer) >= answersCached/2 {
		c.newer, c.older = map[string]firstAnswer{}, c.newer
	}
	c.newer[key] = first
}

// settle gives the first answers of events that the owner marked.
func (l *Ledger) settle(ctx context.Context, p *report) error {
	var unknown []int
	for i := range p.events {
		r := &p.events[i]
		if !r.again {
			continue
		}
		if first, found := l.answers.get(string(r.answerKey(r.event.Kind))); found {
			p.answers[i] = r.answerBy(&first)
		} else {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return l.ReadSynced(ctx, func(v journal.View) error { return l.readAnswers(v, p, unknown) })
}

// readAnswers reads the first answers of some events from the journal.
func (l *Ledger) readAnswers(v journal.View, p *report, events []int) error {
	for _, i := range events {
		r := &p.events[i]
		key := r.answerKey(r.event.Kind)
		first, err := readFirst(v, key)
		if err != nil {
			return err
		}
		l.answers.put(string(key), first)
		p.answers[i] = r.answerBy(&first)
	}
	return nil
}

// answerBy answers an event whose token may have answered another of its kind.
func (r *reported) answerBy(first *firstAnswer) Answer {
	switch {
	case first.answer.Sequence == 0 && r.late:
		return Answer{Outcome: hexbid.EventExpired}
	case first.answer.Sequence == 0 || first.eventID != r.event.EventID:
		return Answer{Outcome: hexbid.EventDuplicate} // no first answer: a click has used the impression up
	}
	again := first.answer
	again.Again = true
	return again
}

// readFirst reads the first answer of a token and kind, the zero one if there is none.
func readFirst(v journal.View, key []byte) (first firstAnswer, err error) {
	sequence, err := readIndex(v, journal.Answers, key)
	if sequence == 0 || err != nil {
		return first, err
	}
	record, hash, err := readRecord(v, sequence)
	if err != nil {
		return first, err
	}
	if record == nil {
		return first, missing(sequence)
	}
	event, ok := record.Body.(*fold.Event)
	if !ok {
		return first, notAnEvent(sequence)
	}
	return firstAnswer{event.EventID, Answer{Outcome: event.Outcome, Charged: event.Charged, Sequence: sequence,
		Hash: hash, Implied: event.Implies, Reason: traffic.Reason(event.Reason), Date: event.Date}}, nil
}

// readRecord reads a record and its hash; nil for none.
func readRecord(v journal.View, sequence uint64) (*fold.Record, fold.Hash, error) {
	encoded, err := v.Get(journal.Records, fold.RecordKey(sequence))
	if encoded == nil || err != nil {
		return nil, fold.Hash{}, err
	}
	record, err := fold.Decode(encoded)
	return record, fold.HashOf(encoded), err
}

func missing(sequence uint64) error {
	return hexbid.Errorf(hexbid.DataLoss, "ledger", "record %d is missing: restore the ledger from a backup", sequence)
}

func notAnEvent(sequence uint64) error {
	return hexbid.Errorf(hexbid.DataLoss, "ledger", "record %d is not the event that it is listed as", sequence)
}

// readIndex reads a row that holds a sequence, 0 for none.
func readIndex(v journal.View, t journal.Table, key []byte) (uint64, error) {
	value, err := v.Get(t, key)
	if value == nil || err != nil {
		return 0, err
	}
	return fold.DecodeIndex(value)
}
