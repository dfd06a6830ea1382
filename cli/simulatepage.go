package cli

import (
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/report"
	"github.com/hexbid/hexbid/simulator/vitals"
)

type simulatePageCommand struct {
	Path    string `arg:"" name:"run" help:"run.json of hexbid simulate load or capacity." placeholder:"FILE"`
	Compare string `help:"run.json of an older run, to show beside it." placeholder:"FILE"`
	Out     string `help:"File to write." default:"run.html" placeholder:"FILE"`
}

// Help returns the text of --help.
func (*simulatePageCommand) Help() string {
	return `This command makes no calls. It writes the page of an earlier run again.

  hexbid simulate page run2/run.json --compare run1/run.json --out compared.html`
}

// Run draws the page.
func (c *simulatePageCommand) Run(s *session) error {
	r, err := report.Read(c.Path)
	if err != nil {
		return err
	}
	old, err := older("--compare", c.Compare, r.Kind)
	if err != nil {
		return err
	}
	if old != nil {
		if err := r.CompareWith(old); err != nil {
			return err
		}
	}
	f, err := os.Create(c.Out)
	if err != nil {
		return err
	}
	if err := r.WritePage(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Fprintf(s.Stderr, "Wrote %s\n", c.Out)
	return nil
}

// The default addresses of hexbid serve.
const (
	usualPort    = "7600"
	usualMetrics = "http://127.0.0.1:7601/metrics"
)

// watchVitals reads the server's own figures until end is called. The function end returns the figures since a run
// began. An address that was given must answer. The default address may be silent.
func (c *simulateLoadCommand) watchVitals(s *session, t *target) (end func(began time.Time) *vitals.Vitals, err error) {
	none := func(time.Time) *vitals.Vitals { return nil }
	address := c.Metrics
	switch address {
	case "none", "":
		return none, nil
	case "auto":
		if !isUsual(t.address) {
			return none, nil
		}
		address = usualMetrics
	}
	w, err := vitals.Start(s.ctx, address)
	switch {
	case err == nil:
		return w.End, nil
	case c.Metrics == "auto":
		return none, nil
	case hexbid.KindOf(err) == hexbid.Invalid:
		return nil, err
	}
	return nil, hexbid.Errorf(hexbid.Unavailable, "--metrics", "%s; leave out --metrics to run without them", err)
}

// isUsual reports whether a server is on this machine at the default port.
func isUsual(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != usualPort {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
