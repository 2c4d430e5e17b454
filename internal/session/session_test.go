package session_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/session"
)

var errDown = fmt.Errorf("read: %w", fault.ErrUnavailable)

// store is a Store in memory, for one goroutine.
type store struct {
	now      func() time.Time
	keys     []session.Key
	ended    []session.Ended
	keyReads int
	down     bool
}

func (s *store) Keys(context.Context) ([]session.Key, error) {
	s.keyReads++
	if s.down {
		return nil, errDown
	}
	return s.keys, nil
}

func (s *store) AddKey(_ context.Context, key session.Key) error {
	if s.down {
		return errDown
	}
	for _, known := range s.keys {
		if known.Day == key.Day {
			return nil
		}
	}
	s.keys = append(s.keys, key)
	return nil
}

func (s *store) End(_ context.Context, id session.ID, expires time.Time) error {
	if s.down {
		return errDown
	}
	s.ended = append(s.ended, session.Ended{ID: id, Expires: expires, At: s.now()})
	return nil
}

func (s *store) Ended(_ context.Context, since time.Time) (found []session.Ended, _ error) {
	if s.down {
		return nil, errDown
	}
	for _, e := range s.ended {
		if !e.At.Before(since) {
			found = append(found, e)
		}
	}
	return found, nil
}

// fixture is two replicas that share a store and a clock.
type fixture struct {
	t     *testing.T
	now   time.Time
	store *store
	a, b  *session.Sessions
}

var admin = fleet.HashToken("an admin's")

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, now: time.Date(2026, 5, 1, 20, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return f.now }
	f.store = &store{now: clock}
	f.a = session.New(session.Options{Store: f.store, Now: clock, Random: rand.Reader})
	f.b = session.New(session.Options{Store: f.store, Now: clock, Random: rand.Reader})
	return f
}

func (f *fixture) begin() (*session.Session, string) {
	f.t.Helper()
	s, cookie, err := f.a.Begin(f.t.Context(), admin)
	if err != nil {
		f.t.Fatal(err)
	}
	return s, cookie
}

// verify fails the test unless verifying a cookie returns the error.
func (f *fixture) verify(by *session.Sessions, cookie string, want error) {
	f.t.Helper()
	got, err := by.Verify(f.t.Context(), cookie, []fleet.TokenHash{fleet.HashToken("another"), admin})
	if !errors.Is(err, want) || (err == nil) != (got != nil) {
		f.t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestEveryReplicaVerifies(t *testing.T) {
	f := newFixture(t)
	s, cookie := f.begin()
	for _, replica := range []*session.Sessions{f.a, f.b} {
		got, err := replica.Verify(t.Context(), cookie, []fleet.TokenHash{admin})
		if err != nil || *got != *s {
			t.Errorf("got %+v, %v, want %+v", got, err, s)
		}
	}
	if !s.HasCSRFToken(s.CSRFToken) || s.HasCSRFToken("") || s.HasCSRFToken(s.CSRFToken[1:]) {
		t.Error("CSRF tokens are not told apart")
	}
	if _, err := f.b.Verify(t.Context(), cookie, []fleet.TokenHash{fleet.HashToken("another")}); !errors.Is(err, session.ErrEnded) {
		t.Errorf("after the token was changed: %v", err)
	}
	if _, err := f.b.Verify(t.Context(), cookie, nil); !errors.Is(err, session.ErrEnded) {
		t.Errorf("without a token: %v", err)
	}
}

func TestForgedCookiesAreRejected(t *testing.T) {
	f := newFixture(t)
	_, cookie := f.begin()
	raw, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			forged := append([]byte(nil), raw...)
			forged[i] ^= 1 << bit
			f.verify(f.a, base64.RawURLEncoding.EncodeToString(forged), session.ErrNone)
		}
	}
	last := cookie[:len(cookie)-1] + string(cookie[len(cookie)-1]+1) // the same bytes, if decoding were lenient
	for _, text := range []string{"", "x", cookie[1:], cookie + "A", cookie + "=", last, " " + cookie, "\n" + cookie[1:], strings.Repeat("A", len(cookie)), strings.Repeat("A", 1<<20)} {
		f.verify(f.a, text, session.ErrNone)
	}
	other := newFixture(t)
	_, foreign := other.begin()
	f.verify(f.a, foreign, session.ErrNone)
	f.verify(f.a, cookie, nil)
}

func TestSessionsEnd(t *testing.T) {
	f := newFixture(t)
	s, cookie := f.begin()
	_, kept := f.begin()
	f.verify(f.b, cookie, nil)
	if err := f.a.End(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	f.verify(f.a, cookie, session.ErrEnded)
	f.now = f.now.Add(session.RefreshEvery)
	if err := f.b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.verify(f.b, cookie, session.ErrEnded)
	f.verify(f.b, kept, nil)
	started := session.New(session.Options{Store: f.store, Now: func() time.Time { return f.now }, Random: rand.Reader})
	f.verify(started, cookie, session.ErrEnded)
	if !f.b.IsOver(s) {
		t.Error("want the session over")
	}

	f.now = f.now.Add(session.Lifetime - 2*session.RefreshEvery) // past midnight, with yesterday's key
	f.verify(f.b, kept, nil)
	f.verify(f.b, cookie, session.ErrEnded)
	f.now = f.now.Add(session.RefreshEvery)
	f.verify(f.b, kept, session.ErrEnded)
	f.now = f.now.Add(48 * time.Hour)
	f.verify(f.b, kept, session.ErrNone)
	if _, today := f.begin(); today == "" || len(f.store.keys) != 2 {
		t.Errorf("there are %d keys, want one for each day", len(f.store.keys))
	}
}

// While the database is down, sessions are valid for half a minute, and then cannot be verified.
func TestStoreIsDown(t *testing.T) {
	f := newFixture(t)
	_, cookie := f.begin()
	f.verify(f.a, cookie, nil)
	f.store.down = true
	f.now = f.now.Add(29 * time.Second)
	f.verify(f.a, cookie, nil)
	f.verify(f.b, cookie, fault.ErrUnavailable)
	f.now = f.now.Add(2 * time.Second)
	before := f.store.keyReads
	for range 100 {
		f.verify(f.a, cookie, fault.ErrUnavailable)
	}
	if reads := f.store.keyReads - before; reads != 1 {
		t.Errorf("100 requests read the store %d times", reads)
	}
	f.store.down = false
	f.now = f.now.Add(2 * time.Second)
	f.verify(f.a, cookie, nil)
}

// Strangers cannot make a replica read the store more than once a second.
func TestUnknownKeysAreReadSeldom(t *testing.T) {
	f := newFixture(t)
	_, cookie := f.begin()
	raw, _ := base64.RawURLEncoding.DecodeString(cookie)
	raw[4]++ // tomorrow's key
	unknown := base64.RawURLEncoding.EncodeToString(raw)
	raw[4] += 5
	absurd := base64.RawURLEncoding.EncodeToString(raw)
	before := f.store.keyReads
	for range 1000 {
		f.verify(f.a, unknown, session.ErrNone)
		f.verify(f.a, absurd, session.ErrNone)
	}
	if reads := f.store.keyReads - before; reads != 1 {
		t.Errorf("the store was read %d times", reads)
	}
}

// Deleting the keys ends all sessions.
func TestDeletedKeys(t *testing.T) {
	f := newFixture(t)
	_, cookie := f.begin()
	f.verify(f.b, cookie, nil)
	f.store.keys = nil
	f.now = f.now.Add(time.Minute)
	if err := f.b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Second)
	f.verify(f.b, cookie, session.ErrNone)
}

func TestSecretsHaveNoText(t *testing.T) {
	key := session.Key{Day: 1, Secret: session.Secret{65, 66, 67}}
	for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
		if text := fmt.Sprintf(format, key); strings.Contains(text, "65") || strings.Contains(text, "ABC") || strings.Contains(text, "0x41") {
			t.Errorf("%s: %s", format, text)
		}
	}
}

func TestCodes(t *testing.T) {
	now := time.Now()
	codes := session.NewCodes(func() time.Time { return now }, rand.Reader)
	issue := func() string {
		code, err := codes.Issue(admin)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	redeem := func(code string, want bool) {
		t.Helper()
		if token, ok := codes.Redeem(code); ok != want || want && token != admin {
			t.Errorf("got %v, want %v", ok, want)
		}
	}
	first := issue()
	redeem("", false)
	redeem(first+"x", false)
	redeem(first, true)
	redeem(first, false)
	late := issue()
	now = now.Add(session.CodeLifetime)
	redeem(late, false)
	old := issue()
	for range 16 {
		redeem(old, true)
		old = issue()
		for range 16 {
			issue()
		}
		redeem(old, false)
		old = issue()
	}
}
