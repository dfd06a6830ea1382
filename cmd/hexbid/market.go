package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
)

// BuildMarket returns the market that the flags and the market section of the file describe: the first one of a
// deployment.
func (c *ServeConfig) BuildMarket() (*hexbid.Market, error) {
	m := &hexbid.Market{Increment: hexbid.Money(c.Increment), MinimumBidCPC: hexbid.Money(c.MinimumBidCPC),
		MinimumBidCPM: hexbid.Money(c.MinimumBidCPM)}
	var err error
	if m.Mechanism, err = hexbid.ParseMechanism(c.Mechanism); err != nil {
		return nil, hexbid.Invalidf("mechanism", "%v", err)
	}
	if c.Reserve != 0 {
		m.Reserves = append(m.Reserves, hexbid.Reserve{PerThousand: hexbid.Money(c.Reserve)})
	}
	if err := c.Market.addTo(m); err != nil {
		return nil, err
	}
	return m, exchange.CheckMarket(m)
}

// openMarket sets the market of the exchange: the stored one, or the first one of this deployment. It says in the log
// which settings were not taken.
func (m *Main) openMarket(ctx context.Context, c *exchange.Config) error {
	first, err := m.Config.BuildMarket()
	if err != nil {
		return err
	}
	stored, err := exchange.FirstMarket(ctx, m.store, first, m.Clock())
	if err != nil {
		return err
	}
	c.SettingsNotTaken = notTaken(first, stored)
	for _, setting := range c.SettingsNotTaken {
		m.Log.Warn("a setting is not taken: it is for the first start, and the stored market holds; hexbid market edit "+
			"changes it", "setting", setting)
	}
	return nil
}

// notTaken names the settings of flags and file that differ from the stored market. A flag that nobody set says
// nothing.
func notTaken(set, stored *hexbid.Market) (names []string) {
	add := func(differs bool, format string, args ...any) {
		if differs {
			names = append(names, fmt.Sprintf(format, args...))
		}
	}
	amount := func(flag string, set, stored hexbid.Money) {
		add(set != 0 && set != stored, "--%s %s: the market has %s", flag, set, stored)
	}
	amount("minimum-bid-cpc", set.MinimumBidCPC, stored.MinimumBidCPC)
	amount("minimum-bid-cpm", set.MinimumBidCPM, stored.MinimumBidCPM)
	amount("increment", set.Increment, stored.Increment)
	add(set.Mechanism != hexbid.MechanismGSP && set.Mechanism != stored.Mechanism, "--mechanism %s: the market has %s",
		set.Mechanism, stored.Mechanism)
	for _, r := range set.Reserves {
		everywhere := r == hexbid.Reserve{PerThousand: r.PerThousand}
		missing := !slices.Contains(stored.Reserves, r)
		add(missing && everywhere, "--reserve %s: the market has no such reserve", r.PerThousand)
		add(missing && !everywhere, "market.reserves of the file: the market has none of %s for %s", r.PerThousand,
			whereOf(&r))
	}
	for _, p := range set.Priors {
		add(!slices.Contains(stored.Priors, p), "market.prior_ppm of the file: the market has another for %s", p.Category)
	}
	for _, s := range set.SceneMechanisms {
		add(!slices.Contains(stored.SceneMechanisms, s), "market.mechanism_by_scene of the file: the market has another "+
			"for %s", s.Scene)
	}
	add(len(set.PositionFactors) > 0 && !slices.Equal(set.PositionFactors, stored.PositionFactors),
		"market.position_factors of the file: the market has %s", factorWords(stored.PositionFactors))
	add(set.Distance != nil && !sameDistances(set.Distance, stored.Distance),
		"market.distance of the file: the market has another")
	return names
}

func factorWords(factors []int64) string {
	if len(factors) == 0 {
		return "learned ones"
	}
	return fmt.Sprint(factors)
}

// whereOf says where a reserve applies.
func whereOf(r *hexbid.Reserve) string {
	var parts []string
	if r.Host != 0 {
		parts = append(parts, "host "+r.Host.String())
	}
	if r.Scene != 0 {
		parts = append(parts, "scene "+r.Scene.String())
	}
	if r.Category != 0 {
		parts = append(parts, "category "+r.Category.String())
	}
	if r.Region != "" {
		parts = append(parts, "region "+r.Region)
	}
	return strings.Join(parts, ", ")
}

// marketSection is the market section of a config file. It is a hidden flag, so that the file sets it like other flags.
type marketSection struct {
	PriorPPM        map[string]int64 `yaml:"prior_ppm"`
	PositionFactors []int64          `yaml:"position_factors"`
	Reserves        []reserveEntry   `yaml:"reserves"`
	// MechanismByScene says how winners pay in a scene, where this differs.
	MechanismByScene map[string]string `yaml:"mechanism_by_scene"`
	Distance         *distanceSection  `yaml:"distance"`
}

type reserveEntry struct {
	Host        string    `yaml:"host"`
	Scene       string    `yaml:"scene"`
	Category    string    `yaml:"category"`
	Region      string    `yaml:"region"`
	PerThousand yaml.Node `yaml:"per_thousand"`
}

// Decode implements kong.MapperValue.
func (s *marketSection) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("market", &text); err != nil {
		return err
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && err != io.EOF { // EOF means an empty section
		return fmt.Errorf("the market section of the config file: %w", err)
	}
	return nil
}

func (s *marketSection) addTo(m *hexbid.Market) error {
	for _, name := range slices.Sorted(maps.Keys(s.PriorPPM)) {
		category, err := hexbid.ParseCategory(name)
		if err != nil {
			return hexbid.Invalidf("market.prior_ppm", "%v", err)
		}
		m.Priors = append(m.Priors, hexbid.CategoryPrior{Category: category, PPM: s.PriorPPM[name]})
	}
	m.PositionFactors = s.PositionFactors
	var err error
	if m.Distance, err = s.Distance.table(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.MechanismByScene)) {
		var own hexbid.SceneMechanism
		if own.Scene, err = hexbid.ParseScene(name); err == nil {
			own.Mechanism, err = hexbid.ParseMechanism(s.MechanismByScene[name])
		}
		if err != nil {
			return hexbid.Invalidf("market.mechanism_by_scene", "%v", err)
		}
		m.SceneMechanisms = append(m.SceneMechanisms, own)
	}
	for i, r := range s.Reserves {
		reserve, err := r.parse()
		if err != nil {
			return hexbid.Invalidf(fmt.Sprintf("market.reserves[%d]", i), "%v", err)
		}
		m.Reserves = append(m.Reserves, reserve)
	}
	return nil
}

func (r *reserveEntry) parse() (out hexbid.Reserve, err error) {
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
