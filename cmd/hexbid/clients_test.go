package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reported is what the clients print after three ads and five programs: all ads are seen, and the first is opened.
const reported = "IMPRESSION: RECORDED\nIMPRESSION: RECORDED\nIMPRESSION: RECORDED\nCLICK: CHARGED\n"

// TestClientsInOtherLanguagesSeeTheSame runs each example client against the demo market. Each shows the same, and each
// of its events is recorded.
func TestClientsInOtherLanguagesSeeTheSame(t *testing.T) {
	s := boot(t, withDemo)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	want := output(t, root, nil, "go", "run", "./examples/go", s.main.Address())
	if lines := strings.Split(strings.TrimSpace(want), "\n"); len(lines) != 12 || !strings.HasPrefix(lines[0], "ad 1: ") ||
		!strings.Contains(lines[3], " m: ") || !strings.HasSuffix(want, reported) {
		t.Fatalf("the Go client prints %q", want)
	}
	t.Run("python", func(t *testing.T) {
		plugin, err := exec.LookPath("grpc_python_plugin")
		if err != nil || exec.Command("/usr/bin/python3", "-c", "import grpc").Run() != nil {
			t.Skip("python3-grpcio and protobuf-compiler-grpc are not installed")
		}
		generated := t.TempDir()
		output(t, root, nil, "protoc", "-Iproto", "--python_out="+generated, "--grpc_python_out="+generated,
			"--plugin=protoc-gen-grpc_python="+plugin, "hexbid/v1/search.proto", "hexbid/v1/event_service.proto")
		if got := output(t, root, []string{"PYTHONPATH=" + generated}, "/usr/bin/python3", "examples/python/client.py",
			s.main.Address()); got != want {
			t.Errorf("Python prints %q, Go %q", got, want)
		}
	})
	t.Run("node", func(t *testing.T) {
		if _, err := os.Stat(filepath.Join(root, "examples/node/node_modules")); err != nil {
			t.Skip("npm ci has not run in examples/node")
		}
		if got := output(t, root, nil, "node", "examples/node/client.js", s.main.Address()); got != want {
			t.Errorf("Node prints %q, Go %q", got, want)
		}
	})
	for _, file := range []string{"go/main.go", "python/client.py", "node/client.js", "java/Client.java"} {
		text, err := os.ReadFile(filepath.Join(root, "examples", file))
		if lines := strings.Count(string(text), "\n"); err != nil || lines > 95 {
			t.Errorf("examples/%s has %d lines, %v: at most 95", file, lines, err)
		}
	}
}

func output(t *testing.T, dir string, env []string, command string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(testContext(t), command, args...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
	return string(out)
}
