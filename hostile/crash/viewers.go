package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// returningViewers search again and again, so that they come to the caps.
const returningViewers = 30

// drawViewer returns the user key of who searches: a viewer who returns, one who never searched before, or none.
func (a *auditor) drawViewer(random *rand.Rand) string {
	switch draw := random.IntN(10); {
	case draw < 6:
		return returning(random)
	case draw < 9:
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.newID()
	}
	return ""
}

func returning(random *rand.Rand) string { return fmt.Sprint("viewer-", random.IntN(returningViewers)) }

// erasure is an erasure of what the server knows of a viewer.
type erasure struct {
	asked time.Time
	known time.Time // when it was acknowledged; zero until then
}

// eraseOnce erases a viewer who returns: what they saw and clicked before counts no more.
func (c *crowd) eraseOnce(ctx context.Context, random *rand.Rand) error {
	time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
	viewer := returning(random)
	return c.erase(ctx, viewer, c.auditor.beginErasure(viewer))
}

func (c *crowd) erase(ctx context.Context, viewer string, e *erasure) error {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	_, err := c.ledger.EraseViewerHistory(ctx, &pb.EraseViewerHistoryRequest{UserKey: viewer})
	if err == nil {
		c.auditor.erased(e)
	}
	return endOf(err)
}

func (a *auditor) beginErasure(viewer string) *erasure {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &erasure{asked: time.Now()}
	a.erasures[viewer] = append(a.erasures[viewer], e)
	return e
}

func (a *auditor) erased(e *erasure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.known = time.Now()
	a.tally.erasures.Add(1)
}

// eraseAgain asks again for the erasures that got no answer.
func (c *crowd) eraseAgain(ctx context.Context) error {
	for viewer, erasures := range c.auditor.erasures {
		for _, e := range erasures {
			if e.known.IsZero() {
				if err := c.erase(ctx, viewer, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
