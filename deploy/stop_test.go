package deploy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// pod is the program as a pod of the manifests runs it: with the settings of the config map, but for the places of
// files and ports.
type pod struct {
	*server
	t      *testing.T
	spec   *core.PodSpec
	folder string // of the data, the certificate and the settings
	client *http.Client
}

// kubelet trusts any certificate, as a kubelet's probes do.
func kubelet() *http.Client {
	return &http.Client{Timeout: deadline, Transport: &http.Transport{MaxIdleConnsPerHost: 64,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func newPod(t *testing.T) *pod {
	t.Helper()
	all := readManifests(t)
	p := &pod{t: t, spec: &only[apps.StatefulSet](t, all, "StatefulSet").Spec.Template.Spec, folder: t.TempDir(),
		client: kubelet()}
	settings := map[string]any{}
	text := []byte(only[core.ConfigMap](t, all, "ConfigMap").Data["hexbid.yaml"])
	if err := yaml.Unmarshal(text, &settings); err != nil {
		t.Fatal(err)
	}
	if settings["auth"] != "required" {
		t.Errorf("callers of a pod prove nothing: auth is %v", settings["auth"])
	}
	settings["tls-cert"], settings["tls-key"] = writeCertificate(t, p.folder)
	settings["memory-mb"] = 512 // of this machine
	text, err := yaml.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.folder, "hexbid.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// writeCertificate writes a certificate that signs itself, and its key.
func writeCertificate(t *testing.T, folder string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"hexbid"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der},
		key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// start starts the program on the demo market.
func (p *pod) start() {
	p.t.Helper()
	p.server = start(p.t, append([]string{"--config", filepath.Join(p.folder, "hexbid.yaml"), "serve", "--data",
		filepath.Join(p.folder, "data"), "--demo"}, elsewhere...)...)
}

// probe asks as a kubelet does, and returns the status of the answer, 0 for none.
func (p *pod) probe(of *core.Probe) int {
	client := kubelet()
	defer client.CloseIdleConnections()
	answer, err := client.Get(strings.ToLower(string(of.HTTPGet.Scheme)) + "://" + p.http + of.HTTPGet.Path)
	if err != nil {
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// call calls a method and returns the JSON of its answer. It fails for any other status than 200.
func (p *pod) call(key, path string, body any) (map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return p.send(key, path, bytes.NewReader(text))
}

func (p *pod) send(key, path string, body io.Reader) (answer map[string]any, err error) {
	request, err := http.NewRequest(http.MethodPost, "https://"+p.http+path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	got, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	if err := json.NewDecoder(got.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if got.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %v", got.Status, answer)
	}
	return answer, nil
}

// app makes a search client and returns its key.
func (p *pod) app() string {
	p.t.Helper()
	operator, err := os.ReadFile(filepath.Join(p.folder, "data", "operator.key"))
	if err != nil {
		p.t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	if _, err = p.call(key, "/v1/clients?client_id=app", map[string]any{"display_name": "App"}); err != nil {
		p.t.Fatal(err)
	}
	issued, err := p.call(key, "/v1/clients/app/keys?key_id=one", map[string]any{"display_name": "One"})
	if err != nil {
		p.t.Fatal(err)
	}
	return issued["credential"].(string)
}

// click is a click that somebody reports, and its answer, nil for none.
type click struct {
	token, id string
	answer    map[string]any
}

func (c *click) report() map[string]any {
	return map[string]any{"events": []any{map[string]any{"kind": "EVENT_KIND_CLICK", "token": c.token, "event_id": c.id}}}
}

// take keeps what a report was answered.
func (c *click) take(answer map[string]any) error {
	results, _ := answer["results"].([]any)
	if len(results) != 1 {
		return fmt.Errorf("the report of a click was answered %v", answer)
	}
	c.answer = results[0].(map[string]any)
	return nil
}

// search returns a click on the first sponsored result of a search.
func (p *pod) search(key, id string) (*click, error) {
	found, err := p.call(key, "/v1/nearby:search", map[string]any{"host": "HOST_WECHAT", "nearby_limit": 0,
		"location": map[string]any{"latitude": 30.2553, "longitude": 120.164}})
	if err != nil {
		return nil, err
	}
	sponsored, _ := found["sponsored"].([]any)
	if len(sponsored) == 0 {
		return nil, fmt.Errorf("nothing is sponsored: %v", found)
	}
	return &click{token: sponsored[0].(map[string]any)["token"].(string), id: id}, nil
}

// people search and click until nobody answers any more. They return all that they reported.
func (p *pod) people(key string, answered *atomic.Int64) (all []*click) {
	const crowd = 8
	parts := make([][]*click, crowd)
	var group sync.WaitGroup
	for i := range parts {
		group.Go(func() {
			for n := 0; ; n++ {
				c, err := p.search(key, fmt.Sprintf("%d-%d", i, n))
				if err != nil {
					return
				}
				parts[i] = append(parts[i], c)
				answer, err := p.call(key, "/v1/events:record", c.report())
				if err != nil || c.take(answer) != nil {
					return
				}
				answered.Add(1)
			}
		})
	}
	group.Wait()
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// TestAPodThatIsReplacedLosesNothing does what a rolling update of the set does to its one pod: SIGTERM under traffic,
// an end within the grace, and a new process on the same volume. A report whose body is under way at the signal is
// answered, every answer that somebody got is still the answer afterwards, and what got no answer was not recorded.
func TestAPodThatIsReplacedLosesNothing(t *testing.T) {
	p := newPod(t)
	p.start()
	for about, probe := range map[string]*core.Probe{"startup": p.spec.Containers[0].StartupProbe,
		"readiness": p.spec.Containers[0].ReadinessProbe, "liveness": p.spec.Containers[0].LivenessProbe} {
		if status := p.probe(probe); status != http.StatusOK {
			t.Errorf("%s: %d", about, status)
		}
	}
	key := p.app()
	slow, err := p.search(key, "slow")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(slow.report())
	if err != nil {
		t.Fatal(err)
	}
	reader, writer := io.Pipe()
	underWay := make(chan error, 1)
	go func() {
		answer, err := p.send(key, "/v1/events:record", reader)
		if err == nil {
			err = slow.take(answer)
		}
		underWay <- err
	}()
	if _, err := writer.Write(text[:len(text)/2]); err != nil {
		t.Fatal(err)
	}
	var answered atomic.Int64
	clicked := make(chan []*click, 1)
	go func() { clicked <- p.people(key, &answered) }()
	await(t, "clicks", func() bool { return answered.Load() >= 200 })
	began := time.Now()
	p.terminate()
	await(t, "the pod not to be ready", func() bool {
		return p.probe(p.spec.Containers[0].ReadinessProbe) != http.StatusOK
	})
	if _, err := writer.Write(text[len(text)/2:]); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if err := <-underWay; err != nil {
		t.Errorf("the report that was under way: %v", err)
	}
	all := append(<-clicked, slow)
	p.stop()
	if grace := time.Duration(*p.spec.TerminationGracePeriodSeconds) * time.Second; time.Since(began) > grace {
		t.Errorf("the pod took %v to end, it is killed after %v", time.Since(began), grace)
	}
	p.start()
	unanswered := 0
	for _, c := range all {
		again := &click{token: c.token, id: c.id}
		answer, err := p.call(key, "/v1/events:record", c.report())
		if err == nil {
			err = again.take(answer)
		}
		if err != nil {
			t.Fatal(err)
		}
		if c.answer == nil { // a connection that was idle for the server may be closed under a new request
			unanswered++
			if again.answer["repeated_answer"] != nil {
				t.Errorf("%s was recorded, and its report was not answered", c.id)
			}
			continue
		}
		c.answer["repeated_answer"] = true
		if c.answer["sequence"] == nil || !reflect.DeepEqual(again.answer, c.answer) {
			t.Errorf("%s was answered %v, and now %v", c.id, c.answer, again.answer)
		}
	}
	t.Logf("%d clicks, %d of them refused at the stop", len(all), unanswered)
	if len(all)-unanswered <= 200 {
		t.Errorf("only %d clicks were answered", len(all)-unanswered)
	}
}

// await waits until something is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > deadline {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
