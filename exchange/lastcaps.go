package exchange

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
)

// lastCaps are the frequency caps of campaigns that were deleted lately. Their tokens are still out, and impressions
// count towards the caps that were last in force. They are in the ledger's journal too, before the deletion is, so a
// restart does not forget them.
type lastCaps struct {
	ledger    *ledger.Ledger
	catalogue store.Store
	indexer   *bidder.Indexer
	keepFor   time.Duration // no token of theirs is admitted later
	log       *slog.Logger

	mu    sync.Mutex // guards the fields below
	gone  map[hexbid.UID]cappedOnce
	order []hexbid.UID // as they were deleted
}

// cappedOnce is the caps of a deleted campaign.
type cappedOnce struct {
	caps frequency.Caps
	at   int64 // of the deletion, in the ledger's time, milliseconds
}

const (
	lastCapsLetter = 'f'     // begins the keys of its rows in journal.Learned; the campaign's uid follows
	mostLastCaps   = 1 << 18 // the oldest go first
)

func newLastCaps(e *Exchange) *lastCaps {
	return &lastCaps{ledger: e.config.Ledger, catalogue: e.store, indexer: e.indexer, keepFor: e.config.ClickExpiry,
		log: e.config.Log, gone: map[hexbid.UID]cappedOnce{}}
}

// open reads what was kept before. Rows that cannot be read are left out.
func (c *lastCaps) open(ctx context.Context) error {
	latest := c.ledger.Now().Add(clocksMayDiffer).UnixMilli()
	return c.ledger.Read(ctx, func(v journal.View) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		unread, err := scanLearned(v, lastCapsLetter, func(key, value []byte) error {
			once, ok := decodeCappedOnce(value)
			if !ok || len(key) != 9 || once.at > latest {
				return hexbid.Errorf(hexbid.DataLoss, "learned", "a row of %d bytes is no caps of a campaign", len(value))
			}
			c.put(hexbid.UID(binary.BigEndian.Uint64(key[1:])), once)
			return nil
		})
		if unread > 0 {
			c.log.Warn("the caps of deleted campaigns cannot be read and are left out", "rows", unread)
		}
		return err
	})
}

// put keeps a campaign's caps. The caller holds the lock.
func (c *lastCaps) put(campaign hexbid.UID, once cappedOnce) (row journal.Row) {
	if _, known := c.gone[campaign]; !known {
		c.order = append(c.order, campaign)
	}
	c.gone[campaign] = once
	return journal.Row{Table: journal.Learned, Key: lastCapsKey(campaign), Value: once.append(nil)}
}

func lastCapsKey(campaign hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64([]byte{lastCapsLetter}, uint64(campaign))
}

// of returns the caps that impressions of a campaign count towards now: those that searches see, or those that were
// last in force.
func (c *lastCaps) of(s *bidder.Snapshot, campaign hexbid.UID) frequency.Caps {
	if caps, there := s.CapsOf(campaign); there {
		return caps
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone[campaign].caps
}

// deleted takes in campaigns whose deletion the ledger is about to have.
func (c *lastCaps) deleted(ctx context.Context, campaigns []*hexbid.Campaign) error {
	now := c.ledger.Now().UnixMilli()
	var rows []journal.Row
	for _, campaign := range campaigns {
		caps, err := c.before(ctx, campaign)
		if err != nil {
			return err
		}
		if caps.Any() {
			c.mu.Lock()
			rows = append(rows, c.put(campaign.UID, cappedOnce{caps, now}))
			c.mu.Unlock()
		}
	}
	if rows = append(rows, c.forget(now)...); len(rows) == 0 {
		return nil
	}
	return keepLearned(c.ledger, rows)
}

// before returns the caps of a campaign before its deletion. Searches still see the campaign, as a rule.
func (c *lastCaps) before(ctx context.Context, gone *hexbid.Campaign) (frequency.Caps, error) {
	caps, seen := c.indexer.Snapshot().CapsOf(gone.UID)
	caps.Campaign = gone.Cap
	if seen {
		return caps, nil
	}
	record, err := c.catalogue.Get(ctx, ownerName(gone))
	if err != nil && hexbid.KindOf(err) != hexbid.NotFound {
		return caps, err
	}
	if owner, ok := record.Resource.(*hexbid.Advertiser); ok {
		caps.Advertiser = owner.Cap
	}
	return caps, nil
}

// forget drops the campaigns of which no token is admitted any more, and the oldest beyond the bound.
func (c *lastCaps) forget(now int64) (rows []journal.Row) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.order) > 0 {
		oldest := c.order[0]
		if len(c.order) <= mostLastCaps && c.gone[oldest].at > now-c.keepFor.Milliseconds() {
			break
		}
		c.order = c.order[1:]
		delete(c.gone, oldest)
		rows = append(rows, journal.Row{Table: journal.Learned, Key: lastCapsKey(oldest)})
	}
	return rows
}

func (o *cappedOnce) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(o.at))
	for _, limit := range [...]hexbid.FrequencyCap{o.caps.Campaign, o.caps.Advertiser} {
		b = binary.AppendUvarint(b, uint64(limit.Impressions))
		b = binary.AppendUvarint(b, uint64(limit.Window))
	}
	return b
}

func decodeCappedOnce(b []byte) (o cappedOnce, ok bool) {
	var numbers [5]uint64
	for i := range numbers {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > 1<<62 {
			return o, false
		}
		numbers[i], b = n, b[size:]
	}
	o.at = int64(numbers[0])
	o.caps.Campaign = hexbid.FrequencyCap{Impressions: int(numbers[1]), Window: time.Duration(numbers[2])}
	o.caps.Advertiser = hexbid.FrequencyCap{Impressions: int(numbers[3]), Window: time.Duration(numbers[4])}
	return o, len(b) == 0
}
