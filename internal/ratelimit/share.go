package ratelimit

import (
	"bytes"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Store exchanges admissions between replicas. It keeps, for each key, when the bucket would be full if nothing more were
// taken from it, which is the whole state of a bucket.
type Store interface {
	// Exchange adds what was spent, sorted by key, and returns for each bucket the time until it is full, for all replicas
	// together; negative if it has been full for that long. If x is the time at which a bucket would have been full, it
	// becomes max(x + Taken, now + Debt).
	Exchange(ctx context.Context, spent []Spent) (fullIn []time.Duration, err error)
	// CleanUp deletes buckets that have been full for a while.
	CleanUp(ctx context.Context) error
}

// Spent is what a replica took from a bucket since the last exchange.
type Spent struct {
	Key   [32]byte
	Taken time.Duration // the tokens taken, as the time in which they are refilled
	Debt  time.Duration // time until the bucket is full, as far as this replica knows
}

const (
	exchangeAtOnce = 5000 // keys per statement
	sweepEvery     = 10   // syncs
	cleanUpEvery   = 60   // syncs
	// maxOwed bounds what a store returns and maxTaken what it is given, so that sums cannot overflow.
	maxOwed  = 3 * maxRefill
	maxTaken = 4 * maxBurst
)

// Run exchanges admissions with the other replicas until ctx is done, and once more after that. While exchanges fail each
// replica decides by itself.
func (l *Limiter) Run(ctx context.Context) error {
	if len(l.opts.Limits) == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(l.opts.SyncInterval)
	defer ticker.Stop()
	sharing := context.WithoutCancel(ctx) // an exchange under way is finished; it has a deadline
	for turn := 1; ; turn++ {
		select {
		case <-ctx.Done():
			l.share(sharing, false)
			return nil
		case <-ticker.C:
		}
		l.share(sharing, turn%cleanUpEvery == 0)
		if turn%sweepEvery == 0 {
			l.sweep()
		}
	}
}

// share runs a sync and logs and counts its outcome.
func (l *Limiter) share(ctx context.Context, cleanUp bool) {
	if l.opts.Store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.opts.SyncTimeout)
	defer cancel()
	err := l.Sync(ctx)
	if err == nil && cleanUp {
		err = l.opts.Store.CleanUp(ctx)
	}
	l.mu.Lock()
	was := l.failing
	l.failing = err != nil
	if err != nil {
		l.failures++
	}
	l.mu.Unlock()
	switch {
	case err != nil && !was:
		l.opts.Log.Warn("cannot share rate limits with other replicas; each enforces them on its own", zap.Error(err))
	case err == nil && was:
		l.opts.Log.Info("rate limits are shared with other replicas again")
	}
}

// Sync exchanges what was admitted since the last call. Run calls it; no one else may while Run runs, since concurrent
// exchanges would count twice.
func (l *Limiter) Sync(ctx context.Context) error {
	l.mu.Lock()
	left := len(l.pending) // later ones are for the next sync
	l.mu.Unlock()
	for left > 0 {
		f := l.depart(min(left, exchangeAtOnce))
		if len(f.buckets) == 0 {
			return nil
		}
		left -= len(f.buckets)
		fullIn, err := l.opts.Store.Exchange(ctx, f.spent)
		l.arrive(f, fullIn)
		if err != nil {
			l.waive(left)
			return err
		}
	}
	return nil
}

// flight is a batch of buckets being exchanged.
type flight struct {
	at      int64
	buckets []*bucket
	spent   []Spent // of each
}

// depart removes and returns up to n pending buckets, sorted by key.
func (l *Limiter) depart(n int) flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.pending))
	f := flight{at: l.now(), buckets: slices.Clone(l.pending[:n])}
	l.pending = slices.Delete(l.pending, 0, n)
	for _, b := range f.buckets {
		if b.key == [32]byte{} {
			b.key = b.hash()
		}
	}
	slices.SortFunc(f.buckets, func(x, y *bucket) int { return bytes.Compare(x.key[:], y.key[:]) })
	f.spent = make([]Spent, n)
	for i, b := range f.buckets {
		b.refill(f.at)
		f.spent[i] = b.spent(f.at)
		b.taken, b.listed, b.flying = 0, false, true
	}
	return f
}

// arrive applies the result of an exchange; fullIn is nil if it failed. A failed exchange is not repeated: the store may
// have applied it, and after hours without a database no caller should be charged for what several replicas admitted.
func (l *Limiter) arrive(f flight, fullIn []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for i, b := range f.buckets {
		b.flying = false
		if i < len(fullIn) {
			b.refill(now)
			b.owe(min(max(fullIn[i], -maxOwed), maxOwed) - time.Duration(max(now-f.at, 0)))
		}
	}
}

// waive discards what the first n pending buckets would report.
func (l *Limiter) waive(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.pending))
	for _, b := range l.pending[:n] {
		b.taken, b.listed = 0, false
	}
	l.pending = slices.Delete(l.pending, 0, n)
}
