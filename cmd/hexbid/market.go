package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
)

// BuildMarket combines the flags with the market section of the file. Distance counts by its prior table.
func (c *ServeConfig) BuildMarket() (bidder.Market, error) {
	m := bidder.DefaultMarket()
	m.Distance = quality.PriorDistances()
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

func (s *marketSection) addTo(m *bidder.Market) error {
	for name, ppm := range s.PriorPPM {
		category, err := hexbid.ParseCategory(name)
		if err != nil {
			return hexbid.Invalidf("market.prior_ppm", "%v", err)
		}
		m.PriorPPM[category] = ppm
	}
	if len(s.PositionFactors) > 0 {
		m.PositionFactors, m.PositionsPinned = s.PositionFactors, true
	}
	if s.Distance != nil {
		if err := s.Distance.addTo(m); err != nil {
			return err
		}
	}
	m.MechanismOf = map[hexbid.Scene]auction.Mechanism{}
	for name, mechanism := range s.MechanismByScene {
		scene, err := hexbid.ParseScene(name)
		if err == nil {
			m.MechanismOf[scene], err = auction.ParseMechanism(mechanism)
		}
		if err != nil {
			return hexbid.Invalidf("market.mechanism_by_scene", "%v", err)
		}
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

func (r *reserveEntry) parse() (out bidder.Reserve, err error) {
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
