package peers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hexbid/hexbid/benchmarks"
)

// Redis holds no circles. The server finds the centres within the largest radius. The client, which has the rest in
// memory, tests and sorts.
type Redis struct {
	circles []Circle
	client  *redis.Client
	process *exec.Cmd
	dir     string
	widestM float64
}

const redisKey = "centres"

// Name implements Peer.
func (*Redis) Name() string { return "Redis" }

// StartRedis starts a server of its own on loopback. It returns ErrNotInstalled if the Debian package redis-server is
// missing.
func StartRedis() (*Redis, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w: redis-server", ErrNotInstalled)
	}
	address, err := benchmarks.FreeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(address, ":")
	r := &Redis{}
	if r.dir, err = os.MkdirTemp("", "hexbid-redis-"); err != nil {
		return nil, err
	}
	r.process = exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--save",
		"", "--appendonly", "no")
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	r.client = redis.NewClient(&redis.Options{Addr: address, PoolSize: 64})
	if err := within(10*time.Second, func() error { return r.client.Ping(context.Background()).Err() }); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Load implements Peer.
func (r *Redis) Load(circles []Circle) error {
	r.circles = circles
	ctx := context.Background()
	const batch = 5000
	for first := 0; first < len(circles); first += batch {
		locations := make([]*redis.GeoLocation, 0, batch)
		for i := first; i < min(first+batch, len(circles)); i++ {
			c := &circles[i]
			r.widestM = max(r.widestM, c.RadiusM)
			locations = append(locations, &redis.GeoLocation{Name: strconv.Itoa(i), Longitude: c.Center.Lng,
				Latitude: c.Center.Lat})
		}
		if err := r.client.GeoAdd(ctx, redisKey, locations...).Err(); err != nil {
			return err
		}
	}
	return nil
}

// TopTen implements Peer. Redis keeps centres to some decimetres, on a sphere of its own, so the search is a little
// wider than the largest radius.
func (r *Redis) TopTen(q *Query, into []int) ([]int, error) {
	names, err := r.client.GeoSearch(context.Background(), redisKey,
		&redis.GeoSearchQuery{Longitude: q.At.Lng, Latitude: q.At.Lat,
			Radius: math.Ceil(r.widestM*1.001 + 1), RadiusUnit: "m"}).Result()
	if err != nil {
		return nil, err
	}
	b := best{circles: r.circles}
	for _, name := range names {
		id, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		if r.circles[id].covers(q) {
			b.offer(id)
		}
	}
	return b.append(into), nil
}

// Close implements Peer.
func (r *Redis) Close() error {
	return errors.Join(r.client.Close(), end(r.process), os.RemoveAll(r.dir))
}
