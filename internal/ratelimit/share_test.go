package ratelimit

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"
)

// store is a Store in memory.
type store struct {
	now func() time.Time

	mu        sync.Mutex
	fullAt    map[[32]byte]time.Time
	exchanged []Spent
	err       error
	stalled   bool
	cleanUps  int
	largest   int // size of the largest exchange
}

func newStore(now func() time.Time) *store { return &store{now: now, fullAt: map[[32]byte]time.Time{}} }

func (s *store) Exchange(ctx context.Context, spent []Spent) ([]time.Duration, error) {
	var stalled bool
	if s.set(func(s *store) { stalled = s.stalled }); stalled {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if !slices.IsSortedFunc(spent, func(x, y Spent) int { return bytes.Compare(x.Key[:], y.Key[:]) }) {
		return nil, errors.New("the keys are out of order")
	}
	s.largest = max(s.largest, len(spent))
	s.exchanged = append(s.exchanged, spent...)
	now := s.now()
	fullIn := make([]time.Duration, len(spent))
	for i, one := range spent {
		fullAt := now.Add(one.Debt)
		if known, ok := s.fullAt[one.Key]; ok && known.Add(one.Taken).After(fullAt) {
			fullAt = known.Add(one.Taken)
		}
		s.fullAt[one.Key] = fullAt
		fullIn[i] = fullAt.Sub(now)
	}
	return fullIn, nil
}

func (s *store) CleanUp(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanUps++
	return s.err
}

func (s *store) set(change func(*store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// pair returns two replicas with one store.
func pair(t tester, rules ...string) (a, b *Limiter, s *store, c *clock) {
	t.Helper()
	c = newClock()
	s = newStore(c.now)
	limits := mustParse(t, rules...)
	return New(Options{Limits: limits, Now: c.now, Store: s}), New(Options{Limits: limits, Now: c.now, Store: s}), s, c
}

func mustSync(t tester, limiters ...*Limiter) {
	t.Helper()
	for _, l := range limiters {
		if err := l.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// remaining returns what the user has left at a replica.
func remaining(l *Limiter, name string) int64 {
	return l.Take(Gateway, user(name), 0).Limits[0].Remaining
}

func TestReplicasShareABucket(t *testing.T) {
	t.Parallel()
	a, b, _, c := pair(t, "gateway/user=60/m")
	a.Take(Gateway, user("u"), 30)
	b.Take(Gateway, user("u"), 10)
	if got := remaining(b, "u"); got != 50 {
		t.Errorf("before they speak: want 50 left, got %d", got)
	}
	mustSync(t, a, b)
	if got := remaining(b, "u"); got != 20 {
		t.Errorf("b, which spoke last: want 20 left, got %d", got)
	}
	if got := remaining(a, "u"); got != 30 {
		t.Errorf("a, which knows nothing of b's yet: want 30 left, got %d", got)
	}
	a.Take(Gateway, user("u"), 1)
	mustSync(t, a)
	if got := remaining(a, "u"); got != 19 {
		t.Errorf("a, when it spoke again: want 19 left, got %d", got)
	}

	b.Take(Gateway, user("u"), 20) // too much, by one
	mustSync(t, b)
	d := b.Take(Gateway, user("u"), 1)
	if d.Allowed || d.RetryAfter != 2*time.Second || d.Limits[0].Remaining != 0 || d.Limits[0].Reset != 2 {
		t.Errorf("when more was let in than there is: want it paid back first, got %+v", d)
	}
	c.pass(2 * time.Second)
	if d := b.Take(Gateway, user("u"), 1); !d.Allowed {
		t.Errorf("when it is paid back: got %+v", d)
	}
	c.pass(time.Hour)
	mustSync(t, a, b)
	if got := remaining(b, "u"); got != 60 {
		t.Errorf("an hour later: want it full, got %d", got)
	}
}

func TestOthersBucketsAreNotTouched(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t, "gateway/user=60/m", "gateway/agent=60/m", "gateway/token=60/m", "gateway=60/m", "ingest/user=60/m")
	a.Take(Gateway, user("u"), 30)
	b.Take(Gateway, Subject{User: "v", Agent: "u", Token: [32]byte{'u'}}, 1)
	b.Take(Ingest, user("u"), 1)
	mustSync(t, a, b)
	for _, s := range b.Take(Gateway, Subject{User: "v", Agent: "u", Token: [32]byte{'u'}}, 0).Limits {
		if want := map[bool]int64{true: 29, false: 59}[s.Name == "all"]; s.Remaining != want {
			t.Errorf("%s: want %d left, got %+v", s.Name, want, s)
		}
	}
	if s := b.Take(Ingest, user("u"), 0).Limits[0]; s.Remaining != 59 {
		t.Errorf("another scope's: got %+v", s)
	}
}

func TestSharedStateHoldsNoNames(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newStore(c.now)
	keys := map[[32]byte]bool{}
	for _, rules := range [][]string{{"gateway/user=60/m", "gateway/token=60/m", "gateway=60/m"}, {"gateway/user=61/m", "gateway=60/m:burst=11"}} {
		l := New(Options{Limits: mustParse(t, rules...), Now: c.now, Store: s, MaxKeys: 2})
		l.Take(Gateway, Subject{User: "alice", Token: [32]byte{1, 2, 3}}, 5)
		l.Take(Gateway, Subject{User: "bob"}, 5) // gets no bucket
		mustSync(t, l)
	}
	for _, one := range s.exchanged {
		if bytes.Contains(one.Key[:], []byte("alice")) || bytes.Contains(one.Key[:], []byte{1, 2, 3}) {
			t.Errorf("want a hash, got %q", one.Key)
		}
		keys[one.Key] = true
	}
	if len(keys) != len(s.exchanged) || len(keys) != 4+3 {
		t.Errorf("want a key for each rule and each one's bucket, got %d of %d", len(keys), len(s.exchanged))
	}
}

// TestSingleReplica: one replica decides the same with a store as without, whenever it syncs.
func TestSingleReplica(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{anyLimit.Draw(t, "limit")}
		limits[0].Rate = min(limits[0].Rate, 1000) // durations have whole nanoseconds
		limits[0].Burst = min(limits[0].Burst, 365*limits[0].Rate)
		c := newClock()
		alone := New(Options{Limits: limits, Now: c.now})
		l := New(Options{Limits: limits, Now: c.now, Store: newStore(c.now)})
		interval := limits[0].Window / time.Duration(limits[0].Rate)
		for range 100 {
			c.pass(time.Duration(rapid.Float64Range(0, 3).Draw(t, "part")*float64(interval)) / time.Millisecond * time.Millisecond)
			n := int(min(rapid.Int64Range(0, 3).Draw(t, "n"), limits[0].Burst))
			want, got := alone.Take(Gateway, user("u"), n), l.Take(Gateway, user("u"), n)
			if want.Allowed != got.Allowed && want.RetryAfter+got.RetryAfter > 200*time.Microsecond {
				t.Fatalf("%s: want %+v, got %+v", limits[0], want, got)
			}
			if want.Allowed != got.Allowed {
				return // by less than a tick; from then on they differ
			}
			if rapid.Bool().Draw(t, "sync") {
				mustSync(t, l)
			}
		}
	})
}

func TestManyKeysAreExchangedInBatches(t *testing.T) {
	t.Parallel()
	a, b, s, _ := pair(t, "gateway/user=60/m")
	const users = 2*exchangeAtOnce + 7
	for i := range users {
		a.Take(Gateway, user(strconv.Itoa(i)), 10)
		b.Take(Gateway, user(strconv.Itoa(i)), 20)
	}
	mustSync(t, a, b)
	if len(s.exchanged) != 2*users || s.largest != exchangeAtOnce {
		t.Errorf("want %d told, %d at once, got %d, %d", 2*users, exchangeAtOnce, len(s.exchanged), s.largest)
	}
	for i := range users {
		if got := remaining(b, strconv.Itoa(i)); got != 30 {
			t.Fatalf("user %d: want 30 left, got %d", i, got)
		}
	}
	mustSync(t, a, b)
	if len(s.exchanged) != 2*users {
		t.Errorf("where there is nothing new: want nothing told, got %d", len(s.exchanged)-2*users)
	}
}

// TestTakesDuringExchange: admissions during a sync are neither lost nor counted twice, and the bucket is not evicted.
func TestTakesDuringExchange(t *testing.T) {
	t.Parallel()
	a, b, s, c := pair(t, "gateway/user=60/m")
	b.Take(Gateway, user("u"), 20)
	mustSync(t, b)
	a.Take(Gateway, user("u"), 10)
	f := a.depart(1)
	a.sweep()
	a.Take(Gateway, user("u"), 5)
	fullIn, err := s.Exchange(t.Context(), f.spent)
	if err != nil {
		t.Fatal(err)
	}
	c.pass(time.Second)
	a.arrive(f, fullIn)
	if got := remaining(a, "u"); got != 60-20-10-5+1 {
		t.Errorf("want 26 left, got %d", got)
	}
	mustSync(t, a)
	b.Take(Gateway, user("u"), 1)
	mustSync(t, b)
	if got := remaining(b, "u"); got != 25 {
		t.Errorf("the other one: want 25 left, got %d", got)
	}
}

func TestDatabaseOutageIsNotCharged(t *testing.T) {
	t.Parallel()
	a, b, s, c := pair(t, "gateway/user=60/m")
	s.err = errors.New("away")
	for range 3600 {
		c.pass(time.Second)
		for _, l := range []*Limiter{a, b} {
			if d := l.Take(Gateway, user("u"), 1); !d.Allowed { // each admits what the limit allows
				t.Fatalf("got %+v", d)
			}
			if err := l.Sync(t.Context()); err == nil {
				t.Fatal("want the store's error")
			}
		}
	}
	s.err = nil
	a.Take(Gateway, user("u"), 30)
	b.Take(Gateway, user("u"), 10)
	mustSync(t, a, b)
	if got := remaining(b, "u"); got < 18 || got > 20 {
		t.Errorf("want only what was let in since to count, some 20 left, got %d", got)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(time.Now)
		logs, seen := observer.New(zap.InfoLevel)
		l := New(Options{Limits: mustParse(t, "gateway/user=60/m"), Now: time.Now, Store: s, Log: zap.New(logs)})
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() } // in the bubble's time
		exchanged := func() (n int) { s.set(func(s *store) { n = len(s.exchanged) }); return n }

		pass(100 * time.Millisecond)
		l.Take(Gateway, user("u"), 1)
		pass(800 * time.Millisecond)
		if exchanged() != 0 {
			t.Error("want nothing told before the second is over")
		}
		pass(200 * time.Millisecond)
		if exchanged() != 1 {
			t.Errorf("want it told by then, got %d", exchanged())
		}
		pass(10 * time.Second)
		if exchanged() != 1 || l.Sample().Keys != 0 {
			t.Errorf("want nothing more told, and the bucket forgotten: got %d, %+v", exchanged(), l.Sample())
		}

		s.set(func(s *store) { s.err = errors.New("away") })
		for range 5 {
			l.Take(Gateway, user("u"), 1)
			pass(time.Second)
		}
		if got := l.Sample().SyncFailures; got != 5 {
			t.Errorf("want 5 failures counted, got %d", got)
		}
		s.set(func(s *store) { s.err, s.stalled = nil, true })
		l.Take(Gateway, user("u"), 1)
		pass(3 * time.Second)
		s.set(func(s *store) { s.stalled = false })
		if got := l.Sample().SyncFailures; got != 6 {
			t.Errorf("want the stalled one dropped and counted, got %d", got)
		}
		l.Take(Gateway, user("u"), 1)
		pass(time.Second)
		if want := []string{"cannot share rate limits with other replicas; each enforces them on its own", "rate limits are shared with other replicas again"}; !slices.Equal(messages(seen), want) {
			t.Errorf("want the log to say so once, got %q", messages(seen))
		}

		pass(2 * time.Minute)
		if s.cleanUps < 2 || s.cleanUps > 3 {
			t.Errorf("want a clean-up each minute, got %d", s.cleanUps)
		}
		before := exchanged()
		l.Take(Gateway, user("v"), 1)
		cancel()
		done.Wait()
		if exchanged() != before+1 {
			t.Errorf("want what was let in last told at the end, got %d", exchanged()-before)
		}
	})
}

func messages(seen *observer.ObservedLogs) []string {
	var all []string
	for _, entry := range seen.All() {
		all = append(all, entry.Message)
	}
	return all
}

func TestRunWithoutLimits(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{
		"no limits": {Now: time.Now, Store: newStore(time.Now)},
		"no store":  {Now: time.Now, Limits: mustParse(t, "gateway/user=1000/s")},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := New(opts)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			l.Take(Gateway, user("u"), 1)
			if err := l.Run(ctx); err != nil || l.Sample().Keys != 0 || l.Sample().SyncFailures != 0 {
				t.Errorf("%s: got %v, %+v", name, err, l.Sample())
			}
		})
	}
}
