package ratelimit

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// crowded returns a limiter with space for that many buckets.
func crowded(t tester, limit int, rules ...string) (*Limiter, *clock) {
	t.Helper()
	c := newClock()
	return New(Options{Limits: mustParse(t, rules...), Now: c.now, MaxKeys: limit}), c
}

func TestFullBucketsAreEvicted(t *testing.T) {
	t.Parallel()
	l, c := crowded(t, 100, "gateway/user=60/m")
	for i := range 10_000 {
		if d := l.Take(Gateway, user(strconv.Itoa(i)), 1); !d.Allowed || d.Limits[0].Remaining != 59 {
			t.Fatalf("user %d: want a bucket of one's own, got %+v", i, d)
		}
		c.pass(20 * time.Millisecond) // so that at most fifty are not full
	}
	if s := l.Sample(); s.Keys > 100 || s.Overflows > 0 {
		t.Errorf("want at most 100 buckets and no overflow, got %+v", s)
	}
}

func TestOverflowBucketIsShared(t *testing.T) {
	t.Parallel()
	l, c := crowded(t, 10, "gateway/user=6/m", "gateway/token=6/m")
	for i := range 10 {
		l.Take(Gateway, user(strconv.Itoa(i)), 6)
	}
	for i := range 6 {
		d := l.Take(Gateway, Subject{User: "new " + strconv.Itoa(i)}, 1)
		if !d.Allowed || d.Limits[0].Remaining != int64(5-i) {
			t.Errorf("one who is new: want one of six taken that all of them share, got %+v", d)
		}
	}
	if d := l.Take(Gateway, user("new, too"), 1); d.Allowed || d.RetryAfter != 10*time.Second {
		t.Errorf("want it refused, got %+v", d)
	}
	if d := l.Take(Gateway, Subject{Token: [32]byte{1}}, 6); !d.Allowed {
		t.Errorf("each limit has a bucket of its own to be shared, got %+v", d)
	}
	for i := range 10 {
		if d := l.Take(Gateway, user(strconv.Itoa(i)), 1); d.Allowed {
			t.Errorf("user %d: want those who were there first to have their own still, got %+v", i, d)
		}
	}
	if s := l.Sample(); s.Keys != 10 || s.Overflows != 8 {
		t.Errorf("want 10 buckets and 8 overflows, got %+v", s)
	}
	c.pass(time.Minute)
	if d := l.Take(Gateway, user("new, too"), 6); !d.Allowed || l.Sample().Overflows != 8 {
		t.Errorf("when others are full again: want a bucket of one's own, got %+v", d)
	}
	c.pass(time.Minute)
	l.sweep()
	if s := l.Sample(); s.Keys != 0 {
		t.Errorf("when all are full again: want them forgotten, got %+v", s)
	}
}

func TestSweepKeepsWhatIsNotFull(t *testing.T) {
	t.Parallel()
	l, c := crowded(t, 10*sweepAtOnce, "gateway/user=60/m")
	for i := range 5 * sweepAtOnce {
		l.Take(Gateway, user(strconv.Itoa(i)), 1+i%2)
	}
	c.pass(time.Second)
	l.sweep()
	if s := l.Sample(); s.Keys != 5*sweepAtOnce/2 {
		t.Errorf("want every other one forgotten, got %+v", s)
	}
	for i := range 5 * sweepAtOnce {
		if d := l.Take(Gateway, user(strconv.Itoa(i)), 1); d.Limits[0].Remaining != int64(59-i%2) {
			t.Fatalf("user %d: got %+v", i, d)
		}
	}
}

// TestEvictionGrantsNoTokens: however small the table, a user with a bucket is admitted no more often than the bucket
// allows, nor are the users without one in total.
func TestEvictionGrantsNoTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l, c := crowded(t, rapid.IntRange(1, 6).Draw(t, "most"), "gateway/user=10/s:burst=5")
		limit := l.opts.Limits[0]
		models := map[string]*exact{}
		shared := newExact(limit)
		for range 200 {
			c.pass(time.Duration(rapid.IntRange(0, 120).Draw(t, "ms")) * time.Millisecond)
			if rapid.IntRange(0, 9).Draw(t, "sweep") == 0 {
				l.sweep()
			}
			name := strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "user"))
			n := rapid.Int64Range(1, 3).Draw(t, "n")
			overflows := l.Sample().Overflows
			d := l.Take(Gateway, user(name), int(n))
			model := models[name]
			if model == nil {
				model = newExact(limit)
				models[name] = model
			}
			if l.Sample().Overflows > overflows {
				model = shared
			}
			model.move(c.at.Sub(epoch))
			if d.Allowed != model.has(n) {
				t.Fatalf("user %s: %d of %s: got %+v", name, n, model.level.FloatString(6), d)
			}
			if d.Allowed {
				model.level.Sub(model.level, bigInt(n))
			}
		}
	})
}
