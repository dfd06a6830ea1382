package main

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// record is a resource as the server tells it.
type record interface {
	proto.Message
	GetName() string
	GetUid() uint64
}

// paper is the name of a resource that one clerk writes, and nobody else. So it is known in which order writes came.
type paper struct {
	name   string
	drawer *drawer // how its kind is written
	mu     sync.Mutex
	writes []*write // guarded by mu
}

// write is one write of a paper that was asked for. Each update and creation writes a mark that no other has, so that
// the mark tells which of the writes is in force. No mark means that the resource is not there.
type write struct {
	mark       string
	undoes     *write // nil for none
	credential string // of a key that it creates
	record     record // what the server answered; nil for a deletion and where no answer came
	settled    bool   // it is known whether it is in force
	never      bool   // it is known not to be
}

// begin notes a write that is asked for next.
func (p *paper) begin(w *write) *write {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes = append(p.writes, w)
	return w
}

// acknowledge notes the answer to a write.
func (p *paper) acknowledge(w *write, answer record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.settled, w.record = true, answer
}

// refuse notes that a write was refused, and has changed nothing.
func (p *paper) refuse(w *write) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.settled, w.never = true, true
}

// inForce returns the writes that took effect, in their order. The last write may be one of which nobody knows; it is
// returned apart.
func (p *paper) inForce() (done []*write, open *write) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.writes {
		switch {
		case !w.settled:
			open = w
		case !w.never:
			done = append(done, w)
		}
	}
	return done, open
}

// markAfter returns the mark after these writes, none when nothing is there.
func (p *paper) markAfter(done []*write) string {
	if len(done) == 0 {
		return p.drawer.first
	}
	return done[len(done)-1].mark
}

// judge compares what the server has with what it acknowledged, and settles a write of which nobody knew. It returns
// the writes in force.
func (p *paper) judge(found record, tell report) []*write {
	done, open := p.inForce()
	mark := p.drawer.markIn(found)
	if open != nil {
		p.mu.Lock()
		open.settled, open.never = true, mark != open.mark
		p.mu.Unlock()
		if !open.never {
			done = append(done, open)
		}
	}
	if want := p.markAfter(done); mark != want {
		tell(lost, "%s has the mark %q, and %q was acknowledged", p.name, mark, want)
		return done
	}
	if len(done) == 0 || found == nil {
		return done
	}
	switch last := done[len(done)-1]; {
	case last.record == nil:
		last.record = found
	case !proto.Equal(bare(last.record), bare(found)):
		tell(wrong, "%s was acknowledged as %.900v, and is %.900v", p.name, bare(last.record), bare(found))
	}
	p.judgeUIDs(done, tell)
	return done
}

// judgeUIDs checks that what was made anew has a uid that nothing had before. What an undo brings back has its own.
func (p *paper) judgeUIDs(done []*write, tell report) {
	seen := map[uint64]bool{}
	for i, w := range done {
		isNew := w.mark != "" && (i == 0 || done[i-1].mark == "") && w.undoes == nil
		if w.record == nil {
			continue
		}
		if uid := w.record.GetUid(); isNew && seen[uid] {
			tell(doubled, "%s was made again with the uid %d that it had", p.name, uid)
		}
		seen[w.record.GetUid()] = true
	}
}

// bare returns a record without what the server tells with reads alone, or learns without a write.
func bare(r record) proto.Message {
	m := proto.Clone(r)
	switch v := m.(type) {
	case *pb.Advertiser:
		v.Holdings, v.Limits = nil, nil
	case *pb.Campaign:
		v.Serving, v.LiveState, v.Spend, v.Delivery = false, nil, nil, nil
	case *pb.Key:
		v.LastUseTime = nil
	case *pb.Market:
		v.InForce, v.SettingsNotTaken, v.Forecast = nil, nil, nil
	}
	return m
}

// judgeHistory compares the changes that the server tells of a paper, the oldest first, with the writes in force.
func (p *paper) judgeHistory(changes []*pb.Change, done []*write, tell report) {
	before := p.drawer.first
	for i, w := range done {
		if i >= len(changes) {
			tell(lost, "change %d of %s, to %q, is not in its history of %d", i+1, p.name, w.mark, len(changes))
			return
		}
		if err := p.compareChange(changes[i], before, w); err != nil {
			tell(wrong, "change %d of %s, %s: %v", i+1, p.name, changes[i].GetName(), err)
			return
		}
		before = w.mark
	}
	if len(changes) > len(done) {
		tell(doubled, "the history of %s has %d changes, and %d were acknowledged", p.name, len(changes), len(done))
	}
}

func (p *paper) compareChange(c *pb.Change, before string, w *write) error {
	if c.GetDamaged() {
		return fmt.Errorf("it is damaged")
	}
	if (c.GetUndoes() != "") != (w.undoes != nil) {
		return fmt.Errorf("it undoes %q", c.GetUndoes())
	}
	for _, r := range c.GetResources() {
		if r.GetResource() != p.name {
			continue
		}
		if r.GetDamaged() {
			return fmt.Errorf("it is damaged")
		}
		if want := actionOf(before, w.mark); r.GetAction() != want {
			return fmt.Errorf("it is %v, not %v", r.GetAction(), want)
		}
		return p.compareField(r, before, w.mark)
	}
	return fmt.Errorf("it does not change %s", p.name)
}

func (p *paper) compareField(r *pb.ResourceChange, before, after string) error {
	for _, f := range r.GetFields() {
		if f.GetField() != p.drawer.field {
			continue
		}
		if was, is := f.GetBefore().GetStringValue(), f.GetAfter().GetStringValue(); was != before || is != after {
			return fmt.Errorf("%s went from %q to %q there, and from %q to %q by the answers", f.GetField(), was, is, before,
				after)
		}
		return nil
	}
	return fmt.Errorf("it does not tell %s", p.drawer.field)
}

func actionOf(before, after string) pb.ChangeAction {
	switch {
	case before == "":
		return pb.ChangeAction_CHANGE_ACTION_CREATED
	case after == "":
		return pb.ChangeAction_CHANGE_ACTION_DELETED
	}
	return pb.ChangeAction_CHANGE_ACTION_UPDATED
}
