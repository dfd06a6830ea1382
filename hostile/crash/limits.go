package main

import (
	"math"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// limits are the budgets of a campaign in micros, and its frequency cap. Those of an advertiser are its cap alone.
type limits struct {
	daily, total int64 // total 0: none
	cap          frequencyCap
}

func (l limits) mostTotal() int64 {
	if l.total == 0 {
		return math.MaxInt64
	}
	return l.total
}

// edit is a change of limits. A campaign or an advertiser has one editor, which asks for one change at a time.
type edit struct {
	limits
	asked time.Time // before the call
	known time.Time // when it was acknowledged, or found in the catalogue after a kill; zero until then
	never bool      // a kill came first: the catalogue does not have it
}

// campaign is what the auditor knows of a campaign. One that is deleted and made again under its name is another.
type campaign struct {
	name      string
	uid       uint64
	owner     *advertiser
	model     pb.PricingModel
	bidMicros int64
	host      pb.Host
	zone      *time.Location
	pacing    pb.Pacing
	goal      pb.Goal
	capped    bool // its editors change its frequency cap too

	claimed     bool      // somebody edits it or makes it again
	made        time.Time // when its creation was acknowledged: a search that began later returns no earlier one
	removing    bool      // somebody has asked to delete it
	removeAsked time.Time // before that call; zero until then
	removeKnown time.Time // when it was acknowledged, or found out after a kill
	gone        bool      // it is deleted
	edits       []*edit   // the first creates it
	awards      []*award  // all that searches have returned
	waiting     []*award  // of them, those that nobody has reported yet
	spentMicros int64     // by the answers so far; editors aim at it
}

// inForce returns the limits that may have been in force at a record between two instants. Those are the limits of the
// last edit that was acknowledged before, and of every edit that was asked for since.
func inForce(edits []*edit, from, until time.Time) (possible []limits) {
	for i := len(edits) - 1; i >= 0; i-- {
		e := edits[i]
		if e.never || e.asked.After(until) {
			continue
		}
		possible = append(possible, e.limits)
		if !e.known.IsZero() && e.known.Before(from) {
			break
		}
	}
	return possible
}

// budgetsInForce returns the least and the highest budgets that may have been in force between two instants.
func (c *campaign) budgetsInForce(from, until time.Time) (least, most limits) {
	least.daily, least.total = math.MaxInt64, math.MaxInt64
	for _, l := range inForce(c.edits, from, until) {
		least.daily, least.total = min(least.daily, l.daily), min(least.total, l.mostTotal())
		most.daily, most.total = max(most.daily, l.daily), max(most.total, l.mostTotal())
	}
	return least, most
}

// settledLimits are those of the last edit. Nobody edits meanwhile.
func settledLimits(edits []*edit) limits {
	for i := len(edits) - 1; i >= 0; i-- {
		if !edits[i].never {
			return edits[i].limits
		}
	}
	return limits{}
}

// advertiser is what the auditor knows of an advertiser.
type advertiser struct {
	name      string
	prepaid   bool
	claimed   bool // somebody edits its frequency cap
	edits     []*edit
	campaigns []*campaign
	movements []*movement
}

// movementKind says how a movement changes a balance.
type movementKind uint8

const (
	topUp movementKind = iota
	withdrawal
	credit
)

// movement is a change of an advertiser's balance that was asked for under a request id.
type movement struct {
	owner    *advertiser
	campaign *campaign // of a credit
	kind     movementKind
	micros   int64
	id       string
	refused  bool            // the service answered that it cannot be, and changed nothing
	answer   *movementAnswer // nil until answered
}

// movementAnswer is the first answer to a movement.
type movementAnswer struct {
	sequence      uint64
	balanceMicros int64
}
