package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// office is a console at a server with credentials required, and key files of callers of every role.
type office struct {
	*console
	server *testServer
	keys   map[string]string // file, by user or client
}

// rivalsFile has two advertisers that are rivals.
const rivalsFile = `kind: advertiser
name: advertisers/tea
display_name: Tea
---
kind: program
name: advertisers/tea/programs/p
display_name: P
category: catering
hosts: [wechat]
---
kind: campaign
name: advertisers/tea/campaigns/c
display_name: C
program: advertisers/tea/programs/p
pricing: cpc
bid: 1.20
daily_budget: 100
area:
  circles: [30.2741 120.1551 800]
creatives:
  - title: T
---
kind: advertiser
name: advertisers/rival
display_name: Rival
`

func openOffice(t *testing.T, change func(*ServeConfig)) *office {
	data := filepath.Join(t.TempDir(), "data")
	s := boot(t, func(c *ServeConfig) {
		c.Data, c.Auth, c.HTTPListen = data, "required", "127.0.0.1:0"
		if change != nil {
			change(c)
		}
	})
	o := &office{openConsole(t, s), s, map[string]string{"op": filepath.Join(data, operatorKeyName)}}
	o.as("op", "apply", "-f", write(t, "market.yaml", rivalsFile))
	for user, level := range map[string]string{"ann": "admin", "ed": "editor", "vi": "viewer"} {
		o.as("op", "users", "create", user, "--member", "advertisers/tea="+level)
	}
	o.as("op", "users", "create", "rita", "--member", "advertisers/rival=admin")
	o.as("op", "users", "create", "audrey", "--role", "auditor")
	o.as("op", "clients", "create", "app")
	for _, owner := range []string{"users/ann", "users/ed", "users/vi", "users/rita", "users/audrey", "clients/app"} {
		_, id, _ := strings.Cut(owner, "/")
		o.keys[id] = filepath.Join(t.TempDir(), id)
		o.as("op", "keys", "create", owner, "--id", "k", "--out", o.keys[id])
	}
	return o
}

// by returns a command line that a caller gives.
func (o *office) by(who string, args []string) []string {
	return append(args, "--server", o.console.server, "--key-file", o.keys[who])
}

// as runs a command line of a caller that succeeds, and returns what it prints.
func (o *office) as(who string, args ...string) string {
	o.t.Helper()
	return o.must("", o.by(who, args)...)
}

// refuses runs a command line of a caller that fails with an exit status and words.
func (o *office) refuses(who string, status int, words string, args ...string) {
	o.t.Helper()
	out, notes, code := o.try("", o.by(who, args)...)
	if code != status || out != "" || !strings.Contains(notes, words) || strings.Contains(notes, "rpc error") {
		o.t.Errorf("hexbid %s by %s: exit %d, want %d and %q\n%s%s", strings.Join(args, " "), who, code, status, words, out,
			notes)
	}
}

// changes reads lines of JSON.
func (o *office) changes(text string) (all []map[string]any) {
	o.t.Helper()
	for line := range strings.Lines(text) {
		var change map[string]any
		if err := json.Unmarshal([]byte(line), &change); err != nil {
			o.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, change)
	}
	return all
}

// lastName returns the name of the newest change of a resource.
func (o *office) lastName(resource string) string {
	o.t.Helper()
	return o.changes(o.as("op", "history", resource, "-o", "json", "--limit", "1"))[0]["name"].(string)
}

const teaCampaign = "advertisers/tea/campaigns/c"

// setBid has a caller apply a file in which the campaign has another bid.
func (o *office) setBid(who, bid string) {
	o.t.Helper()
	row := strings.Split(rivalsFile, "---")[2]
	o.as(who, "apply", "-f", write(o.t, "campaign.yaml", strings.Replace(row, "1.20", bid, 1)))
}

// TestEveryRoleReadsItsHistory has each role ask for the history of an advertiser, and its rival's.
func TestEveryRoleReadsItsHistory(t *testing.T) {
	o := openOffice(t, nil)
	o.server.now.Add(int64(time.Hour))
	o.setBid("ed", "1.25")
	from := "users/ed (member) from 127.0.0.1:"
	for who, want := range map[string]struct {
		changes       int
		sees, misses  string
		rivalsChanges int
	}{
		"op":     {4, from, "", 1},
		"audrey": {4, from, "", 1},
		"ann":    {4, from, "users/operator", 0},
		"ed":     {4, from, "users/operator", 0},
		"vi":     {4, "users/ed (member)  updated", "from", 0},
		"rita":   {0, "", "a", 1},
	} {
		out := o.as(who, "history", "--owner", "advertisers/tea")
		if lines := strings.Count(out, "\n"); lines != want.changes || !strings.Contains(out, want.sees) ||
			want.misses != "" && strings.Contains(out, want.misses) {
			t.Errorf("%s sees %d changes:\n%s", who, lines, out)
		}
		if out := o.as(who, "history", "--owner", "advertisers/rival"); strings.Count(out, "\n") != want.rivalsChanges {
			t.Errorf("of the rival's %s sees:\n%s", who, out)
		}
	}
	_, notes, _ := o.try("", o.by("rita", []string{"history", "--owner", "advertisers/tea"})...)
	if !strings.Contains(notes, "no such changes") {
		t.Errorf("of an empty history a member is told %q", notes)
	}
	o.refuses("app", 1, "operators may", "history")
	text := o.as("vi", "history", teaCampaign)
	if want := "    bid: 1.20 -> 1.25\n"; !strings.Contains(text, want) {
		t.Errorf("without %q:\n%s", want, text)
	}
	first := o.changes(o.as("op", "history", teaCampaign, "-o", "json"))[0]
	actor := first["actor"].(map[string]any)
	if actor["name"] != "users/ed" || actor["credential"] != "users/ed/keys/k" || actor["role"] != "ROLE_MEMBER" ||
		!strings.HasPrefix(actor["origin"].(string), "127.0.0.1:") || first["time"] != "2026-11-20T05:07:30Z" {
		t.Errorf("%v", first)
	}
	for _, secret := range []string{"hxb_", "hash", "Hash"} {
		if all := o.as("op", "history", "--full", "--fields", "--limit", "0"); strings.Contains(all, secret) {
			t.Errorf("the history holds %q", secret)
		}
	}
}

// TestAHistoryIsFilteredAndReadPageByPage tries what a user of the command line can narrow a history by.
func TestAHistoryIsFilteredAndReadPageByPage(t *testing.T) {
	o := openOffice(t, nil)
	o.server.now.Add(int64(time.Hour)) // 05:07:30
	o.setBid("ed", "1.25")
	o.server.now.Add(int64(time.Hour)) // 06:07:30
	o.setBid("ann", "1.30")
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--by", "users/ed"}, 1}, {[]string{"--by", "member"}, 2}, {[]string{"--by", "users/nobody"}, 0},
		{[]string{"--kind", "program"}, 1}, {[]string{"--owner", "users/ed"}, 2}, {[]string{teaCampaign}, 3},
		{[]string{teaCampaign, "--since", "2026-11-20T05:00:00Z"}, 2},
		{[]string{teaCampaign, "--since", "2026-11-20T13:07:30+08:00", "--until", "2026-11-20T06:07:30Z"}, 1},
		{[]string{teaCampaign, "--until", "2026-11-20T05:07:30Z"}, 1}, {[]string{teaCampaign, "--limit", "2"}, 2},
		{[]string{teaCampaign, "--limit", "3"}, 3}, {[]string{teaCampaign, "--limit", "0"}, 3},
	} {
		args := append([]string{"history", "-o", "json"}, c.args...)
		if got := o.changes(o.as("op", args...)); len(got) != c.want {
			t.Errorf("%v: %d changes, want %d", c.args, len(got), c.want)
		}
	}
	_, notes, code := o.try("", o.by("op", []string{"history", teaCampaign, "--limit", "2"})...)
	if code != 0 || !strings.Contains(notes, "newest 2; --limit shows more") {
		t.Errorf("exit %d, %s", code, notes)
	}
	if _, notes, _ := o.try("", o.by("op", []string{"history", teaCampaign, "--limit", "3"})...); notes != "" {
		t.Errorf("after the last change: %s", notes)
	}
	o.refuses("op", 1, "kind:", "history", "--kind", "banner")
	o.refuses("op", 1, "principal:", "history", "--by", "ed")
	o.refuses("op", 1, "owner:", "history", "--owner", teaCampaign)
	o.refuses("op", 1, "resource:", "history", "advertisers/-/campaigns/c")
	o.refuses("op", 1, "before start_time", "history", "--since", "2026-11-20T06:00:00Z", "--until",
		"2026-11-20T05:00:00Z")
	o.refuses("op", 2, "is no time", "history", "--since", "yesterday")
	o.refuses("op", 2, "is no time", "history", "--until=-1d")
	o.refuses("op", 1, "--limit", "history", "--limit=-1")
	if _, notes, code := o.try("", "history", "--server", o.console.server); code != 1 ||
		!strings.Contains(notes, "hexbid login") {
		t.Errorf("nobody: exit %d, %s", code, notes)
	}
}

// TestUndosByTheCommandLine undoes by each role, with a preview and without.
func TestUndosByTheCommandLine(t *testing.T) {
	o := openOffice(t, nil)
	o.setBid("ed", "1.25")
	change := o.lastName(teaCampaign)
	o.refuses("app", 1, "", "undo", change, "--yes")
	o.refuses("audrey", 1, "auditor", "undo", change, "--yes")
	o.refuses("vi", 1, "viewer", "undo", change, "--yes")
	o.refuses("rita", 1, "does not exist", "undo", change, "--yes")
	o.refuses("ed", 1, "give --yes", "undo", change)
	o.refuses("ed", 1, "changes/{c}", "undo", "advertisers/tea", "--yes")
	if out := o.as("ed", "undo", change, "--dry-run"); !strings.Contains(out, "bid: 1.25 -> 1.20") ||
		strings.Contains(out, "  changes/") && !strings.Contains(out, "(undoes "+change+")") {
		t.Errorf("dry run: %s", out)
	}
	if o.lastName(teaCampaign) != change {
		t.Error("a dry run changed something")
	}
	var done map[string]any
	if err := json.Unmarshal([]byte(o.as("ed", "undo", change, "--yes", "-o", "json")), &done); err != nil ||
		done["undoes"] != change || done["name"] != o.lastName(teaCampaign) {
		t.Errorf("%v, %v", done, err)
	}
	o.refuses("ed", 1, "had before already", "undo", change, "--yes")
	if out := o.as("vi", "history", teaCampaign, "--limit", "1"); !strings.Contains(out, "users/ed (member)") ||
		!strings.Contains(out, "(undoes "+change+")") {
		t.Errorf("the history of the undo: %s", out)
	}
	// Who has lost the right meanwhile undoes nothing, in whatever way.
	o.setBid("ed", "1.40")
	change = o.lastName(teaCampaign)
	o.as("op", "users", "member", "ed", "advertisers/tea", "viewer")
	o.refuses("ed", 1, "viewer", "undo", change, "--yes")
	o.as("op", "users", "member", "ed", "advertisers/tea", "none")
	o.refuses("ed", 1, "", "undo", change, "--yes")
	o.as("op", "keys", "revoke", "users/ed/keys/k")
	o.refuses("ed", 1, "not in force", "undo", change, "--yes")
	if o.lastName(teaCampaign) != change {
		t.Error("somebody without the right undid a change")
	}
}

// TestAHistorySaysFromWhereEachWayCame makes changes by every way into the server, directly and behind a proxy.
func TestAHistorySaysFromWhereEachWayCame(t *testing.T) {
	o := openOffice(t, func(c *ServeConfig) { c.TrustedProxies = []string{"127.0.0.1"} })
	text, err := os.ReadFile(o.keys["ed"])
	if err != nil {
		t.Fatal(err)
	}
	bearer := "Bearer " + strings.TrimSpace(string(text))
	const direct = "127.0.0.1:" // and a port
	bid := int64(1_500_000)
	next := func() *pb.UpdateCampaignRequest {
		bid += 10_000
		return &pb.UpdateCampaignRequest{Campaign: &pb.Campaign{Name: teaCampaign, BidMicros: bid},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_micros"}}}
	}
	grpcBy := func(headers ...string) error {
		ctx := metadata.AppendToOutgoingContext(testContext(t), append(headers, "authorization", bearer)...)
		_, err := o.server.campaigns.UpdateCampaign(ctx, next())
		return err
	}
	httpBy := func(headers ...string) error {
		bid += 10_000
		r, err := http.NewRequestWithContext(testContext(t), http.MethodPatch, "http://"+o.server.main.HTTPAddress()+"/v1/"+
			teaCampaign+"?update_mask=bid_micros", strings.NewReader(fmt.Sprintf(`{"bid_micros": "%d"}`, bid)))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", bearer)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if told, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", answer.Status, told)
		}
		return nil
	}
	for _, way := range []struct {
		name string
		make func() error
		from string
	}{
		{"gRPC", func() error { return grpcBy() }, direct},
		{"gRPC behind a proxy", func() error { return grpcBy("x-forwarded-for", "6.6.6.6, 203.0.113.7") }, "203.0.113.7"},
		{"HTTP", func() error { return httpBy() }, direct},
		{"HTTP behind a proxy", func() error { return httpBy("Forwarded", `for="[2001:db8::1]:4711"`) }, "2001:db8::1"},
		{"apply", func() error { o.setBid("ed", "1.91"); return nil }, direct},
	} {
		if err := way.make(); err != nil {
			t.Fatalf("%s: %v", way.name, err)
		}
		actor := o.changes(o.as("op", "history", teaCampaign, "-o", "json", "--limit", "1"))[0]["actor"].(map[string]any)
		origin, _ := actor["origin"].(string)
		if actor["name"] != "users/ed" || actor["credential"] != "users/ed/keys/k" ||
			origin != way.from && (way.from != direct || !strings.HasPrefix(origin, direct)) {
			t.Errorf("%s: %v", way.name, actor)
		}
	}
}
