package report

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func writeText(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

//go:embed testdata/harness.html
var harness string

// seen is what the harness notes down at one width.
type seen struct {
	view
	Switched           view // after a click on the button for the colour scheme
	Hexagons, Outlines int
	Before, After      string
	Title              string
	Tiles              int
	Errors             []string
}

// view is a page in one colour scheme.
type view struct {
	Overflow   float64
	Background float64 // luminance
	Charts     []struct {
		Left, Right, Height float64
		Paths               int
		Texts               []string
		Advice              string
	}
	Clipped, Pale []string
	RowEnds       []float64
}

// check checks what holds for every page at every width and in both schemes.
func (v *view) check(t *testing.T, width string, charts int) {
	t.Helper()
	if v.Overflow > 0 || len(v.Clipped) > 0 {
		t.Errorf("at %s pixels the page overflows by %v and clips %q", width, v.Overflow, v.Clipped)
	}
	if len(v.Pale) > 0 {
		t.Errorf("at %s pixels, luminance %.2f, there is too little contrast in %q", width, v.Background, v.Pale)
	}
	if len(v.Charts) != charts {
		t.Fatalf("%d charts, expected %d", len(v.Charts), charts)
	}
	for i, c := range v.Charts {
		if c.Height != v.Charts[0].Height || c.Height < 200 || c.Left < 0 || c.Right <= c.Left {
			t.Errorf("at %s pixels chart %d is %+v, the first %v high", width, i, c, v.Charts[0].Height)
		}
		if c.Advice == "" && (c.Paths < 8 || len(c.Texts) < 5) {
			t.Errorf("at %s pixels chart %d has %d paths and texts %q", width, i, c.Paths, c.Texts)
		}
	}
	for _, end := range v.RowEnds {
		if end != v.RowEnds[0] {
			t.Errorf("at %s pixels a row of charts ends at %v, another at %v: a part of it is empty", width, end, v.RowEnds[0])
		}
	}
}

func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium: the page was not looked at in a browser")
	return ""
}

// browsed is a page to open in a browser, and what must be on it.
type browsed struct {
	write  func(io.Writer) error
	title  string
	charts int
	faint  bool // whether it has a baseline
	isMap  bool
}

// TestPagesInABrowser opens pages in Chromium at three widths and in both colour schemes. Charts must be drawn and
// equally high. Nothing may be clipped, overflow, or be fetched from the network. All text must be legible, and the map
// must change its layer.
func TestPagesInABrowser(t *testing.T) {
	browser := findBrowser(t)
	pages := map[string]browsed{
		"load":              {aLoad(t).WritePage, aLoad(t).Verdict(), 7, false, true},
		"load-compared":     {aComparedLoad(t).WritePage, aComparedLoad(t).Verdict(), 11, true, true},
		"capacity":          {aCapacity().WritePage, aCapacity().Verdict(), 4, false, false},
		"capacity-compared": {aComparedCapacity(t).WritePage, aCapacity().Verdict(), 4, true, false},
		"plan":              {aPlanPage(t, false), "nodes in 3 regions", 6, false, false},
		"plan-with-prices":  {aPlanPage(t, true), "nodes in 3 regions", 7, false, false},
	}
	for scheme, dark := range map[string]bool{"0": true, "1": false} {
		for name, widths := range look(t, browser, scheme, pages) {
			t.Run(name+", scheme "+scheme, func(t *testing.T) {
				if len(widths) != 3 {
					t.Errorf("%d widths", len(widths))
				}
				for width, s := range widths {
					s.checkPage(t, width, dark, pages[name])
				}
			})
		}
	}
}

// checkPage checks what differs from page to page.
func (s *seen) checkPage(t *testing.T, width string, dark bool, want browsed) {
	t.Helper()
	s.check(t, width, want.charts)
	s.Switched.check(t, width, want.charts)
	if isDark := s.Background < 0.2; isDark != dark || (s.Switched.Background < 0.2) == dark {
		t.Errorf("luminance %.2f, after the click %.2f", s.Background, s.Switched.Background)
	}
	if !strings.Contains(s.Title, want.title) || len(s.Errors) > 0 || s.Tiles < 5 {
		t.Errorf("title %q, errors %q, %d tiles", s.Title, s.Errors, s.Tiles)
	}
	if want.isMap && (s.Hexagons < 100 || s.Outlines < 1 || s.Before != "none" || s.After != "block") {
		t.Errorf("at %s pixels the map has %d hexagons and %d outlines; its second layer is %q, then %q", width, s.Hexagons,
			s.Outlines, s.Before, s.After)
	}
	if faint := slices.Contains(s.Charts[0].Texts, "before"); faint != want.faint {
		t.Errorf("the first chart's texts: %q", s.Charts[0].Texts)
	}
}

// pageServer serves the pages and the harness that looks at them, and notes the paths requested.
type pageServer struct {
	t     *testing.T
	pages map[string]browsed
	mu    sync.Mutex // guards asked
	asked []string
}

// ServeHTTP implements http.Handler.
func (s *pageServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	name := strings.TrimPrefix(q.URL.Path, "/")
	s.mu.Lock()
	s.asked = append(s.asked, name)
	s.mu.Unlock()
	page, known := s.pages[name]
	switch {
	case name == "":
		names, _ := json.Marshal(slices.Collect(maps.Keys(s.pages))) // strings always marshal
		fmt.Fprint(w, strings.Replace(harness, "PAGES", string(names), 1))
	case known:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!DOCTYPE html><script>window.pageErrors = []; addEventListener("error", function (e) { pageErrors.push(e.message); });
			addEventListener("securitypolicyviolation", function (e) { pageErrors.push(e.violatedDirective + " " + e.blockedURI); });
			console.error = console.warn = function () { pageErrors.push(Array.prototype.join.call(arguments, " ")); };</script>`)
		if err := page.write(w); err != nil {
			s.t.Error(err)
		}
	default:
		http.NotFound(w, q)
	}
}

// look opens the pages in a browser and returns what the harness saw, by page and width in pixels.
func look(t *testing.T, browser, scheme string, pages map[string]browsed) (found map[string]map[string]seen) {
	t.Helper()
	handler := &pageServer{t: t, pages: pages}
	server := httptest.NewServer(handler)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dom, err := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--blink-settings=preferredColorScheme="+scheme,
		"--window-size=1500,3000", "--virtual-time-budget=60000", "--dump-dom", server.URL).Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	text := regexp.MustCompile(`(?s)<pre id="seen">(.*?)</pre>`).FindSubmatch(dom)
	if text == nil {
		t.Fatalf("the browser gave %.500s", dom)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(text[1]))), &found); err != nil {
		t.Fatalf("%s: %v", text[1], err)
	}
	handler.mu.Lock()
	defer handler.mu.Unlock()
	for _, name := range handler.asked {
		if _, known := pages[name]; !known && name != "" && name != "favicon.ico" {
			t.Errorf("a page fetched %s", name)
		}
	}
	if len(found) != len(pages) {
		t.Errorf("%d pages of %d were seen", len(found), len(pages))
	}
	return found
}
