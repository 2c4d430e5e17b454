package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

// Errors of Verify.
var (
	// ErrNone is returned for a cookie that no replica signed.
	ErrNone = &fault.Error{Kind: fault.Forbidden, Code: "no_session", Detail: "there is no session; sign in"}
	// ErrEnded is returned for a session that expired, was signed out, or whose token is no longer valid.
	ErrEnded = &fault.Error{Kind: fault.Forbidden, Code: "session_ended", Detail: "the session has ended; sign in again"}

	errUnverified = fault.UnavailableBecause("sessions cannot be verified without the database; try again later")
)

// Store is the database that replicas share.
type Store interface {
	// Keys returns the keys of the last days.
	Keys(ctx context.Context) ([]Key, error)
	// AddKey adds a key, unless there is one for its day.
	AddKey(ctx context.Context, key Key) error
	// End records that a session was signed out.
	End(ctx context.Context, id ID, expires time.Time) error
	// Ended returns the sessions that were signed out at or after a time, by the store's clock.
	Ended(ctx context.Context, since time.Time) ([]Ended, error)
}

// Ended is a session that was signed out.
type Ended struct {
	ID      ID
	Expires time.Time
	At      time.Time // by the store's clock
}

const (
	// RefreshEvery is how often a replica reads what other replicas signed out.
	RefreshEvery = time.Second
	// maxAge is how old a replica's knowledge of ended sessions may be. While the database is down for longer, sessions
	// are rejected, since one that was signed out could not be told from others.
	maxAge = 30 * time.Second
	// lateAge is the age from which a request reads the ended sessions itself.
	lateAge = 10 * time.Second
	// overlap is how far each read reaches back, since sessions ended at about the same time may be committed in any order.
	overlap = time.Minute
	// keysEvery is how often keys are read again, so that deleting one ends its sessions.
	keysEvery = time.Minute
	// readGap is the minimum time between reads that requests cause.
	readGap = time.Second
	within  = 2 * time.Second // deadline of a read that requests wait for
	skew    = time.Minute     // by which the clocks of replicas may differ
)

// Options are the settings of Sessions. All are required unless noted otherwise.
type Options struct {
	Store  Store
	Now    func() time.Time
	Random io.Reader // cryptographically strong
	// Ended, if not nil, is called after sessions were signed out, here or on another replica.
	Ended func()
}

// Sessions begins, verifies and ends sessions. It is safe for concurrent use.
type Sessions struct {
	opts Options

	reading sync.Mutex // held while the store is read
	tried   time.Time  // when a request last caused a read; guarded by reading
	failed  error      // its result; guarded by reading

	mu      sync.Mutex
	keys    map[int32]*Key   // by day
	keysAt  time.Time        // when they were read
	ended   map[ID]time.Time // when each would expire
	newest  time.Time        // the newest Ended.At
	endedAt time.Time        // when ended was read
}

// New returns a Sessions. Refresh must be called every RefreshEvery.
func New(opts Options) *Sessions {
	return &Sessions{opts: opts, keys: map[int32]*Key{}, ended: map[ID]time.Time{}}
}

func dayOf(t time.Time) int32 { return int32(t.Unix() / 86_400) }

// Begin begins a session for the holder of a token and returns it and its cookie.
func (s *Sessions) Begin(ctx context.Context, token fleet.TokenHash) (*Session, string, error) {
	now := s.opts.Now()
	key, err := s.signingKey(ctx, dayOf(now))
	if err != nil {
		return nil, "", err
	}
	var id ID
	if _, err := io.ReadFull(s.opts.Random, id[:]); err != nil {
		return nil, "", fmt.Errorf("draw a session's id: %w", err)
	}
	c := key.sign(id, now.Add(Lifetime).Truncate(time.Second), token)
	return key.session(&c), c.text(), nil
}

// Verify returns the session of a cookie if it is valid and one of the tokens began it. It returns ErrNone, ErrEnded or
// a fault of kind Unavailable otherwise. It reads the store only if this replica has not done so for a while.
func (s *Sessions) Verify(ctx context.Context, text string, tokens []fleet.TokenHash) (*Session, error) {
	c, ok := parse(text)
	now := s.opts.Now()
	if today := dayOf(now); !ok || c.day() < today-1 || c.day() > today+1 {
		return nil, ErrNone
	}
	key := s.key(c.day())
	if key == nil {
		if err := s.readAtMost(ctx); err != nil { // anyone can send such a cookie
			return nil, err
		}
		key = s.key(c.day())
	}
	if key == nil || !key.signed(&c) {
		return nil, ErrNone
	}
	session := key.session(&c)
	switch {
	case !key.isOf(&c, tokens), !now.Before(session.Expires), session.Expires.After(now.Add(Lifetime + skew)):
		return nil, ErrEnded
	}
	if err := s.beCurrent(ctx); err != nil {
		return nil, err
	}
	if s.IsOver(session) {
		return nil, ErrEnded
	}
	return session, nil
}

// IsOver reports whether a session has expired or was signed out, as far as this replica knows. It never waits.
func (s *Sessions) IsOver(session *Session) bool {
	if !s.opts.Now().Before(session.Expires) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ended := s.ended[session.ID]
	return ended
}

// End ends a session. When it returns nil this replica rejects the session, and others do so within about a second.
func (s *Sessions) End(ctx context.Context, session *Session) error {
	if err := s.opts.Store.End(ctx, session.ID, session.Expires); err != nil {
		return err
	}
	s.mu.Lock()
	s.ended[session.ID] = session.Expires
	s.mu.Unlock()
	s.announce()
	return nil
}

// Refresh reads what other replicas signed out, and the keys from time to time.
func (s *Sessions) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.refresh(ctx)
}

// refresh is Refresh for callers that hold s.reading.
func (s *Sessions) refresh(ctx context.Context) error {
	now := s.opts.Now()
	s.mu.Lock()
	since, keysAt := s.newest, s.keysAt
	s.mu.Unlock()
	if !since.IsZero() {
		since = since.Add(-overlap)
	}
	ended, err := s.opts.Store.Ended(ctx, since)
	if err != nil {
		return err
	}
	news := false
	s.mu.Lock()
	for _, e := range ended {
		if _, known := s.ended[e.ID]; !known {
			s.ended[e.ID], news = e.Expires, true
		}
		if e.At.After(s.newest) {
			s.newest = e.At
		}
	}
	for id, expires := range s.ended {
		if expires.Add(skew).Before(now) {
			delete(s.ended, id)
		}
	}
	s.endedAt = now
	s.mu.Unlock()
	if news {
		s.announce()
	}
	if now.Sub(keysAt) < keysEvery {
		return nil
	}
	return s.readKeys(ctx)
}

func (s *Sessions) announce() {
	if s.opts.Ended != nil {
		s.opts.Ended()
	}
}

// beCurrent returns an error if this replica's knowledge of ended sessions is too old and cannot be refreshed.
func (s *Sessions) beCurrent(ctx context.Context) error {
	if s.age() < lateAge {
		return nil
	}
	if err := s.readAtMost(ctx); s.age() >= maxAge {
		return errors.Join(errUnverified, err)
	}
	return nil
}

// readAtMost reads the store for a request, at most once in readGap for all requests together. In between it returns the
// last result.
func (s *Sessions) readAtMost(ctx context.Context) error {
	s.reading.Lock()
	defer s.reading.Unlock()
	if gone := s.opts.Now().Sub(s.tried); gone >= 0 && gone < readGap {
		return s.failed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within) // other requests share the result
	defer cancel()
	if s.failed = s.readKeys(ctx); s.failed == nil {
		s.failed = s.refresh(ctx)
	}
	s.tried = s.opts.Now()
	return s.failed
}

func (s *Sessions) age() time.Duration {
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.endedAt)
}
