package gateway

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hexbid/hexbid/server"
)

// TestAnOldConnectionIsToldToClose, and a young one is used again, in both versions of HTTP.
func TestAnOldConnectionIsToldToClose(t *testing.T) {
	cert, key := certificate(t)
	for age, used := range map[time.Duration]bool{time.Nanosecond: false, time.Hour: true} {
		for _, version := range []int{1, 2} {
			p := open(t, func(_ *Config, s *server.Config) {
				s.Limits.ConnectionAge, s.TLSCert, s.TLSKey = age, cert, key
			})
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
				ForceAttemptHTTP2: version == 2}
			client := &http.Client{Transport: transport, Timeout: patience}
			if get(t, client, p.address, version) {
				t.Errorf("HTTP/%d: the first request is on a connection that was there", version)
			}
			if !used { // the client hears of it apart from the answer
				waitUntil(t, "the old connection is given up", func() bool { return !get(t, client, p.address, version) })
			} else if !get(t, client, p.address, version) {
				t.Errorf("HTTP/%d: a young connection was given up", version)
			}
			transport.CloseIdleConnections()
		}
	}
}

// get makes a request and reports whether it went over a connection that had been used before.
func get(t *testing.T, client *http.Client, address string, version int) (reused bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	r, err := http.NewRequestWithContext(ctx, "POST", "https://"+address+"/v1/nearby:search", strings.NewReader(here))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", jsonType)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil { // only then is a connection used again
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != version {
		t.Fatalf("%s over %s", answer.Status, answer.Proto)
	}
	return reused
}

// TestAConnectionOverHTTP2HasFewCalls reads the bound that the server tells its clients.
func TestAConnectionOverHTTP2HasFewCalls(t *testing.T) {
	cert, key := certificate(t)
	p := open(t, func(_ *Config, s *server.Config) {
		s.Limits.CallsAConnection, s.TLSCert, s.TLSKey = 7, cert, key
	})
	conn, err := tls.Dial("tcp", p.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	framer := http2.NewFramer(conn, conn)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, are := frame.(*http2.SettingsFrame)
	if !are {
		t.Fatalf("the server begins with %v", frame)
	}
	if n, told := settings.Value(http2.SettingMaxConcurrentStreams); !told || n != 7 {
		t.Errorf("the server permits %d calls, want 7", n)
	}
}
