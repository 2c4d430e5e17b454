package ratelimit

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fleet are replicas that share one user's bucket, in simulated time: syncs take a while, during which the user keeps sending
// requests.
type fleet struct {
	t        tester
	clock    *clock
	store    *store
	replicas []*node
	interval time.Duration
	let      []let
}

// node is one of the replicas.
type node struct {
	*Limiter
	next    time.Time // when the next sync starts
	flight  *flight   // the sync under way
	reaches time.Time // when it reaches the store
	lands   time.Time
	fullIn  []time.Duration
	failed  []time.Time
}

// let is a number of admitted requests.
type let struct {
	at      time.Duration
	replica int
	n       int64
}

func newFleet(t tester, replicas int, interval time.Duration, rule string) *fleet {
	f := &fleet{t: t, clock: newClock(), interval: interval}
	f.store = newStore(f.clock.now)
	for i := range replicas {
		l := New(Options{Limits: mustParse(t, rule), Now: f.clock.now, Store: f.store})
		f.replicas = append(f.replicas, &node{Limiter: l, next: epoch.Add(interval * time.Duration(i+1) / time.Duration(replicas))})
	}
	return f
}

// sync performs the due steps of a replica's syncs. travel returns the duration of each way. A sync may fail on either way.
func (f *fleet) sync(i int, travel func() time.Duration, fails func() bool) {
	r, now := f.replicas[i], f.clock.now()
	if r.flight == nil && !now.Before(r.next) {
		gone := r.depart(len(r.pending))
		r.flight, r.fullIn = &gone, nil
		r.next, r.reaches = now.Add(f.interval), now.Add(travel())
		r.lands = r.reaches.Add(travel())
	}
	if r.flight != nil && r.fullIn == nil && !now.Before(r.reaches) {
		if f.store.err = nil; fails() {
			f.store.err = errors.New("away")
		}
		var err error
		if r.fullIn, err = f.store.Exchange(f.t.Context(), r.flight.spent); err != nil || fails() {
			r.fullIn, r.failed = []time.Duration{}, append(r.failed, now)
		}
	}
	if r.flight != nil && r.fullIn != nil && !now.Before(r.lands) {
		r.arrive(*r.flight, r.fullIn)
		r.flight = nil
	}
}

func (f *fleet) ask(i, n int) bool {
	d := f.replicas[i].Take(Gateway, user("u"), n)
	if d.Allowed {
		f.let = append(f.let, let{f.clock.now().Sub(epoch), i, int64(n)})
	}
	return d.Allowed
}

// ceiling returns the maximum that one replica admitted within any span of this length.
func (f *fleet) ceiling(span time.Duration) int64 {
	ceiling := int64(0)
	for replica := range f.replicas {
		sum, from := int64(0), 0
		for _, one := range f.let {
			if one.replica != replica {
				continue
			}
			sum += one.n
			for ; f.let[from].at < one.at-span || f.let[from].replica != replica; from++ {
				if f.let[from].replica == replica {
					sum -= f.let[from].n
				}
			}
			ceiling = max(ceiling, sum)
		}
	}
	return ceiling
}

// beyond returns the maximum, over all periods, of the admissions less the refill in that period.
func (f *fleet) beyond(limit Limit) float64 {
	ceiling, sum, minimum := 0.0, 0.0, 0.0
	for _, one := range f.let {
		back := one.at.Seconds() * float64(limit.Rate) / limit.Window.Seconds()
		minimum = min(minimum, sum-back) // a period that begins with this admission
		sum += float64(one.n)
		ceiling = max(ceiling, sum-back-minimum)
	}
	return ceiling
}

// TestBound: for all requests and sync durations, the replicas together admit at most the sum of the limit; for each
// replica but one, what one admits during a sync's interval and duration; the refill during a sync's way to the store;
// and for each failed sync as much as for a replica. See docs/rate-limits.md.
func TestBound(t *testing.T) {
	t.Parallel()
	rules := []string{
		"gateway/user=10/s", "gateway/user=10/s:burst=1", "gateway/user=10/s:burst=50", "gateway/user=100/s:burst=30",
		"gateway/user=60/m", "gateway/user=600/m:burst=5", "gateway/user=3600/h:burst=20",
	}
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.SampledFrom(rules).Draw(t, "rule")
		replicas := rapid.IntRange(1, 4).Draw(t, "replicas")
		slowest := time.Duration(rapid.SampledFrom([]int{0, 20, 300, 900}).Draw(t, "slowest")) * time.Millisecond // of one way
		busy := rapid.Float64Range(0, 1).Draw(t, "busy")
		failing := rapid.SampledFrom([]float64{0, 0, 0.1}).Draw(t, "failing")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))

		f := newFleet(t, replicas, time.Second, rule)
		limit := f.replicas[0].opts.Limits[0]
		active := make([]bool, replicas)
		const step = 10 * time.Millisecond
		for range 20 * time.Second / step {
			for i := range f.replicas {
				f.sync(i, func() time.Duration { return time.Duration(random.Float64() * float64(slowest)) }, func() bool { return random.Float64() < failing })
				if random.IntN(40) == 0 {
					active[i] = random.Float64() < busy
				}
				for more := active[i]; more; {
					more = f.ask(i, 1+random.IntN(int(min(limit.Burst, 3)))) && random.IntN(4) > 0
				}
			}
			f.clock.pass(step)
		}

		takes := 2*slowest + 2*step
		one := float64(f.ceiling(max(time.Second, takes) + takes + 2*step))
		bound := float64(limit.Burst) + float64(replicas-1)*one + float64(limit.Rate)/limit.Window.Seconds()*(slowest+step).Seconds()
		for _, r := range f.replicas {
			bound += float64(len(r.failed)) * one
		}
		if got := f.beyond(limit); got > bound+1e-6 {
			t.Fatalf("%s over %d replicas: %.2f beyond the rate, want at most %.2f", rule, replicas, got, bound)
		}
	})
}

// TestFullLoad: under full load the replicas admit what the limit allows, up to the bound, and not less. Each gets a fair
// share.
func TestFullLoad(t *testing.T) {
	t.Parallel()
	for replicas, rule := range map[int]string{1: "gateway/user=50/s:burst=100", 2: "gateway/user=50/s", 3: "gateway/user=50/s:burst=10", 5: "gateway/user=6000/m:burst=100"} {
		f := newFleet(t, replicas, time.Second, rule)
		const ran, step = time.Minute, 5 * time.Millisecond
		for range ran / step {
			for i := range f.replicas {
				f.sync(i, func() time.Duration { return 10 * time.Millisecond }, func() bool { return false })
				for more := true; more; {
					more = f.ask(i, 1)
				}
			}
			f.clock.pass(step)
		}
		limit := f.replicas[0].opts.Limits[0]
		rate := float64(limit.Rate) / limit.Window.Seconds()
		total, each := 0.0, make([]float64, replicas)
		for _, one := range f.let {
			total += float64(one.n)
			each[one.replica] += float64(one.n)
		}
		minimum := rate*ran.Seconds() + float64(limit.Burst) - 1 // what one bucket would have admitted
		if ceiling := minimum + float64(replicas-1)*(float64(limit.Burst)+rate*1.1) + 1; total < minimum-rate*2 || total > ceiling {
			t.Errorf("%s over %d: want from %.0f to %.0f let in, got %.0f", rule, replicas, minimum-rate*2, ceiling, total)
		}
		for i, n := range each {
			if fair := total / float64(replicas); n < fair/2 || n > fair*2 {
				t.Errorf("%s over %d: replica %d let %.0f of %.0f in", rule, replicas, i, n, total)
			}
		}
		t.Logf("%s over %d: %.0f; one bucket: %.0f", rule, replicas, total, minimum)
	}
}
