package cli

import (
	"cmp"
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

// recording holds the requests to replay, and their instants since the first.
type recording struct {
	at       []time.Duration
	requests []*pb.SearchNearbyRequest
}

// Len implements sort.Interface, which sorts by instant.
func (r *recording) Len() int { return len(r.at) }

// Less implements sort.Interface.
func (r *recording) Less(i, j int) bool { return r.at[i] < r.at[j] }

// Swap implements sort.Interface.
func (r *recording) Swap(i, j int) {
	r.at[i], r.at[j] = r.at[j], r.at[i]
	r.requests[i], r.requests[j] = r.requests[j], r.requests[i]
}

const (
	mostBadRows  = 0.01 // share of the rows in a file that may be skipped
	badRowsNamed = 10
)

// requestColumns are the columns that a file of requests may have.
var requestColumns = []string{"time", "lat", "lon", "age", "gender", "os", "network", "host", "scene", "words",
	"category", "radius", "slots", "limit", "user"}

// requestFile is a CSV of requests to read.
type requestFile struct {
	path  string
	timed bool           // whether its times are used
	zone  *time.Location // of times without a zone
	// Slots and limit of rows without their own.
	slots, limit *int32
	radiusM      *float64

	columns []string // names by column; "" for a column that is not used
	clock   clock    // that the first time in the file follows
}

// mostRequests is the most requests that are held in memory.
const mostRequests = 5_000_000

// read reads the file. It skips bad rows and names them by their line. It returns an Invalid error when more than one
// row of a hundred is bad, and when the header is wrong.
func (f *requestFile) read(w io.Writer) (*recording, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("--requests: %w", err)
	}
	defer file.Close()
	rows := csv.NewReader(file)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	header, err := rows.Read()
	if err != nil {
		return nil, hexbid.Invalidf(f.path, "it has no header: write time,lat,lon and more of %s",
			strings.Join(requestColumns[3:], ", "))
	}
	if err := f.readHeader(header, w); err != nil {
		return nil, err
	}
	r, bad, err := f.readRows(rows, w)
	if err != nil {
		return nil, err
	}
	if share := float64(bad) / float64(max(1, bad+len(r.requests))); share > mostBadRows || len(r.requests) == 0 {
		return nil, hexbid.Invalidf(f.path, "%d of %d rows are bad: more than %.0f %%, so nothing is replayed", bad,
			bad+len(r.requests), 100*mostBadRows)
	}
	if bad > 0 {
		fmt.Fprintf(w, "%s: %d of %d rows are bad and were skipped\n", f.path, bad, bad+len(r.requests))
	}
	return r, nil
}

// columnsCalled maps other names of columns to the names used here.
var columnsCalled = map[string]string{"lng": "lon", "latitude": "lat", "longitude": "lon", "timestamp": "time",
	"datetime": "time"}

// readHeader finds the columns. One notice names the columns that are not used.
func (f *requestFile) readHeader(header []string, w io.Writer) error {
	f.columns = make([]string, len(header))
	var unused []string
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if known, is := columnsCalled[name]; is {
			name = known
		}
		if !slices.Contains(requestColumns, name) {
			unused = append(unused, strconv.Quote(hexbid.Shorten(name)))
			continue
		}
		if slices.Contains(f.columns, name) {
			return hexbid.Invalidf(f.path, "line 1: column %q stands twice", name)
		}
		f.columns[i] = name
	}
	for _, needed := range f.needed() {
		if !slices.Contains(f.columns, needed) {
			return hexbid.Invalidf(f.path,
				"line 1: it has no column %q: a header is time,lat,lon and more; times are not needed with --rate", needed)
		}
	}
	if len(unused) > 0 {
		fmt.Fprintf(w, "%s: not used: %s; there are %s\n", f.path,
			strings.Join(unused[:min(len(unused), badRowsNamed)], ", "), strings.Join(requestColumns, ", "))
	}
	return nil
}

// needed returns the columns that each row must fill.
func (f *requestFile) needed() []string {
	if f.timed {
		return requestColumns[:3]
	}
	return requestColumns[1:3]
}

func (f *requestFile) readRows(rows *csv.Reader, w io.Writer) (r *recording, bad int, err error) {
	r = &recording{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return r, bad, nil
		}
		var syntax *csv.ParseError
		if err != nil && !errors.As(err, &syntax) {
			return nil, bad, fmt.Errorf("%s: %w", f.path, err)
		}
		if len(r.requests) == mostRequests {
			return nil, bad, hexbid.Invalidf(f.path, "it has more than %d rows: split it", mostRequests)
		}
		var at time.Duration
		var q *pb.SearchNearbyRequest
		if err == nil {
			at, q, err = f.readRow(row)
		}
		if err != nil {
			if bad++; bad <= badRowsNamed {
				fmt.Fprintf(w, "%s: line %d: %s\n", f.path, lineOf(rows, syntax), err)
			}
			continue
		}
		if f.timed {
			r.at = append(r.at, at)
		}
		r.requests = append(r.requests, q)
	}
}

// lineOf returns the line of the row that was read last, also when the row is not valid CSV.
func lineOf(rows *csv.Reader, syntax *csv.ParseError) int {
	if syntax != nil {
		return syntax.StartLine
	}
	line, _ := rows.FieldPos(0)
	return line
}

// readRow reads a row. The time at counts from the Unix epoch, or from wherever the file counts.
func (file *requestFile) readRow(row []string) (at time.Duration, q *pb.SearchNearbyRequest, err error) {
	if len(row) != len(file.columns) {
		return 0, nil, fmt.Errorf("it has %d fields, the header has %d", len(row), len(file.columns))
	}
	f := requestFields{of: map[string]string{}}
	for i, name := range file.columns {
		if name != "" {
			f.of[name] = strings.Clone(strings.TrimSpace(row[i]))
		}
	}
	if file.timed {
		at = file.instant(&f)
	}
	lat, lon := f.number("lat", -90, 90), f.number("lon", -180, 180)
	q = &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: orZero(lat), Longitude: orZero(lon)},
		Viewer: &pb.Viewer{UserKey: f.of["user"], Age: f.whole("age", hexbid.MaxAge),
			Gender:          readEnum[pb.Gender](&f.enums, "gender", f.of["gender"]),
			OperatingSystem: readEnum[pb.OperatingSystem](&f.enums, "os", f.of["os"]),
			Network:         readEnum[pb.Network](&f.enums, "network", f.of["network"])},
		Host: readEnum[pb.Host](&f.enums, "host", f.of["host"]), Scene: readEnum[pb.Scene](&f.enums, "scene", f.of["scene"]),
		Words: f.of["words"], Category: readEnum[pb.Category](&f.enums, "category", f.of["category"]),
		RadiusM:        cmp.Or(f.number("radius", 1, hexbid.MaxRadiusM), file.radiusM),
		SponsoredSlots: cmp.Or(f.whole("slots", hexbid.MaxSlots), file.slots),
		NearbyLimit:    cmp.Or(f.whole("limit", hexbid.MaxNearbyLimit), file.limit),
	}
	for _, needed := range file.needed() {
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

func (f *requestFields) number(name string, low, high float64) *float64 {
	if f.of[name] == "" {
		return nil
	}
	v, err := strconv.ParseFloat(f.of[name], 64)
	if err != nil || !(v >= low && v <= high) {
		f.fail(name, "%q is not a number from %g to %g", f.of[name], low, high)
	}
	return &v
}

func (f *requestFields) whole(name string, high int) *int32 {
	if f.of[name] == "" {
		return nil
	}
	v, err := strconv.Atoi(f.of[name])
	if err != nil || v < 0 || v > high {
		f.fail(name, "%q is not a whole number from 0 to %d", f.of[name], high)
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

// start sorts the requests by time and moves the first to 0.
func (r *recording) start() {
	sort.Stable(r)
	for i, first := 0, r.at[0]; i < len(r.at); i++ {
		r.at[i] -= first
	}
}

// hasten makes the replay faster by a factor.
func (r *recording) hasten(times float64) {
	for i := range r.at {
		r.at[i] = time.Duration(float64(r.at[i]) / times)
	}
}
