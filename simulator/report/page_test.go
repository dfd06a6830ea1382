package report

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"
)

func writeText(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// harness opens the page in two widths and writes down what a person would see.
const harness = `<!DOCTYPE html><body><pre id="seen">not yet</pre><script>
var seen = {}, left = 2;
[1200, 360].forEach(function (width) {
  var frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "900px"; frame.style.border = "0";
  frame.onload = function () {
    setTimeout(function () {
      var d = frame.contentDocument, w = frame.contentWindow;
      function count(query) { return d.querySelectorAll(query).length; }
      var drawn = Array.prototype.map.call(d.querySelectorAll(".chart"), function (c) { return c.querySelectorAll("svg path").length; });
      var visible = Array.prototype.filter.call(d.querySelectorAll(".layers > div"), function (m) { return w.getComputedStyle(m).display != "none"; }).length;
      function second() { var m = d.querySelector("#map1"); return m ? w.getComputedStyle(m).display : ""; }
      var before = second();
      if (d.querySelector("label[for=layer1]")) d.querySelector("label[for=layer1]").click();
      seen[width] = {overflow: d.documentElement.scrollWidth - d.documentElement.clientWidth, drawn: drawn, hexagons: count("#map0 polygon"), maps: visible,
        before: before, after: second(), title: d.querySelector("h1").textContent, errors: w.pageErrors};
      if (--left == 0) document.getElementById("seen").textContent = JSON.stringify(seen);
    }, 500);
  };
  frame.src = "/run.html";
  document.body.appendChild(frame);
});
</script></body>`

// seen is what the harness writes down, of one width.
type seen struct {
	Overflow, Hexagons, Maps int
	Drawn                    []int // paths of each chart
	Before, After            string
	Title                    string
	Errors                   []string
}

// TestThePageInABrowser opens pages in Chromium, wide and narrow: charts are drawn,
// nothing overflows, the map changes its layer, and nothing is fetched.
func TestThePageInABrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("there is no Chromium: the page was not looked at in a browser")
	}
	for _, r := range []*Run{aLoad(t), aCapacity()} {
		t.Run(r.Kind, func(t *testing.T) {
			for width, s := range look(t, browser, r) {
				if s.Overflow > 0 {
					t.Errorf("at %s pixels the page overflows by %d", width, s.Overflow)
				}
				for i, paths := range s.Drawn {
					if paths < 8 {
						t.Errorf("at %s pixels chart %d has %d paths", width, i, paths)
					}
				}
				if want := map[string]int{"load": 3, "capacity": 2}[r.Kind]; len(s.Drawn) != want {
					t.Errorf("%d charts, expected %d", len(s.Drawn), want)
				}
				if s.Title != r.Verdict() || len(s.Errors) > 0 {
					t.Errorf("title %q, errors %q", s.Title, s.Errors)
				}
				if r.Kind == "load" && (s.Hexagons < 100 || s.Maps != 1 || s.Before != "none" || s.After != "block") {
					t.Errorf("at %s pixels the map: %+v", width, s)
				}
			}
		})
	}
}

// look gives what is seen by width in pixels.
func look(t *testing.T, browser string, r *Run) (widths map[string]seen) {
	t.Helper()
	var mu sync.Mutex // guards asked
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		asked = append(asked, q.URL.Path)
		mu.Unlock()
		switch q.URL.Path {
		case "/":
			fmt.Fprint(w, harness)
		case "/run.html":
			fmt.Fprint(w, `<script>window.pageErrors = []; addEventListener("error", function (e) { pageErrors.push(e.message); });</script>`)
			if err := r.WritePage(w); err != nil {
				t.Error(err)
			}
		default:
			http.NotFound(w, q)
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dom, err := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--window-size=1400,2000", "--virtual-time-budget=10000", "--dump-dom", server.URL).Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	found := regexp.MustCompile(`(?s)<pre id="seen">(.*?)</pre>`).FindSubmatch(dom)
	if found == nil {
		t.Fatalf("the browser gave %.500s", dom)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(found[1]))), &widths); err != nil {
		t.Fatalf("%s: %v", found[1], err)
	}
	for _, path := range asked {
		if !slices.Contains([]string{"/", "/run.html", "/favicon.ico"}, path) {
			t.Errorf("the page fetched %s", path)
		}
	}
	return widths
}
