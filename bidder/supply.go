package bidder

import (
	"context"
	"log/slog"
	"runtime"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// Catalogue is the part of a store that an Indexer reads.
type Catalogue interface {
	// Scan and Watch are those of store.Store.
	Scan(ctx context.Context, f func(store.Record, *store.Derived) error) (version uint64, err error)
	Watch(after uint64) *store.Feed
	// KeepDerived stores what the indexer had to derive.
	KeepDerived(ctx context.Context, derived []store.Derived) error
}

// incoming is a record on its way into the index, with everything else that the index needs of it.
type incoming struct {
	resource hexbid.Resource
	covering []byte // of a campaign, packed
	err      error  // why the record cannot be indexed
	found    *store.Derived
}

// update is what the index applies as a whole: a change of the store, or a part of a scan.
type update struct {
	version uint64 // 0 for a part of a scan
	puts    []incoming
	deletes []hexbid.Resource
}

func updateOf(c *store.Change) update {
	u := update{version: c.Version, puts: make([]incoming, len(c.Puts)), deletes: make([]hexbid.Resource, len(c.Deletes))}
	for i := range c.Puts {
		u.puts[i] = incoming{resource: c.Puts[i].Resource, found: c.Puts[i].Derived}
	}
	for i := range c.Deletes {
		u.deletes[i] = c.Deletes[i].Resource
	}
	return u
}

// weight returns the share of a parcel that a record takes: one, and one more for every sixteen of its shapes and
// vertices.
func (r *incoming) weight() int {
	c, isCampaign := r.resource.(*hexbid.Campaign)
	if !isCampaign {
		return 1
	}
	return 1 + (shapesOf(&c.Area)+shapesOf(&c.Excluded))/16
}

// shapesOf counts the circles, cells and vertices of an area.
func shapesOf(a *hexbid.Area) int { return len(a.Circles) + len(a.Cells) + a.Vertices() }

// parcel is a group of updates that travel through a supply together.
type parcel struct {
	updates []update
	weight  int
	ready   chan struct{} // closed when every record has all that the index needs
}

const (
	// fullParcel is the weight from which a parcel takes no further update.
	fullParcel = 256
	// parcelsAhead bounds the parcels that wait for a worker, and those that wait for the index. A catalogue of any
	// size therefore takes bounded memory on its way in.
	parcelsAhead = 16
)

func newParcel() *parcel { return &parcel{ready: make(chan struct{})} }

// add puts an update into the parcel.
func (p *parcel) add(u update) {
	p.updates = append(p.updates, u)
	p.weight += 1 + len(u.deletes)
	for i := range u.puts {
		p.weight += u.puts[i].weight()
	}
}

// supply stands between a store and the index. A reader cuts what it reads into parcels. Workers on every core complete
// the records of each. They take a campaign's covering from the store if it is still valid, and compute it otherwise.
// The caller gets the parcels in the order of reading. The store gets back what the workers computed.
type supply struct {
	catalogue Catalogue
	log       *slog.Logger
	work      chan *parcel
	ordered   chan *parcel
	derived   chan []store.Derived
}

// run reads parcels and hands them to take until the reader ends, one of the two fails, or
// the context ends. It returns when all its goroutines have ended. A panic of the reader
// is returned as an error; a panic of a worker becomes the error of the record that the
// worker had at hand.
func (s *supply) run(ctx context.Context, read func(ctx context.Context, send func(*parcel) error) error,
	take func(*parcel) error) error {
	s.work, s.ordered, s.derived = make(chan *parcel, parcelsAhead), make(chan *parcel, parcelsAhead),
		make(chan []store.Derived, parcelsAhead)
	ctx, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	var readErr error
	group.Go(func() {
		defer close(s.ordered)
		defer close(s.work)
		readErr = hexbid.Contain(func() error { return read(ctx, func(p *parcel) error { return s.send(ctx, p) }) })
	})
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() { s.completeParcels(ctx) })
	}
	group.Go(func() { workers.Wait(); close(s.derived) })
	group.Go(func() { s.keep(ctx) })
	for p := range s.ordered {
		select {
		case <-p.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := take(p); err != nil {
			return err
		}
	}
	group.Wait() // until the last derivations are stored
	return readErr
}

// send queues a parcel for a worker and for the caller.
func (s *supply) send(ctx context.Context, p *parcel) error {
	for _, line := range [...]chan<- *parcel{s.work, s.ordered} {
		select {
		case line <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *supply) completeParcels(ctx context.Context) {
	for p := range s.work {
		var made []store.Derived
		for i := range p.updates {
			for j := range p.updates[i].puts {
				if ctx.Err() != nil {
					return // the caller takes no parcels any more
				}
				if d := p.updates[i].puts[j].complete(); d != nil {
					made = append(made, *d)
				}
			}
		}
		close(p.ready)
		if len(made) == 0 {
			continue
		}
		select {
		case s.derived <- made:
		case <-ctx.Done():
			return
		}
	}
}

// keep stores what had to be derived. The index works without it, so keep logs an error once and goes on.
func (s *supply) keep(ctx context.Context) {
	failed := false
	for made := range s.derived {
		err := hexbid.Contain(func() error { return s.catalogue.KeepDerived(ctx, made) })
		if err != nil && !failed && ctx.Err() == nil {
			failed = true
			s.log.Warn("coverings cannot be kept, and will be worked out again at the next start", "error", err)
		}
	}
}

// complete gives a record everything that the index needs of it, and returns what it had to derive. A panic becomes the
// record's error, so that one record does not stop the others.
func (r *incoming) complete() (made *store.Derived) {
	c, isCampaign := r.resource.(*hexbid.Campaign)
	if !isCampaign {
		return nil
	}
	r.err = hexbid.Contain(func() error {
		if holds(r.found, c) && unpacks(r.found.Value) {
			r.covering = r.found.Value
			return nil
		}
		d, _, err := Derive(c)
		if err != nil {
			return err
		}
		d.UID, d.Version = c.UID, c.Version
		r.covering, made = d.Value, d
		return nil
	})
	r.found = nil
	return made
}

// unpacks reports whether stored bytes are still a packed covering.
func unpacks(covering []byte) bool {
	var some [32]geoindex.Posting // most coverings are smaller
	_, err := geoindex.UnpackCovering(some[:0], covering)
	return err == nil
}

// scan reads all records into parcels and returns their version.
func (s *supply) scan(ctx context.Context, send func(*parcel) error) (version uint64, err error) {
	var puts []incoming
	weight := 0
	flush := func() error {
		p := newParcel()
		p.updates = []update{{puts: puts}}
		puts, weight = nil, 0
		return send(p)
	}
	version, err = s.catalogue.Scan(ctx, func(r store.Record, found *store.Derived) error {
		in := incoming{resource: r.Resource, found: found}
		puts, weight = append(puts, in), weight+in.weight()
		if weight < fullParcel {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return version, err
}

// follow reads the changes after a version into parcels, without end. Its error is the context's or the feed's.
func (s *supply) follow(ctx context.Context, after uint64, send func(*parcel) error) error {
	feed := s.catalogue.Watch(after)
	for {
		change, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		p := newParcel()
		p.add(updateOf(&change))
		for p.weight < fullParcel {
			further, there := feed.Waiting()
			if !there {
				break
			}
			p.add(updateOf(&further))
		}
		if err := send(p); err != nil {
			return err
		}
	}
}
