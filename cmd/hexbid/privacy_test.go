package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// canaries are byte strings that must occur nowhere, with what each would betray.
type canaries map[string]string

// text adds a secret text: as it is, in hex and base64 wherever it begins in what is encoded, and hashed.
func (c canaries) text(what, secret string) {
	c[secret] = what
	c.encoded(what, []byte(secret))
	sum := func(name string, hash []byte) {
		c[string(hash[:8])] = name + " of " + what
		c.encoded(name+" of "+what, hash[:8])
	}
	sha256, sha512, sha1, md5 := sha256.Sum256([]byte(secret)), sha512.Sum512([]byte(secret)), sha1.Sum([]byte(secret)),
		md5.Sum([]byte(secret))
	sum("SHA-256", sha256[:])
	sum("SHA-512", sha512[:])
	sum("SHA-1", sha1[:])
	sum("MD5", md5[:])
}

// encoded adds bytes in hex, and in base64 at each of the three places where a group may begin.
func (c canaries) encoded(what string, secret []byte) {
	c[hex.EncodeToString(secret)] = what + " in hex"
	c[strings.ToUpper(hex.EncodeToString(secret))] = what + " in hex"
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(padded)
			whole := len(padded) / 3 * 4 // what follows depends on the bytes after the secret
			c[text[(shift*8+5)/6:whole]] = what + " in base64"
		}
	}
}

// point adds a place: coordinates to four decimals, their floats, and the cells that are finer than a token's.
func (c canaries) point(p hexbid.Point) {
	for _, x := range []float64{p.Lat, p.Lng} {
		c[strconv.FormatFloat(math.Trunc(x*1e4)/1e4, 'f', 4, 64)] = "a coordinate"
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			c.number("a coordinate", order.AppendUint64(nil, math.Float64bits(x)))
		}
	}
	cell := geoindex.CellAt(geoindex.VecOf(p))
	for resolution := 8; resolution <= 15; resolution++ {
		finer := uint64(cell.Parent(resolution))
		what := fmt.Sprintf("a cell of resolution %d", resolution)
		c[strconv.FormatUint(finer, 16)], c[strconv.FormatUint(finer, 10)] = what, what
		c.number(what, binary.BigEndian.AppendUint64(nil, finer))
		c.number(what, binary.LittleEndian.AppendUint64(nil, finer))
	}
}

func (c canaries) number(what string, bytes []byte) {
	c[string(bytes)] = what
	c[hex.EncodeToString(bytes)] = what
}

// find fails for each canary that is in a text.
func (c canaries) find(t *testing.T, where string, text []byte) {
	t.Helper()
	for canary, what := range c {
		if i := bytes.Index(text, []byte(canary)); i >= 0 {
			t.Errorf("%s holds %s: %q", where, what, text[max(0, i-60):min(len(text), i+len(canary)+30)])
		}
	}
}

// Each canary is found in the middle of other bytes, in the forms that programs write.
func TestCanariesAreFound(t *testing.T) {
	c := canaries{}
	c.text("a key", "viewer-Zq81kd03Lx")
	c.point(hexbid.Point{Lat: -33.456943, Lng: -70.648271})
	sum := sha256.Sum256([]byte("viewer-Zq81kd03Lx"))
	cell := uint64(geoindex.CellAt(geoindex.VecOf(hexbid.Point{Lat: -33.456943, Lng: -70.648271})).Parent(9))
	for _, text := range []string{"user=viewer-Zq81kd03Lx done", hex.EncodeToString([]byte("a viewer-Zq81kd03Lx b")),
		base64.StdEncoding.EncodeToString([]byte("viewer-Zq81kd03Lx")),
		base64.StdEncoding.EncodeToString([]byte("1viewer-Zq81kd03Lx, and more")),
		base64.URLEncoding.EncodeToString([]byte("12viewer-Zq81kd03Lx!")),
		hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]), string(sum[:]),
		"at -33.456943, -70.6", "lng=-70.6482", fmt.Sprint(cell), fmt.Sprintf("cell %x", cell),
		string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(-33.456943)))} {
		found := false
		for canary := range c {
			found = found || strings.Contains(text, canary)
		}
		if !found {
			t.Errorf("nothing is found in %q", text)
		}
	}
	for canary, what := range c {
		if len(canary) < 7 {
			t.Errorf("%s, %q, may be there by chance", what, canary)
		}
	}
}

// lockedLog is a log that goroutines write.
type lockedLog struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text.Bytes())
}

// collect serves as a collector of spans that keeps what it gets.
func collect(t *testing.T) (url string, got *lockedLog) {
	t.Helper()
	got = new(lockedLog)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		_, _ = io.Copy(got, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// day is a server in a day of traffic whose viewers, places and credentials occur nowhere else.
type day struct {
	*testServer
	t         *testing.T
	log       *lockedLog
	spans     *lockedLog
	errors    *lockedLog
	data      string
	operator  context.Context // with the operator's key
	app       context.Context // with a client's
	forbidden canaries        // everywhere
	viewers   []string
	places    []hexbid.Point
	events    int
}

// openDay starts a server that logs everything, and sends spans of every call.
func openDay(t *testing.T) *day {
	t.Helper()
	d := &day{t: t, log: new(lockedLog), errors: new(lockedLog), data: filepath.Join(t.TempDir(), "data"),
		forbidden: canaries{}}
	url, spans := collect(t)
	d.spans = spans
	d.testServer = bootLogging(t, testNow, slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}),
		func(c *ServeConfig) {
			c.Data, c.Auth, c.AllowTrace, c.HTTPListen = d.data, "required", "yes", "127.0.0.1:0"
			c.TraceEndpoint, c.TraceSample = url, 1
			c.Filter.RepeatClicks, c.Filter.RepeatWindow = 3, 24*time.Hour
		})
	text, err := os.ReadFile(filepath.Join(d.data, operatorKeyName))
	if err != nil {
		t.Fatal(err)
	}
	d.operator = d.bearing(strings.TrimSpace(string(text)))
	for i := range 12 {
		d.viewers = append(d.viewers, fmt.Sprintf("viewer-Zq81kd03Lx-%02d", i))
		d.places = append(d.places, hexbid.Point{Lat: -33.456943 - float64(i)*0.031713,
			Lng: -70.648271 - float64(i)*0.021917})
	}
	for i := range d.viewers {
		d.forbidden.text("a user key", d.viewers[i])
		d.forbidden.point(d.places[i])
	}
	return d
}

// bearing returns a context with a credential, which must occur nowhere.
func (d *day) bearing(credential string) context.Context {
	d.forbidden.text("a credential", credential)
	if len(credential) > 48 {
		d.forbidden.text("the secret of a credential", credential[16:48])
	}
	return metadata.AppendToOutgoingContext(testContext(d.t), "authorization", "Bearer "+credential)
}

// fails notes an error for the search at the end.
func (d *day) fails(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(d.errors, err)
	for _, detail := range status.Convert(err).Proto().GetDetails() {
		fmt.Fprintln(d.errors, prototext.Format(detail), string(detail.GetValue()))
	}
}

// fill stores a market with an ad that is shown everywhere, and makes a search client.
func (d *day) fill() {
	d.t.Helper()
	stream, err := d.campaigns.Import(d.operator)
	if err != nil {
		d.t.Fatal(err)
	}
	rows := []*pb.ImportRow{
		{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: "advertisers/a", DisplayName: "Control 4711"}}},
		{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: "advertisers/a/programs/p", DisplayName: "P",
			Category: pb.Category_CATEGORY_CATERING, Hosts: []pb.Host{pb.Host_HOST_WECHAT}}}},
		{Resource: &pb.ImportRow_Campaign{Campaign: &pb.Campaign{Name: "advertisers/a/campaigns/c", DisplayName: "C",
			Program: "advertisers/a/programs/p", PricingModel: pb.PricingModel_PRICING_MODEL_CPC, BidMicros: 1_000_000,
			DailyBudgetMicros: 1_000_000_000_000, Area: &pb.Area{Everywhere: true},
			FrequencyCap: &pb.FrequencyCap{Impressions: 900}}}}}
	if err := errors.Join(stream.Send(&pb.ImportRequest{Rows: rows}), stream.CloseSend()); err != nil {
		d.t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, o := range answer.GetOutcomes() {
		if o.GetError() != nil {
			d.t.Fatal(o)
		}
	}
	accounts := pb.NewAccessServiceClient(d.conn)
	if _, err := accounts.CreateClient(d.operator, &pb.CreateClientRequest{ClientId: "app",
		Client: &pb.Client{DisplayName: "App"}}); err != nil {
		d.t.Fatal(err)
	}
	key, err := accounts.CreateKey(d.operator, &pb.CreateKeyRequest{Parent: "clients/app", KeyId: "k",
		Key: &pb.Key{DisplayName: "K"}})
	if err != nil {
		d.t.Fatal(err)
	}
	d.app = d.bearing(key.GetCredential())
}

// request is a search of one of the viewers.
func (d *day) request(i int) *pb.SearchNearbyRequest {
	i %= len(d.viewers)
	return &pb.SearchNearbyRequest{Host: pb.Host_HOST_WECHAT,
		Location: &pb.Location{Latitude: d.places[i].Lat, Longitude: d.places[i].Lng},
		Viewer:   &pb.Viewer{UserKey: d.viewers[i]}}
}

// live lets the hours of a day pass, in which viewers search, see and click.
func (d *day) live() {
	d.t.Helper()
	events := pb.NewEventServiceClient(d.conn)
	for step := range 24 * 4 {
		d.now.Add(int64(15 * time.Minute))
		for i := range 3 {
			found, err := d.search.SearchNearby(d.app, d.request(step+i))
			if err != nil {
				d.t.Fatal(err)
			}
			for _, won := range found.GetSponsored() {
				for _, kind := range []pb.EventKind{pb.EventKind_EVENT_KIND_IMPRESSION, pb.EventKind_EVENT_KIND_CLICK} {
					d.now.Add(int64(time.Second))
					d.events++
					if _, err := events.RecordEvents(d.app, &pb.RecordEventsRequest{Events: []*pb.Event{{Kind: kind,
						Token: won.GetToken(), EventId: strconv.Itoa(d.events)}}}); err != nil {
						d.t.Fatal(err)
					}
				}
			}
		}
	}
	if d.events < 100 {
		d.t.Fatalf("%d events in a day", d.events)
	}
}

// fillSecrets puts a viewer and a place into every field of a message that takes one.
func (d *day) fillSecrets(m protoreflect.Message, userKey string, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsList() || f.IsMap() || depth > 3:
		case f.Kind() == protoreflect.StringKind && f.Name() == "user_key":
			m.Set(f, protoreflect.ValueOfString(userKey))
		case f.Kind() == protoreflect.StringKind && f.ContainingOneof() == nil:
			m.Set(f, protoreflect.ValueOfString("x"))
		case f.Kind() == protoreflect.MessageKind && f.ContainingOneof() == nil &&
			!strings.HasPrefix(string(f.Message().FullName()), "google."):
			d.fillSecrets(m.Mutable(f).Message(), userKey, depth+1)
		case f.Name() == "latitude":
			m.Set(f, protoreflect.ValueOfFloat64(d.places[1].Lat))
		case f.Name() == "longitude":
			m.Set(f, protoreflect.ValueOfFloat64(d.places[1].Lng))
		}
	}
}

// requestsOf returns requests of a message, right and wrong, in the wire's form.
func (d *day) requestsOf(m protoreflect.MessageDescriptor) (requests [][]byte) {
	whole := func(userKey string) []byte {
		request := dynamicpb.NewMessage(m)
		d.fillSecrets(request, userKey, 0)
		encoded, err := proto.Marshal(request)
		if err != nil {
			d.t.Fatal(err)
		}
		return encoded
	}
	good := whole(d.viewers[1])
	invalid := append([]byte{0x0a, byte(len(d.viewers[2]) + 1), 0xff}, d.viewers[2]...) // no UTF-8
	return [][]byte{nil, good, whole(strings.Repeat(d.viewers[1], 20)), good[:len(good)*2/3], invalid,
		append([]byte{0x0f}, good...)}
}

// callAll calls every method, with right and wrong requests and with right and wrong credentials.
func (d *day) callAll() {
	d.t.Helper()
	wrong := []context.Context{d.bearing("hxb_" + strings.Repeat("Qw7", 16) + "Aa"),
		d.bearing("eyJhbGciOiJub25lIn0.eyJzdWIiOiJxNzFrZDAzbHgifQ.c2lnbmVk"), d.bearing("Wz91kd03Lx-not-a-key")}
	methods := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("hexbid.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				full := fmt.Sprintf("/%s/%s", s.FullName(), m.Name())
				methods++
				for k, request := range d.requestsOf(m.Input()) {
					contexts := []context.Context{d.operator, d.app}
					if k == 1 {
						contexts = append(contexts, wrong...)
					}
					for _, ctx := range contexts {
						d.call(ctx, full, m, request)
					}
				}
			}
		}
		return true
	})
	if methods < 50 {
		d.t.Fatalf("%d methods", methods)
	}
}

// call makes one call of a method, which may be a stream.
func (d *day) call(ctx context.Context, full string, m protoreflect.MethodDescriptor, request []byte) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if m.Name() == "CreateBackup" || m.Name() == "DeleteAdvertiser" {
		request = request[:len(request)/2] // no folder, and the market stays
	}
	var answer []byte
	if !m.IsStreamingClient() && !m.IsStreamingServer() {
		d.fails(d.conn.Invoke(ctx, full, request, &answer, grpc.ForceCodecV2(rawCodec{})))
		return
	}
	stream, err := d.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, full,
		grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		d.fails(err)
		return
	}
	d.fails(errors.Join(stream.SendMsg(request), stream.CloseSend()))
	if m.IsStreamingClient() {
		for err = nil; err == nil; err = stream.RecvMsg(&answer) {
		}
		d.fails(err)
	}
}

// callOverHTTP sends JSON, right and wrong, to the routes that take a viewer, and returns the metrics.
func (d *day) callOverHTTP() []byte {
	d.t.Helper()
	key, place := d.viewers[3], d.places[3]
	at := fmt.Sprintf(`{"latitude": %v, "longitude": %v}`, place.Lat, place.Lng)
	md, _ := metadata.FromOutgoingContext(d.operator)
	ask := func(method, path, body string, statusWanted int) []byte {
		d.t.Helper()
		r, err := http.NewRequestWithContext(testContext(d.t), method, "http://"+d.main.HTTPAddress()+path,
			strings.NewReader(body))
		if err != nil {
			d.t.Fatal(err)
		}
		r.Header.Set("Authorization", md.Get("authorization")[0])
		r.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			d.t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil || statusWanted != 0 && response.StatusCode != statusWanted {
			d.t.Fatalf("%s %s: %s %s, %v", method, path, response.Status, answer, err)
		}
		if response.StatusCode >= 400 {
			fmt.Fprintf(d.errors, "%s\n", answer)
		}
		return answer
	}
	ask("POST", "/v1/nearby:search", `{"location": `+at+`, "viewer": {"user_key": "`+key+`"}}`, 200)
	for _, path := range []string{"/v1/nearby:search", "/v1/viewers:history", "/v1/viewers:export", "/v1/viewers:erase",
		"/v1/advertisers/a/campaigns/c:explain"} {
		for _, body := range []string{`{"viewer": {"user_key": ` + key + `}}`, `{"user_key": ` + key + `}`,
			`{"user_key": "` + key + `", "location": ` + at + `, }`, `{"user_key": "` + key, `"` + key + `"`, key,
			`{"viewer": {"user_keyy": "` + key + `"}}`, `{"user_keyy": "` + key + `"}`, `{"user_key": ["` + key + `"]}`,
			`{"user_key": {"` + key + `": 1}}`, `{"viewer": {"user_key": "` + strings.Repeat(key, 20) + `"}, "location": ` + at +
				`}`, `{"user_key": "` + strings.Repeat(key, 20) + `"}`, `{"viewer": "` + key + `", "location": ` + at + `}`,
			`{"location": "` + at[1:len(at)-1] + `"}`, fmt.Sprintf(`{"location": {"latitude": "%vx"}}`, place.Lat),
			fmt.Sprintf(`{"location": {"latitude": [%v]}}`, place.Lat), fmt.Sprintf(`{"location": %v}`, place.Lat),
			fmt.Sprintf(`{"location": {"latitude": %v0000000000000000000000000000000000000001e400}}`, place.Lat),
			`{"request": {"location": ` + at + `, "viewer": {"user_key": "` + key + `"}, "radius_m": -1}}`} {
			ask("POST", path, body, 0)
		}
		ask("POST", path+"?user_key="+key+"&viewer.user_key="+key+"&location.latitude="+fmt.Sprint(place.Lat), "", 0)
		ask("GET", path+"?user_key="+key, "", 0)
	}
	return ask("GET", "/metrics", "", 200)
}

// files calls visit with each file of a folder, by its path in it.
func files(t *testing.T, dir string, visit func(path string, content []byte)) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		visit(filepath.ToSlash(name), content)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// After a day of traffic, and after every method was called rightly and wrongly, nothing that the server wrote or said
// of its own holds a user key, a place finer than a token's cell, or a credential.
func TestADayOfTrafficBetraysNobody(t *testing.T) {
	t.Parallel()
	d := openDay(t)
	d.fill()
	d.live()
	d.callAll()
	metrics := d.callOverHTTP()
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := pb.NewLedgerServiceClient(d.conn).CreateBackup(d.operator,
		&pb.CreateBackupRequest{Directory: backup}); err != nil {
		t.Fatal(err)
	}
	pseudonym := d.main.keys.Ring().Pseudonym(d.viewers[0])
	d.stop() // sends the spans that wait

	outside := canaries{} // the ledger alone may hold pseudonyms
	for _, viewer := range d.viewers {
		p := d.main.keys.Ring().Pseudonym(viewer)
		outside[string(p[:])] = "a pseudonym"
		outside.encoded("a pseudonym", p[:])
	}
	for where, text := range map[string][]byte{"the log": d.log.bytes(), "an error": d.errors.bytes(),
		"a metric": metrics, "a span": d.spans.bytes()} {
		if len(text) < 200 {
			t.Errorf("%s: only %q", where, text)
		}
		d.forbidden.find(t, where, text)
		outside.find(t, where, text)
	}
	control, ofViewer := 0, 0
	for _, dir := range []string{d.data, backup} {
		files(t, dir, func(path string, content []byte) {
			control += bytes.Count(content, []byte("Control 4711"))
			if path == operatorKeyName {
				return // what it is for
			}
			d.forbidden.find(t, path, content)
			if strings.HasPrefix(path, ledgerName+"/") {
				ofViewer += bytes.Count(content, pseudonym[:])
			} else {
				outside.find(t, path, content)
			}
		})
	}
	if control == 0 || ofViewer == 0 {
		t.Errorf("files are not read as they are: an advertiser %d times, a viewer's pseudonym %d times", control, ofViewer)
	}
}
