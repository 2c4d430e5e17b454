package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// exchange sends the store the state of one key, and returns the seconds until its bucket is full.
func exchange(t tester, s *postgres.RateLimits, key byte, taken, debt time.Duration) float64 {
	t.Helper()
	fullIn, err := s.Exchange(t.Context(), []ratelimit.Spent{{Key: [32]byte{key}, Taken: taken, Debt: debt}})
	if err != nil {
		t.Fatal(err)
	}
	return fullIn[0].Seconds()
}

// TestExchange checks the results of exchanges. Its durations are long compared with the test's own.
func TestExchange(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	s := postgres.NewRateLimits(r.DB)
	const h = time.Hour
	for i, step := range []struct {
		key         byte
		taken, debt time.Duration
		want        time.Duration
	}{
		{1, h, h, h},             // the first exchange
		{1, h, h, 2 * h},         // another replica that knows only its own
		{1, 0, h, 2 * h},         // a replica that took nothing
		{1, h, 3 * h, 3 * h},     // a replica that knows all
		{1, h, 10 * h, 10 * h},   // a replica that knows more than the table, which lost it
		{2, h, 2 * h, 2 * h},     // another bucket
		{3, 0, -h, -h},           // a bucket that was full
		{3, h, -h, 0},            // what was taken may be refilled already
		{3, 5 * h, h, 5 * h},     // or not
		{4, h / 7, h / 7, h / 7}, // parts of seconds
		{4, h / 7, 0, 2 * h / 7},
	} {
		if got := exchange(t, s, step.key, step.taken, step.debt); got > step.want.Seconds()+.001 || got < step.want.Seconds()-30 {
			t.Errorf("step %d: want %s, got %g s", i, step.want, got)
		}
	}
}

func TestExchangeOfMany(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	s := postgres.NewRateLimits(r.DB)
	spent := make([]ratelimit.Spent, 5000)
	for i := range spent {
		d := time.Duration(i+1) * time.Hour
		spent[i] = ratelimit.Spent{Key: [32]byte{byte(i >> 8), byte(i)}, Taken: d, Debt: d}
	}
	for round := 1; round <= 2; round++ {
		fullIn, err := s.Exchange(t.Context(), spent)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range fullIn {
			if want := time.Duration(round) * spent[i].Taken; got > want+time.Millisecond || got < want-time.Minute {
				t.Fatalf("round %d, key %d: want %s, got %s", round, i, want, got)
			}
		}
	}
	if got := ask[int](t, db, `SELECT count(*)::int FROM rate_limits`); got != len(spent) {
		t.Errorf("want a row for each key, got %d", got)
	}
	if fullIn, err := s.Exchange(t.Context(), nil); err != nil || len(fullIn) != 0 {
		t.Errorf("nothing: got %v, %v", fullIn, err)
	}
}

// TestConcurrentExchanges checks that concurrent exchanges are all counted, in any order, without a deadlock.
func TestConcurrentExchanges(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	const replicas, rounds, keys = 4, 20, 50
	spent := make([]ratelimit.Spent, keys)
	for i := range spent {
		spent[i] = ratelimit.Spent{Key: [32]byte{byte(i)}, Taken: time.Hour}
	}
	var g errgroup.Group
	for i := range replicas {
		s := postgres.NewRateLimits(newReplica(t, postgres.Config{URL: db.url}).DB)
		g.Go(func() error {
			for range rounds {
				if _, err := s.Exchange(t.Context(), spent[i:]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	s := postgres.NewRateLimits(r.DB)
	for key, reporters := range map[byte]int{0: 1, 1: 2, 2: 3, 3: 4, 49: 4} {
		// The first exchange had no debt, so an hour of it dates from before it arrived.
		want := float64((reporters*rounds - 1) * 3600)
		if got := exchange(t, s, key, 0, 0); got > want+.001 || got < want-60 {
			t.Errorf("key %d: want %g s, got %g", key, want, got)
		}
	}
}

func TestDatabaseClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	s := postgres.NewRateLimits(r.DB)
	exchange(t, s, 1, time.Minute, time.Minute)
	db.exec(t, `UPDATE rate_limits SET full_at = full_at + interval '5 hours', written_at = written_at + interval '5 hours'`)
	for i, want := range []float64{120, 180} {
		if got := exchange(t, s, 1, time.Minute, 0); got > want+.001 || got < want-30 {
			t.Errorf("after %d: want %g s, got %g", i, want, got)
		}
	}
	if !ask[bool](t, db, `SELECT written_at <= now() AND full_at < now() + interval '1 hour' FROM rate_limits`) {
		t.Error("want the row back in the present")
	}
}

func TestFullBucketsAreDeleted(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	s := postgres.NewRateLimits(r.DB)
	db.exec(t, `INSERT INTO rate_limits (key, full_at, taken, written_at)
		SELECT sha256(n::text::bytea), now() - interval '61 s', 1, now() - interval '1 h' FROM generate_series(1, 12000) n`)
	exchange(t, s, 1, time.Minute, time.Minute)
	exchange(t, s, 2, time.Minute, -50*time.Second) // full, but only recently
	if err := s.CleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask[int](t, db, `SELECT count(*)::int FROM rate_limits`); got != 2 {
		t.Errorf("want two left, got %d", got)
	}
}

// limiter returns a replica's limiter.
func limiter(t tester, s ratelimit.Store, interval time.Duration, rules ...string) *ratelimit.Limiter {
	t.Helper()
	limits, err := ratelimit.Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	return ratelimit.New(ratelimit.Options{Limits: limits, Now: time.Now, Store: s, SyncInterval: interval})
}

// keep runs a function for the duration of the test.
func keep(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

func TestDatabaseHoldsNoClientNames(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	l := limiter(t, postgres.NewRateLimits(r.DB), time.Second, "gateway/user=60/h", "gateway/token=60/h", "gateway/agent=60/h")
	token := fleet.HashToken("secret")
	l.Take(ratelimit.Gateway, ratelimit.Subject{User: "alice", Agent: "tutor", Token: token}, 1)
	if err := l.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := ask[[]byte](t, db, `SELECT string_agg(key || r::text::bytea, '' ORDER BY key) FROM rate_limits r`)
	for _, name := range []string{"alice", "tutor", "secret", string(token[:]), fmt.Sprintf("%x", token)} {
		if bytes.Contains(rows, []byte(name)) {
			t.Errorf("%q is in the table", name)
		}
	}
	if got := ask[int](t, db, `SELECT count(*)::int FROM rate_limits`); got != 3 {
		t.Errorf("want three rows, got %d", got)
	}
}

// timed is a store that records the longest duration of an exchange.
type timed struct {
	ratelimit.Store
	mu      sync.Mutex
	slowest time.Duration
}

func (s *timed) Exchange(ctx context.Context, spent []ratelimit.Spent) ([]time.Duration, error) {
	began := time.Now()
	fullIn, err := s.Store.Exchange(ctx, spent)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slowest = max(s.slowest, time.Since(began))
	return fullIn, err
}

func (s *timed) longest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slowest
}

// TestTwoReplicasHoldALimit checks that two replicas under maximum load admit what
// the limit permits, and never more beyond it than docs/rate-limits.md states.
func TestTwoReplicasHoldALimit(t *testing.T) {
	t.Parallel()
	const rate, burst, ran, interval = 200.0, 50, 4 * time.Second, 100 * time.Millisecond
	db, _ := newFleet(t)
	stores := make([]*timed, 2)
	limiters := make([]*ratelimit.Limiter, 2)
	for i := range limiters {
		stores[i] = &timed{Store: postgres.NewRateLimits(newReplica(t, postgres.Config{URL: db.url}).DB)}
		limiters[i] = limiter(t, stores[i], interval, fmt.Sprintf("gateway/user=%g/s:burst=%d", rate, burst))
		keep(t, limiters[i].Run)
	}
	began := time.Now()
	let := make([][]time.Duration, 2) // when each admitted one
	var load sync.WaitGroup
	for i, l := range limiters {
		load.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				for l.Take(ratelimit.Gateway, ratelimit.Subject{User: "u"}, 1).Allowed {
					let[i] = append(let[i], time.Since(began))
				}
				if time.Since(began) > ran {
					return
				}
			}
		})
	}
	load.Wait()
	for _, l := range limiters {
		if s := l.Sample(); s.SyncFailures > 0 {
			t.Fatalf("want every sync to succeed, got %+v", s)
		}
	}
	slowest := max(stores[0].longest(), stores[1].longest())
	const late = 50 * time.Millisecond // a loaded machine's timers
	one := max(within(let[0], max(interval, slowest)+slowest+late), within(let[1], max(interval, slowest)+slowest+late))
	bound := burst + float64(one) + rate*(slowest+late).Seconds()
	all := slices.Sorted(slices.Values(slices.Concat(let...)))
	longest, minimum := 0.0, 0.0
	for i, at := range all {
		beyond := float64(i) - rate*at.Seconds()
		minimum = min(minimum, beyond)
		longest = max(longest, beyond+1-minimum)
	}
	total, single := float64(len(all)), rate*all[len(all)-1].Seconds()+burst
	t.Logf("%d and %d let in; one bucket: %.0f; beyond the rate: %.0f of %.0f; a sync took at most %s", len(let[0]), len(let[1]), single, longest, bound, slowest)
	if longest > bound {
		t.Errorf("want at most %.0f beyond the rate at any time, got %.0f", bound, longest)
	}
	if total < single-rate*4*(interval+slowest+late).Seconds() {
		t.Errorf("want no fewer let in than one bucket has, %.0f, except what is in flight; got %.0f", single, total)
	}
}

// within returns the maximum number of times in any interval of length span.
func within(times []time.Duration, span time.Duration) int {
	longest, from := 0, 0
	for i, at := range times {
		for times[from] < at-span {
			from++
		}
		longest = max(longest, i-from+1)
	}
	return longest
}

func TestLimitsWithoutADatabase(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	between := newProxy(t, db)
	l := limiter(t, postgres.NewRateLimits(newReplica(t, postgres.Config{URL: between.url}).DB), 5*time.Millisecond, "gateway/user=100/h")
	take := func(name string) ratelimit.Decision {
		return l.Take(ratelimit.Gateway, ratelimit.Subject{User: name}, 1)
	}
	rows := func() int { return ask[int](t, db, `SELECT count(*)::int FROM rate_limits`) }
	take("u")
	keep(t, l.Run)
	eventually(t, "it is shared", func() bool { return rows() == 1 })

	between.refuse(true)
	between.cut()
	eventually(t, "it is cut off", func() bool {
		take("v")
		return l.Sample().SyncFailures > 3
	})
	for want := int64(98); want >= 0; want-- {
		if d := take("u"); !d.Allowed || d.Limits[0].Remaining != want {
			t.Fatalf("want it to go on with its own bucket, %d left in it: got %+v", want, d)
		}
	}
	if d := take("u"); d.Allowed {
		t.Errorf("want the limit to hold, got %+v", d)
	}

	between.refuse(false)
	eventually(t, "it is shared again", func() bool {
		take("w")
		return rows() > 1
	})
}

// TestBucketsSurviveTheirTable checks that replicas restore
// buckets in the table, which is unlogged and empty after a crash.
func TestBucketsSurviveTheirTable(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	s := postgres.NewRateLimits(r.DB)
	first, second := limiter(t, s, time.Second, "ingest/user=100/d"), limiter(t, s, time.Second, "ingest/user=100/d")
	u := ratelimit.Subject{User: "u"}
	first.Take(ratelimit.Ingest, u, 70)
	if err := first.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.exec(t, `TRUNCATE rate_limits`)
	for _, l := range []*ratelimit.Limiter{first, second} {
		l.Take(ratelimit.Ingest, u, 10)
		if err := l.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := second.Take(ratelimit.Ingest, u, 11); d.Allowed || d.Limits[0].Remaining != 10 {
		t.Errorf("want 10 of 100 left, got %+v", d)
	}
}

func TestExchangeWithoutADatabase(t *testing.T) {
	t.Parallel()
	r := newReplica(t, postgres.Config{URL: "postgres://watchbill@127.0.0.1:1/none"})
	s := postgres.NewRateLimits(r.DB)
	if _, err := s.Exchange(t.Context(), []ratelimit.Spent{{}}); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("exchange: want %v, got %v", fault.ErrUnavailable, err)
	}
	if err := s.CleanUp(t.Context()); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("clean up: want %v, got %v", fault.ErrUnavailable, err)
	}
}
