package gateway

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingInABodyBecomesARequestBehindNginx sends the same through a server that keeps connections to ours open and
// sends many callers' requests over each, where a request that ends elsewhere than ours would do harm.
func TestNothingInABodyBecomesARequestBehindNginx(t *testing.T) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	p := open(t, nil)
	front := startNginx(t, nginx, p.address)
	through := *p
	through.address = front
	if a := through.must("POST", "/v1/nearby:search", here); a.Header.Get("Server") == "" {
		t.Error("the answer did not come through nginx")
	}
	for name, text := range smuggled() {
		t.Run(name, func(t *testing.T) { mustNotSmuggle(t, p, front, text) })
	}
	for range 20 { // connections to the server are used again, and none has a rest in it
		through.must("POST", "/v1/nearby:search", here)
	}
}

func startNginx(t *testing.T, nginx, upstream string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1;
events {}
http {
  access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f;
  uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream hexbid { server %[2]s; keepalive 4; }
  server {
    listen %[3]s;
    location / { proxy_pass http://hexbid; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host localhost; proxy_request_buffering off; }
  }
}`, dir, upstream, address)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(nginx, "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"))
	var output strings.Builder
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	})
	waitUntil(t, "nginx accepts connections", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address
}
