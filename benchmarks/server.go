package benchmarks

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/token"
)

// Served is the product's server in this process, on a port of its own.
type Served struct {
	Conn     *grpc.ClientConn
	Exchange *exchange.Exchange

	store store.Store
	keys  string
	stop  context.CancelFunc
	ended chan error
}

// DefaultServing has a cache of display records of 512 MB.
func DefaultServing() exchange.Config {
	config := exchange.DefaultConfig()
	config.Cards, config.CacheBytes = server.Cards{}, 512<<20
	return config
}

// Serve opens a data folder, or a market in memory without one, and serves it.
func Serve(data string, config exchange.Config) (*Served, error) {
	keyDir, err := os.MkdirTemp("", "hexbid-bench-keys-")
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	s := &Served{store: store.NewMemory(), keys: keyDir, ended: make(chan error, 1)}
	if data != "" {
		if s.store, err = pebble.Open(pebble.Options{Dir: data, Currency: "CNY", Log: slog.New(slog.DiscardHandler)}); err != nil {
			return nil, err
		}
	}
	keys, err := token.OpenKeys(filepath.Join(keyDir, "keys"))
	if err != nil {
		return nil, err
	}
	config.Log = slog.New(slog.DiscardHandler)
	if s.Exchange, err = exchange.Open(context.Background(), config, s.store, keys); err != nil {
		return nil, err
	}
	return s, s.listen()
}

func (s *Served) listen() error {
	config := server.DefaultConfig()
	config.Log = slog.New(slog.DiscardHandler)
	srv, err := server.New(config)
	if err != nil {
		return err
	}
	srv.Ready(s.Exchange)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.ended <- srv.Serve(ctx, l) }()
	s.Conn, err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	return err
}

// Close ends the server and its store.
func (s *Served) Close() error {
	s.Conn.Close()
	s.stop()
	err := <-s.ended
	s.Exchange.Close()
	if e := s.store.Close(); err == nil {
		err = e
	}
	os.RemoveAll(s.keys)
	return err
}
