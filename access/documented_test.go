package access

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

// wordsOf are the rules that docs/access.md has words for.
var wordsOf = map[string]Rule{
	"Operators alone":                      {},
	"Auditors too":                         {Auditor: true},
	"Auditors, and members from viewer on": {Auditor: true, Member: hexbid.LevelViewer},
	"Members from editor on":               {Member: hexbid.LevelEditor},
	"Members from admin on":                {Member: hexbid.LevelAdmin},
	"Search clients":                       {Client: true},
	"Auditors, members from viewer on, and search clients": {Auditor: true, Member: hexbid.LevelViewer, Client: true},
	"Auditors, and everyone for themselves":                {Auditor: true, Self: true},
	"Everyone for themselves":                              {Self: true},
	"Everyone": {Auditor: true, Member: hexbid.LevelViewer, Client: true,
		Self: true},
}

// documented returns the rules of methods as the documentation states them, by the methods' own names.
func documented(t *testing.T) map[string]Rule {
	t.Helper()
	text, err := os.ReadFile("../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, there := strings.Cut(string(text), "\n## Who may call what\n")
	if !there {
		t.Fatal("docs/access.md has no section of who may call what")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	stated := map[string]Rule{}
	for item := range strings.SplitSeq(section, "\n- ") {
		lead, names, isList := strings.Cut(item, ": `")
		rule, known := wordsOf[lead]
		if !isList || !known {
			continue
		}
		for _, name := range strings.Fields("`" + names) {
			if name = strings.Trim(name, "`,."); name == "" {
				continue
			}
			if _, twice := stated[name]; twice {
				t.Errorf("%s is stated twice", name)
			}
			stated[name] = rule
		}
	}
	return stated
}

// unlike returns the methods of the table whose rules are not as stated.
func unlike(stated map[string]Rule) (methods []string) {
	for full, m := range Methods() {
		_, name, _ := strings.Cut(full, "/")
		rule := RuleOf(m)
		rule.Name = ""
		if of, there := stated[name]; !there || of != rule {
			methods = append(methods, name)
		}
	}
	for m := range methodCount { // what is no method of the contract is the operators'
		if r := RuleOf(m); r.Name == "" && r != (Rule{}) {
			methods = append(methods, "")
		}
	}
	return methods
}

// TestTheTableIsAsDocumented: who changes a right says so in two places, for people and for the program.
func TestTheTableIsAsDocumented(t *testing.T) {
	stated := documented(t)
	if len(stated) != len(Methods()) {
		t.Errorf("%d methods are documented of %d", len(stated), len(Methods()))
	}
	for _, name := range unlike(stated) {
		t.Errorf("%s: the table and docs/access.md differ", name)
	}
}

// TestEveryLooserRowIsNoticed loosens and tightens each row of the table by each step that there is. The comparison
// with the documentation must notice each.
func TestEveryLooserRowIsNoticed(t *testing.T) {
	stated, steps := documented(t), 0
	for m := range methodCount {
		was := rules[m]
		for _, step := range stepsFrom(was) {
			rules[m] = step
			_, name, _ := strings.Cut(was.Name, "/")
			if noticed := unlike(stated); !slices.Equal(noticed, []string{name}) {
				t.Errorf("%s as %+v: %q are noticed", name, step, noticed)
			}
			steps++
		}
		rules[m] = was
	}
	if steps < 4*int(methodCount) {
		t.Errorf("only %d steps of %d rows were tried", steps, methodCount)
	}
}

// stepsFrom returns the rules that differ from one in a single right, by one step.
func stepsFrom(r Rule) (steps []Rule) {
	for _, change := range []func(*Rule){
		func(r *Rule) { r.Auditor = !r.Auditor }, func(r *Rule) { r.Client = !r.Client },
		func(r *Rule) { r.Self = !r.Self }, func(r *Rule) { r.Member = (r.Member + 1) % hexbid.LevelCount },
		func(r *Rule) { r.Member = (r.Member + hexbid.LevelCount - 1) % hexbid.LevelCount },
	} {
		step := r
		change(&step)
		steps = append(steps, step)
	}
	return steps
}
