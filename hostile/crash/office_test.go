package main

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// folder is a small history of a place that is right: made, renamed, deleted, brought back by an undo, and deleted and
// made again. Tests spoil it.
type folder struct {
	paper   *paper
	found   *pb.Place
	changes []*pb.Change
	have    *pb.Holdings
}

func newFolder() *folder {
	place := func(mark string, uid uint64) *pb.Place { return &pb.Place{Name: "p", Uid: uid, DisplayName: mark} }
	made := &write{mark: "mark 1", record: place("mark 1", 7), settled: true}
	renamed := &write{mark: "mark 2", record: place("mark 2", 7), settled: true}
	gone := &write{settled: true}
	back := &write{mark: "mark 2", undoes: gone, settled: true, record: place("mark 2", 7)}
	refused := &write{mark: "mark 3", settled: true, never: true}
	again := &write{mark: "mark 4", record: place("mark 4", 8), settled: true}
	writes := []*write{made, renamed, gone, back, refused, {settled: true}, again}
	change := func(action pb.ChangeAction, before, after, undoes string) *pb.Change {
		value := func(s string) *structpb.Value {
			if s == "" {
				return nil
			}
			return structpb.NewStringValue(s)
		}
		return &pb.Change{Undoes: undoes, Resources: []*pb.ResourceChange{{Resource: "p", Action: action,
			Fields: []*pb.FieldChange{{Field: "display_name", Before: value(before), After: value(after)}}}}}
	}
	const created, updated, deleted = pb.ChangeAction_CHANGE_ACTION_CREATED, pb.ChangeAction_CHANGE_ACTION_UPDATED,
		pb.ChangeAction_CHANGE_ACTION_DELETED
	return &folder{&paper{name: "p", drawer: placeDrawer, writes: writes}, place("mark 4", 8), []*pb.Change{
		change(created, "", "mark 1", ""), change(updated, "mark 1", "mark 2", ""), change(deleted, "mark 2", "", ""),
		change(created, "", "mark 2", "changes/3"), change(deleted, "mark 2", "", ""), change(created, "", "mark 4", "")},
		&pb.Holdings{Campaigns: 1, Places: 2, Vertices: 3, Keywords: 4}}
}

func (f *folder) audit() (faults []fault) {
	tell := func(of fault, _ string, _ ...any) { faults = append(faults, of) }
	var found record
	if f.found != nil {
		found = f.found
	}
	f.paper.judgeHistory(f.changes, f.paper.judge(found, tell), tell)
	compareHoldings("a", f.have, &pb.Holdings{Campaigns: 1, Places: 2, Vertices: 3, Keywords: 4}, tell)
	return faults
}

func TestARightFolderHasNoFault(t *testing.T) {
	f := newFolder()
	if faults := f.audit(); len(faults) > 0 {
		t.Fatal(faults)
	}
	f.paper.begin(&write{}) // a deletion without an answer, of which the server has nothing
	if faults := f.audit(); len(faults) > 0 {
		t.Fatal(faults)
	}
	f.found = nil
	f.changes = append(f.changes, newFolder().changes[2])
	f.changes[6].Resources[0].Fields[0].Before = structpb.NewStringValue("mark 4")
	f.paper.begin(&write{}) // another, of which it has all
	if faults := f.audit(); len(faults) > 0 {
		t.Fatal(faults)
	}
}

func TestEveryAlteredPaperIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*folder)
		want  fault
	}{
		"the last write is lost":      {func(f *folder) { f.found = nil }, lost},
		"an earlier write is back":    {func(f *folder) { f.found.DisplayName = "mark 2" }, lost},
		"a refused write is in force": {func(f *folder) { f.found.DisplayName = "mark 3" }, lost},
		"a byte of an etag":           {func(f *folder) { f.found.Etag = "x" }, wrong},
		"another place":               {func(f *folder) { f.found.Latitude = 1e-9 }, wrong},
		"a uid is given twice": {func(f *folder) {
			f.found.Uid = 7
			f.paper.writes[6].record.(*pb.Place).Uid = 7
		}, doubled},
		"the last change is dropped":    {func(f *folder) { f.changes = f.changes[:5] }, lost},
		"all changes are dropped":       {func(f *folder) { f.changes = nil }, lost},
		"a change amid is dropped":      {func(f *folder) { f.changes = append(f.changes[:1], f.changes[2:]...) }, wrong},
		"a change is told twice":        {func(f *folder) { f.changes = append(f.changes, f.changes[5]) }, doubled},
		"two changes are exchanged":     {func(f *folder) { f.changes[0], f.changes[1] = f.changes[1], f.changes[0] }, wrong},
		"a change is damaged":           {func(f *folder) { f.changes[1].Damaged = true }, wrong},
		"a resource of one is damaged":  {func(f *folder) { f.changes[1].Resources[0].Damaged = true }, wrong},
		"a byte of what it was":         {func(f *folder) { f.spoilField(1, "mark 0", "mark 2") }, wrong},
		"a byte of what it became":      {func(f *folder) { f.spoilField(1, "mark 1", "mark 3") }, wrong},
		"an undo that undoes nothing":   {func(f *folder) { f.changes[3].Undoes = "" }, wrong},
		"a write that undoes something": {func(f *folder) { f.changes[1].Undoes = "changes/1" }, wrong},
		"a change of another":           {func(f *folder) { f.changes[1].Resources[0].Resource = "q" }, wrong},
		"a campaign counted twice":      {func(f *folder) { f.have.Campaigns++ }, wrong},
		"a place that is not counted":   {func(f *folder) { f.have.Places-- }, wrong},
		"a vertex too many":             {func(f *folder) { f.have.Vertices++ }, wrong},
		"a keyword too few":             {func(f *folder) { f.have.Keywords-- }, wrong},
	} {
		f := newFolder()
		c.spoil(f)
		if faults := f.audit(); len(faults) == 0 || faults[0] != c.want {
			t.Errorf("%s: %v, want %v", name, faults, c.want)
		}
	}
}

func (f *folder) spoilField(change int, before, after string) {
	field := f.changes[change].Resources[0].Fields[0]
	field.Before, field.After = structpb.NewStringValue(before), structpb.NewStringValue(after)
}

func TestABudgetThatTheHistoryDoesNotTellIsFound(t *testing.T) {
	now := time.Now()
	c := &campaign{name: "c", uid: 7, edits: []*edit{{limits: limits{daily: 5}, known: now},
		{limits: limits{daily: 5}, known: now}, {limits: limits{daily: 6}, never: true}, {limits: limits{daily: 8}},
		{limits: limits{daily: 5}, known: now}, {limits: limits{daily: 9}, known: now}}}
	told := []*pb.Change{budgetChange(7, "5"), budgetChange(8, "6"), budgetChange(7, "8"), budgetChange(7, "9")}
	for name, spoil := range map[string]func([]*pb.Change) []*pb.Change{
		"":               func(all []*pb.Change) []*pb.Change { return all },
		"one is dropped": func(all []*pb.Change) []*pb.Change { return all[1:] },
		"another amount": func(all []*pb.Change) []*pb.Change { return append(all[:3:3], budgetChange(7, "90")) },
		"another's":      func(all []*pb.Change) []*pb.Change { return append(all[:3:3], budgetChange(8, "9")) },
		"not in order":   func(all []*pb.Change) []*pb.Change { return append(all[3:4:4], all[:3]...) },
		"one is damaged": func(all []*pb.Change) []*pb.Change {
			broken := proto.Clone(all[2]).(*pb.Change)
			broken.Damaged = true
			return []*pb.Change{all[0], all[1], broken, all[3]}
		},
	} {
		var faults []fault
		tell := func(of fault, _ string, _ ...any) { faults = append(faults, of) }
		compareBudgets(c, budgetsIn(spoil(told), tell)[c.uid], tell)
		if fell := len(faults) > 0; fell != (name != "") {
			t.Errorf("%q: %v", name, faults)
		}
	}
}

func budgetChange(uid uint64, budget string) *pb.Change {
	return &pb.Change{Resources: []*pb.ResourceChange{{Uid: uid, Fields: []*pb.FieldChange{
		{Field: "daily_budget_micros", After: structpb.NewStringValue(budget)}}}}}
}
