package ratelimit

import (
	"crypto/sha256"
	"math"
	"math/bits"
	"time"
)

// rule is a Limit with what follows from it, and with its buckets.
//
// Buckets are counted in parts. A run or an execution has as many parts as a window has ticks; so in each tick a bucket gets
// as many parts back as its rate is. These are whole numbers throughout, and nothing is ever rounded away.
type rule struct {
	Limit
	name   string
	tick   int64 // nanoseconds
	one    int64 // parts of a run or an execution
	full   int64 // parts
	counts *tally

	texts    map[string]*bucket   // by user or agent
	tokens   map[[32]byte]*bucket // by token
	shared   *bucket              // of all, where the limit is nobody's own
	overflow *bucket              // of those for whom there is no place
}

// bucket is what someone has left. Times are nanoseconds since the limiter began.
type bucket struct {
	*rule
	text  string
	token [32]byte
	place int // among all buckets; -1: it is no one's own, and stays

	level int64 // parts, at most full; less than none after other replicas have let too much pass
	at    int64 // ticks: when that was

	taken  int64 // since the other replicas were told last
	listed bool  // to be told
	flying bool  // is being told at the moment

	asked   int64 // by the demands that are being looked at
	touched bool  // by them

	key [32]byte // in the store; zero: it was not there yet
}

func (r *rule) newBucket(now int64) *bucket {
	return &bucket{rule: r, level: r.full, at: now / r.tick, place: -1}
}

// refill brings the level to what it is now. A clock that was set back neither gives nor takes anything.
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

// wait is how long it takes until the level is this, after a refill.
func (b *bucket) wait(level, now int64) time.Duration {
	missing := level - b.level
	if missing <= 0 {
		return 0
	}
	ticks := (missing + b.Rate - 1) / b.Rate
	return time.Duration((b.at+ticks)*b.tick - now)
}

// state is what clients are told, after a refill.
func (b *bucket) state(now int64) State {
	s := State{Name: b.name, Limit: b.Rate, Burst: b.Burst, Window: int64(b.Window / time.Second), Remaining: max(b.level, 0) / b.one}
	if b.level < b.full {
		s.Reset = seconds(b.wait((s.Remaining+1)*b.one, now))
	}
	return s
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// idle says whether the bucket can be forgotten: a new one would be the same. Call refill before.
func (b *bucket) idle() bool {
	return b.level == b.full && b.taken == 0 && !b.touched && !b.flying
}

// owe notes that the bucket, all replicas taken together, is full only in so long, and that what was taken here since is not
// in that. It never gives anything back.
func (b *bucket) owe(fullIn time.Duration) {
	const most = 1 << 61
	var owed int64
	if fullIn >= 0 {
		owed = min(scale(int64(fullIn), b.Rate, b.tick), most)
	} else {
		owed = -min(scale(-int64(fullIn), b.Rate, b.tick), most)
	}
	b.level = min(b.level, b.full-owed-b.taken*b.one)
}

// spent is what the other replicas are told, after a refill.
func (b *bucket) spent(now int64) Spent {
	return Spent{Key: b.key, Taken: time.Duration(scale(b.taken, int64(b.Window), b.Rate)), Debt: b.wait(b.full, now)}
}

// hash is the key under which the replicas share the bucket. The rule is in it: a replica that was told another rate has a
// bucket of its own.
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

// scale is a·b/c, rounded up, and never more than there is. None of them is negative.
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
