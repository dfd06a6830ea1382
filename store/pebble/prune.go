package pebble

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
)

// The retention bounds the log of changes. A goroutine of its own removes the oldest changes in steps of bounded size.
// Each step travels with a round, so no caller's commit waits for it.
const (
	changesAStep = 512
	bytesAStep   = 4 << 20
)

// pruning is one step: the changes to remove from the log's beginning.
type pruning struct {
	from, to  uint64   // versions: the log begins after from, and after the step begins after to
	startHash digest   // of the change of the version to
	bytes     uint64   // size of what is removed
	index     [][]byte // keys by name, by owner and by uid
}

// prune removes the changes of a step, unless another step has been applied since it was planned.
func (r *round) prune(p *pruning) {
	if r.clock.log.start != p.from {
		return
	}
	_ = r.batch.DeleteRange(changeKey(p.from), changeKey(p.to+1), nil)
	for _, key := range p.index {
		_ = r.batch.Delete(key, nil)
	}
	r.clock.log.start, r.clock.log.startHash = p.to, p.startHash
	r.clock.log.bytes -= p.bytes
}

// pruneLog prunes whenever there are new changes, until the store closes.
func (s *Store) pruneLog() {
	oldest := time.Time{}
	for {
		select {
		case <-s.closing:
			return
		case <-s.pruneSoon:
		}
		for more := true; more; {
			err := hexbid.Contain(func() (err error) { more, err = s.pruneStep(&oldest); return err })
			if err != nil {
				s.folder.Log.Warn("the log of changes is not pruned", "error", folder.FirstLine(err))
				break
			}
		}
	}
}

// pruneStep makes one step if one is due, and reports whether it did.
func (s *Store) pruneStep(oldest *time.Time) (bool, error) {
	v := s.look()
	if v == nil {
		return false, nil
	}
	defer v.release()
	horizon := v.latest.Add(-s.retention.Age)
	if v.clock.log.bytes <= uint64(s.retention.Bytes) && !oldest.IsZero() && !oldest.Before(horizon) {
		return false, nil
	}
	p, err := v.dueForPruning(uint64(s.retention.Bytes), horizon, oldest)
	if err != nil || p == nil {
		return false, err
	}
	return true, s.ask(context.Background(), &request{prune: p, done: make(chan struct{})})
}

// dueForPruning reads the oldest changes and returns those to remove, up to one step. It sets oldest to the time of the
// first change that stays. The last change always stays.
func (v *view) dueForPruning(mostBytes uint64, horizon time.Time, oldest *time.Time) (*pruning, error) {
	iter, err := v.iterate(changeSpace)
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	p := &pruning{from: v.clock.log.start, to: v.clock.log.start}
	n := 0
	for ok := iter.First(); ok && versionIn(iter.Key()) < v.clock.version && n < changesAStep &&
		p.bytes < bytesAStep; ok = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return nil, v.store.folder.Unreadable(err)
		}
		change, err := decodeChange(value)
		if err != nil {
			return nil, v.store.folder.Damaged(err)
		}
		if *oldest = change.GetAt().AsTime(); v.clock.log.bytes-p.bytes <= mostBytes && !oldest.Before(horizon) {
			break
		}
		p.add(change, value)
		n++
	}
	if n == 0 {
		p = nil
	}
	return p, v.store.folder.Ended(iter)
}

func (p *pruning) add(change *diskpb.Change, value []byte) {
	p.to, p.startHash = change.GetVersion(), sha256.Sum256(value)
	p.bytes += uint64(len(value))
	for _, e := range change.GetEntries() {
		p.index = append(p.index, appendHistoryKey(nil, e.GetName(), p.to))
	}
	eachOwner(change.GetEntries(), (*diskpb.Entry).GetName, func(owner string) {
		p.index = append(p.index, appendOwnerKey(nil, owner, p.to))
	})
	eachBirth(change, func(uid hexbid.UID) { p.index = append(p.index, appendBirthKey(nil, uid)) })
}
