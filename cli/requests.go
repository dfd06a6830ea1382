package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// recording is what is replayed: requests and their instants since the first.
type recording struct {
	at       []time.Duration
	requests []*pb.SearchNearbyRequest
}

// Len implements sort.Interface, by instant.
func (r *recording) Len() int { return len(r.at) }

// Less implements sort.Interface.
func (r *recording) Less(i, j int) bool { return r.at[i] < r.at[j] }

// Swap implements sort.Interface.
func (r *recording) Swap(i, j int) {
	r.at[i], r.at[j] = r.at[j], r.at[i]
	r.requests[i], r.requests[j] = r.requests[j], r.requests[i]
}

const (
	mostBadRows  = 0.01 // share of a file that may be skipped
	badRowsNamed = 10
)

// requestColumns are those of a file of requests.
var requestColumns = []string{"time", "lat", "lon", "age", "gender", "os", "network", "host", "scene", "words", "category", "radius", "slots", "limit", "user"}

// readRequests reads a CSV of requests. Bad rows are named by their line and
// skipped; its error is Invalid where they are more than a hundredth, or the
// header is no header.
func readRequests(path string, speed float64, w io.Writer) (*recording, error) {
	if !(speed > 0) {
		return nil, hexbid.Invalidf("--speed", "%v: it must be above 0", speed)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--requests: %w", err)
	}
	defer f.Close()
	rows := csv.NewReader(f)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	header, err := rows.Read()
	if err != nil {
		return nil, hexbid.Invalidf(path, "it has no header: write time,lat,lon and more of %s", strings.Join(requestColumns[3:], ", "))
	}
	columns, err := readHeader(path, slices.Clone(header))
	if err != nil {
		return nil, err
	}
	r, bad, err := readRows(rows, columns, w)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if share := float64(bad) / float64(max(1, bad+r.Len())); share > mostBadRows || r.Len() == 0 {
		return nil, hexbid.Invalidf(path, "%d of %d rows are bad: more than %.0f %%, so nothing is replayed", bad, bad+r.Len(), 100*mostBadRows)
	}
	if bad > 0 {
		fmt.Fprintf(w, "%s: %d of %d rows are bad and were skipped\n", path, bad, bad+r.Len())
	}
	r.normalise(speed)
	return r, nil
}

func readHeader(path string, header []string) (columns []string, err error) {
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if name == "lng" {
			name = "lon"
		}
		if !slices.Contains(requestColumns, name) {
			return nil, hexbid.Invalidf(path, "column %d is %q: there are %s", i+1, name, strings.Join(requestColumns, ", "))
		}
		if slices.Contains(columns, name) {
			return nil, hexbid.Invalidf(path, "column %q stands twice", name)
		}
		columns = append(columns, name)
	}
	for _, needed := range requestColumns[:3] {
		if !slices.Contains(columns, needed) {
			return nil, hexbid.Invalidf(path, "it has no column %q: a header is time,lat,lon and more", needed)
		}
	}
	return columns, nil
}

func readRows(rows *csv.Reader, columns []string, w io.Writer) (r *recording, bad int, err error) {
	r = &recording{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return r, bad, nil
		}
		var syntax *csv.ParseError
		if err != nil && !errors.As(err, &syntax) {
			return nil, bad, err
		}
		var at time.Duration
		var q *pb.SearchNearbyRequest
		if err == nil {
			at, q, err = readRequest(columns, row)
		}
		if err != nil {
			if bad++; bad <= badRowsNamed {
				line, _ := rows.FieldPos(0)
				fmt.Fprintf(w, "line %d: %s\n", line, err)
			}
			continue
		}
		r.at, r.requests = append(r.at, at), append(r.requests, q)
	}
}

// readRequest reads a row; at is since the Unix epoch, or whatever the file
// counts from.
func readRequest(columns, row []string) (at time.Duration, q *pb.SearchNearbyRequest, err error) {
	if len(row) != len(columns) {
		return 0, nil, fmt.Errorf("it has %d fields, the header has %d", len(row), len(columns))
	}
	f := requestFields{of: map[string]string{}}
	for i, name := range columns {
		f.of[name] = strings.Clone(strings.TrimSpace(row[i]))
	}
	at = f.instant()
	lat, lon := f.number("lat", -90, 90), f.number("lon", -180, 180)
	q = &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: orZero(lat), Longitude: orZero(lon)},
		Viewer: &pb.Viewer{UserKey: f.of["user"], Age: f.whole("age", hexbid.MaxAge), Gender: readEnum[pb.Gender](&f.enums, "gender", f.of["gender"]),
			OperatingSystem: readEnum[pb.OperatingSystem](&f.enums, "os", f.of["os"]), Network: readEnum[pb.Network](&f.enums, "network", f.of["network"])},
		Host: readEnum[pb.Host](&f.enums, "host", f.of["host"]), Scene: readEnum[pb.Scene](&f.enums, "scene", f.of["scene"]), Words: f.of["words"],
		Category: readEnum[pb.Category](&f.enums, "category", f.of["category"]), RadiusM: f.number("radius", 1, hexbid.MaxRadiusM),
		SponsoredSlots: f.whole("slots", hexbid.MaxSlots), NearbyLimit: f.whole("limit", hexbid.MaxNearbyLimit),
	}
	for _, needed := range requestColumns[:3] {
		if f.of[needed] == "" {
			f.fail(needed, "it is empty")
		}
	}
	return at, q, errors.Join(f.err, f.enums.err)
}

// requestFields reads the fields of a row and keeps the first error.
type requestFields struct {
	of    map[string]string
	enums enumReader
	err   error
}

func (f *requestFields) fail(name, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...))
	}
}

// instant is a time of RFC 3339, or seconds from anywhere.
func (f *requestFields) instant() time.Duration {
	text := f.of["time"]
	if s, err := strconv.ParseFloat(text, 64); err == nil && s >= 0 && s < 1e10 {
		return time.Duration(s * float64(time.Second))
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		f.fail("time", "%q is neither seconds, as 12.5, nor a time as 2026-10-01T12:00:00+08:00", text)
	}
	return time.Duration(t.UnixNano())
}

func (f *requestFields) number(name string, low, high float64) *float64 {
	if f.of[name] == "" {
		return nil
	}
	v, err := strconv.ParseFloat(f.of[name], 64)
	if err != nil || !(v >= low && v <= high) {
		f.fail(name, "%q is no number from %g to %g", f.of[name], low, high)
	}
	return &v
}

func (f *requestFields) whole(name string, high int) *int32 {
	if f.of[name] == "" {
		return nil
	}
	v, err := strconv.Atoi(f.of[name])
	if err != nil || v < 0 || v > high {
		f.fail(name, "%q is no whole number from 0 to %d", f.of[name], high)
	}
	n := int32(v)
	return &n
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// normalise sorts by time, starts at 0 and goes faster.
func (r *recording) normalise(speed float64) {
	sort.Stable(r)
	first := r.at[0]
	for i := range r.at {
		r.at[i] = time.Duration(float64(r.at[i]-first) / speed)
	}
}
