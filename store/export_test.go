package store

import (
	"context"
	"slices"
)

// Tamper changes a byte of the change of a version in the log of a Memory.
func Tamper(m *Memory, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.log.entries {
		if e := &m.log.entries[i]; e.Version == version {
			e.record[len(e.record)/2] ^= 1
		}
	}
}

// Drop takes the change of a version out of the log of a Memory.
func Drop(m *Memory, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log.entries = slices.DeleteFunc(m.log.entries, func(e logged) bool { return e.Version == version })
}

// Rounds is a Memory that judges each group of a commit on a stage of its own, which
// stands on the stage before, as an engine does that syncs one round of commits while it
// judges the next. What a stage leaves becomes part of the state one round later.
type Rounds struct{ *Memory }

// Commit implements Store.
func (r Rounds) Commit(ctx context.Context, groups []Group) ([]Outcome, error) {
	m := r.Memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || ctx.Err() != nil {
		return nil, firstError(m.closed, ctx)
	}
	outcomes := make([]Outcome, len(groups))
	begun := m.version
	var syncing *round
	for i := range groups {
		next := r.begin(syncing, begun)
		if taken, err := next.stage.Take(&groups[i]); err != nil {
			outcomes[i].Err = err
		} else {
			next.taken = &taken
		}
		r.end(syncing)
		next.stage.StandOn(&m.state)
		m.version, m.lastUID = next.stage.Version, next.stage.LastUID
		if next.taken != nil { // its hashes, in order, before the next is judged
			next.bytes = m.log.append(&next.taken.Change, next.taken.Born)
			outcomes[i].Change = next.taken.Change
		}
		syncing = next
	}
	r.end(syncing)
	return outcomes, nil
}

func firstError(closed bool, ctx context.Context) error {
	if closed {
		return errClosed
	}
	return ctx.Err()
}

// round is a stage whose group is on its way to the state.
type round struct {
	stage *Stage
	taken *Taken // nil when the group was refused
	bytes int
}

// begin stands a stage on the round that is being synced, or on the state.
func (r Rounds) begin(syncing *round, begun uint64) *round {
	var below View = &r.state
	if syncing != nil {
		below = syncing.stage
	}
	s := NewStage(below, r.version, r.lastUID)
	s.begun = begun
	return &round{stage: s}
}

// end makes a round part of the state.
func (r Rounds) end(syncing *round) {
	if syncing == nil {
		return
	}
	if syncing.taken != nil {
		r.keep(syncing.taken)
		r.tape.Append(syncing.taken.Change, syncing.bytes)
	}
	r.state.count(syncing.stage.Counters())
}
