package ratelimit

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time at which the tests start.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a manual clock.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{epoch} }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

// tester is a *testing.T, a *testing.B or a *rapid.T.
type tester interface {
	rapid.TB
	Context() context.Context
}

func mustParse(t tester, rules ...string) Limits {
	t.Helper()
	limits, err := Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	return limits
}

// newLimiter returns a limiter with these rules and its own clock.
func newLimiter(t tester, rules ...string) (*Limiter, *clock) {
	t.Helper()
	c := newClock()
	return New(Options{Limits: mustParse(t, rules...), Now: c.now}), c
}

func user(name string) Subject { return Subject{User: name} }
