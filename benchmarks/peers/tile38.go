package peers

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Tile38 holds the box of each circle with fields, and filters by them. The client tests the circle and sorts. It holds
// boxes because a Tile38 of 2026 keeps a GeoJSON circle out of its index and finds none.
type Tile38 struct {
	circles []Circle
	client  *redis.Client
}

const tile38Key = "hexbid-bench"

// Name implements Peer.
func (*Tile38) Name() string { return "Tile38" }

// DialTile38 uses the server that TILE38_ADDR names. It returns ErrNotInstalled if that names none.
func DialTile38() (*Tile38, error) {
	address := os.Getenv("TILE38_ADDR")
	if address == "" {
		return nil, fmt.Errorf("%w: TILE38_ADDR names no server", ErrNotInstalled)
	}
	t := &Tile38{client: redis.NewClient(&redis.Options{Addr: address, PoolSize: 64, Protocol: 2, DisableIdentity: true})}
	return t, t.client.Do(context.Background(), "PING").Err()
}

// Load implements Peer.
func (t *Tile38) Load(circles []Circle) error {
	t.circles = circles
	ctx := context.Background()
	const batch = 1000
	for first := 0; first < len(circles); first += batch {
		pipe := t.client.Pipeline()
		for i := first; i < min(first+batch, len(circles)); i++ {
			c := &circles[i]
			low, high := c.box()
			pipe.Do(ctx, "SET", tile38Key, i, "FIELD", "min_age", c.MinAge, "FIELD", "max_age", c.MaxAge, "FIELD", "genders",
				c.Genders, "FIELD", "systems", c.Systems,
				"BOUNDS", low[1], low[0], high[1], high[0])
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// TopTen implements Peer. Masks are filtered by the values that have the bit, and the circle by the exact test.
func (t *Tile38) TopTen(q *Query, into []int) ([]int, error) {
	args := []any{"INTERSECTS", tile38Key, "LIMIT", len(t.circles), "WHERE", "min_age", "-inf", q.Age, "WHERE",
		"max_age", q.Age, "+inf"}
	args = append(args, withBit("genders", q.Gender)...)
	args = append(args, withBit("systems", q.System)...)
	args = append(args, "IDS", "BOUNDS", q.At.Lat, q.At.Lng, q.At.Lat, q.At.Lng)
	reply, err := t.client.Do(context.Background(), args...).Slice()
	if err != nil {
		return nil, err
	}
	names, ok := reply[len(reply)-1].([]any)
	if !ok {
		return nil, fmt.Errorf("unexpected reply %v", reply)
	}
	b := best{circles: t.circles}
	for _, name := range names {
		id, err := strconv.Atoi(fmt.Sprint(name))
		if err != nil {
			return nil, err
		}
		if t.circles[id].covers(q) {
			b.offer(id)
		}
	}
	return b.append(into), nil
}

// withBit filters a mask field: the masks of the workload that have a bit.
func withBit(field string, bit int) []any {
	var values []any
	for mask := range everyone + 1 {
		if mask&bit != 0 {
			values = append(values, mask)
		}
	}
	return append([]any{"WHEREIN", field, len(values)}, values...)
}

// Close implements Peer. It drops what Load has set.
func (t *Tile38) Close() error {
	t.client.Do(context.Background(), "DROP", tile38Key)
	return t.client.Close()
}
