package ratelimit

import (
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestTake takes from one bucket, at times relative to the start.
func TestTake(t *testing.T) {
	t.Parallel()
	type step struct {
		at        time.Duration
		n         int
		allowed   bool
		remaining int64
		reset     int64
		retry     time.Duration
	}
	const ms = time.Millisecond
	for rule, steps := range map[string][]step{
		"gateway/user=60/m": {
			{0, 1, true, 59, 1, 0},
			{0, 59, true, 0, 1, 0},
			{0, 1, false, 0, 1, time.Second},
			{999 * ms, 1, false, 0, 1, ms},
			{1000 * ms, 1, true, 0, 1, 0},
			{1500 * ms, 1, false, 0, 1, 500 * ms},
			{1500 * ms, 30, false, 0, 1, 29500 * ms},
			{31 * time.Second, 30, true, 0, 1, 0},
			{time.Hour, 0, true, 60, 0, 0},
			{time.Hour, 60, true, 0, 1, 0},
		},
		"gateway/user=5/s:burst=20": {
			{0, 20, true, 0, 1, 0},
			{0, 1, false, 0, 1, 200 * ms},
			{3 * time.Second, 15, true, 0, 1, 0},
			{3100 * ms, 20, false, 0, 1, 3900 * ms},
			{time.Minute, 1, true, 19, 1, 0},
		},
		"gateway/user=3/d:burst=1": {
			{0, 1, true, 0, 28800, 0},
			{time.Second, 1, false, 0, 28799, 8*time.Hour - time.Second},
			{8*time.Hour - 1, 1, false, 0, 1, 1},
			{8 * time.Hour, 1, true, 0, 28800, 0},
		},
		"gateway/user=7/s": { // a seventh of a second is not a whole number of any unit
			{0, 7, true, 0, 1, 0},
			{142857142, 1, false, 0, 1, 1},
			{142857143, 1, true, 0, 1, 0},
			{285714285, 1, false, 0, 1, 1},
			{285714286, 1, true, 0, 1, 0},
			{time.Second, 5, true, 0, 1, 0}, // seven in total
			{time.Second, 1, false, 0, 1, 142857143},
		},
		"gateway/user=1000000000/s": {
			{0, 1_000_000_000, true, 0, 1, 0},
			{1, 1, true, 0, 1, 0},
			{1, 1, false, 0, 1, 1},
			{11, 10, true, 0, 1, 0},
		},
		"gateway/user=2/s": {
			{0, 0, true, 2, 0, 0}, // checks, and takes nothing
			{0, -5, true, 2, 0, 0},
			{0, 2, true, 0, 1, 0},
			{0, 0, false, 0, 1, 500 * ms},
			{500 * ms, 0, true, 1, 1, 0},
		},
	} {
		l, c := newLimiter(t, rule)
		for i, s := range steps {
			c.at = epoch.Add(s.at)
			limit := l.opts.Limits[0]
			want := Decision{Allowed: s.allowed, RetryAfter: s.retry, Limits: []State{{
				Name: "user", Limit: limit.Rate, Window: int64(limit.Window.Seconds()), Burst: limit.Burst, Remaining: s.remaining, Reset: s.reset,
			}}}
			if !s.allowed {
				want.Reached = limit
			}
			if diff := cmp.Diff(want, l.Take(Gateway, user("u"), s.n)); diff != "" {
				t.Errorf("%s, step %d: take %d at %s (-want +got):\n%s", rule, i, s.n, s.at, diff)
			}
		}
	}
}

func TestBurstIsNeverExceeded(t *testing.T) {
	t.Parallel()
	l, c := newLimiter(t, "ingest/token=10/s:burst=20", "ingest/user=100/s")
	who := Subject{User: "u", Token: [32]byte{1}}
	l.Take(Ingest, who, 20)
	for _, n := range []int{21, 1 << 40, math.MaxInt} {
		d := l.Take(Ingest, who, n)
		if d.Allowed || !d.TooMany || d.Reached.By != ByToken || d.Reached.Burst != 20 || d.RetryAfter != 2*time.Second {
			t.Errorf("%d at once: want the token's limit to refuse it for good, got %+v", n, d)
		}
	}
	c.pass(time.Hour)
	if d := l.Take(Ingest, who, 21); d.Allowed || !d.TooMany || d.RetryAfter != 0 {
		t.Errorf("with a full bucket: want it refused, got %+v", d)
	}
	if d := l.Take(Ingest, who, 20); !d.Allowed {
		t.Errorf("want a burst let in, got %+v", d)
	}
}

func TestClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	l, c := newLimiter(t, "gateway/user=1/s:burst=10")
	take := func(n int, want bool) {
		t.Helper()
		if d := l.Take(Gateway, user("u"), n); d.Allowed != want {
			t.Errorf("at %s: %d: want %v, got %+v", c.at.Sub(epoch), n, want, d)
		}
	}
	c.pass(time.Hour)
	take(10, true)
	c.pass(-3 * time.Hour) // before the start
	take(1, false)         // it adds nothing …
	c.pass(time.Second)
	take(1, true) // … and removes nothing
	take(1, false)
	c.pass(5 * time.Second)
	take(6, false)
	take(5, true)
	c.pass(1000 * time.Hour)
	take(10, true) // at most a burst, however far the clock is set ahead
	take(1, false)
}

// exact is a bucket with exact fractions.
type exact struct {
	limit Limit
	level *big.Rat
	at    time.Duration
}

func newExact(l Limit) *exact { return &exact{limit: l, level: bigInt(l.Burst)} }

// gain returns the refill in a duration.
func (e *exact) gain(d time.Duration) *big.Rat {
	return new(big.Rat).Mul(big.NewRat(int64(d), int64(e.limit.Window)), bigInt(e.limit.Rate))
}

func (e *exact) move(to time.Duration) {
	if to > e.at {
		e.level.Add(e.level, e.gain(to-e.at))
		if full := bigInt(e.limit.Burst); e.level.Cmp(full) > 0 {
			e.level = full
		}
	}
	e.at = to
}

func (e *exact) has(n int64) bool { return e.level.Cmp(bigInt(n)) >= 0 }

func bigInt(n int64) *big.Rat { return big.NewRat(n, 1) }

// anyLimit draws limits of all sizes, including odd ones.
var anyLimit = rapid.Custom(func(t *rapid.T) Limit {
	l := Limit{
		Scope: Gateway, By: ByUser, Rate: rapid.Int64Range(1, maxRate).Draw(t, "rate"),
		Window: rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "window"),
	}
	if rapid.Bool().Draw(t, "small") {
		l.Rate = rapid.Int64Range(1, 100).Draw(t, "small rate")
	}
	limit := min(maxBurst, int64(float64(maxRefill)/float64(l.Window)*float64(l.Rate)))
	l.Burst = rapid.Int64Range(1, limit).Draw(t, "burst")
	return l
})

// TestBucketIsExact compares a bucket with exact fractions: what is admitted, what remains, and when to retry.
func TestBucketIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := anyLimit.Draw(t, "limit")
		tick := unitOf(limit.Window).tick
		c := newClock()
		l := New(Options{Limits: Limits{limit}, Now: c.now})
		model := newExact(limit)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			// Long enough to refill part of a burst, to the tick; sometimes the clock is set back.
			refill := float64(limit.Burst) / float64(limit.Rate) * float64(limit.Window)
			ticks := time.Duration(rapid.Float64Range(-0.2, 1.2).Draw(t, "part") * refill / float64(tick))
			c.pass(ticks * tick)
			model.move(c.at.Sub(epoch))
			n := rapid.Int64Range(1, limit.Burst).Draw(t, "n")
			if rapid.Bool().Draw(t, "few") {
				n = rapid.Int64Range(1, min(limit.Burst, 3)).Draw(t, "few of")
			}
			d := l.Take(Gateway, user("u"), int(n))
			if d.Allowed != model.has(n) {
				t.Fatalf("%s: %d of %s: got %+v", limit, n, model.level.FloatString(12), d)
			}
			if d.Allowed {
				model.level.Sub(model.level, bigInt(n))
			}
			left := new(big.Int).Quo(model.level.Num(), model.level.Denom()).Int64()
			if s := d.Limits[0]; s.Remaining != left {
				t.Fatalf("%s: want %d left, got %+v", limit, left, s)
			}
			if err := checkWaits(model, n, d); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// checkWaits returns an error unless the decision's times are correct and no later than necessary.
func checkWaits(model *exact, n int64, d Decision) error {
	later := func(wait time.Duration, n int64) bool {
		return new(big.Rat).Add(model.level, model.gain(wait)).Cmp(bigInt(n)) >= 0
	}
	tick := unitOf(model.limit.Window).tick
	if !d.Allowed && (!later(d.RetryAfter, n) || later(d.RetryAfter-tick, n)) {
		return fmt.Errorf("%s: %s of %d: a wait of %s is not it", model.limit, model.level.FloatString(12), n, d.RetryAfter)
	}
	s := d.Limits[0]
	if full := model.level.Cmp(bigInt(model.limit.Burst)) == 0; full != (s.Reset == 0) {
		return fmt.Errorf("%s: %s left: %+v", model.limit, model.level.FloatString(12), s)
	}
	reset := time.Duration(s.Reset) * time.Second
	if s.Reset > 0 && (!later(reset, s.Remaining+1) || later(reset-time.Second, s.Remaining+1)) {
		return fmt.Errorf("%s: %s left: one more is not there in %d s first", model.limit, model.level.FloatString(12), s.Reset)
	}
	if !d.Allowed && s.Reset > seconds(d.RetryAfter) {
		return fmt.Errorf("%s: told to come again after %s, and that there is more only in %d s", model.limit, d.RetryAfter, s.Reset)
	}
	return nil
}

func TestScale(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ a, b, c, want int64 }{
		{0, 5, 3, 0},
		{6, 5, 3, 10},
		{1, 1, 3, 1},
		{math.MaxInt64, 1, 1, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, 1, math.MaxInt64},
		{math.MaxInt64, 3, 2, math.MaxInt64},
		{1_000_000_007, 86_400_000_000_000, 999_999_937, 86_400_006_048_001},
	} {
		if got := scale(tt.a, tt.b, tt.c); got != tt.want {
			t.Errorf("%d·%d/%d: want %d, got %d", tt.a, tt.b, tt.c, tt.want, got)
		}
	}
}
