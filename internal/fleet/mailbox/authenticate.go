package mailbox

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

const (
	lookupGap     = 100 * time.Millisecond // between look-ups of unknown tokens
	lookupTokens  = 4096                   // per look-up
	lookupWaiting = 4 * lookupTokens       // waiting tokens; beyond them fault.ErrUnavailable is returned
)

// Authenticate returns the agent that has the token. A token that is not cached is looked up in the database before it is
// rejected, since the agent may just have been enrolled on another replica. Unknown tokens share ten look-ups a second,
// however many there are, and cause no sweep.
func (m *Mailbox) Authenticate(ctx context.Context, token string) (Agent, error) {
	hash := fleet.HashToken(token)
	if a, known := m.agents.authenticate(hash); known {
		return a, nil
	}
	if !strings.HasPrefix(token, fleet.TokenPrefix) {
		return Agent{}, ErrUnknownToken
	}
	if err := m.tokens.await(ctx, hash); err != nil {
		return Agent{}, err
	}
	return m.find(ctx, hash)
}

// find returns an agent that is in the database. If the next sweep does not report it, find requests a full one.
func (m *Mailbox) find(ctx context.Context, hash fleet.TokenHash) (Agent, error) {
	for _, distrusted := range []bool{false, true} {
		if distrusted {
			m.needFullSweep.Store(true)
		}
		if err := m.Sync(ctx); err != nil {
			return Agent{}, err
		}
		if a, known := m.agents.authenticate(hash); known {
			return a, nil
		}
	}
	return Agent{}, fault.ErrUnavailable
}

// lookups holds the tokens that wait to be looked up in the database.
type lookups struct {
	wake chan struct{} // has a value while tokens wait

	mu      sync.Mutex
	waiting map[fleet.TokenHash]*lookup
	ended   bool
}

// lookup is the look-up of one token, shared by all requests that carry it.
type lookup struct {
	done chan struct{}
	err  error // set before done is closed
}

func newLookups() lookups {
	return lookups{wake: make(chan struct{}, 1), waiting: map[fleet.TokenHash]*lookup{}}
}

// await returns nil once the token was found in the database, or ErrUnknownToken.
func (l *lookups) await(ctx context.Context, hash fleet.TokenHash) error {
	one := l.add(hash)
	if one == nil {
		return fault.ErrUnavailable
	}
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// add returns nil if too many tokens wait or look-ups have ended.
func (l *lookups) add(hash fleet.TokenHash) *lookup {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.waiting[hash]
	if one != nil {
		return one
	}
	if l.ended || len(l.waiting) >= lookupWaiting {
		return nil
	}
	one = &lookup{done: make(chan struct{})}
	l.waiting[hash] = one
	l.signal()
	return one
}

func (l *lookups) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take removes and returns the next batch.
func (l *lookups) take() (hashes []fleet.TokenHash, batch []*lookup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for hash, one := range l.waiting {
		if len(batch) == lookupTokens {
			l.signal()
			break
		}
		hashes, batch = append(hashes, hash), append(batch, one)
		delete(l.waiting, hash)
	}
	return hashes, batch
}

// end fails the waiting look-ups and all later ones.
func (l *lookups) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for _, one := range l.waiting {
		one.err = fault.ErrUnavailable
		close(one.done)
	}
	clear(l.waiting)
}

// lookUpTokens looks up unknown tokens until ctx is done.
func (m *Mailbox) lookUpTokens(ctx context.Context) {
	defer m.tokens.end()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.tokens.wake:
		}
		hashes, batch := m.tokens.take()
		err := m.lookUp(ctx, hashes, batch)
		if err != nil && !failing && ctx.Err() == nil {
			m.opts.Log.Warn("cannot look up tokens", zap.Error(err))
		}
		failing = err != nil
		gap := time.NewTimer(lookupGap)
		select {
		case <-ctx.Done():
			gap.Stop()
			return
		case <-gap.C:
		}
	}
}

// lookUp looks up a batch. While sweeps fail no token is rejected: the database may be about to be restored.
func (m *Mailbox) lookUp(ctx context.Context, hashes []fleet.TokenHash, batch []*lookup) error {
	ctx, cancel := context.WithTimeout(ctx, m.opts.SweepTimeout)
	defer cancel()
	known, err := m.opts.Source.LookUpTokens(ctx, hashes)
	exists := make(map[fleet.TokenHash]bool, len(known))
	for _, hash := range known {
		exists[hash] = true
	}
	failing := err != nil || m.sweepsFail()
	for i, one := range batch {
		switch {
		case failing:
			one.err = fault.ErrUnavailable
		case !exists[hashes[i]]:
			one.err = ErrUnknownToken
		}
		close(one.done)
	}
	return err
}

// sweepsFail reports whether the newest sweep that ended failed.
func (m *Mailbox) sweepsFail() bool {
	_, failed := m.sweepEnd()
	return failed > m.applied.Load()
}
