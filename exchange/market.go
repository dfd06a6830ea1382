package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// FirstMarket returns the market that a store has. If it has none, FirstMarket stores the given one, stamped with an
// instant. Call it before Open.
func FirstMarket(ctx context.Context, s store.Store, first *hexbid.Market, at time.Time) (*hexbid.Market, error) {
	if stored, err := storedMarket(ctx, s); stored != nil || err != nil {
		return stored, err
	}
	own := *first
	own.Meta = hexbid.Meta{Name: hexbid.MarketName, CreatedAt: at.UTC(), UpdatedAt: at.UTC()}
	if err := CheckMarket(&own); err != nil {
		return nil, err
	}
	completeMarket(&own)
	record := store.Declare(&own, 0)
	who := stamp{at: own.CreatedAt, who: hexbid.Principal{Role: hexbid.System, ID: "first start"}.String(),
		from: hexbid.InProcess}
	outcomes, err := s.Commit(ctx, []store.Group{who.group(store.Step{Put: &record})})
	if err == nil {
		err = outcomes[0].Err
	}
	if err != nil {
		return nil, fmt.Errorf("storing the first market: %w", err)
	}
	return outcomes[0].Change.Puts[0].Resource.(*hexbid.Market), nil
}

// storedMarket returns the market that a store has, nil for none.
func storedMarket(ctx context.Context, s store.Store) (*hexbid.Market, error) {
	r, err := s.Get(ctx, hexbid.MarketName)
	if hexbid.KindOf(err) == hexbid.NotFound && err != nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the market: %w", err)
	}
	return r.Resource.(*hexbid.Market), nil
}

// CheckMarket refuses rules that no auction can follow. Its error names the field.
func CheckMarket(m *hexbid.Market) error {
	if err := m.Validate(); err != nil {
		return err
	}
	_, err := bidder.MarketOf(m)
	return err
}

// completeMarket fills in the priors of categories that are left out, so that a later program's own priors do not
// change a stored market. The rules are valid.
func completeMarket(m *hexbid.Market) {
	if rules, err := bidder.MarketOf(m); err == nil {
		m.Priors = rules.Priors()
	}
	if m.Mechanism == hexbid.MechanismUnspecified {
		m.Mechanism = hexbid.MechanismGSP
	}
}

// MarketInForce is what auctions follow at present.
type MarketInForce struct {
	*bidder.Market
	Since time.Time // zero if that is not known
	// NotTaken are settings of the server that differ from the market.
	NotTaken []string
}

// MarketInForce returns what auctions follow at present.
func (e *Exchange) MarketInForce(ctx context.Context) (MarketInForce, error) {
	if err := e.admit(ctx, access.GetMarket, hexbid.MarketName); err != nil {
		return MarketInForce{}, err
	}
	now := e.indexer.Snapshot().Market()
	return MarketInForce{now, e.market.since(now.Version), e.config.SettingsNotTaken}, nil
}

// openMarket has the exchange follow the market that its store has, if it has one. It returns the feed of changes from
// then on.
func (e *Exchange) openMarket(ctx context.Context) (*store.Feed, error) {
	version := e.store.Version()
	stored, err := storedMarket(ctx, e.store)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		if e.config.Market, err = bidder.MarketOf(stored); err != nil {
			return nil, fmt.Errorf("the stored market: %w", err)
		}
	}
	return e.store.Watch(version), nil
}

// followMarket puts changes of the stored market into force until the context or the store ends.
func (e *Exchange) followMarket(ctx context.Context, feed *store.Feed) {
	for {
		c, err := feed.Next(ctx)
		if err != nil && (ctx.Err() != nil || hexbid.KindOf(err) == hexbid.Unavailable) {
			return
		}
		if err == nil {
			err = e.marketChanged(ctx, &c)
		}
		if err != nil {
			if feed = e.catchUpMarket(ctx, err); feed == nil {
				return
			}
		}
	}
}

// logEveryTries spaces the log of a market that does not follow its store: a minute.
const logEveryTries = 60

// catchUpMarket reads the stored market after an error, each second until it is in force. It returns the feed of
// changes from then on, nil when the context ends.
func (e *Exchange) catchUpMarket(ctx context.Context, err error) *store.Feed {
	for tries := 0; ctx.Err() == nil; tries++ {
		if tries%logEveryTries == 0 {
			e.config.Log.Error("the market does not follow the store: it is read again each second", "error", err)
		}
		var feed *store.Feed
		if feed, err = e.readMarketAgain(ctx); err == nil {
			return feed
		}
		rested(ctx, time.Second)
	}
	return nil
}

// marketChanged puts what a change says of the market into force.
func (e *Exchange) marketChanged(ctx context.Context, c *store.Change) error {
	for i := range c.Puts {
		if m, ok := c.Puts[i].Resource.(*hexbid.Market); ok {
			if err := e.market.change(ctx, m); err != nil {
				return err
			}
		}
	}
	e.market.reached(c.Version)
	return nil
}

// readMarketAgain puts the stored market into force after changes were missed, or one could not come into force.
func (e *Exchange) readMarketAgain(ctx context.Context) (*store.Feed, error) {
	version := e.store.Version()
	stored, err := storedMarket(ctx, e.store)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		if err := e.market.change(ctx, stored); err != nil {
			return nil, err
		}
	}
	e.market.reached(version)
	return e.store.Watch(version), nil
}

// concernsMarket reports whether a group is about the market.
func concernsMarket(g *store.Group) bool { return g.Steps[0].Name() == hexbid.MarketName }
