package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// builtBinary builds the real program once.
var builtBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hexbid-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hexbid")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := builtBinary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// process is the real program as a process of its own.
type process struct {
	command *exec.Cmd
	address string
	output  *bytes.Buffer
	ended   chan error
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{address: freeAddress(t), output: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.command = exec.Command(path, append([]string{"serve", "--listen", p.address, "--metrics-listen", "",
		"--http-listen", "", "--swap-share=0", "--explore-share=0", "--max-wait=0"}, args...)...)
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			p.output.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "msg=serving") {
				close(serving)
			}
		}
		p.ended <- p.command.Wait()
	}()
	t.Cleanup(func() { p.command.Process.Kill() })
	select {
	case <-serving:
	case err := <-p.ended:
		t.Fatalf("it ended before it served: %v\n%s", err, p.output)
	case <-time.After(time.Minute):
		t.Fatal("it did not serve within a minute")
	}
	return p
}

func (p *process) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestSIGTERMDrainsAndExits0(t *testing.T) {
	p := startProcess(t, "--data", t.TempDir())
	ctx := testContext(t)
	stream, err := pb.NewCampaignServiceClient(p.dial(t)).Import(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(name string) {
		row := &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{
			Advertiser: &pb.Advertiser{Name: name, DisplayName: "x"}}}
		if err := stream.Send(&pb.ImportRequest{Rows: []*pb.ImportRow{row}}); err != nil {
			t.Fatal(err)
		}
		if r, err := stream.Recv(); err != nil || r.GetOutcomes()[0].GetError() != nil {
			t.Fatalf("%v, %v", r, err)
		}
	}
	send("advertisers/before")
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range 100 { // until the server accepts nothing new
		conn := p.dial(t)
		quick, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		_, err := healthpb.NewHealthClient(conn).Check(quick, &healthpb.HealthCheckRequest{})
		cancel()
		if status.Code(err) == codes.Unavailable {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	send("advertisers/in-flight") // the call in flight continues
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("the call in flight ended with %v", err)
	}
	if err := <-p.ended; err != nil {
		t.Errorf("exit: %v\n%s", err, p.output)
	}
}

func TestAKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	data := t.TempDir()
	for round := range 3 {
		p := startProcess(t, "--data", data)
		client := pb.NewCampaignServiceClient(p.dial(t))
		ctx := testContext(t)
		for past := range round {
			for i := range 5 {
				if _, err := client.GetAdvertiser(ctx,
					&pb.GetAdvertiserRequest{Name: fmt.Sprintf("advertisers/r%d-%d", past, i)}); err != nil {
					t.Fatalf("after kill %d: %v", round, err)
				}
			}
		}
		for i := range 5 {
			if _, err := client.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: fmt.Sprintf("r%d-%d", round, i),
				Advertiser: &pb.Advertiser{DisplayName: "x"}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.ended
	}
}

func TestAServerThatCannotStartSaysWhyAndExits1(t *testing.T) {
	data := t.TempDir()
	running := startProcess(t, "--data", data)
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"data folder in use": {[]string{"--listen", "127.0.0.1:0", "--data", data},
			[]string{"data: folder", data, "in use by another process"}},
		"port in use": {[]string{"--listen", running.address}, []string{"listen:", running.address, "in use"}},
		"not loopback, no TLS": {[]string{"--listen", "0.0.0.0:0"},
			[]string{"listen:", "loopback", "--tls-cert", "--insecure"}},
		"metrics on all networks": {[]string{"--listen", "127.0.0.1:0", "--metrics-listen", "0.0.0.0:0"},
			[]string{"metrics-listen", "loopback"}},
		"no such certificate": {[]string{"--listen", "127.0.0.1:0", "--tls-cert", "none.pem", "--tls-key", "none.pem"},
			[]string{"tls-cert", "none.pem"}},
		"data is a file": {[]string{"--listen", "127.0.0.1:0", "--data", file}, []string{"data: folder", file}},
		"no time for auctions": {[]string{"--listen", "127.0.0.1:0", "--auction-budget", "0s"},
			[]string{"auction-budget", "1ms"}},
		"1.2.3 yuan": {[]string{"--reserve", "1.2.3"}, []string{"--reserve", "1.2.3", "1.20"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"serve", "--metrics-listen", "", "--http-listen", ""}, c.args...)
			out, err := exec.CommandContext(testContext(t), path, args...).CombinedOutput()
			if err == nil {
				t.Fatalf("it ran: %s", out)
			}
			for _, w := range c.words {
				if !strings.Contains(string(out), w) {
					t.Errorf("%q does not say %q", out, w)
				}
			}
			if strings.Contains(string(out), "goroutine ") {
				t.Errorf("a panic reached the user: %s", out)
			}
		})
	}
}

// TestAFullDisk fills a small file system under a running server.
func TestAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	p := startProcess(t, "--data", filepath.Join(dir, "data"), "--demo=false")
	ctx, conn := testContext(t), p.dial(t)
	client := pb.NewCampaignServiceClient(conn)
	create := func(id string) error {
		_, err := client.CreateAdvertiser(ctx, &pb.CreateAdvertiserRequest{AdvertiserId: id,
			Advertiser: &pb.Advertiser{DisplayName: "x"}})
		return err
	}
	if err := create("kept"); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 180<<20), 0o600); err == nil {
		t.Log("180 MiB of 256 filled")
	}
	err := create("refused")
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "nothing was written") {
		t.Fatalf("on a full disk: %v", err)
	}
	if _, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx,
		&pb.SearchNearbyRequest{Location: &pb.Location{}}); err != nil {
		t.Errorf("searches stopped: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := create("after"); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if _, err := client.GetAdvertiser(ctx,
		&pb.GetAdvertiserRequest{Name: "advertisers/refused"}); status.Code(err) != codes.NotFound {
		t.Errorf("the refused write is there: %v", err)
	}
}

func TestMetricsAndHealth(t *testing.T) {
	s := boot(t, func(c *ServeConfig) { c.MetricsListen = "127.0.0.1:0" })
	ctx := testContext(t)
	if err := search(func(*pb.SearchNearbyRequest) {})(ctx, s); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + s.main.MetricsAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`hexbid_calls_total{code="OK",method="SearchNearby"} 1`,
		"hexbid_sponsored_slots_total 3", "hexbid_campaigns 0", "hexbid_auction_seconds_count 1"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("/metrics lacks %q", line)
		}
	}
	check, err := healthpb.NewHealthClient(s.conn).Check(ctx,
		&healthpb.HealthCheckRequest{Service: "hexbid.v1.SearchService"})
	if err != nil || check.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", check, err)
	}
}
