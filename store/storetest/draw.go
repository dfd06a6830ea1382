package storetest

import (
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// drawnNames are the names that the model's groups touch. They are few, so that groups often touch the same ones.
var drawnNames = []string{
	"advertisers/a", "advertisers/b",
	"advertisers/a/programs/p", "advertisers/a/programs/q",
	"advertisers/a/programs/p/places/1", "advertisers/a/programs/p/places/2", "advertisers/a/programs/q/places/1",
	"advertisers/a/campaigns/c", "advertisers/a/campaigns/d", "advertisers/b/campaigns/c",
	"users/a", "users/a/keys/1", "clients/a", "clients/a/keys/1", "market",
}

// chance draws true with a probability of one in once.
func chance(t *rapid.T, once int, what string) bool {
	return rapid.IntRange(1, once).Draw(t, what) == 1
}

func drawName(t *rapid.T) string { return rapid.SampledFrom(drawnNames).Draw(t, "name") }

func drawGroups(t *rapid.T, m *model) []store.Group {
	groups := make([]store.Group, rapid.IntRange(1, 4).Draw(t, "groups"))
	for i := range groups {
		groups[i] = drawGroup(t, m)
	}
	return groups
}

func drawGroup(t *rapid.T, m *model) store.Group {
	var g store.Group
	steps := 1
	switch {
	case chance(t, 8, "build"): // all that other records refer to, so that many groups hold
		for _, name := range drawnNames[:4] {
			g.Steps = append(g.Steps, store.Step{Put: drawRecord(t, name), IfVersion: store.AnyVersion})
		}
	case chance(t, 10, "many"):
		steps = rapid.IntRange(0, 14).Draw(t, "steps")
	case chance(t, 2, "few"):
		steps = rapid.IntRange(1, 4).Draw(t, "steps")
	}
	for range steps {
		g.Steps = append(g.Steps, drawStep(t, m))
	}
	for chance(t, 5, "condition") {
		g.Conditions = append(g.Conditions, store.Condition{Name: drawName(t),
			Is: store.ConditionKind(rapid.IntRange(1, 4).Draw(t, "is")), Version: drawVersion(t, m)})
	}
	for chance(t, 5, "limit") {
		g.Limits = append(g.Limits, store.Limit{Owner: drawName(t), Counter: drawCounter(t),
			AtMost: rapid.Int64Range(-3, 20).Draw(t, "atMost")})
	}
	g.Who, g.From, g.At = rapid.SampledFrom([]string{"", "tester"}).Draw(t, "who"), "here", noon
	return g
}

func drawCounter(t *rapid.T) store.Counter {
	return store.Counter(rapid.IntRange(int(store.Entries), int(store.Aliases)).Draw(t, "counter"))
}

// drawVersion draws the version that a step or a condition demands.
func drawVersion(t *rapid.T, m *model) uint64 {
	switch rapid.IntRange(0, 7).Draw(t, "version") {
	case 0:
		return 0
	case 1:
		return store.InThisCommit
	case 2:
		r, there := m.records[drawName(t)]
		if there {
			return r.Meta().Version
		}
	case 3:
		return m.verdicts[drawName(t)].Version
	}
	return store.AnyVersion
}

func drawStep(t *rapid.T, m *model) store.Step {
	name := drawName(t)
	parsed, _ := hexbid.ParseName(name)
	step := store.Step{IfVersion: drawVersion(t, m)}
	if parsed.Kind == hexbid.KindPlace && chance(t, 4, "verdict") {
		step.Verdict = &store.Verdict{State: hexbid.ReviewState(rapid.IntRange(1, 3).Draw(t, "state")), At: noon}
		if chance(t, 2, "judge") {
			step.Judge, step.IfVersion = name, 0
			return step
		}
	}
	if chance(t, 3, "delete") {
		step.Delete = name
		return step
	}
	step.Put = drawRecord(t, name)
	if chance(t, 4, "derived") {
		step.Derived = &store.Derived{By: 1, Value: []byte(rapid.StringN(0, 3, 9).Draw(t, "derived value"))}
	}
	if len(m.uids) > 0 && chance(t, 6, "revive") {
		step.Revive = rapid.SampledFrom(m.uids).Draw(t, "uid")
		if chance(t, 9, "of none") {
			step.Revive = provisionalUID - 1
		}
	}
	return step
}

// drawRecord draws a resource for a name and declares it. An advertiser also counts for counters drawn at random.
func drawRecord(t *rapid.T, name string) *store.Record {
	meta := hexbid.Meta{Name: name}
	parsed, _ := hexbid.ParseName(name)
	title := rapid.StringN(0, 3, 9).Draw(t, "title")
	var r store.Record
	switch parsed.Kind {
	case hexbid.KindAdvertiser:
		r = store.Declare(&hexbid.Advertiser{Meta: meta, DisplayName: title}, 0)
		for chance(t, 2, "count") && len(r.Counts) < 3 {
			r.Counts = append(r.Counts, store.Count{Owner: drawName(t), Counter: drawCounterOfItsOwn(t),
				By: rapid.Int64Range(-5, 5).Draw(t, "by")})
		}
	case hexbid.KindProgram:
		r = store.Declare(&hexbid.Program{Meta: meta, DisplayName: title}, 0)
	case hexbid.KindPlace:
		r = store.Declare(&hexbid.Place{Meta: meta, DisplayName: title,
			Review: hexbid.ReviewState(rapid.IntRange(1, 3).Draw(t, "state"))}, 0)
	case hexbid.KindCampaign:
		owner := parsed.Owner().String()
		c := &hexbid.Campaign{Meta: meta, DisplayName: title,
			Program: owner + "/programs/" + rapid.SampledFrom([]string{"p", "q"}).Draw(t, "program")}
		c.Area.AroundPlacesM = rapid.SampledFrom([]float64{0, 100}).Draw(t, "radius")
		r = store.Declare(c, rapid.IntRange(0, 3).Draw(t, "cells"))
	case hexbid.KindUser:
		r = store.Declare(&hexbid.User{Meta: meta, DisplayName: title, Role: hexbid.Auditor}, 0)
	case hexbid.KindClient:
		r = store.Declare(&hexbid.Client{Meta: meta, DisplayName: title}, 0)
	case hexbid.KindMarket:
		r = store.Declare(&hexbid.Market{Meta: meta, Increment: hexbid.Money(len(title))}, 0)
	case hexbid.KindKey:
		r = store.Declare(&hexbid.Key{Meta: meta, DisplayName: title, CredentialID: "id", SecretHash: [32]byte{1}}, 0)
	}
	return &r
}

// drawCounterOfItsOwn draws a counter that no count multiplies by.
func drawCounterOfItsOwn(t *rapid.T) store.Counter {
	return rapid.SampledFrom([]store.Counter{store.Entries, store.Places, store.Buyers}).Draw(t, "counter")
}
