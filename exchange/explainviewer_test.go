package exchange

import (
	"fmt"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
)

// A member could otherwise ask, person by person, who has seen its ads, and by the rank who has seen its rivals'.
func TestAnExplanationTellsAMemberNothingOfAPerson(t *testing.T) {
	for _, seenOf := range []string{"own", "a rival's"} {
		b, own, other := openTenants(t)
		of := own
		if seenOf != "own" {
			of = other
		}
		c := cappedCampaign("c", 1)
		c.Name, c.Program = of.campaign(), of.program()
		b.put(c)
		explain := func(level hexbid.Level, viewer string) (bidder.Rule, string) {
			r := at(hub)
			r.Viewer.UserKey = viewer
			caller := memberOf(own, level)
			if level == hexbid.LevelNone {
				caller = ctx
			}
			x, err := b.Explain(caller, own.campaign(), r)
			if err != nil {
				t.Fatal(err)
			}
			return x.Verdict.Rule, fmt.Sprint(x.Rank, x.Reason, x.Advice, x.AdviceText, x.Verdict.Award.Slot)
		}
		b.see(b.search("someone")...)
		for level := hexbid.LevelViewer; level < hexbid.LevelCount; level++ {
			_, someone := explain(level, "someone")
			if _, nobody := explain(level, "nobody"); someone != nobody {
				t.Errorf("%s campaign was seen, the %s is told %q, of another viewer %q", seenOf, level, someone, nobody)
			}
		}
		rule, someone := explain(hexbid.LevelNone, "someone")
		if _, nobody := explain(hexbid.LevelNone, "nobody"); someone == nobody {
			t.Errorf("%s campaign was seen, and the operator is told %q (%s)", seenOf, someone, rule)
		}
	}
}
