package ratelimit

import (
	"crypto/sha256"
	"math"
	"math/bits"
	"time"
)

// rule is a Limit with its derived constants and its buckets.
//
// Buckets are counted in parts. A run or an execution takes as many parts as a window has ticks, so a bucket regains rate
// parts per tick. All of these are integers, so nothing is lost by rounding.
type rule struct {
	Limit
	name   string
	tick   int64 // nanoseconds
	one    int64 // parts of a run or an execution
	full   int64 // parts
	counts *tally

	texts    map[string]*bucket   // by user or agent
	tokens   map[[32]byte]*bucket // by token
	shared   *bucket              // of all callers, for a limit without By
	overflow *bucket              // of callers beyond MaxKeys
}

// bucket is a token bucket. Times are nanoseconds since the limiter began.
type bucket struct {
	*rule
	text  string
	token [32]byte
	place int // index in table.all; -1: a shared bucket, never evicted

	level int64 // parts, at most full; negative if other replicas admitted too much
	at    int64 // tick of level

	taken  int64 // parts taken since the last exchange
	listed bool  // pending for the next exchange
	flying bool  // in the exchange under way

	asked   int64 // parts that the current demands ask for
	touched bool  // the current demands concern it

	key [32]byte // key in the store; zero until first exchanged
}

func (r *rule) newBucket(now int64) *bucket {
	return &bucket{rule: r, level: r.full, at: now / r.tick, place: -1}
}

// refill updates the level to now. It does nothing if the clock was set back.
func (b *bucket) refill(now int64) {
	at := now / b.tick
	if gone := at - b.at; gone > 0 {
		if missing := b.full - b.level; gone > missing/b.Rate {
			b.level = b.full
		} else {
			b.level += gone * b.Rate
		}
	}
	b.at = at
}

// wait returns how long it takes to reach the level. Call refill before.
func (b *bucket) wait(level, now int64) time.Duration {
	missing := level - b.level
	if missing <= 0 {
		return 0
	}
	ticks := (missing + b.Rate - 1) / b.Rate
	return time.Duration((b.at+ticks)*b.tick - now)
}

// state returns the state that clients are shown. Call refill before.
func (b *bucket) state(now int64) State {
	s := State{Name: b.name, Limit: b.Rate, Burst: b.Burst, Window: int64(b.Window / time.Second), Remaining: max(b.level, 0) / b.one}
	if b.level < b.full {
		s.Reset = seconds(b.wait((s.Remaining+1)*b.one, now))
	}
	return s
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// idle reports whether the bucket equals a new one and can be dropped. Call refill before.
func (b *bucket) idle() bool {
	return b.level == b.full && b.taken == 0 && !b.touched && !b.flying
}

// owe lowers the level to that of a bucket that is full in fullIn, as all replicas together have it, minus what was taken
// here since. It never raises the level.
func (b *bucket) owe(fullIn time.Duration) {
	const limit = 1 << 61
	var owed int64
	if fullIn >= 0 {
		owed = min(scale(int64(fullIn), b.Rate, b.tick), limit)
	} else {
		owed = -min(scale(-int64(fullIn), b.Rate, b.tick), limit)
	}
	b.level = min(b.level, b.full-owed-b.taken*b.one)
}

// spent returns what to exchange with other replicas. Call refill before.
func (b *bucket) spent(now int64) Spent {
	return Spent{Key: b.key, Taken: time.Duration(scale(b.taken, int64(b.Window), b.Rate)), Debt: b.wait(b.full, now)}
}

// hash returns the key under which replicas share the bucket. It includes the rule, so replicas configured with different
// rates have different buckets.
func (b *bucket) hash() [32]byte {
	h := sha256.New()
	h.Write([]byte(b.String()))
	switch b {
	case b.shared:
		h.Write([]byte{0, 'a'})
	case b.overflow:
		h.Write([]byte{0, 'o'})
	default:
		h.Write([]byte{0, 'k'})
		if b.By == ByToken {
			h.Write(b.token[:])
		} else {
			h.Write([]byte(b.text))
		}
	}
	return [32]byte(h.Sum(nil))
}

// scale returns a·b/c for non-negative numbers, rounded up, or the largest int64 if it overflows.
func scale(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(c-1), 0)
	hi += carry
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}
