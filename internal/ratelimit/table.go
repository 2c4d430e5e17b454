package ratelimit

import "strings"

const (
	// probes is how many buckets are looked at to make room for one.
	probes = 32
	// sweepAtOnce is how many are looked at before others get the lock.
	sweepAtOnce = 1000
)

// table has the buckets that are someone's own, of all limits.
type table struct {
	most      int
	all       []*bucket
	hand      int    // where to look for room next
	overflows uint64 // how often there was none
}

// bucket finds the subject's bucket, or makes one. It is nil where the limit does not apply.
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
	if !l.table.makeRoom(now) {
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

// add makes the subject's bucket, full.
func (t *table) add(r *rule, who *Subject, now int64) *bucket {
	b := r.newBucket(now)
	if r.By == ByToken {
		b.token = who.Token
		r.tokens[b.token] = b
	} else {
		b.text = strings.Clone(r.textOf(who)) // it may be a part of something large
		r.texts[b.text] = b
	}
	b.place = len(t.all)
	t.all = append(t.all, b)
	return b
}

// makeRoom says whether there is a place for one more. It goes round the table as the hand of a clock, a little each time, and
// forgets the first bucket that it finds full again.
func (t *table) makeRoom(now int64) bool {
	if len(t.all) < t.most {
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

// forget drops a bucket that is no different from a new one.
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

// sweep forgets all buckets that are full again.
func (l *Limiter) sweep() {
	for next, more := 0, true; more; {
		next, more = l.sweepSome(next)
	}
}

// sweepSome begins at a place in the table, and tells where to go on.
func (l *Limiter) sweepSome(from int) (next int, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for range sweepAtOnce {
		if from >= len(l.table.all) {
			return 0, false
		}
		if !l.table.forget(l.table.all[from], now) { // else another one is in its place
			from++
		}
	}
	return from, true
}
