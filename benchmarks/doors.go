package benchmarks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Doors holds two servers of equal markets, each in a process of its own: one takes everybody, the other demands keys.
type Doors struct {
	open, keyed *Process
	requests    []*pb.SearchNearbyRequest
	bodies      [][]byte // the same requests as JSON
	key         string   // of a search client, at the server that demands keys
	web         *http.Client
}

// OpenDoors fills one data folder with campaigns and copies it, and serves both.
func OpenDoors(binary, dir string, w *Workload, campaigns int) (*Doors, error) {
	d := &Doors{web: &http.Client{Transport: &http.Transport{MaxIdleConns: callers, MaxIdleConnsPerHost: callers}}}
	if err := d.serve(binary, dir, w, campaigns); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	for i := range distinctRequests {
		d.requests = append(d.requests, w.SearchRequest(i, 3, 20))
		body, err := protojson.Marshal(d.requests[i])
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.bodies = append(d.bodies, body)
	}
	return d, nil
}

// serve makes both data folders and starts both servers.
func (d *Doors) serve(binary, dir string, w *Workload, campaigns int) error {
	folders := [2]string{filepath.Join(dir, "open"), filepath.Join(dir, "keyed")}
	err := fill(binary, folders[0], w, campaigns)
	if err != nil {
		return err
	}
	if err := copyFolder(folders[0], folders[1]); err != nil {
		return err
	}
	if d.open, err = StartHexbid(binary, Serving{Data: folders[0], MemoryMB: MemoryMB, HTTP: true}); err != nil {
		return err
	}
	if d.keyed, err = StartHexbid(binary, Serving{Data: folders[1], MemoryMB: MemoryMB, Keys: true}); err != nil {
		return err
	}
	operator, err := os.ReadFile(filepath.Join(folders[1], "operator.key"))
	if err != nil {
		return err
	}
	d.key, err = clientKey(d.keyed.Conn, strings.TrimSpace(string(operator)))
	return err
}

// fill imports a market into a data folder.
func fill(binary, data string, w *Workload, campaigns int) error {
	p, err := StartHexbid(binary, Serving{Data: data, MemoryMB: MemoryMB})
	if err != nil {
		return err
	}
	_, err = Import(p.Conn, w, campaigns, campaigns)
	return errors.Join(err, p.Close())
}

// copyFolder copies a data folder. Its keys may be read by their owner alone, else a server refuses them.
func copyFolder(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	})
}

// as returns the context of a call with a key.
func as(key string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+key)
}

// clientKey makes a search client that sees everything that callers without keys see, and returns its key.
func clientKey(conn *grpc.ClientConn, operator string) (string, error) {
	service, ctx := pb.NewAccessServiceClient(conn), as(operator)
	client, err := service.CreateClient(ctx, &pb.CreateClientRequest{ClientId: "bench",
		Client: &pb.Client{SeesPrices: true, SeesCampaigns: true}})
	if err != nil {
		return "", fmt.Errorf("making a client: %w", err)
	}
	issued, err := service.CreateKey(ctx, &pb.CreateKeyRequest{Parent: client.GetName()})
	if err != nil {
		return "", fmt.Errorf("making its key: %w", err)
	}
	return issued.GetCredential(), nil
}

// Close ends both servers.
func (d *Doors) Close() error {
	var failed error
	for _, p := range []*Process{d.open, d.keyed} {
		if p != nil {
			failed = errors.Join(failed, p.Close())
		}
	}
	return failed
}

// searchOpen makes a search at the server that takes everybody.
func (d *Doors) searchOpen(i int) error {
	_, err := pb.NewSearchServiceClient(d.open.Conn).SearchNearby(context.Background(), d.requests[i%len(d.requests)])
	return err
}

// searchKeyed makes the same search with a key.
func (d *Doors) searchKeyed(i int) error {
	_, err := pb.NewSearchServiceClient(d.keyed.Conn).SearchNearby(as(d.key), d.requests[i%len(d.requests)])
	return err
}

// searchHTTP makes the same search as JSON over HTTP, without a key. It reads the answer and does not decode it.
func (d *Doors) searchHTTP(i int) error {
	r, err := d.web.Post("http://"+d.open.web+"/v1/nearby:search", "application/json",
		bytes.NewReader(d.bodies[i%len(d.bodies)]))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, answer)
	}
	return err
}

// searches are the ways to make a search, by name.
func (d *Doors) searches() map[string]func(i int) error {
	return map[string]func(int) error{"open": d.searchOpen, "keyed": d.searchKeyed, "http": d.searchHTTP}
}

// WarmUp makes passes over the requests at both servers.
func (d *Doors) WarmUp(passes int) error {
	for _, search := range []func(int) error{d.searchOpen, d.searchKeyed} {
		if _, err := ClosedLoop(callers, inAll(passes*distinctRequests), search); err != nil {
			return err
		}
	}
	return nil
}

// inAll ends a closed loop after a number of calls.
func inAll(n int) func(calls int64, took time.Duration) bool {
	return func(calls int64, _ time.Duration) bool { return calls < int64(n) }
}

// Rates measures closed loops in turn, in an order drawn anew each time: without keys, with a key, and as JSON over
// HTTP. Each ratio compares two loops of the same turn.
func (d *Doors) Rates() (map[string]Spread, error) {
	defer withoutHaste()()
	return Rounds(doorRounds, func() (Figures, error) {
		figures := Figures{}
		for name, search := range d.searches() {
			perSecond, err := ClosedLoop(callers, forAWhile, search)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			figures["doors_rps_"+name] = perSecond
		}
		figures["keys_ratio"] = figures["doors_rps_keyed"] / figures["doors_rps_open"]
		figures["http_ratio"] = figures["doors_rps_http"] / figures["doors_rps_open"]
		return figures, nil
	})
}

// doorRounds is odd, so that a median is a round's own figure, and large enough to tell some per cent.
const doorRounds = 9
