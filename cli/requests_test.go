package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/report"
)

// readText reads a file of requests under the flags of simulate load.
func readText(
	t *testing.T, text string, c simulateLoadCommand, given ...string,
) (r *recording, said string, err error) {
	t.Helper()
	c.Requests = writeFile(t, "requests.csv", text)
	if c.Speed == 0 {
		c.Speed = 1
	}
	if c.Zone == "" {
		c.Zone = "Asia/Shanghai"
	}
	var w bytes.Buffer
	r, err = c.record(given, &w)
	return r, w.String(), err
}

func writeFile(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTimesAreReadAsUsersHaveThem: the two times of each pair are a minute and a half apart.
func TestTimesAreReadAsUsersHaveThem(t *testing.T) {
	for first, second := range map[string]string{
		"12.5": "102.5", "1224741185": "1224741275", "1224741185123": "1224741275123", "1224741185123456": "1224741275123456",
		"1224741185123456789": "1224741275123456789", "2008-10-23 05:53:05": "2008-10-23 05:54:35",
		"2008-10-23T05:53:05": "2008-10-23T05:54:35", "2008-10-23 05:53:05.250": "2008-10-23 05:54:35.250",
		"2008/10/23 05:53:05": "2008/10/23 05:54:35", "2008/1/3 05:53:05": "2008/1/3 05:54:35",
		"2008-10-23T05:53:05Z": "2008-10-23T05:54:35Z", "2008-10-23T13:53:05+08:00": "2008-10-23T05:54:35Z",
		// in the zone of Shanghai
		"2008-10-23 05:53:05+08:00": "2008-10-22T21:54:35Z", "2008-10-23 05:53:05 +0800": "2008-10-22T21:54:35Z",
		"2008-10-23 13:53:05": "2008-10-23T05:54:35Z",
	} {
		r, said, err := readText(t, "time,lat,lon\n"+first+",30,120\n"+second+",30,120\n", simulateLoadCommand{})
		if err != nil || len(r.at) != 2 || r.at[0] != 0 || r.at[1] != 90*time.Second ||
			!strings.Contains(said, "2 requests over 1m30s, 0.0222 a second on average") {
			t.Errorf("%s to %s: %+v, %v\n%s", first, second, r, err, said)
		}
	}
}

// TestTimesThatLieTooFarApartAreBad: any two times that are accepted are so close that a time.Duration holds their
// difference.
func TestTimesThatLieTooFarApartAreBad(t *testing.T) {
	for _, year := range []string{"1701", "1899", "2190", "2249"} {
		_, said, err := readText(t, "time,lat,lon\n2008-10-23 05:53:05,30,120\n"+year+"-10-23 05:53:05,30,120\n",
			simulateLoadCommand{})
		if err == nil || !strings.Contains(said, "line 3: time: ") {
			t.Errorf("%s: %v\n%s", year, err, said)
		}
	}
}

// TestAZoneIsOfTimesThatNameNone: between these two times clocks went back an hour in New York, and never in Shanghai.
func TestAZoneIsOfTimesThatNameNone(t *testing.T) {
	for zone, want := range map[string]time.Duration{"America/New_York": 25 * time.Hour, "Asia/Shanghai": 24 * time.Hour,
		"UTC": 24 * time.Hour} {
		r, _, err := readText(t, "time,lat,lon\n2008-11-01 12:00:00,30,120\n2008-11-02 12:00:00,30,120\n",
			simulateLoadCommand{Zone: zone})
		if err != nil || r.at[1] != want {
			t.Errorf("%s: %v, %v", zone, r, err)
		}
	}
	for _, zone := range []string{"Nowhere/Land", "Local", "../etc/passwd"} {
		if _, _, err := readText(t, "time,lat,lon\n1,30,120\n", simulateLoadCommand{Zone: zone}); err == nil ||
			!strings.Contains(err.Error(), "--zone") {
			t.Errorf("%s: %v", zone, err)
		}
	}
}

func TestColumnsThatAreNotKnownAreNamedOnce(t *testing.T) {
	r, said, err := readText(t, "id,timestamp,latitude,colour,LNG,altitude,colour\n"+
		"1,1,30,red,120,492,x\n2,3,31,blue,121,480,y\n", simulateLoadCommand{})
	if err != nil || len(r.requests) != 2 || r.requests[1].GetLocation().GetLatitude() != 31 ||
		r.requests[1].GetLocation().GetLongitude() != 121 {
		t.Fatalf("%v, %v", r, err)
	}
	if strings.Count(said, "colour") != 2 || strings.Count(said, "not used") != 1 ||
		!strings.Contains(said, `"id", "colour", "altitude"`) {
		t.Error(said)
	}
}

func TestBadRowsNameFileAndLine(t *testing.T) {
	good := strings.Repeat("1,30,120\n", 400)
	for _, test := range []struct{ row, says string }{
		{"yesterday,30,120", `requests.csv: line 402: time: "yesterday" is neither a number of seconds`},
		{"2008-10-23 05:53:05,30,120", "line 402: time: \"2008-10-23 05:53:05\" is a date where the rows before"},
		{"-1,30,120", "line 402: time:"}, {"NaN,30,120", "line 402: time:"}, {"1e300,30,120", "line 402: time:"},
		{"9999999999999999999999,30,120", "line 402: time:"},
		{"1,95,120", "line 402: lat:"}, {"1,,120", "line 402: lat: it is empty"}, {"1,30", "line 402: it has 2 fields"},
		{"1,\"30,120", "line 402:"},
	} {
		r, said, err := readText(t, "time,lat,lon\n"+good+test.row+"\n", simulateLoadCommand{})
		if err != nil || len(r.requests) != 400 || !strings.Contains(said, test.says) ||
			!strings.Contains(said, "1 of 401 rows are bad") {
			t.Errorf("%s: %v\n%s", test.row, err, said)
		}
	}
}

// TestPlacesAreReplayedAtARate: at a rate the times are not needed and not read.
func TestPlacesAreReplayedAtARate(t *testing.T) {
	for _, text := range []string{"lat,lon\n30,120\n31,121\n", "time,lat,lon\nyesterday,30,120\nnow,31,121\n"} {
		r, said, err := readText(t, text, simulateLoadCommand{Rate: "500", Duration: time.Minute}, "rate", "requests")
		if err != nil || len(r.at) != 0 || len(r.requests) != 2 ||
			!strings.Contains(said, "2 requests, in the order of the file and from its start again after the last, at 500 a "+
				"second for 1m0s") {
			t.Errorf("%v, %v\n%s", r, err, said)
		}
	}
	if _, _, err := readText(t, "lat,lon\n30,120\n", simulateLoadCommand{}, "requests"); err == nil ||
		!strings.Contains(err.Error(), `no column "time"`) {
		t.Errorf("%v", err)
	}
}

func TestAReplaySaysWhatItWillDo(t *testing.T) {
	r, said, err := readText(t, "time,lat,lon\n100,30,120\n100,30,120\n140,31,121\n", simulateLoadCommand{Speed: 10})
	if err != nil || r.at[2] != 4*time.Second || !strings.Contains(said,
		"3 requests over 40s, 0.075 a second on average; 10 times as fast 4s, 0.75 a second") ||
		!strings.Contains(said, "whole seconds") {
		t.Errorf("%v, %v\n%s", r, err, said)
	}
	if _, said, err = readText(t, "time,lat,lon\n7,30,120\n7,30,120\n", simulateLoadCommand{}); err != nil ||
		!strings.Contains(said, "all at one instant") {
		t.Errorf("%v\n%s", err, said)
	}
	if _, _, err = readText(t, "time,lat,lon\n1,30,120\n1700000000,30,120\n", simulateLoadCommand{}); err == nil ||
		!strings.Contains(err.Error(), "--speed") {
		t.Errorf("fifty-four years: %v", err)
	}
	if _, _, err = readText(t, "time,lat,lon\n1,30,120\n2,30,120\n", simulateLoadCommand{Speed: 1e-300}); err == nil ||
		!strings.Contains(err.Error(), "--speed") {
		t.Errorf("a replay of ages: %v", err)
	}
}

func TestFlagsFillWhatRowsLeaveOut(t *testing.T) {
	slots, limit, radius := int32(5), int32(7), 900.0
	r, _, err := readText(t, "time,lat,lon,slots,limit,radius\n1,30,120,,,\n2,30,120,1,2,3\n",
		simulateLoadCommand{trafficFlags: trafficFlags{Slots: &slots, Limit: &limit, RadiusM: &radius}})
	if err != nil {
		t.Fatal(err)
	}
	if q := r.requests[0]; q.GetSponsoredSlots() != 5 || q.GetNearbyLimit() != 7 || q.GetRadiusM() != 900 {
		t.Errorf("%v", q)
	}
	if q := r.requests[1]; q.GetSponsoredSlots() != 1 || q.GetNearbyLimit() != 2 || q.GetRadiusM() != 3 {
		t.Errorf("%v", q)
	}
}

// run runs a command line that ends before it calls a server.
func run(args ...string) (code int, stderr string) {
	var out, errs bytes.Buffer
	code = Run(context.Background(), append([]string{"simulate"}, args...), Env{Stdout: &out, Stderr: &errs})
	return code, out.String() + errs.String()
}

// TestFlagsThatWouldBeIgnoredAreRefused: each flag is named. A flag set in a file counts too.
func TestFlagsThatWouldBeIgnoredAreRefused(t *testing.T) {
	file := writeFile(t, "requests.csv", "time,lat,lon\n1,30,120\n")
	config := writeFile(t, "config.yaml", "viewers: 7\n")
	for _, test := range []struct {
		args []string
		says []string
	}{
		{[]string{"load", "--requests", file, "--duration", "1s", "--where", "china", "--arrivals=even"},
			[]string{"--duration", "--where", "--arrivals", "add --rate"}},
		{[]string{"load", "--requests", file, "--warm-up", "0s"}, []string{"--warm-up"}},
		{[]string{"load", "--requests", file, "--seed", "3"}, []string{"--seed"}},
		{[]string{"load", "--requests", file, "--config", config}, []string{"--viewers"}},
		{[]string{"load", "--requests", file, "--rate", "5", "--speed", "2", "--zone", "UTC"},
			[]string{"--speed", "--zone", "at a rate"}},
		{[]string{"load", "--requests", file, "--day", "--viewers", "5"}, []string{"--viewers"}},
		{[]string{"load", "--speed", "2"}, []string{"--speed", "add --requests"}},
		{[]string{"load", "--zone", "UTC"}, []string{"--zone"}},
	} {
		code, said := run(test.args...)
		for _, words := range test.says {
			if code != 1 || !strings.Contains(said, words) {
				t.Errorf("%v: exit %d without %q: %s", test.args, code, words, said)
			}
		}
	}
	// These command lines use all their flags. They get as far as calling the server, which does not exist.
	for _, args := range [][]string{
		{"--requests", file, "--speed", "2", "--zone", "UTC", "--slots", "2", "--max-in-flight", "5"},
		{"--requests", file, "--seed", "3", "--changes", "1"},
		{"--requests", file, "--rate", "5", "--duration", "1s", "--seed", "3", "--arrivals", "even"},
		{"--rate", "5", "--where", "china"},
	} {
		if code, said := run(append([]string{"load", "--server", "127.0.0.1:1", "--timeout", "2s"}, args...)...); code != 1 ||
			!strings.Contains(said, "no server answers") {
			t.Errorf("%v: exit %d: %s", args, code, said)
		}
	}
}

// TestAPlanRefusesWhatWasNotConfirmed: a flag makes the plan accept it.
func TestAPlanRefusesWhatWasNotConfirmed(t *testing.T) {
	confirmed := func() *report.Run {
		r := report.New("capacity", "", "test", "", 1)
		r.Capacity = &report.Capacity{Objective: "p99<5ms", ServerCores: 1, Found: capacity.Found{Low: 6000, High: 6200}}
		return r
	}
	for name, test := range map[string]struct {
		spoil func(r *report.Run)
		says  string
	}{
		"interrupted": {func(r *report.Run) { r.Interrupted = true }, "interrupted"},
		"no verdict": {func(r *report.Run) {
			r.Capacity.NoVerdict = "at 7000 a second the generator sent late"
			r.Capacity.High = 0
		}, "the generator sent late"},
		"too restless": {func(r *report.Run) { r.Capacity.NoVerdict = "no interval stood after 40 tries" },
			"no interval stood"},
		"no upper end": {func(r *report.Run) { r.Capacity.High = 0 }, "no upper end"},
	} {
		r, dir := confirmed(), t.TempDir()
		test.spoil(r)
		if err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "run.json")
		if code, said := run("plan", "--capacity", path); code != 1 || !strings.Contains(said, test.says) ||
			!strings.Contains(said, "--unconfirmed") {
			t.Errorf("%s: exit %d: %s", name, code, said)
		}
		if code, said := run("plan", "--capacity", path, "--unconfirmed"); code != 0 || !strings.Contains(said, test.says) ||
			!strings.Contains(said, "Warning:") {
			t.Errorf("%s, taken all the same: exit %d: %s", name, code, said)
		}
	}
	dir := t.TempDir()
	if err := confirmed().Write(dir); err != nil {
		t.Fatal(err)
	}
	if code, said := run("plan", "--capacity", filepath.Join(dir, "run.json")); code != 0 {
		t.Errorf("exit %d: %s", code, said)
	}
}
