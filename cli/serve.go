package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/token"
)

// ServeConfig is all that a server can be told: by flags, by HEXBID_* in the
// environment, or by a YAML file.
type ServeConfig struct {
	Listen            string        `help:"Address of the gRPC port." default:"127.0.0.1:7600" env:"HEXBID_LISTEN"`
	MetricsListen     string        `help:"Loopback address of /metrics; empty for none." default:"127.0.0.1:7601" env:"HEXBID_METRICS_LISTEN"`
	Data              string        `help:"Folder of the catalogue and the keys; empty keeps everything in memory." placeholder:"DIR" env:"HEXBID_DATA"`
	Demo              bool          `help:"Fill an empty catalogue with the demo market of Hangzhou." env:"HEXBID_DEMO"`
	Keys              string        `help:"Key file of the tokens; DATA/keys by default. Read again when it changes." placeholder:"FILE" env:"HEXBID_KEYS"`
	AcceptLoss        bool          `help:"Go on although acknowledged writes are lost, or keys that tokens were sealed with, as the start without it has said. For one start: refused when nothing is lost."`
	Currency          string        `help:"Currency of all amounts, recorded in the data folder." default:"CNY" env:"HEXBID_CURRENCY"`
	TLSCert           string        `name:"tls-cert" help:"Certificate, PEM." placeholder:"FILE" env:"HEXBID_TLS_CERT"`
	TLSKey            string        `name:"tls-key" help:"Its key, PEM." placeholder:"FILE" env:"HEXBID_TLS_KEY"`
	Insecure          bool          `help:"Permit an address that is not loopback without TLS." env:"HEXBID_INSECURE"`
	AuctionBudget     time.Duration `help:"Time from arrival that an auction must have ended in; past it the answer is the nearby list alone." default:"1ms" env:"HEXBID_AUCTION_BUDGET"`
	NearbyBudget      time.Duration `help:"Time that the walk of a nearby list may take; past it the answer has what was found, and says so." default:"5ms" env:"HEXBID_NEARBY_BUDGET"`
	ClickExpiry       time.Duration `help:"How long a token admits an impression and a click." default:"30m" env:"HEXBID_CLICK_EXPIRY"`
	ManualReview      bool          `help:"Leave new and changed places in review until they are approved." env:"HEXBID_MANUAL_REVIEW"`
	AdvertiserEntries int64         `name:"advertiser-entries" help:"Most index entries of one advertiser: one for each cell of a covering, circle, cell, region and vertex of its campaigns, 8 for each approved place that a campaign goes around, 1 for each keyword and every 8 bytes of it." default:"1000000" env:"HEXBID_ADVERTISER_ENTRIES"`
	CacheMB           int64         `name:"cache-mb" help:"Cache of display records, MiB." default:"64" env:"HEXBID_CACHE_MB"`
	MemoryMB          int64         `name:"memory-mb" help:"Memory to use, MiB: the more there is, the less often the collector runs. 0 leaves it to GOGC and GOMEMLIMIT." default:"0" env:"HEXBID_MEMORY_MB"`
	AllowTrace        string        `help:"Permit exhaustive traces: auto (on loopback only), yes or no." enum:"auto,yes,no" default:"auto" env:"HEXBID_ALLOW_TRACE"`
	DrainTimeout      time.Duration `help:"How long a stop waits for calls in flight." default:"15s" env:"HEXBID_DRAIN_TIMEOUT"`
	LogLevel          string        `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"HEXBID_LOG_LEVEL"`
	MinimumBidCPC     moneyFlag     `name:"minimum-bid-cpc" help:"Least bid a click that an upload may make." default:"0" placeholder:"AMOUNT" env:"HEXBID_MINIMUM_BID_CPC"`
	MinimumBidCPM     moneyFlag     `name:"minimum-bid-cpm" help:"Least bid a thousand impressions." default:"0" placeholder:"AMOUNT" env:"HEXBID_MINIMUM_BID_CPM"`
	Mechanism         string        `help:"What winners pay by: gsp, vcg or first_price; by scene in the market section of --config." enum:"gsp,vcg,first_price" default:"gsp" env:"HEXBID_MECHANISM"`
	Increment         moneyFlag     `help:"Added to the price that another entry or a reserve sets." default:"0" placeholder:"AMOUNT" env:"HEXBID_INCREMENT"`
	Reserve           moneyFlag     `help:"Reserve for a thousand seen impressions, everywhere; finer ones stand in the market section of --config." default:"0" placeholder:"AMOUNT" env:"HEXBID_RESERVE"`

	MaxSearches    int   `help:"Searches worked on at once; more are refused." default:"4096" env:"HEXBID_MAX_SEARCHES"`
	MaxReads       int   `help:"Reads of the catalogue worked on at once." default:"256" env:"HEXBID_MAX_READS"`
	MaxWrites      int   `help:"Writes worked on at once." default:"256" env:"HEXBID_MAX_WRITES"`
	MaxImports     int   `help:"Batches of uploads worked on at once." default:"32" env:"HEXBID_MAX_IMPORTS"`
	MaxConnections int   `help:"Connections; one more takes the place of the idlest." default:"1024" env:"HEXBID_MAX_CONNECTIONS"`
	MaxWaitingMB   int64 `name:"max-waiting-mb" help:"Memory, MiB, of requests that have not arrived whole and of answers not taken; past it the connection that has the most is closed." default:"512" env:"HEXBID_MAX_WAITING_MB"`

	Market marketFile `kong:"-"` // of the config file
}

// DefaultServeConfig is what "hexbid serve" without flags has.
func DefaultServeConfig() ServeConfig {
	var c struct {
		ServeConfig `embed:""`
	}
	parser, err := kong.New(&c, kong.TypeMapper(typeOfMoneyFlag, moneyMapper()))
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil {
		panic(err) // the tags above are constant
	}
	return c.ServeConfig
}

// BuildMarket joins the flags and the file's market section.
func (c *ServeConfig) BuildMarket() (bidder.Market, error) {
	m := bidder.DefaultMarket()
	m.MinimumBid[hexbid.CPC], m.MinimumBid[hexbid.CPM] = hexbid.Money(c.MinimumBidCPC), hexbid.Money(c.MinimumBidCPM)
	m.Increment = hexbid.Money(c.Increment)
	var err error
	if m.Mechanism, err = auction.ParseMechanism(c.Mechanism); err != nil {
		return m, hexbid.Invalidf("mechanism", "%v", err)
	}
	if c.Reserve > 0 {
		m.Reserves = append(m.Reserves, bidder.Reserve{PerThousand: hexbid.Money(c.Reserve)})
	}
	if err := c.Market.addTo(&m); err != nil {
		return m, err
	}
	return m, m.Validate()
}

// marketFile is the market section of a config file.
type marketFile struct {
	PriorPPM        map[string]int64 `yaml:"prior_ppm"`
	PositionFactors []int64          `yaml:"position_factors"`
	Reserves        []reserveFile    `yaml:"reserves"`
	// MechanismByScene says what winners pay by in a scene, where it differs.
	MechanismByScene map[string]string `yaml:"mechanism_by_scene"`
}

type reserveFile struct {
	Host        string    `yaml:"host"`
	Scene       string    `yaml:"scene"`
	Category    string    `yaml:"category"`
	Region      string    `yaml:"region"`
	PerThousand yaml.Node `yaml:"per_thousand"`
}

func (f *marketFile) addTo(m *bidder.Market) error {
	for name, ppm := range f.PriorPPM {
		category, err := hexbid.ParseCategory(name)
		if err != nil {
			return hexbid.Invalidf("market.prior_ppm", "%v", err)
		}
		m.PriorPPM[category] = ppm
	}
	if len(f.PositionFactors) > 0 {
		m.PositionFactors = f.PositionFactors
	}
	m.MechanismOf = map[hexbid.Scene]auction.Mechanism{}
	for name, mechanism := range f.MechanismByScene {
		scene, err := hexbid.ParseScene(name)
		if err == nil {
			m.MechanismOf[scene], err = auction.ParseMechanism(mechanism)
		}
		if err != nil {
			return hexbid.Invalidf("market.mechanism_by_scene", "%v", err)
		}
	}
	for i, r := range f.Reserves {
		reserve, err := r.parse()
		if err != nil {
			return hexbid.Invalidf(fmt.Sprintf("market.reserves[%d]", i), "%v", err)
		}
		m.Reserves = append(m.Reserves, reserve)
	}
	return nil
}

func (r *reserveFile) parse() (out bidder.Reserve, err error) {
	out.Region = r.Region
	if r.Host != "" {
		out.Host, err = hexbid.ParseHost(r.Host)
	}
	if r.Scene != "" && err == nil {
		out.Scene, err = hexbid.ParseScene(r.Scene)
	}
	if r.Category != "" && err == nil {
		out.Category, err = hexbid.ParseCategory(r.Category)
	}
	if err == nil {
		out.PerThousand, err = hexbid.ParseMoney(r.PerThousand.Value)
	}
	return out, err
}

type serveCommand struct {
	ServeConfig `embed:""`
}

// Run serves until it is told to stop. A demo market introduces itself.
func (c *serveCommand) Run(s *session) error {
	return s.Serve(s.ctx, &c.ServeConfig, func(address string) {
		if c.Demo {
			introduce(s, address)
		}
	})
}

// configFile resolves flags that neither the command line nor the environment
// sets.
type configFile struct{ settings map[string]yaml.Node }

// read is kong's loader of the file.
func (f *configFile) read(r io.Reader) (kong.Resolver, error) {
	if err := yaml.NewDecoder(r).Decode(&f.settings); err != nil && err != io.EOF {
		return nil, fmt.Errorf("config file: %w", err)
	}
	return f, nil
}

// Validate refuses settings that no flag has.
func (f *configFile) Validate(app *kong.Application) error {
	known := []string{"market"}
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		for _, flag := range n.Flags {
			known = append(known, flag.Name)
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(app.Node)
	for name := range f.settings {
		if !slices.Contains(known, name) {
			return fmt.Errorf("config file: %q is not a setting: its names are those of flags, see hexbid serve --help", name)
		}
	}
	return nil
}

// Resolve gives a flag its value.
func (f *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	node, ok := f.settings[flag.Name]
	if !ok {
		return nil, nil
	}
	return node.Value, nil
}

// readMarket decodes the market section, which no flag stands for.
func (f *configFile) readMarket(into *marketFile) error {
	market, ok := f.settings["market"]
	if !ok {
		return nil
	}
	if err := strictNode(&market, into); err != nil {
		return fmt.Errorf("config file: market: %w", err)
	}
	return nil
}

type rotateKeysCommand struct {
	File string `arg:"" help:"The key file: DATA/keys of a server unless --keys says otherwise." type:"path"`
}

// Run rotates; a running server notices within a second.
func (c *rotateKeysCommand) Run(s *session) error {
	r, err := token.Rotate(c.File, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Stdout, "%s has a new sealing key, %d. Earlier keys that still open what they sealed: %d. Retired, replaced more than eight days ago: %d.\n",
		c.File, r.Sealing, r.Open, r.Retired)
	return err
}
