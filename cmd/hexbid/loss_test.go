package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// wantRefusedStart runs "hexbid serve", which must end by itself with status 1.
func wantRefusedStart(t *testing.T, args []string, words ...string) {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "", "--http-listen", ""}, args...)
	out, err := exec.CommandContext(testContext(t), path, args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("it ended with %v: %s", err, out)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			t.Errorf("%q does not say %q", out, w)
		}
	}
	if strings.Contains(string(out), "goroutine ") {
		t.Errorf("a panic reached the user: %s", out)
	}
}

// stopped sends SIGTERM and waits until the process has ended.
func (p *process) stopped(t *testing.T) error {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		return err
	case <-time.After(2 * time.Minute):
		t.Fatalf("SIGTERM did not end it\n%s", p.output)
		return nil
	}
}

func createAdvertisers(t *testing.T, conn *grpc.ClientConn, names string, n int) {
	t.Helper()
	client := pb.NewCampaignServiceClient(conn)
	for i := range n {
		_, err := client.CreateAdvertiser(testContext(t),
			&pb.CreateAdvertiserRequest{AdvertiserId: fmt.Sprintf("%s%d", names, i),
				Advertiser: &pb.Advertiser{DisplayName: "x"}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func flipIn(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	path := files[len(files)-1]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/10] ^= 0x10
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADamagedLogOrTableEndsAStart(t *testing.T) {
	data := t.TempDir()
	p := startProcess(t, "--data", data)
	createAdvertisers(t, p.dial(t), "a", 40)
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	log := flipIn(t, filepath.Join(data, "catalogue", "*.log"))
	wantRefusedStart(t, []string{"--data", data}, log, "version 41 was acknowledged", "--accept-loss")
	p = startProcess(t, "--data", data, "--accept-loss")
	createAdvertisers(t, p.dial(t), "b", 3)
	if err := p.stopped(t); err != nil {
		t.Fatalf("%v\n%s", err, p.output)
	}
	if !strings.Contains(p.output.String(), "acknowledged writes are lost") {
		t.Errorf("the log does not tell of the loss:\n%s", p.output)
	}
	wantRefusedStart(t, []string{"--data", data, "--accept-loss"}, "accept-loss", "nothing is lost")
	p = startProcess(t, "--data", data) // the start turns the log into tables
	if err := p.stopped(t); err != nil {
		t.Fatal(err)
	}
	table := flipIn(t, filepath.Join(data, "catalogue", "*.sst"))
	wantRefusedStart(t, []string{"--data", data}, table, "damaged", "restore")
}

func TestAFolderDeletedUnderARunningServer(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a program that the race detector does not watch")
	}
	t.Parallel()
	data := t.TempDir()
	p := startProcess(t, "--data", data)
	conn := p.dial(t)
	createAdvertisers(t, conn, "a", 3)
	if err := os.RemoveAll(filepath.Join(data, "catalogue")); err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	_, err := pb.NewCampaignServiceClient(conn).CreateAdvertiser(ctx,
		&pb.CreateAdvertiserRequest{AdvertiserId: "nowhere", Advertiser: &pb.Advertiser{DisplayName: "x"}})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "deleted or moved") {
		t.Errorf("a write into nowhere: %v", err)
	}
	waitForHealth(t, conn, "hexbid.v1.CampaignService", healthpb.HealthCheckResponse_NOT_SERVING)
	waitForHealth(t, conn, "hexbid.v1.SearchService", healthpb.HealthCheckResponse_SERVING)
	if _, err := pb.NewSearchServiceClient(conn).SearchNearby(ctx,
		&pb.SearchNearbyRequest{Location: &pb.Location{}}); err != nil {
		t.Errorf("searches stopped: %v", err)
	}
	if err := p.stopped(t); err != nil {
		t.Logf("it ended with %v", err) // its store could not be closed properly
	}
	wantRefusedStart(t, []string{"--data", data}, filepath.Join(data, "catalogue"), "holds no catalogue",
		"version 4 was acknowledged")
}

// waitForHealth waits until a service has a status.
func waitForHealth(t *testing.T, conn *grpc.ClientConn, service string,
	want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	watch, err := healthpb.NewHealthClient(conn).Watch(testContext(t), &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := watch.Recv()
		if err != nil {
			t.Fatalf("health of %s did not become %v: %v", service, want, err)
		}
		if r.GetStatus() == want {
			return
		}
	}
}

// TestASecondSignalEndsAStartThatHangs makes a start wait for ever: it puts a pipe that nobody writes to in the place
// of a file.
func TestASecondSignalEndsAStartThatHangs(t *testing.T) {
	data := t.TempDir()
	if err := startProcess(t, "--data", data).stopped(t); err != nil {
		t.Fatal(err)
	}
	options, err := filepath.Glob(filepath.Join(data, "catalogue", "OPTIONS-*"))
	if err != nil || len(options) != 1 {
		t.Fatalf("%v, %v", options, err)
	}
	if err := errors.Join(os.Remove(options[0]), syscall.Mkfifo(options[0], 0o600)); err != nil {
		t.Fatal(err)
	}
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	command := exec.Command(path, "serve", "--listen", address, "--metrics-listen", "", "--http-listen", "",
		"--data", data)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	defer command.Process.Kill()
	// signal until the process ends; the first signals may be lost, or only ask
	for deadline := time.Now().Add(time.Minute); ; {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			break
		}
		select {
		case <-ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("signals do not end it")
		}
	}
	<-ended
}

func TestAProcessThatDoesNotStopIsEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go endAfter(ctx, time.Millisecond, func(c int) { code <- c })
	cancel()
	if c := <-code; c != 1 {
		t.Errorf("status %d", c)
	}
}

func TestMetricsTellHowTheStoreFares(t *testing.T) {
	data := t.TempDir()
	s := boot(t, func(c *ServeConfig) { c.Data, c.MetricsListen = data, "127.0.0.1:0" })
	if err := os.RemoveAll(filepath.Join(data, "catalogue")); err != nil {
		t.Fatal(err)
	}
	waitForHealth(t, s.conn, "hexbid.v1.CampaignService", healthpb.HealthCheckResponse_NOT_SERVING)
	response, err := http.Get("http://" + s.main.MetricsAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text strings.Builder
	if err := response.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"hexbid_catalogue_failed 1", "hexbid_catalogue_losses 0"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("/metrics lacks %q", line)
		}
	}
}

// TestMetricsAreNotForPages: a page in a browser on the machine can have its own name point to loopback.
func TestMetricsAreNotForPages(t *testing.T) {
	s := boot(t, func(c *ServeConfig) {
		c.MetricsListen, c.HTTPListen, c.Profiles = "127.0.0.1:0", "127.0.0.1:0", true
	})
	for path, found := range map[string]int{"/metrics": http.StatusOK, "/debug/pprof/": http.StatusNotFound,
		"/debug/pprof/goroutine": http.StatusNotFound} { // profiles are at the HTTP port, for operators
		for host, want := range map[string]int{"": found, "evil.example": http.StatusMisdirectedRequest} {
			r, err := http.NewRequest(http.MethodGet, "http://"+s.main.MetricsAddress()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s of host %q: %s", path, host, response.Status)
			}
		}
	}
}
