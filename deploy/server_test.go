package deploy

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// built builds the program once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hexbid-deploy-")
	if err != nil {
		return "", err
	}
	command := exec.Command("go", "build", "-o", filepath.Join(dir, "hexbid"), "./cmd/hexbid")
	command.Dir = ".."
	if out, err := command.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// build returns the path of the program.
func build(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "hexbid")
}

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := built(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// elsewhere are flags that keep a server off the ports of others on this machine.
var elsewhere = []string{"--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}

// server is the real program as a process.
type server struct {
	t             *testing.T
	command       *exec.Cmd
	metrics, http string       // where it listens
	told          bytes.Buffer // its log; read it when the process has ended
	ended         chan error
	signalled     bool
}

// serve runs the demo market with people in it.
func serve(t *testing.T) *server {
	t.Helper()
	return start(t, append([]string{"serve", "--demo", "--demo-traffic", "--data", filepath.Join(t.TempDir(), "data")},
		elsewhere...)...)
}

// start starts the program and waits until it serves. It stops at the end of the test.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, command: exec.Command(build(t), args...), ended: make(chan error, 1)}
	log, err := s.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			fmt.Fprintln(&s.told, lines.Text())
			if strings.Contains(lines.Text(), "msg=serving") {
				serving <- lines.Text()
			}
		}
		s.ended <- s.command.Wait()
	}()
	t.Cleanup(s.stop)
	select {
	case err := <-s.ended:
		s.signalled = true
		s.ended <- nil
		t.Fatalf("the server ended with %v:\n%s", err, &s.told)
	case line := <-serving:
		s.metrics, s.http = address(t, line, "metrics"), address(t, line, "http")
	case <-time.After(deadline):
		t.Fatal("the server did not serve")
	}
	return s
}

// terminate begins the end of the process. A second signal would end it at once.
func (s *server) terminate() {
	if !s.signalled {
		s.signalled = true
		_ = s.command.Process.Signal(syscall.SIGTERM) // a process that has ended needs none
	}
}

// stop ends the process and waits until it has ended.
func (s *server) stop() {
	s.terminate()
	err := <-s.ended
	s.ended <- nil
	if err != nil {
		s.t.Errorf("the server ended with %v:\n%s", err, &s.told)
	}
}

// address returns where the server listens, by the line of its log that says so.
func address(t *testing.T, line, key string) string {
	t.Helper()
	m := regexp.MustCompile(` ` + key + `=(\S+)`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("%q names no %s", line, key)
	}
	return m[1]
}

// scrape reads what the server exports, again until it is enough.
func (s *server) scrape(t *testing.T, enough func(families) bool) families {
	t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		r, err := http.Get("http://" + s.metrics + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		decoder := expfmt.NewTextParser(model.UTF8Validation)
		parsed, err := decoder.TextToMetricFamilies(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		found := families{}
		for name, family := range parsed {
			for _, m := range family.GetMetric() {
				for _, series := range seriesOf(name, m.GetHistogram() != nil) {
					if found[series] == nil {
						found[series] = map[string][]string{}
					}
					for _, l := range m.GetLabel() {
						found[series][l.GetName()] = append(found[series][l.GetName()], l.GetValue())
					}
				}
			}
		}
		if enough(found) {
			return found
		}
		if time.Since(began) > deadline {
			t.Fatalf("only %d metrics are exported", len(found))
		}
	}
}

// seriesOf returns the names of the series of a metric.
func seriesOf(name string, isHistogram bool) []string {
	if isHistogram {
		return []string{name + "_bucket", name + "_sum", name + "_count"}
	}
	return []string{name}
}
