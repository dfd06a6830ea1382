package main

import (
	"context"
	"net"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/server/gateway"
)

// HTTPAddress returns where the HTTP port listens, after Open, or "" when it does not listen.
func (m *Main) HTTPAddress() string {
	if m.web == nil {
		return ""
	}
	return m.web.Addr().String()
}

// listenHTTP opens the HTTP port.
func (m *Main) listenHTTP(c *server.Config) (err error) {
	if m.Config.HTTPListen == "" && m.Config.Profiles {
		return hexbid.Invalidf("profiles", "are served at the HTTP port: give --http-listen too")
	}
	if m.Config.HTTPListen == "" {
		return nil
	}
	m.web, err = c.Listen("http-listen", m.Config.HTTPListen)
	return err
}

// openGateway makes the gateway of the HTTP port.
func (m *Main) openGateway(of *server.Config) (err error) {
	if m.web == nil {
		return nil
	}
	c := gateway.Config{Hosts: m.Config.HTTPHosts, Origins: m.Config.HTTPOrigins,
		Profiles: m.Config.Profiles, Limits: gateway.DefaultLimits(),
		Registry: of.Registry, Log: m.Log}
	c.Limits.BodyBytes, c.Limits.DrainTimeout = int64(of.MaxRequestBytes), of.DrainTimeout
	c.Limits.BodyTimeout, c.Limits.LineTimeout = of.Limits.RequestTimeout, of.Limits.StreamTimeout
	m.gateway, err = gateway.New(c, m.server)
	return err
}

// serveHTTP serves the HTTP port in a goroutine of the group until the context ends and its requests have.
func (m *Main) serveHTTP(ctx context.Context, group *sync.WaitGroup) {
	if m.gateway == nil {
		return
	}
	group.Go(func() {
		if err := m.gateway.Serve(ctx, m.web); err != nil {
			m.Log.Error("HTTP is no longer served", "error", err)
		}
	})
}

// onLoopback reports whether an open port is reached from this machine alone.
func onLoopback(l net.Listener) bool {
	return l == nil || l.Addr().(*net.TCPAddr).IP.IsLoopback()
}
