package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// line is a turns without a free turn, and the outcomes of the waiting callers, in order.
type line struct {
	*turns
	t        *testing.T
	mu       sync.Mutex
	outcomes []string
	all      sync.WaitGroup
}

func newLine(t *testing.T) *line {
	l := &line{turns: newTurns(time.Now), t: t}
	for range asksAtOnce {
		if err := l.take(t.Context(), asker{"warm", "up"}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// join waits for a turn under a name.
func (l *line) join(ctx context.Context, name string, who asker) {
	l.all.Go(func() {
		outcome := name
		if err := l.take(ctx, who); errors.Is(err, ErrBusy) {
			outcome = "busy " + name
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.outcomes = append(l.outcomes, outcome)
	})
	synctest.Wait()
}

func (l *line) end() []string {
	l.all.Wait()
	return l.outcomes
}

func TestTurnsGoRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		for _, name := range []string{"a1", "a2", "a3"} {
			l.join(t.Context(), name, asker{"a", "x"})
		}
		l.join(t.Context(), "a4", asker{"a", "y"})
		l.join(t.Context(), "b1", asker{"b", "x"})
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		l.join(impatient, "c1", asker{"c", "x"})
		got := l.end()
		if want := []string{"busy c1", "a1", "b1", "a4", "a2", "a3"}; !slices.Equal(got, want) {
			t.Errorf("want %v, got %v", want, got)
		}
		if l.waiting != 0 || len(l.groups.of) != 0 || len(l.groups.names) != 0 {
			t.Errorf("somebody waits still: %+v", l.groups)
		}
	})
}

// A source with many waiting callers yields to one with few.
func TestTurnsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for i := range maxWaitingGroup + 1 {
			l.join(ctx, fmt.Sprint("a", i), asker{"a", "x"})
		}
		l.join(ctx, "other member", asker{"a", "y"})
		for i := range 2 * maxWaiting {
			l.join(ctx, "flood", asker{fmt.Sprint("f", i%40), "x"})
		}
		if l.waiting != maxWaiting {
			t.Errorf("want %d waiting, got %d", maxWaiting, l.waiting)
		}
		l.join(ctx, "newcomer", asker{"n", "x"})
		synctest.Wait()
		l.mu.Lock()
		soFar := slices.Clone(l.outcomes)
		l.mu.Unlock()
		if !slices.Equal(soFar[:2], []string{"busy a64", "busy a63"}) {
			t.Errorf("of a full group: got %v", soFar[:2])
		}
		if slices.Contains(soFar, "busy newcomer") {
			t.Error("the newcomer is sent away")
		}
		cancel()
		l.end()
	})
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:80":                 "192.0.2.1",
		"[::ffff:192.0.2.1]:80":        "192.0.2.1",
		"[2001:db8:0:1::1]:80":         "2001:db8:0:1::/64",
		"[2001:db8:0:1:ffff::2%x]:443": "2001:db8:0:1::/64",
		"nonsense":                     "",
	} {
		if got := network(remote); got != want {
			t.Errorf("%s: want %s, got %s", remote, want, got)
		}
	}
}
