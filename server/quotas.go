package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
)

// Quotas are the defaults for users and for search clients. A user or a client may have a quota of its own. Operators
// and the program itself have none.
type Quotas struct{ User, Client hexbid.CallQuota }

// quotas counts what principals have used. A principal is the resource of a user or a client, so its names bound the
// accounts, and those that hold nothing any more are dropped when there are many. The counts are lost with the process.
type quotas struct {
	Quotas
	clock    func() time.Time
	mu       sync.Mutex // guards accounts and all that they hold
	accounts remembered[*account]
	refused  [quotaKinds]atomic.Uint64
}

// quotaKind says what a quota bounds.
type quotaKind uint8

const (
	callQuota quotaKind = iota
	inFlightQuota
	rowQuota
	quotaKinds
)

// quotaWords are the kinds in metrics.
var quotaWords = [quotaKinds]string{"calls", "in_flight", "rows"}

// account is what one principal has used. Its calls are counted by the generic cell rate algorithm (ITU-T I.371), whose
// only state is an instant: it holds under a quota that changes meanwhile, and says to the nanosecond when the next
// call is in order.
type account struct {
	// paid is until when the calls that came have used up the quota. Each moves it on by its part of a second.
	paid     time.Time
	inFlight int
	day      int64 // whose rows are counted, since 1970
	rows     int64
}

func newQuotas(q Quotas, clock func() time.Time) *quotas {
	return &quotas{Quotas: q, clock: clock}
}

// of returns the quota of a principal, and whether it has one.
func (q *quotas) of(p *hexbid.Principal) (quota hexbid.CallQuota, bound bool) {
	switch {
	case p.ID == "":
		return quota, false
	case p.Role == hexbid.Searcher:
		quota = q.Client
	case p.Role == hexbid.Member || p.Role == hexbid.Auditor:
		quota = q.User
	default:
		return quota, false
	}
	if p.Quota != nil {
		quota = p.Quota.Or(quota)
	}
	return quota, quota != hexbid.CallQuota{}
}

// account returns the account of a principal at an instant. The caller holds the lock.
func (q *quotas) account(p *hexbid.Principal, now time.Time) *account {
	a := q.accounts.of[p.ID]
	if a == nil {
		a = &account{paid: now}
		q.accounts.put(p.ID, a, func(a *account) bool { return a.isIdle(now) })
	}
	if a.paid.Before(now) {
		a.paid = now
	}
	if day := now.Unix() / secondsADay; day != a.day {
		a.day, a.rows = day, 0
	}
	return a
}

const secondsADay = 24 * 60 * 60

// isIdle reports whether an account says nothing any more: it has no open calls and no rows of today, and was not used
// for long enough to have all its calls again.
func (a *account) isIdle(now time.Time) bool {
	return a.inFlight == 0 && (a.rows == 0 || a.day != now.Unix()/secondsADay) && now.After(a.paid)
}

// retryOpen is when a caller with too many open calls may try again. Nobody knows when one of them ends.
const retryOpen = 100 * time.Millisecond

// enter counts a call or a stream of a principal, or refuses it. Unless it refuses, leave must follow.
func (q *quotas) enter(p *hexbid.Principal) error {
	quota, bound := q.of(p)
	if !bound {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock()
	a := q.account(p, now)
	if quota.InFlight > 0 && a.inFlight >= int(quota.InFlight) {
		return q.refuse(p, inFlightQuota, retryOpen, "%d calls are open at once, and %d are the most", a.inFlight,
			quota.InFlight)
	}
	if each := partOfSecond(&quota); each > 0 {
		if wait := a.paid.Sub(now) + each - time.Second; wait > 0 {
			return q.refuse(p, callQuota, wait, "%d calls a second are the most, and all are made", quota.CallsPerSecond)
		}
		a.paid = a.paid.Add(each)
	}
	a.inFlight++
	return nil
}

// partOfSecond is how much of a second one call uses up, 0 without a bound on calls.
func partOfSecond(quota *hexbid.CallQuota) time.Duration {
	if quota.CallsPerSecond == 0 {
		return 0
	}
	return time.Second / time.Duration(quota.CallsPerSecond)
}

// leave ends the count of a call or a stream.
func (q *quotas) leave(p *hexbid.Principal) {
	if _, bound := q.of(p); !bound {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.accounts.of[p.ID]; a != nil { // always: an account with open calls is not dropped
		a.inFlight--
	}
}

// write counts rows that a principal is about to write, or refuses all of them.
func (q *quotas) write(p *hexbid.Principal, rows int) error {
	quota, bound := q.of(p)
	if !bound || quota.RowsPerDay == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if int64(rows) > quota.RowsPerDay { // no waiting helps
		q.refused[rowQuota].Add(1)
		return hexbid.Errorf(hexbid.Exhausted, "", "%d rows at once are more than the quota of %s, %d rows a day: send "+
			"fewer at once, or ask the operator for more", rows, p.ID, quota.RowsPerDay)
	}
	now := q.clock()
	a := q.account(p, now)
	if a.rows+int64(rows) > quota.RowsPerDay {
		midnight := time.Unix((a.day+1)*secondsADay, 0)
		return q.refuse(p, rowQuota, midnight.Sub(now), "%d rows a day are the most, of which %d are written",
			quota.RowsPerDay, a.rows)
	}
	a.rows += int64(rows)
	return nil
}

// used returns a principal's quota, and what of it is used: calls of the last second, those that are open, and rows of
// the day. Both are nil for a principal without a quota.
func (q *quotas) used(p *hexbid.Principal) (quota, used *hexbid.CallQuota) {
	most, bound := q.of(p)
	if !bound {
		return nil, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock()
	a := q.account(p, now)
	used = &hexbid.CallQuota{InFlight: int32(a.inFlight), RowsPerDay: a.rows}
	if each := partOfSecond(&most); each > 0 {
		used.CallsPerSecond = int32((a.paid.Sub(now) + each - 1) / each)
	}
	return &most, used
}

// Validate refuses quotas below zero. Its error names the flag.
func (q *Quotas) Validate() error {
	for _, of := range []struct {
		flag  string
		value int64
	}{{"user-calls-per-second", int64(q.User.CallsPerSecond)}, {"user-in-flight", int64(q.User.InFlight)},
		{"user-rows-per-day", q.User.RowsPerDay}, {"client-calls-per-second", int64(q.Client.CallsPerSecond)},
		{"client-in-flight", int64(q.Client.InFlight)}} {
		if of.value < 0 {
			return hexbid.Invalidf(of.flag, "%d is below zero: use 0 for no bound, or more", of.value)
		}
	}
	return nil
}

// refuse counts and returns the refusal of a principal that is at its quota of a kind. It rounds the time until another
// try up to a millisecond: a caller that waits as long as the refusal says must not be early by a fraction.
func (q *quotas) refuse(p *hexbid.Principal, kind quotaKind, retry time.Duration, format string, args ...any) error {
	q.refused[kind].Add(1)
	retry = (retry + time.Millisecond - 1).Truncate(time.Millisecond)
	err := hexbid.Errorf(hexbid.Exhausted, "",
		"the quota of %s is used: %s; try again in %s, or ask the operator for more", p.ID, fmt.Sprintf(format, args...),
		retry)
	err.Retry = retry
	return err
}
