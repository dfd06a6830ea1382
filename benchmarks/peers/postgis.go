package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hexbid/hexbid/benchmarks"
)

// PostGIS holds a box for each circle under a GiST index, and tests and sorts in SQL.
type PostGIS struct {
	pool    *pgxpool.Pool
	process *exec.Cmd
	dir     string
}

// Name implements Peer.
func (*PostGIS) Name() string { return "PostGIS" }

// StartPostGIS starts a cluster of its own on loopback. It returns ErrNotInstalled if the Debian packages postgresql
// and postgis are missing.
func StartPostGIS() (*PostGIS, error) {
	binaries, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	extensions, _ := filepath.Glob("/usr/share/postgresql/*/extension/postgis.control")
	if len(binaries) == 0 || len(extensions) == 0 {
		return nil, fmt.Errorf("%w: postgresql and postgis", ErrNotInstalled)
	}
	bin := binaries[len(binaries)-1]
	address, err := benchmarks.FreeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(address, ":")
	p := &PostGIS{}
	if p.dir, err = os.MkdirTemp("", "hexbid-postgis-"); err != nil {
		return nil, err
	}
	// PostgreSQL does not run as root: as its own user then.
	owner, err := notRoot(p.dir)
	if err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(p.dir, "data"), "-U", "bench",
		"-A", "trust", "--no-sync")
	initdb.SysProcAttr = owner
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	p.process = exec.Command(filepath.Join(bin, "postgres"), "-D", filepath.Join(p.dir, "data"), "-p", port, "-c",
		"listen_addresses=127.0.0.1",
		"-k", p.dir, "-c", "shared_buffers=2GB", "-c", "fsync=off", "-c", "max_wal_size=4GB", "-c", "jit=off", "-c",
		"max_parallel_workers_per_gather=0")
	p.process.SysProcAttr = owner
	if err := p.process.Start(); err != nil {
		return nil, err
	}
	if p.pool, err = pgxpool.New(context.Background(), fmt.Sprintf("postgres://bench@%s/postgres?pool_max_conns=64",
		address)); err != nil {
		return nil, errors.Join(err, end(p.process))
	}
	if err := within(20*time.Second, func() error { return p.pool.Ping(context.Background()) }); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// notRoot makes a process run as the user postgres if this one runs as root.
func notRoot(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}},
		os.Chown(dir, uid, gid)
}

// Load implements Peer.
func (p *PostGIS) Load(circles []Circle) error {
	ctx := context.Background()
	run := func(sql string) error {
		_, err := p.pool.Exec(ctx, sql)
		return err
	}
	err := run(`CREATE EXTENSION postgis; CREATE UNLOGGED TABLE circles (id int, lng float8, lat float8, radius_m float8, min_age int, max_age int, genders int, systems int,
		bid bigint, west float8, south float8, east float8, north float8)`)
	if err != nil {
		return err
	}
	_, err = p.pool.CopyFrom(ctx, pgx.Identifier{"circles"},
		[]string{"id", "lng", "lat", "radius_m", "min_age", "max_age", "genders", "systems", "bid", "west",
			"south", "east", "north"},
		pgx.CopyFromSlice(len(circles), func(i int) ([]any, error) {
			c := &circles[i]
			low, high := c.box()
			return []any{c.ID, c.Center.Lng, c.Center.Lat, c.RadiusM, c.MinAge, c.MaxAge, c.Genders, c.Systems, c.Bid, low[0],
				low[1], high[0], high[1]}, nil
		}))
	if err != nil {
		return err
	}
	return errors.Join(
		run(`ALTER TABLE circles ADD centre geometry(Point, 4326), ADD box geometry(Polygon, 4326)`),
		run(`UPDATE circles SET centre = ST_SetSRID(ST_MakePoint(lng, lat), 4326), box = ST_MakeEnvelope(west, south, east, north, 4326)`),
		run(`ALTER TABLE circles DROP west, DROP south, DROP east, DROP north, DROP lng, DROP lat`),
		run(`CREATE INDEX ON circles USING gist (box)`),
		run(`VACUUM FULL ANALYZE circles`))
}

// TopTen implements Peer. ST_DistanceSphere has a radius of 6,371,008.77 m.
func (p *PostGIS) TopTen(q *Query, into []int) ([]int, error) {
	rows, err := p.pool.Query(context.Background(), `SELECT id FROM circles, (SELECT ST_SetSRID(ST_MakePoint($1, $2), 4326) AS at) AS viewer
		WHERE box && at AND min_age <= $3 AND max_age >= $3 AND genders & $4 <> 0 AND systems & $5 <> 0 AND ST_DistanceSphere(centre, at) <= radius_m
		ORDER BY bid DESC LIMIT 10`, q.At.Lng, q.At.Lat, q.Age, q.Gender, q.System)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	return append(into, ids...), err
}

// Close implements Peer.
func (p *PostGIS) Close() error {
	p.pool.Close()
	return errors.Join(end(p.process), os.RemoveAll(p.dir))
}
