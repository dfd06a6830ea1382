package bidder

import (
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/targeting"
)

func TestTheIndexHasWhatPacingUsesOfACampaign(t *testing.T) {
	m := newChainMarket(t)
	c := chainCampaign("p", 0, hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 1000}}},
		hexbid.Area{})
	m.put(t, c)
	uid := m.uidOf(t, c.Name)
	paced := func() Paced {
		m.indexer.publish()
		p, there := m.indexer.Snapshot().Paced(uid)
		if !there {
			t.Fatal("it is not there")
		}
		return p
	}
	p := paced()
	if p.Mode != pacing.Even || p.Target != 0 || p.Bid != c.Bid || p.Pricing != c.Pricing || p.Short ||
		!p.Schedule.IsAlwaysOn() {
		t.Errorf("a plain campaign paces by %+v", p)
	}
	if m.indexer.records.details.at(0).specifics != 0 {
		t.Error("a plain campaign has specifics")
	}
	edited := *c
	edited.Goal, edited.TargetCost = hexbid.GoalTargetCost, c.Bid/2
	edited.Pacing, edited.Start = hexbid.PaceThrottle, m.indexer.clock().Add(-time.Hour)
	edited.Hours = []hexbid.WeeklyHours{{Day: 1, Start: 9, End: 12}}
	m.put(t, &edited)
	p = paced()
	start, end := p.Schedule.Flight()
	if p.Mode != pacing.Throttle || p.Target != c.Bid/2 || start != edited.Start.UnixNano() || end != 0 ||
		p.Schedule.Hours() != (targeting.WeekHours{7 << 9, 0, 0}) {
		t.Errorf("it paces by %+v, from %d to %d", p, start, end)
	}
	m.handIn(t, OwnerLedger, LiveUpdate{Campaign: uid, Left: 1})
	if p = paced(); !p.Short {
		t.Error("what is left of its budget holds it back, and pacing is not told")
	}
	m.remove(t, c.Name)
	m.indexer.publish()
	if _, there := m.indexer.Snapshot().Paced(uid); there {
		t.Error("a deleted campaign paces")
	}
}
