package server

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// TestMetricsTellOfNoTenant: whatever names callers use, metrics count no more series than before, and no label has a
// word that a caller wrote.
func TestMetricsTellOfNoTenant(t *testing.T) {
	x := openMatrix(t)
	methods := methodsOf()
	ask := func(id string) {
		o := owner{advertiser: "advertisers/" + id, user: "users/" + id, client: "clients/" + id, charge: 77,
			change: "changes/" + id}
		for _, name := range slices.Sorted(maps.Keys(methods)) {
			for _, role := range []string{"nobody", "client", "viewer", "admin"} {
				p, _ := x.callerOf(role)
				p.ID += id
				x.call(t, p, methods[name], requestOf(t, methods[name], o))
			}
		}
	}
	series := func() []string { return slices.Sorted(maps.Keys(metricsOf(t, x.served))) }
	ask("canary0")
	before := series()
	for i := range 5 {
		ask(fmt.Sprintf("canary%d", i+1))
	}
	w := x.rawWire(t)
	for i := range 20 { // methods that there are not, and names that clients give themselves
		w.ask(t, fmt.Sprintf("/hexbid.v1.Canary%d/Canary%d", i, i), AuthorizationHeader, "Bearer canary", ClientHeader,
			fmt.Sprintf("canary%d", i))
	}
	after := series()
	if !slices.Equal(after, before) {
		t.Errorf("there were %d series, and are %d", len(before), len(after))
	}
	if text := strings.Join(after, "\n"); len(after) < 100 || strings.Contains(strings.ToLower(text), "canary") ||
		strings.Contains(text, "advertisers/") || strings.Contains(text, "users/") || strings.Contains(text, "clients/") {
		t.Errorf("%d series:\n%s", len(after), text)
	}
}

// TestACallersWordsEndInItsOwnAnswer: an error repeats a little of what its caller wrote, and never breaks a line of
// what it stands in.
func TestACallersWordsEndInItsOwnAnswer(t *testing.T) {
	x := openMatrix(t)
	p, own := x.callerOf("admin")
	methods := methodsOf()
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		request := requestOf(t, methods[name], own)
		rename(proto.Message(request).ProtoReflect(), func(text string) string {
			return text + "\r\n\x1b[31m" + strings.Repeat("\U0001F600", 5000)
		})
		code, text := x.call(t, p, methods[name], request)
		var r pb.ImportResponse
		if name == "CampaignService/Import" && proto.Unmarshal([]byte(text), &r) == nil && len(r.GetOutcomes()) == 1 {
			text = r.GetOutcomes()[0].GetError().GetMessage()
		}
		if code != 0 && (len(text) > 4<<10 || bytes.ContainsAny([]byte(text), "\r\n\x1b")) {
			t.Errorf("%s answers %s with %d bytes: %.300q", name, code, len(text), text)
		}
	}
}
