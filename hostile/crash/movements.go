package main

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// moveOnce moves a balance. Some withdrawals are more than there is, and are refused.
func (c *crowd) moveOnce(ctx context.Context, random *rand.Rand) error {
	time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
	owner := c.auditor.advertisers[random.IntN(len(c.auditor.advertisers))]
	m := &movement{owner: owner, kind: movementKind(random.IntN(3)), micros: 1 + random.Int64N(100*yuan)}
	if m.kind == credit {
		if m.campaign, m.micros = c.auditor.creditable(owner, random); m.micros == 0 {
			return nil
		}
	} else if !owner.prepaid {
		return nil
	}
	if m.kind == withdrawal && random.IntN(4) == 0 {
		m.micros *= 1000
	} else if m.kind == withdrawal {
		m.micros /= 4 // so that balances rise
	}
	return c.move(ctx, c.auditor.request(m))
}

// creditable chooses a campaign and an amount that its charges less its credits surely hold.
func (a *auditor) creditable(owner *advertiser, random *rand.Rand) (*campaign, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := owner.campaigns[random.IntN(len(owner.campaigns))]
	left := c.spentMicros
	for _, m := range owner.movements {
		if m.kind == credit && m.campaign == c {
			left -= m.micros
		}
	}
	if left < 10 || random.IntN(4) != 0 {
		return c, 0
	}
	return c, 1 + random.Int64N(left/10)
}

// move asks for a movement, for the first time or again.
func (c *crowd) move(ctx context.Context, m *movement) error {
	ctx, cancel := context.WithTimeout(ctx, victim.Patience)
	defer cancel()
	var answer *pb.Movement
	var err error
	switch m.kind {
	case topUp:
		answer, err = c.ledger.CreateTopUp(ctx, &pb.CreateTopUpRequest{Parent: m.owner.name, RequestId: m.id,
			AmountMicros: m.micros})
	case withdrawal:
		answer, err = c.ledger.CreateWithdrawal(ctx, &pb.CreateWithdrawalRequest{Parent: m.owner.name, RequestId: m.id,
			AmountMicros: m.micros})
	case credit:
		answer, err = c.ledger.CreateCredit(ctx, &pb.CreateCreditRequest{Parent: m.owner.name, RequestId: m.id,
			CampaignUid: m.campaign.uid, AmountMicros: m.micros, Reason: "goodwill"})
	}
	if status.Code(err) == codes.FailedPrecondition {
		c.auditor.refuse(m)
		return nil
	}
	if err == nil {
		c.auditor.moved(m, movementAnswer{answer.GetSequence(), answer.GetBalanceMicros()})
	}
	return err
}
