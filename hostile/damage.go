package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// corruption kills the service, damages a file of its data folder, and starts it again. The start may end with status 1
// and name the file (or its folder, if the damage shows in another of its files). Otherwise everything acknowledged
// must be there. The attack uses its own service, and copies of that service's folder.
func corruption(ctx context.Context, r *round) error {
	dir, err := os.MkdirTemp("", "hexbid-hostile-damage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(r.options, r.tally, dir)
	if err != nil {
		return err
	}
	known, err := r.keep(ctx, s)
	if err != nil {
		return err
	}
	whole := s.Data
	if s.Data = filepath.Join(dir, "undamaged"); copyFolder(s.Data, whole) != nil || s.Start(ctx) != nil {
		return fmt.Errorf("an undamaged copy does not serve: %s", s.Tail())
	}
	if err := errors.Join(r.judgeLost(ctx, s, known), s.Kill()); err != nil {
		return err
	}
	stop, cancel := r.until(ctx)
	defer cancel()
	for n := 0; n < len(damages) || stop.Err() == nil; n++ {
		s.Data = filepath.Join(dir, fmt.Sprintf("copy-%d", n))
		if err := copyFolder(s.Data, whole); err != nil {
			return err
		}
		if err := r.damageOnce(ctx, s, known, damages[n%len(damages)]); err != nil {
			return err
		}
		if err := os.RemoveAll(s.Data); err != nil {
			return err
		}
	}
	return nil
}

// copyFolder copies files with their permissions, because the service refuses keys that others may read.
func copyFolder(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Chmod(to+strings.TrimPrefix(path, from), info.Mode())
	})
}

// keep fills a service in two lives, so that its folder has tables and logs, and kills it.
func (r *round) keep(ctx context.Context, s *victim.Server) (*ledger, error) {
	known := newLedger()
	for life := range 2 {
		if err := s.Start(ctx); err != nil {
			return nil, err
		}
		conn, err := s.Dial(victim.Patient())
		if err != nil {
			return nil, err
		}
		for i := range 50 {
			r.createOne(ctx, conn, known, fmt.Sprintf("kept-%d-%d", life, i))
			if i%10 == 0 {
				r.importSome(ctx, conn, known, fmt.Sprintf("kept-%d-batch-%d", life, i))
			}
		}
		_, err = pb.NewCampaignServiceClient(conn).GetAdvertiser(ctx, &pb.GetAdvertiserRequest{Name: "advertisers/kept-0-0"})
		if err := errors.Join(err, conn.Close(), s.Kill()); err != nil {
			return nil, err
		}
		r.tally.kills.Add(1)
	}
	return known, nil
}

// damage is one way to damage a file.
type damage struct {
	name  string
	spoil func(r *rand.Rand, path string, content []byte) error
}

var damages = []damage{
	{"a flipped bit", func(r *rand.Rand, path string, b []byte) error {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return os.WriteFile(path, b, 0o600)
	}},
	{"a block of zeros", func(r *rand.Rand, path string, b []byte) error {
		at := r.IntN(len(b))
		clear(b[at:min(len(b), at+4096)])
		return os.WriteFile(path, b, 0o600)
	}},
	{"a lost end", func(r *rand.Rand, path string, b []byte) error {
		return os.WriteFile(path, b[:r.IntN(len(b))], 0o600)
	}},
	{"noise", func(r *rand.Rand, path string, b []byte) error {
		for i := r.IntN(len(b)); i < len(b); i++ {
			b[i] = byte(r.IntN(256))
		}
		return os.WriteFile(path, b, 0o600)
	}},
	{"no content", func(_ *rand.Rand, path string, _ []byte) error { return os.WriteFile(path, nil, 0o600) }},
	{"no file", func(_ *rand.Rand, path string, _ []byte) error { return os.Remove(path) }},
}

func (r *round) damageOnce(ctx context.Context, s *victim.Server, known *ledger, d damage) error {
	path, err := pickFile(r.random, s.Data)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := d.spoil(r.random, path, content); err != nil {
		return err
	}
	r.tally.damages.Add(1)
	what := fmt.Sprintf("%s in %s", d.name, filepath.Base(path))
	began := time.Now()
	err = s.Start(ctx)
	if err == nil {
		err = r.judgeLost(ctx, s, known)
		s.JudgeLog()
		if err != nil {
			r.tally.fall("%s: it serves, and %v", what, err)
		}
		return s.Kill()
	}
	r.tally.notStarted.Add(1)
	var exit *exec.ExitError
	switch log := s.Tail(); {
	case !errors.Is(err, victim.ErrEnded):
		r.tally.fall("%s: after %v %v", what, time.Since(began).Round(time.Second), err)
	case !errors.As(s.Exit(), &exit) || exit.ExitCode() != 1 || strings.Contains(log, "goroutine "):
		r.tally.fall("%s: %v\n%s", what, s.Exit(), log)
	case !strings.Contains(log, filepath.Base(path)) &&
		!strings.Contains(log, filepath.Join(s.Data, engineOf(s.Data, path))):
		r.tally.fall("%s: the message names neither the file nor its folder: %s", what, log)
	}
	return ctx.Err()
}

// engineOf returns the folder in the data folder that a file belongs to: the one that it lies in, or whose witness it
// is.
func engineOf(data, path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, data+string(filepath.Separator)), string(filepath.Separator))
	return strings.TrimSuffix(name, ".witness")
}

// pickFile draws a file that is not empty.
func pickFile(r *rand.Rand, dir string) (string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > 0 {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		return "", errors.Join(err, fmt.Errorf("%s holds no files", dir))
	}
	return files[r.IntN(len(files))], nil
}
