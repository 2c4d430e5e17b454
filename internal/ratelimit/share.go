package ratelimit

import (
	"bytes"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Store is where replicas tell one another what they let pass. It keeps, for each key, when its bucket would be full again
// if nothing more were taken from it: that is all there is to know of a bucket.
type Store interface {
	// Exchange adds what was spent, which comes in the order of the keys, and returns for each in how much time it will
	// be full again, all replicas taken together; negative: it has been for so long. Where x is when a bucket would have
	// been full, it becomes max(x + Taken, now + Debt).
	Exchange(ctx context.Context, spent []Spent) (fullIn []time.Duration, err error)
	// CleanUp forgets the buckets that have been full for a while.
	CleanUp(ctx context.Context) error
}

// Spent is what a replica tells of a bucket.
type Spent struct {
	Key   [32]byte
	Taken time.Duration // what was let pass here since it was told last, as the time in which that comes back
	Debt  time.Duration // until the bucket is full, as far as this replica knows
}

const (
	exchangeAtOnce = 5000 // keys in one statement
	sweepEvery     = 10   // syncs
	cleanUpEvery   = 60   // syncs
	// mostOwed bounds what a store can say, and mostTaken what it is told: beyond that it makes no sense, and may overflow.
	mostOwed  = 3 * maxRefill
	mostTaken = 4 * maxBurst
)

// Run keeps the limiter in step with the other replicas until ctx is done, and then tells them once more. While that fails
// each replica goes on with what it knows.
func (l *Limiter) Run(ctx context.Context) error {
	if len(l.opts.Limits) == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(l.opts.SyncInterval)
	defer ticker.Stop()
	sharing := context.WithoutCancel(ctx) // what is under way is not worth cutting off: it has a time limit
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

// share is a sync, with what is logged and counted of it.
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
		l.opts.Log.Warn("rate limits cannot be shared with other replicas; each holds them for itself", zap.Error(err))
	case err == nil && was:
		l.opts.Log.Info("rate limits are shared with other replicas again")
	}
}

// Sync tells the other replicas what was let pass since it was last called, and hears what they did. Run calls it, and
// nobody may while it runs: exchanges that overtake each other count twice.
func (l *Limiter) Sync(ctx context.Context) error {
	l.mu.Lock()
	left := len(l.pending) // what comes meanwhile is for the next time
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
			l.forgive(left)
			return err
		}
	}
	return nil
}

// flight is what is being told.
type flight struct {
	at      int64
	buckets []*bucket
	spent   []Spent // of each
}

// depart takes so many buckets with something to tell, in the order of their keys.
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

// arrive takes in what was heard; nothing, if the exchange failed. What was told then stays untold: whether the store has
// it is not known, and after hours without a database nobody is to pay for what several replicas let pass.
func (l *Limiter) arrive(f flight, fullIn []time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for i, b := range f.buckets {
		b.flying = false
		if i < len(fullIn) {
			b.refill(now)
			b.owe(min(max(fullIn[i], -mostOwed), mostOwed) - time.Duration(max(now-f.at, 0)))
		}
	}
}

// forgive leaves untold what the first so many buckets have to tell.
func (l *Limiter) forgive(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.pending))
	for _, b := range l.pending[:n] {
		b.taken, b.listed = 0, false
	}
	l.pending = slices.Delete(l.pending, 0, n)
}
