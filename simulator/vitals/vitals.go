// Package vitals reads what a server reports about itself while it is under load: CPU, memory, collector pauses, calls
// by code. It reads the server's /metrics once a second, in a goroutine of its own that ends with the watch.
package vitals

import (
	"context"
	"sync"
	"time"
)

// Stretch holds what a server reported over a stretch of a run.
type Stretch struct {
	Start         float64            `json:"start"` // seconds since the start of the run
	Lasts         float64            `json:"lasts"` // seconds
	CPU           float64            `json:"cpu_cores"`
	ResidentBytes float64            `json:"resident_bytes"`
	HeapBytes     float64            `json:"heap_bytes"`
	Pauses        float64            `json:"collector_pauses"` // seconds in which all goroutines stood still, a second
	Collections   float64            `json:"collections"`      // a second
	Calls         map[string]float64 `json:"calls,omitempty"`  // answered a second, by gRPC code
	Working       map[string]float64 `json:"working,omitempty"`
	Refused       map[string]float64 `json:"refused,omitempty"` // a second, by class of call
}

// Vitals holds the stretches of a run in order.
type Vitals struct {
	URL       string    `json:"url"`
	Stretches []Stretch `json:"stretches"`
	Missed    int       `json:"missed,omitempty"` // readings that failed
	Said      string    `json:"said,omitempty"`   // error of the last of them
}

// mostStretches is the most stretches that a run has. A watch with more merges neighbouring ones.
const mostStretches = 1200

// Every is the time between two readings, and the longest that an answer may take.
const Every = time.Second

// Watch reads the metrics of a server over a run.
type Watch struct {
	source  *source
	started time.Time
	last    reading
	found   Vitals
	stop    context.CancelFunc
	ended   sync.WaitGroup
}

// Start reads a server's /metrics, and then again once a second until End. Its error says what is wrong with the
// address or with the answer.
func Start(ctx context.Context, url string) (*Watch, error) {
	source, err := newSource(url)
	if err != nil {
		return nil, err
	}
	w := &Watch{source: source, started: time.Now(), found: Vitals{URL: url}}
	if w.last, err = w.read(ctx); err != nil {
		return nil, err
	}
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	w.ended.Go(func() { w.follow(ctx) })
	return w, nil
}

// follow reads until ctx ends. A reading that takes longer than its second delays the next one, so there is never more
// than one under way.
func (w *Watch) follow(ctx context.Context) {
	ticker := time.NewTicker(Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.see(w.read(ctx))
		}
	}
}

func (w *Watch) read(ctx context.Context) (reading, error) {
	ctx, cancel := context.WithTimeout(ctx, Every)
	defer cancel()
	r, err := w.source.read(ctx)
	r.at = time.Since(w.started)
	return r, err
}

// see adds the stretch between the last reading and this one.
func (w *Watch) see(r reading, err error) {
	if err != nil {
		w.found.Missed++
		w.found.Said = err.Error()
		return
	}
	if r.at <= w.last.at {
		return
	}
	if len(w.found.Stretches) == mostStretches {
		w.found.Stretches = halved(w.found.Stretches)
	}
	w.found.Stretches = append(w.found.Stretches, between(&w.last, &r))
	w.last = r
}

// shortest is the shortest stretch for which End takes a last reading. CPU time is counted in hundredths of a second,
// so the figure of a shorter stretch says little.
const shortest = Every / 2

// End stops the watch with a last reading. It returns the stretches since a run began, which is later than the watch.
func (w *Watch) End(began time.Time) *Vitals {
	w.stop()
	w.ended.Wait()
	if time.Since(w.started)-w.last.at >= shortest {
		w.see(w.read(context.Background()))
	}
	w.source.client.CloseIdleConnections()
	w.found.Stretches = since(w.found.Stretches, began.Sub(w.started).Seconds())
	return &w.found
}

// since returns the stretches counted from a later start. It leaves out a stretch that lies mostly before that start.
func since(all []Stretch, start float64) (later []Stretch) {
	for _, s := range all {
		if s.Start -= start; s.Start+s.Lasts/2 >= 0 {
			later = append(later, s)
		}
	}
	return later
}

// between returns the stretch between two readings. A counter that fell belongs to a restarted server, so its count
// begins at 0.
func between(a, b *reading) Stretch {
	lasts := (b.at - a.at).Seconds()
	perSecond := func(was, now float64) float64 {
		if now < was {
			was = 0
		}
		return (now - was) / lasts
	}
	each := func(was, now map[string]float64) map[string]float64 {
		rates := map[string]float64{}
		for name, v := range now {
			rates[name] = perSecond(was[name], v)
		}
		return rates
	}
	return Stretch{Start: a.at.Seconds(), Lasts: lasts, CPU: perSecond(a.cpu, b.cpu), ResidentBytes: b.resident,
		HeapBytes: b.heap, Pauses: perSecond(a.pauses, b.pauses), Collections: perSecond(a.collections, b.collections),
		Calls: each(a.calls, b.calls), Working: b.working, Refused: each(a.refused, b.refused)}
}

// halved merges the stretches in pairs.
func halved(all []Stretch) []Stretch {
	half := all[:0]
	for i := 0; i+1 < len(all); i += 2 {
		half = append(half, all[i].with(&all[i+1]))
	}
	return half
}

// with merges a stretch with the next one. It takes the mean of rates and the maximum of levels.
func (s *Stretch) with(next *Stretch) Stretch {
	lasts := s.Lasts + next.Lasts
	mean := func(a, b float64) float64 { return (a*s.Lasts + b*next.Lasts) / lasts }
	return Stretch{Start: s.Start, Lasts: lasts, CPU: mean(s.CPU, next.CPU),
		ResidentBytes: max(s.ResidentBytes, next.ResidentBytes), HeapBytes: max(s.HeapBytes, next.HeapBytes),
		Pauses: mean(s.Pauses, next.Pauses), Collections: mean(s.Collections, next.Collections),
		Calls: join(s.Calls, next.Calls, mean), Refused: join(s.Refused, next.Refused, mean),
		Working: join(s.Working, next.Working, func(a, b float64) float64 { return max(a, b) })}
}

func join(a, b map[string]float64, both func(a, b float64) float64) map[string]float64 {
	joined := map[string]float64{}
	for name, v := range a {
		joined[name] = both(v, b[name])
	}
	for name, v := range b {
		if _, known := a[name]; !known {
			joined[name] = both(0, v)
		}
	}
	return joined
}
