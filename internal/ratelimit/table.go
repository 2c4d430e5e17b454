package ratelimit

import "strings"

const (
	// probes is how many buckets are examined to evict one.
	probes = 32
	// sweepAtOnce is how many buckets are examined before the lock is released.
	sweepAtOnce = 1000
)

// table holds the buckets of users, agents and tokens, of all limits.
type table struct {
	limit     int
	all       []*bucket
	hand      int    // where to look for an eviction next
	overflows uint64 // how often nothing could be evicted
}

// bucket returns the subject's bucket, creating it if needed; nil if the limit does not apply.
func (l *Limiter) bucket(r *rule, who *Subject, now int64) *bucket {
	switch r.By {
	case ByToken:
		if who.Token == [32]byte{} {
			return nil
		}
		if b := r.tokens[who.Token]; b != nil {
			return b
		}
	case ByUser, ByAgent:
		text := r.textOf(who)
		if text == "" {
			return nil
		}
		if b := r.texts[text]; b != nil {
			return b
		}
	default:
		return r.shared
	}
	if !l.table.evict(now) {
		l.table.overflows++
		return r.overflow
	}
	return l.table.add(r, who, now)
}

func (r *rule) textOf(who *Subject) string {
	if r.By == ByAgent {
		return who.Agent
	}
	return who.User
}

// add creates the subject's bucket, full.
func (t *table) add(r *rule, who *Subject, now int64) *bucket {
	b := r.newBucket(now)
	if r.By == ByToken {
		b.token = who.Token
		r.tokens[b.token] = b
	} else {
		b.text = strings.Clone(r.textOf(who)) // it may be part of a larger string
		r.texts[b.text] = b
	}
	b.place = len(t.all)
	t.all = append(t.all, b)
	return b
}

// evict reports whether there is space for one more bucket. It moves a clock hand over at most probes buckets and evicts
// the first full one.
func (t *table) evict(now int64) bool {
	if len(t.all) < t.limit {
		return true
	}
	for range min(probes, len(t.all)) {
		if t.hand >= len(t.all) {
			t.hand = 0
		}
		if t.forget(t.all[t.hand], now) {
			return true
		}
		t.hand++
	}
	return false
}

// forget removes a bucket that equals a new one.
func (t *table) forget(b *bucket, now int64) bool {
	if b.refill(now); !b.idle() {
		return false
	}
	if b.By == ByToken {
		delete(b.tokens, b.token)
	} else {
		delete(b.texts, b.text)
	}
	last := len(t.all) - 1
	t.all[b.place] = t.all[last]
	t.all[b.place].place = b.place
	t.all[last] = nil
	t.all = t.all[:last]
	return true
}

// sweep removes all full buckets.
func (l *Limiter) sweep() {
	for next, more := 0, true; more; {
		next, more = l.sweepSome(next)
	}
}

// sweepSome sweeps a part of the table and returns where to continue.
func (l *Limiter) sweepSome(from int) (next int, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for range sweepAtOnce {
		if from >= len(l.table.all) {
			return 0, false
		}
		if !l.table.forget(l.table.all[from], now) { // otherwise another bucket took its place
			from++
		}
	}
	return from, true
}
