package ratelimit

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/observe/metrics"
)

// left returns what remains of each limit.
func left(d Decision) map[string]int64 {
	all := map[string]int64{}
	for _, s := range d.Limits {
		all[s.Name] = s.Remaining
	}
	return all
}

func TestNoLimitsAdmitEverything(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter(t, "ingest/user=1/s")
	for range 3 {
		if diff := cmp.Diff(Decision{Allowed: true}, l.Take(Gateway, user("u"), 1000)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestBucketsAreSeparate(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter(t, "gateway/user=2/m", "gateway/agent=3/m", "gateway/token=4/m", "gateway=100/m", "ingest/user=1/m")
	one := Subject{User: "u", Agent: "a", Token: [32]byte{1}}
	for _, tt := range []struct {
		scope Scope
		who   Subject
		want  map[string]int64
		by    By // the limit that rejects; All if none does
	}{
		{Gateway, one, map[string]int64{"user": 1, "agent": 2, "token": 3, "all": 99}, All},
		{Gateway, one, map[string]int64{"user": 0, "agent": 1, "token": 2, "all": 98}, All},
		{Gateway, one, map[string]int64{"user": 0, "agent": 1, "token": 2, "all": 98}, ByUser},
		{Gateway, Subject{User: "v", Agent: "a", Token: [32]byte{1}}, map[string]int64{"user": 1, "agent": 0, "token": 1, "all": 97}, All},
		{Gateway, Subject{User: "w", Agent: "a", Token: [32]byte{2}}, map[string]int64{"user": 2, "agent": 0, "token": 4, "all": 97}, ByAgent},
		{Gateway, Subject{User: "a", Agent: "u", Token: [32]byte{1}}, map[string]int64{"user": 1, "agent": 2, "token": 0, "all": 96}, All},
		{Gateway, Subject{User: "x", Agent: "y", Token: [32]byte{1}}, map[string]int64{"user": 2, "agent": 3, "token": 0, "all": 96}, ByToken},
		{Gateway, Subject{}, map[string]int64{"all": 95}, All}, // without a known caller only the limit of all applies
		{Gateway, Subject{Agent: "z"}, map[string]int64{"agent": 2, "all": 94}, All},
		{Ingest, one, map[string]int64{"user": 0}, All}, // scopes are independent
	} {
		d := l.Take(tt.scope, tt.who, 1)
		if diff := cmp.Diff(tt.want, left(d)); diff != "" || d.Allowed != (tt.by == All) || !d.Allowed && d.Reached.By != tt.by {
			t.Errorf("%s by %+v: want %q to refuse it, got %+v (-want +got):\n%s", tt.scope, tt.who, tt.by, d, diff)
		}
	}
}

func TestSeveralLimitsForTheSame(t *testing.T) {
	t.Parallel()
	l, c := newLimiter(t, "gateway/user=2/s", "gateway/user=5/h")
	take := func(want map[string]int64, refuser string, retry time.Duration) {
		t.Helper()
		d := l.Take(Gateway, user("u"), 1)
		if diff := cmp.Diff(want, left(d)); diff != "" || d.Allowed != (refuser == "") || !d.Allowed && (d.Reached.String() != refuser || d.RetryAfter != retry) {
			t.Errorf("want %q for %s, got %+v (-want +got):\n%s", refuser, retry, d, diff)
		}
	}
	take(map[string]int64{"user:2/s": 1, "user:5/h": 4}, "", 0)
	take(map[string]int64{"user:2/s": 0, "user:5/h": 3}, "", 0)
	take(map[string]int64{"user:2/s": 0, "user:5/h": 3}, "gateway/user=2/s", 500*time.Millisecond)
	c.pass(time.Second)
	take(map[string]int64{"user:2/s": 1, "user:5/h": 2}, "", 0)
	take(map[string]int64{"user:2/s": 0, "user:5/h": 1}, "", 0)
	c.pass(500 * time.Millisecond)
	take(map[string]int64{"user:2/s": 0, "user:5/h": 0}, "", 0)
	take(map[string]int64{"user:2/s": 0, "user:5/h": 0}, "gateway/user=5/h", 12*time.Minute-1500*time.Millisecond) // the longer wait
}

func TestTakeAll(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter(t, "ingest/user=10/m", "ingest/token=25/m:burst=25")
	token := [32]byte{1}
	of := func(name string, n int) Demand { return Demand{Subject{User: name, Token: token}, n} }
	for _, tt := range []struct {
		demands []Demand
		allowed bool
		want    map[string]int64 // of the user with the least left
		tooMany bool
	}{
		{[]Demand{of("a", 3), of("b", 5), of("a", 2)}, true, map[string]int64{"user": 5, "token": 15}, false},
		{[]Demand{of("a", 1), of("b", 6)}, false, map[string]int64{"user": 5, "token": 15}, false}, // b's is not available, so a's is not taken
		{[]Demand{of("a", 3), of("c", 4), of("a", 3)}, false, map[string]int64{"user": 5, "token": 15}, false},
		{[]Demand{of("c", 6), of("c", 5)}, false, map[string]int64{"user": 10, "token": 15}, true},
		{[]Demand{of("c", 8), of("d", 8)}, false, map[string]int64{"user": 10, "token": 15}, false}, // the token's is not available
		{[]Demand{{Subject{Token: token}, 4}, of("c", 10)}, true, map[string]int64{"user": 0, "token": 1}, false},
		{nil, true, map[string]int64{}, false},
		{[]Demand{of("d", 0)}, true, map[string]int64{"user": 10, "token": 1}, false},
		{[]Demand{of("d", 0), of("c", 0)}, false, map[string]int64{"user": 0, "token": 1}, false},
	} {
		d := l.TakeAll(Ingest, tt.demands)
		if diff := cmp.Diff(tt.want, left(d)); diff != "" || d.Allowed != tt.allowed || d.TooMany != tt.tooMany {
			t.Errorf("%+v: want %v, got %+v (-want +got):\n%s", tt.demands, tt.allowed, d, diff)
		}
	}
	huge := make([]Demand, 100)
	for i := range huge {
		huge[i] = of("a", 1<<62)
	}
	if d := l.TakeAll(Ingest, huge); d.Allowed || !d.TooMany {
		t.Errorf("want more than a number can hold refused, got %+v", d)
	}
}

// TestAllOrNothing: a rejection changes no bucket, whatever else is in the demand.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := mustParse(t, "ingest/user=5/s:burst=7", "ingest/agent=9/s", "ingest/token=11/s:burst=20", "ingest=13/s")
		c := newClock()
		l := New(Options{Limits: limits, Now: c.now})
		demand := rapid.Custom(func(t *rapid.T) Demand {
			name := rapid.SampledFrom([]string{"", "x", "y", "z"})
			return Demand{Subject{User: name.Draw(t, "user"), Agent: name.Draw(t, "agent"), Token: [32]byte{byte(rapid.IntRange(0, 2).Draw(t, "token"))}}, rapid.IntRange(0, 4).Draw(t, "n")}
		})
		for range 30 {
			c.pass(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
			demands := rapid.SliceOfN(demand, 0, 5).Draw(t, "demands")
			before := levels(l)
			d := l.TakeAll(Ingest, demands)
			after := levels(l)
			asked := map[string]int64{}
			for _, one := range demands {
				for _, whose := range whose(one.Subject) {
					asked[whose] += int64(one.N)
				}
			}
			for whose, b := range after {
				want := b.full // of a new bucket
				if had, known := before[whose]; known {
					want = had.level
				}
				if d.Allowed {
					want -= asked[whose] * b.one
				}
				if b.level != want || b.level < 0 {
					t.Fatalf("%s has %d parts, want %d: %+v\n%+v", whose, b.level, want, demands, d)
				}
			}
		}
	})
}

func whose(s Subject) []string {
	all := []string{"all"}
	if s.User != "" {
		all = append(all, "user "+s.User)
	}
	if s.Agent != "" {
		all = append(all, "agent "+s.Agent)
	}
	if s.Token != [32]byte{} {
		all = append(all, "token "+strconv.Itoa(int(s.Token[0])))
	}
	return all
}

// levels returns copies of all buckets.
func levels(l *Limiter) map[string]bucket {
	all := map[string]bucket{}
	for _, b := range l.table.all {
		b.refill(l.now())
		switch b.By {
		case ByToken:
			all["token "+strconv.Itoa(int(b.token[0]))] = *b
		default:
			all[string(b.By)+" "+b.text] = *b
		}
	}
	for _, r := range l.ingest {
		if r.By == All {
			r.shared.refill(l.now())
			all["all"] = *r.shared
		}
	}
	return all
}

func TestConcurrentTakes(t *testing.T) {
	t.Parallel()
	limits := mustParse(t, "gateway/user=1000/d", "gateway/token=10/d:burst=2500")
	now := func() time.Time { return epoch }
	l := New(Options{Limits: limits, Now: now, MaxKeys: 8, Store: newStore(now)})
	var allowed [4]atomic.Int64
	var all sync.WaitGroup
	var syncing sync.Mutex // as Run does: overlapping exchanges would count the first one's admissions twice
	for range 8 {
		all.Go(func() {
			for range 2000 {
				u := rand.IntN(len(allowed))
				if l.Take(Gateway, Subject{User: strconv.Itoa(u), Token: [32]byte{1}}, 1).Allowed {
					allowed[u].Add(1)
				}
				switch rand.IntN(10) {
				case 0:
					l.Sample()
				case 1:
					l.sweep()
				case 2:
					syncing.Lock()
					if err := l.Sync(t.Context()); err != nil {
						t.Error(err)
					}
					syncing.Unlock()
				}
			}
		})
	}
	all.Wait()
	total := int64(0)
	for u := range allowed {
		total += allowed[u].Load()
		if n := allowed[u].Load(); n > 1000 {
			t.Errorf("user %d: %d of 1000 were let in", u, n)
		}
	}
	if total != 2500 {
		t.Errorf("%d of the token's 2500 were let in", total)
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	l, _ := newLimiter(t, "gateway/user=2/s", "gateway/user=3/m", "gateway/agent=100/s", "gateway=100/s", "ingest/token=1/s")
	for range 4 {
		l.Take(Gateway, Subject{User: "u", Agent: "a"}, 1) // the last two are rejected, by the user's limits only
	}
	l.Take(Gateway, Subject{Agent: "a"}, 1)
	l.Take(Gateway, Subject{User: "v"}, 3)         // by one or both of the user's limits: that counts once
	l.Take(Ingest, Subject{Token: [32]byte{1}}, 0) // only checked
	want := metrics.LimitSample{Keys: 6, Decisions: []metrics.LimitDecisions{
		{Scope: "gateway", By: "user", Allowed: 2, Limited: 3},
		{Scope: "gateway", By: "agent", Allowed: 3},
		{Scope: "gateway", By: "all", Allowed: 3},
		{Scope: "ingest", By: "token"},
	}}
	if diff := cmp.Diff(want, l.Sample()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDemandsOf(t *testing.T) {
	t.Parallel()
	token := [32]byte{7}
	of := func(user, agent string) execution.Execution {
		return execution.Execution{UserID: user, AgentName: agent}
	}
	got := DemandsOf(token, []execution.Execution{of("u", "a"), of("v", "a"), of("u", "a"), of("u", "b"), of("u", "a")})
	want := []Demand{
		{Subject{User: "u", Agent: "a", Token: token}, 3}, {Subject{User: "v", Agent: "a", Token: token}, 1}, {Subject{User: "u", Agent: "b", Token: token}, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := execution.Admit(t.Context(), nil); err != nil {
		t.Errorf("without a gate: want everything let in, got %v", err)
	}
}

func BenchmarkTake(b *testing.B) {
	for name, rules := range map[string][]string{
		"one limit":    {"gateway/user=1000000/s"},
		"three limits": {"gateway/user=1000000/s", "gateway/agent=1000000/s", "gateway/token=1000000/s"},
	} {
		b.Run(name, func(b *testing.B) {
			l := New(Options{Limits: mustParse(b, rules...), Now: time.Now, Store: &store{}})
			users := make([]string, 10_000)
			for i := range users {
				users[i] = "user-" + strconv.Itoa(i)
				l.Take(Gateway, Subject{User: users[i], Agent: "a", Token: [32]byte{1}}, 1)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				l.Take(Gateway, Subject{User: users[i%len(users)], Agent: "a", Token: [32]byte{1}}, 1)
				i++
			}
		})
	}
}
