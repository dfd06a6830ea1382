package store

// effects collects what a group does to each name.
type effects struct {
	all        []effect       // in order of the first step of a name
	byName     map[string]int // index in all; only for groups of many steps
	references []SetReference
}

// effect is what a group does to the record and the verdict of a name.
type effect struct {
	name    string
	verdict *SetVerdict // nil when the group sets none

	wrote         bool        // whether a step puts or deletes the record
	before, after Record      // before and after the group; zero for none
	step          int         // index of the last step that wrote the record
	refers        []Reference // of after, with the fields that errors name
	derived       *Derived    // of after
}

// stepsSearched is the most steps of a group whose effects are found by a linear search.
const stepsSearched = 8

// begin clears the effects of the previous group.
func (e *effects) begin(steps int) {
	*e = effects{all: make([]effect, 0, steps)}
	if steps > stepsSearched {
		e.byName = make(map[string]int, steps)
	}
}

// on returns the effect on a name. The pointer is valid until the next call.
func (e *effects) on(name string) *effect {
	if i := e.find(name); i >= 0 {
		return &e.all[i]
	}
	if e.byName != nil {
		e.byName[name] = len(e.all)
	}
	e.all = append(e.all, effect{name: name})
	return &e.all[len(e.all)-1]
}

// write records that step i puts or deletes the record, whose present state is current.
func (e *effect) write(i int, step *Step, current Record) {
	if !e.wrote {
		e.before, e.wrote = current, true
	}
	e.step, e.after, e.refers, e.derived = i, Record{}, nil, step.Derived
	if step.Put != nil {
		e.refers = step.Put.Refers
	}
}

// find returns the index of a name's effect, -1 when there is none.
func (e *effects) find(name string) int {
	if e.byName != nil {
		if i, there := e.byName[name]; there {
			return i
		}
		return -1
	}
	for i := range e.all {
		if e.all[i].name == name {
			return i
		}
	}
	return -1
}

// taken builds the result of a group that holds from its effects.
func (s *Stage) taken(g *Group) Taken {
	t := Taken{References: s.effects.references,
		Change: Change{Version: s.Version, At: g.At, Who: g.Who, From: g.From, Key: g.Key, Undoes: g.Undoes}}
	for i := range s.effects.all {
		e := &s.effects.all[i]
		if e.verdict == nil && e.before.uid() == 0 && e.after.uid() == 0 {
			continue // put and deleted again
		}
		t.Names = append(t.Names, e.name)
		if e.verdict != nil {
			t.Verdicts = append(t.Verdicts, *e.verdict)
			t.Change.Verdicts = append(t.Change.Verdicts, PastVerdict{e.name, e.verdict.Before})
		}
		replaced := e.before.uid() != 0 && e.before.uid() == e.after.uid()
		if e.before.uid() != 0 && !replaced {
			t.Change.Deletes = append(t.Change.Deletes, e.before)
		}
		if e.after.uid() != 0 {
			t.Change.Puts = append(t.Change.Puts, e.written(replaced))
			t.Steps = append(t.Steps, e.step)
			if BeginsLife(e.name, e.before.uid(), e.after.uid()) && g.Steps[e.step].Revive == 0 {
				t.Born = append(t.Born, e.after.uid())
			}
		}
	}
	return t
}

// written returns the record that an effect leaves. Before is zero for a name that was deleted and put again, because
// the earlier record had another uid.
func (e *effect) written(replaced bool) Written {
	w := Written{Record: e.after}
	if replaced {
		w.Before = e.before
	}
	if e.derived != nil {
		derived := *e.derived
		derived.UID, derived.Version = e.after.uid(), e.after.Meta().Version
		w.Derived = &derived
	}
	return w
}
