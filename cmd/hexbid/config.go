package main

import (
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// ServeConfig holds every setting of a server. Flags, HEXBID_* variables of the environment, and a YAML file set it.
type ServeConfig struct {
	Listen              string        `help:"Address of the gRPC port." default:"127.0.0.1:7600" env:"HEXBID_LISTEN"`
	MetricsListen       string        `help:"Loopback address of /metrics; empty for none." default:"127.0.0.1:7601" env:"HEXBID_METRICS_LISTEN"`
	HTTPListen          string        `name:"http-listen" help:"Address of the HTTP port, which takes the same calls as JSON; empty for none." default:"127.0.0.1:7602" env:"HEXBID_HTTP_LISTEN"`
	HTTPHosts           []string      `name:"http-hosts" help:"Names by which callers reach the HTTP port, besides localhost and addresses." placeholder:"NAME" env:"HEXBID_HTTP_HOSTS"`
	HTTPOrigins         []string      `name:"http-origins" help:"Web pages whose scripts may call the HTTP port, as in https://console.example.com; none unless named." placeholder:"ORIGIN" env:"HEXBID_HTTP_ORIGINS"`
	Data                string        `help:"Folder of the catalogue, the ledger and the keys; empty keeps everything in memory." placeholder:"DIR" env:"HEXBID_DATA"`
	Demo                bool          `help:"Fill an empty catalogue with the demo market of Hangzhou." env:"HEXBID_DEMO"`
	DemoTraffic         bool          `name:"demo-traffic" help:"With --demo: play people around Hubin who search, look and click, a few a second." env:"HEXBID_DEMO_TRAFFIC"`
	Keys                string        `help:"Key file of the tokens; DATA/keys by default. Read again when it changes." placeholder:"FILE" env:"HEXBID_KEYS"`
	AcceptLoss          bool          `help:"Start although acknowledged writes are lost, or keys that sealed tokens, as a start without this flag reported. For one start only: refused when nothing is lost."`
	LedgerDays          int           `help:"Days that events which cost nothing keep their records in the ledger; later their totals by the hour stay. Charges stay for good." default:"400" env:"HEXBID_LEDGER_DAYS"`
	StatementZone       string        `name:"statement-zone" help:"Time zone of the dates of balances and statements; campaigns have their own." default:"Asia/Shanghai" env:"HEXBID_STATEMENT_ZONE"`
	AllowClockAhead     bool          `help:"Start although the ledger's last record is later than this machine's clock by more than ten seconds. Its days then last longer until the clock has caught up. For one start."`
	ChangeLogDays       int           `help:"Days that changes of the catalogue stay in the log of changes: hexbid history and hexbid undo reach back as far." default:"90" env:"HEXBID_CHANGE_LOG_DAYS"`
	ChangeLogMB         mebibytes     `name:"change-log-mb" help:"Most disk for the log of changes, MiB; beyond it the oldest changes are dropped." default:"1024" env:"HEXBID_CHANGE_LOG_MB"`
	Currency            string        `help:"Currency of all amounts, recorded in the data folder." default:"CNY" env:"HEXBID_CURRENCY"`
	TLSCert             string        `name:"tls-cert" help:"Certificate, PEM." placeholder:"FILE" env:"HEXBID_TLS_CERT"`
	TLSKey              string        `name:"tls-key" help:"Its key, PEM." placeholder:"FILE" env:"HEXBID_TLS_KEY"`
	Profiles            bool          `help:"Serve profiles of the program to operators, at /debug/pprof/ of the HTTP port." env:"HEXBID_PROFILES"`
	Insecure            bool          `help:"Permit an address that is not loopback without TLS." env:"HEXBID_INSECURE"`
	Auth                string        `help:"What callers must prove: none takes everybody on this machine for the operator; required demands a key, a certificate or an OpenID token; auto is none on a loopback address and required elsewhere." enum:"auto,none,required" default:"auto" env:"HEXBID_AUTH"`
	ClientCA            string        `name:"client-ca" help:"Authorities whose client certificates count as credentials, PEM." placeholder:"FILE" env:"HEXBID_CLIENT_CA"`
	OIDCIssuer          string        `name:"oidc-issuer" help:"OpenID provider whose tokens count as credentials: its https URL." placeholder:"URL" env:"HEXBID_OIDC_ISSUER"`
	OIDCAudience        string        `name:"oidc-audience" help:"Audience that such a token must name." placeholder:"AUDIENCE" env:"HEXBID_OIDC_AUDIENCE"`
	TrustedProxies      []string      `name:"trusted-proxy" help:"Addresses of proxies, as in 10.0.0.0/8, that are believed when they say for whom they forward a call." placeholder:"CIDR" env:"HEXBID_TRUSTED_PROXY"`
	AuctionBudget       time.Duration `help:"Time from a request's arrival within which its auction must end; after it the answer has only the nearby list." default:"1ms" env:"HEXBID_AUCTION_BUDGET"`
	NearbyBudget        time.Duration `help:"Time that the walk of a nearby list may take; after it the answer has what was found, and says so." default:"5ms" env:"HEXBID_NEARBY_BUDGET"`
	HistoryBudget       time.Duration `help:"Time that a search waits for what its viewer has seen of capped campaigns; after it those sit out." default:"200us" env:"HEXBID_HISTORY_BUDGET"`
	HistoryCacheMB      mebibytes     `name:"history-cache-mb" help:"Cache of what viewers have seen of capped campaigns, MiB." default:"64" env:"HEXBID_HISTORY_CACHE_MB"`
	HistoryFilterMB     mebibytes     `name:"history-filter-mb" help:"Filter that says which viewers have seen nothing of capped campaigns, MiB: one for each 700,000 viewers who have." default:"16" env:"HEXBID_HISTORY_FILTER_MB"`
	ClickExpiry         time.Duration `help:"How long a token admits an impression and a click." default:"30m" env:"HEXBID_CLICK_EXPIRY"`
	SwapShare           float64       `help:"Share of searches that swap two neighbouring slots, from which the market learns what slots are worth: 0 to 0.01." default:"0.01" env:"HEXBID_SWAP_SHARE"`
	ManualReview        bool          `help:"Leave new and changed places in review until they are approved." env:"HEXBID_MANUAL_REVIEW"`
	AdvertiserEntries   int64         `name:"advertiser-entries" help:"Most index entries of one advertiser: one for each cell of a covering, circle, cell, region and vertex of its campaigns, 8 for each approved place that a campaign goes around, 1 for each keyword and every 8 bytes of it. The quota of an advertiser takes the place of this and of the five limits that follow." default:"1000000" env:"HEXBID_ADVERTISER_ENTRIES"`
	AdvertiserCampaigns int64         `help:"Most campaigns of one advertiser." default:"100000" env:"HEXBID_ADVERTISER_CAMPAIGNS"`
	AdvertiserPlaces    int64         `help:"Most places of one advertiser; a program has at most 20,000." default:"200000" env:"HEXBID_ADVERTISER_PLACES"`
	AdvertiserVertices  int64         `help:"Most vertices of polygons in the campaigns of one advertiser." default:"500000" env:"HEXBID_ADVERTISER_VERTICES"`
	AdvertiserKeywords  int64         `help:"Most keywords of one advertiser's programs and campaigns." default:"500000" env:"HEXBID_ADVERTISER_KEYWORDS"`
	AdvertiserMB        mebibytes     `name:"advertiser-mb" help:"Most MiB on disk of one advertiser's programs, places and campaigns." default:"1024" env:"HEXBID_ADVERTISER_MB"`
	ExplainsAnHour      int           `name:"explains-an-hour" help:"Most explanations that the members of an advertiser get in an hour." default:"120" env:"HEXBID_EXPLAINS_AN_HOUR"`
	CacheMB             mebibytes     `name:"cache-mb" help:"Cache of display records, MiB." default:"64" env:"HEXBID_CACHE_MB"`
	MemoryMB            mebibytes     `name:"memory-mb" help:"Memory to use, MiB: the more there is, the less often the collector runs. 0 leaves it to GOGC and GOMEMLIMIT." default:"0" env:"HEXBID_MEMORY_MB"`
	AllowTrace          string        `help:"Permit exhaustive traces: auto (on loopback only), yes or no." enum:"auto,yes,no" default:"auto" env:"HEXBID_ALLOW_TRACE"`
	DrainTimeout        time.Duration `help:"How long a stop waits for calls in flight." default:"15s" env:"HEXBID_DRAIN_TIMEOUT"`
	TraceEndpoint       string        `name:"trace-endpoint" help:"Send spans of some calls to an OpenTelemetry collector: the URL of its OTLP port over HTTP, as in http://127.0.0.1:4318. They say how long the stages of calls take, and are not the traces of auctions that --allow-trace permits." placeholder:"URL" env:"HEXBID_TRACE_ENDPOINT"`
	TraceSample         float64       `name:"trace-sample" help:"Share of calls whose spans are sent, 0 to 1, whatever callers ask for." default:"0.01" placeholder:"SHARE" env:"HEXBID_TRACE_SAMPLE"`
	LogLevel            string        `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"HEXBID_LOG_LEVEL"`
	MinimumBidCPC       amount        `name:"minimum-bid-cpc" help:"Least bid a click that an upload may make." default:"0" placeholder:"AMOUNT" env:"HEXBID_MINIMUM_BID_CPC"`
	MinimumBidCPM       amount        `name:"minimum-bid-cpm" help:"Least bid a thousand impressions." default:"0" placeholder:"AMOUNT" env:"HEXBID_MINIMUM_BID_CPM"`
	Mechanism           string        `help:"How winners pay: gsp, vcg or first_price; by scene in the market section of --config." enum:"gsp,vcg,first_price" default:"gsp" env:"HEXBID_MECHANISM"`
	ExploreShare        float64       `help:"Share of searches that try campaigns of which little is known, 0 to 0.05." default:"0.02" placeholder:"SHARE" env:"HEXBID_EXPLORE_SHARE"`
	Increment           amount        `help:"Added to the price that another entry or a reserve sets." default:"0" placeholder:"AMOUNT" env:"HEXBID_INCREMENT"`
	Reserve             amount        `help:"Reserve for a thousand seen impressions, everywhere; finer ones stand in the market section of --config." default:"0" placeholder:"AMOUNT" env:"HEXBID_RESERVE"`

	MaxSearches          int           `help:"Searches worked on at once; more are refused." default:"4096" env:"HEXBID_MAX_SEARCHES"`
	MaxReads             int           `help:"Reads of the catalogue worked on at once." default:"256" env:"HEXBID_MAX_READS"`
	MaxWrites            int           `help:"Writes worked on at once." default:"256" env:"HEXBID_MAX_WRITES"`
	MaxImports           int           `help:"Batches of uploads worked on at once." default:"32" env:"HEXBID_MAX_IMPORTS"`
	MaxEvents            int           `help:"Calls and batches of events worked on at once." default:"1024" env:"HEXBID_MAX_EVENTS"`
	MaxWait              time.Duration `help:"Mean time that calls may wait for a core. While they wait longer, fewer are let in: reads and uploads first, events last. 0 lets all in." default:"2ms" env:"HEXBID_MAX_WAIT"`
	MaxConnections       int           `help:"Most connections; a further one replaces the one that has been idle longest." default:"1024" env:"HEXBID_MAX_CONNECTIONS"`
	MaxCallerConnections int           `help:"Most connections of one user or search client at a port; a further one replaces the caller's own that has been idle longest. 0 is a quarter of --max-connections." default:"0" env:"HEXBID_MAX_CALLER_CONNECTIONS"`
	MaxWaitingMB         mebibytes     `name:"max-waiting-mb" help:"Memory, MiB, for requests that are still arriving and answers that clients have not read; beyond it the connection that holds the most is closed." default:"512" env:"HEXBID_MAX_WAITING_MB"`

	UserCallsPerSecond   int32 `help:"Calls a second of one user, on average; 0 for no bound." default:"200" env:"HEXBID_USER_CALLS_PER_SECOND"`
	UserInFlight         int32 `help:"Calls and streams of one user at once; 0 for no bound." default:"64" env:"HEXBID_USER_IN_FLIGHT"`
	UserRowsPerDay       int64 `help:"Resources that one user may write between two midnights of UTC; 0 for no bound." default:"10000000" env:"HEXBID_USER_ROWS_PER_DAY"`
	ClientCallsPerSecond int32 `help:"Calls a second of one search client, on average; 0 for no bound." default:"0" env:"HEXBID_CLIENT_CALLS_PER_SECOND"`
	ClientInFlight       int32 `help:"Calls and streams of one search client at once; 0 for no bound." default:"0" env:"HEXBID_CLIENT_IN_FLIGHT"`

	Filter filterFlags `embed:"" prefix:"filter-" group:"Invalid traffic: clicks that are recorded and cost nothing (docs/operators.md)"`

	Market marketSection `hidden:"" help:"Market section of --config, as YAML."`
}

// filterFlags are the limits of invalid traffic.
type filterFlags struct {
	TooSoon        time.Duration `help:"Filter a click that comes sooner than this after its search; 0 for none." default:"500ms" env:"HEXBID_FILTER_TOO_SOON"`
	RepeatClicks   int           `help:"Filter clicks of a viewer on one campaign beyond so many in --filter-repeat-window; 0 for none." default:"5" env:"HEXBID_FILTER_REPEAT_CLICKS"`
	RepeatWindow   time.Duration `help:"Rolling window of --filter-repeat-clicks." default:"24h" env:"HEXBID_FILTER_REPEAT_WINDOW"`
	ViewerClicks   int           `help:"Filter clicks of a viewer, on all campaigns, beyond so many a minute; 0 for none." default:"10" env:"HEXBID_FILTER_VIEWER_CLICKS"`
	ImpliedPercent int           `help:"Filter a client's clicks without an impression while they are more than so many per cent of its clicks of a day; 0 for none." default:"30" env:"HEXBID_FILTER_IMPLIED_PERCENT"`
	ImpliedClicks  int           `help:"Clicks of a day from which on --filter-implied-percent counts." default:"100" env:"HEXBID_FILTER_IMPLIED_CLICKS"`
	CellClicks     int           `help:"Filter a cell's clicks beyond so many a minute while they are also beyond --filter-cell-factor and --filter-cell-percent; 0 for none." default:"10" env:"HEXBID_FILTER_CELL_CLICKS"`
	CellFactor     int           `help:"Times what the cell had a minute over the last day." default:"10" env:"HEXBID_FILTER_CELL_FACTOR"`
	CellPercent    int           `help:"Per cent of the impressions of the same minute." default:"40" env:"HEXBID_FILTER_CELL_PERCENT"`

	ViewerImpressions     int `help:"Filter impressions of a viewer, of all campaigns, beyond so many a minute; 0 for none." default:"120" env:"HEXBID_FILTER_VIEWER_IMPRESSIONS"`
	CellImpressions       int `help:"Filter a cell's impressions beyond so many a minute while they are also beyond --filter-cell-factor and fewer than --filter-cell-clicks-per-thousand are clicked; 0 for none." default:"2000" env:"HEXBID_FILTER_CELL_IMPRESSIONS"`
	CellClicksPerThousand int `help:"Clicks of the same minute in a thousand of its impressions." default:"1" env:"HEXBID_FILTER_CELL_CLICKS_PER_THOUSAND"`
}

// limits returns the flags as the ledger takes them.
func (f *filterFlags) limits() traffic.Limits {
	return traffic.Limits{TooSoon: f.TooSoon, RepeatClicks: f.RepeatClicks, RepeatWindow: f.RepeatWindow,
		ViewerClicks: f.ViewerClicks, ImpliedPercent: f.ImpliedPercent, ImpliedClicks: f.ImpliedClicks,
		CellClicks: f.CellClicks, CellFactor: f.CellFactor, CellPercent: f.CellPercent,
		ViewerImpressions: f.ViewerImpressions, CellImpressions: f.CellImpressions,
		CellClicksPerThousand: f.CellClicksPerThousand}
}

// DefaultServeConfig returns the settings of "hexbid serve" without flags.
func DefaultServeConfig() ServeConfig {
	var c struct {
		ServeConfig `embed:""`
	}
	parser, err := kong.New(&c)
	if err == nil {
		_, err = parser.Parse(nil)
	}
	if err != nil {
		panic(err) // the tags above are constant
	}
	return c.ServeConfig
}

// amount is money on the command line, in decimal currency.
type amount hexbid.Money

// Decode implements kong.MapperValue.
func (a *amount) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("amount", &text); err != nil {
		return err
	}
	money, err := hexbid.ParseMoney(text)
	*a = amount(money)
	return err
}

// mebibytes is a number of MiB on the command line.
type mebibytes int64

// mostMebibytes is a pebibyte. The bytes of much more are no int64.
const mostMebibytes = 1 << 30

// Decode implements kong.MapperValue.
func (m *mebibytes) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("mebibytes", &text); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > mostMebibytes {
		return hexbid.Invalidf("", "%q is no number of MiB: use 0 to %d", hexbid.Shorten(text), mostMebibytes)
	}
	*m = mebibytes(n)
	return nil
}

// bytes returns the number of bytes.
func (m mebibytes) bytes() int64 { return int64(m) << 20 }
