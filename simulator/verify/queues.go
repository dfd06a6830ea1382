package verify

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
)

// queue is a server in virtual time. Calls wait in one line for a number of servers.
type queue struct {
	servers int
	service func(r *rand.Rand) float64 // seconds
	// No call begins between freeze and thaw, in seconds.
	freeze, thaw float64
}

func exponential(perSecond float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return r.ExpFloat64() / perSecond }
}

func constant(perSecond float64) func(*rand.Rand) float64 {
	return func(*rand.Rand) float64 { return 1 / perSecond }
}

// offer runs a curve against the queue and returns the report.
func (q queue) offer(curve load.Curve, seed uint64) *load.Report {
	warmUp := curve.Lasts() / 50
	recorder, arrivals := load.NewRecorder(warmUp), curve.Poisson(seed)
	r := rand.New(rand.NewPCG(seed, 0x73657276696365))
	free := make([]float64, q.servers) // when each server is free
	for {
		planned, more := arrivals()
		if !more {
			return recorder.Report(curve.Lasts())
		}
		at := planned.Seconds()
		first := 0
		for i := range free {
			if free[i] < free[first] {
				first = i
			}
		}
		begins := max(at, free[first])
		if begins >= q.freeze && begins < q.thaw {
			begins = q.thaw
		}
		free[first] = begins + q.service(r)
		recorder.Record(planned, planned, time.Duration(free[first]*float64(time.Second)), nil)
	}
}

const (
	mu    = 1000.0 // calls a second that one server can do
	calls = 2_000_000
)

// theory says what the response time of a queue must be.
type theory struct {
	name, source string
	queue        queue
	lambda       float64
	mean         float64
	beyond       func(t float64) float64 // probability of a response time above t seconds
}

func theories() []theory {
	return []theory{mm1(700), mm1(900), md1(700), mmc(4, 3200)}
}

// mm1 returns the theory of an M/M/1 queue: response times are exponential with rate μ − λ.
func mm1(lambda float64) theory {
	return theory{fmt.Sprintf("M/M/1 at %.0f %%", 100*lambda/mu), "Kleinrock, Queueing Systems I, §3.2",
		queue{servers: 1, service: exponential(mu)}, lambda,
		1 / (mu - lambda), func(t float64) float64 { return math.Exp(-(mu - lambda) * t) }}
}

// md1 returns the theory of an M/D/1 queue: waiting times follow Erlang's formula, here by Crommelin's sum.
func md1(lambda float64) theory {
	d := 1 / mu
	rho := lambda * d
	return theory{fmt.Sprintf("M/D/1 at %.0f %%", 100*rho), "Erlang 1909; Crommelin 1932",
		queue{servers: 1, service: constant(mu)}, lambda,
		d + rho*d/(2*(1-rho)), func(t float64) float64 {
			x := t - d // time spent waiting
			if x < 0 {
				return 1
			}
			sum, factorial := 0.0, 1.0
			for k := 0.0; k*d <= x; k++ {
				factorial *= max(k, 1)
				y := lambda * (k*d - x)
				sum += math.Pow(y, k) / factorial * math.Exp(-y)
			}
			return 1 - (1-rho)*sum
		}}
}

// mmc returns the theory of an M/M/c queue: a call waits with the probability of Erlang's C formula, for an exponential
// time.
func mmc(servers int, lambda float64) theory {
	c, a := float64(servers), lambda/mu
	term, sum := 1.0, 0.0
	for k := range servers {
		sum += term
		term *= a / float64(k+1)
	}
	waits := term / (1 - a/c) / (sum + term/(1-a/c))
	theta := c*mu - lambda
	return theory{fmt.Sprintf("M/M/%d at %.0f %%", servers, 100*a/c), "Erlang 1917 (C formula)",
		queue{servers: servers, service: exponential(mu)}, lambda,
		1/mu + waits/theta, func(t float64) float64 {
			both := (theta*math.Exp(-mu*t) - mu*math.Exp(-theta*t)) / (theta - mu)
			return (1-waits)*math.Exp(-mu*t) + waits*both
		}}
}

// quantile inverts beyond by bisection. It is good for a few means. Farther out Crommelin's sum loses its digits,
// because its signs alternate.
func (q *theory) quantile(share float64) float64 {
	low, high := 0.0, 12*q.mean
	for range 60 {
		if mid := (low + high) / 2; q.beyond(mid) > 1-share {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// tolerance returns how far a queue's figures may be off. In a full queue the waits of neighbouring calls are
// correlated, so the tolerance grows with the load. At 90 % the mean of two million calls is exact to some 2 %.
func (q *theory) tolerance() float64 { return 0.01 / (1 - q.lambda/(mu*float64(q.queue.servers))) }

func queues(seed uint64) (checks []Check) {
	for _, q := range theories() {
		r := q.queue.offer(load.Constant(q.lambda, time.Duration(calls/q.lambda*float64(time.Second))), seed)
		m := r.Measures()
		add := func(name string, expected, measured float64) {
			checks = append(checks, Check{q.name + ", " + name, expected, measured, q.tolerance(), "s", q.source})
		}
		add("mean response time", q.mean, m["mean"])
		for _, p := range []float64{50, 99, 99.9} {
			add(load.PercentileName(p), q.quantile(p/100), m[load.PercentileName(p)])
		}
	}
	return checks
}

// objective searches for the capacity of an M/M/1 queue. The queue keeps "p99 < T" up to λ = μ − ln(100)/T.
func objective(ctx context.Context, seed uint64) ([]Check, error) {
	const bound = 0.010
	q, tries := queue{servers: 1, service: exponential(mu)}, uint64(0)
	found, err := search(ctx, "p99<10ms", func(perSecond float64) *load.Report {
		tries++
		return q.offer(load.Constant(perSecond, 200*time.Second), seed+tries)
	})
	if err != nil {
		return nil, err
	}
	best := mu - math.Log(100)/bound
	return []Check{
		{"capacity of M/M/1 for p99<10ms, lower end", best, found.Low, 0.1, "/s", capacitySource},
		{"capacity of M/M/1 for p99<10ms, upper end", best, found.High, 0.1, "/s", capacitySource},
		{"capacity of M/M/1 for p99<10ms, middle", best, (found.Low + found.High) / 2, 0.05, "/s", capacitySource},
	}, nil
}

const capacitySource = "λ = μ − ln(100)/T, of the M/M/1 queue"

func search(ctx context.Context, objective string, offer func(perSecond float64) *load.Report) (
	*capacity.Found, error,
) {
	conditions, err := capacity.ParseConditions("slo", objective)
	if err != nil {
		return nil, err
	}
	probe := func(_ context.Context, perSecond float64) (load.Measures, string, error) {
		return offer(perSecond).Measures(), "", ctx.Err()
	}
	return capacity.DefaultSearch(conditions).Find(ctx, probe)
}

// The number of searches that one stall must not mislead, and the length of a try in them. Tries are so short that p99
// varies by some tenths without a stall.
const (
	stallSearches = 30
	stallTry      = 3 * time.Second
)

// stalls runs searches on a queue whose capacity is 9,079 a second. In the k-th search the queue stands still for a
// second during the k-th try. Each interval must hold the capacity.
func stalls(ctx context.Context, seed uint64) ([]Check, error) {
	const bound = 0.005
	still := queue{servers: 1, service: exponential(10 * mu)}
	best, inside, off := 10*mu-math.Log(100)/bound, 0.0, 0.0
	for k := range stallSearches {
		tries := 0
		found, err := search(ctx, "p99<5ms", func(perSecond float64) *load.Report {
			q := still
			if tries++; tries == k+1 {
				q.freeze, q.thaw = 1, 2
			}
			return q.offer(load.Constant(perSecond, stallTry), seed+uint64(k*1000+tries))
		})
		if err != nil {
			return nil, err
		}
		if found.Low <= best && best <= found.High {
			inside++
		}
		off += max(1-found.Low/best, found.High/best-1) / stallSearches
	}
	return []Check{
		{"a stall in try 1, 2 … 30 of a search: share of intervals that hold the capacity", 1, inside / stallSearches, 0.1,
			"", capacitySource},
		{"the same: how far the farther end lies from the capacity, mean share", 0, off, 0.08, "", capacitySource},
	}, nil
}

// Published points of the SPEC SDM91 benchmark, and the law that the R package usl 3.0 fits to them.
var (
	specSDM91 = []capacity.Load{{Callers: 1, PerSecond: 64.9}, {Callers: 18, PerSecond: 995.9},
		{Callers: 36, PerSecond: 1652.4}, {Callers: 72, PerSecond: 1853.2},
		{Callers: 108, PerSecond: 1828.9}, {Callers: 144, PerSecond: 1775.0}, {Callers: 216, PerSecond: 1702.2}}
	fitted = capacity.Scalability{Lambda: 89.9952, Sigma: 0.0277299, Kappa: 1.04396e-4}
)

func scalability(context.Context, uint64) ([]Check, error) {
	s, err := capacity.FitScalability(specSDM91)
	if err != nil {
		return nil, err
	}
	source := "Gunther, Guerrilla Capacity Planning, ch. 5; CRAN usl, specsdm91"
	return []Check{
		{"scalability law of SPEC SDM91, λ", fitted.Lambda, s.Lambda, 0.002, "", source},
		{"scalability law of SPEC SDM91, σ", fitted.Sigma, s.Sigma, 0.002, "", source},
		{"scalability law of SPEC SDM91, κ", fitted.Kappa, s.Kappa, 0.002, "", source},
		{"scalability law of SPEC SDM91, concurrency at the peak", fitted.Peak(), s.Peak(), 0.002, "", source},
	}, nil
}
