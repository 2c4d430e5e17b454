// Package health reports whether a replica's work succeeds. It uses the outcomes of the work and, when there are none,
// probes: small operations of each kind, run periodically, without lasting effects.
package health

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fault"
)

const (
	// probeEvery and probeTimeout ensure that a fault is noticed within five seconds.
	probeEvery   = 2 * time.Second
	probeTimeout = 1500 * time.Millisecond

	// A kind of work is failing once it has failed without a success for failingAfter, until failedRecently after the
	// last failure.
	failingAfter   = 2 * time.Second
	failedRecently = 8 * time.Second
)

// Probe tries one operation. It returns an error if the operation fails, or a sentence if there is another problem.
type Probe func(ctx context.Context) (reason string, err error)

// Check is a kind of work that may fail. It is safe for concurrent use.
type Check struct {
	work  string // as in "executions cannot be written"
	every time.Duration
	probe Probe
	now   func() time.Time

	mu      sync.Mutex
	due     time.Time
	reason  string // from the last probe; empty if it found nothing
	err     error  // from the last probe
	good    time.Time
	since   time.Time // when the work began to fail; zero if it succeeds
	last    time.Time // the last failure
	lastErr error
}

// Succeeded records a success.
func (c *Check) Succeeded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.good = c.now()
	c.reason, c.err, c.lastErr, c.since = "", nil, nil, time.Time{}
}

// Failed records a failure and makes the next probe due immediately. A single failure does not make the check fail,
// since the request may be the cause.
func (c *Check) Failed(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.lastErr = c.now(), err
	if c.since.IsZero() {
		c.since = c.last
	}
	c.due = time.Time{}
}

// Observe records the outcome of an operation.
func (c *Check) Observe(err error) {
	if err == nil {
		c.Succeeded()
		return
	}
	c.Failed(err)
}

// takeTurn reports whether the probe is due. It is skipped if the work succeeded within the last interval.
func (c *Check) takeTurn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Before(c.due) {
		return false
	}
	c.due = now.Add(c.every)
	return c.err != nil || c.good.IsZero() || now.Sub(c.good) >= c.every
}

func (c *Check) run(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	reason, err := c.probe(limited)
	if ctx.Err() != nil {
		return // shutting down
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason, c.err = reason, err
}

// state returns the current fault: a sentence, or the error that the work fails with.
func (c *Check) state() (reason string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	switch {
	case c.err != nil:
		return "", c.err
	case c.lastErr != nil && now.Sub(c.since) >= failingAfter && now.Sub(c.last) < failedRecently:
		return "", c.lastErr
	case now.Sub(c.last) >= failedRecently:
		c.since, c.lastErr = time.Time{}, nil
	}
	return c.reason, nil
}

// Monitor runs checks. Add must not be called after Run.
type Monitor struct {
	log    *zap.Logger
	now    func() time.Time
	checks []*Check
}

// NewMonitor returns a Monitor without checks.
func NewMonitor(log *zap.Logger, now func() time.Time) *Monitor { return &Monitor{log: log, now: now} }

// Add adds a check that is probed every two seconds. work names it as in "executions cannot be written".
func (m *Monitor) Add(work string, probe Probe) *Check { return m.AddEvery(probeEvery, work, probe) }

// AddEvery is like Add with another interval.
func (m *Monitor) AddEvery(every time.Duration, work string, probe Probe) *Check {
	c := &Check{work: work, every: every, probe: probe, now: m.now}
	m.checks = append(m.checks, c)
	return c
}

// Run runs the probes until ctx is done, one at a time, so that they use at most one connection.
func (m *Monitor) Run(ctx context.Context) error {
	const tick = 250 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var logged []string
	for {
		for _, c := range m.checks {
			if c.takeTurn() {
				c.run(ctx)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		logged = m.logReasons(logged)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// logReasons logs the reasons if they changed since the last call.
func (m *Monitor) logReasons(logged []string) []string {
	reasons := m.Reasons()
	if slices.Equal(reasons, logged) {
		return logged
	}
	if len(reasons) == 0 {
		m.log.Info("the replica works again")
	} else {
		m.log.Warn("the replica is degraded", zap.Strings("reasons", reasons))
	}
	return reasons
}

// Reasons returns the current faults, one sentence each. Kinds of work with the same cause share a sentence.
func (m *Monitor) Reasons() []string {
	var reasons []string
	var causes []string
	works := map[string][]string{}
	for _, c := range m.checks {
		reason, err := c.state()
		if reason != "" {
			reasons = append(reasons, reason)
		}
		if err != nil {
			cause := causeOf(err)
			if works[cause] == nil {
				causes = append(causes, cause)
			}
			works[cause] = append(works[cause], c.work)
		}
	}
	for _, cause := range causes {
		reasons = append(reasons, enumerate(works[cause])+" cannot be written: "+cause)
	}
	return reasons
}

// Failing returns, for each kind of work, whether it is failing.
func (m *Monitor) Failing() map[string]bool {
	failing := make(map[string]bool, len(m.checks))
	for _, c := range m.checks {
		reason, err := c.state()
		failing[c.work] = failing[c.work] || reason != "" || err != nil
	}
	return failing
}

// causeOf returns the part of an error that clients may see.
func causeOf(err error) string {
	var known *fault.Error
	if errors.As(err, &known) {
		cause, _, _ := strings.Cut(known.Detail, "; try again")
		return cause
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the database did not respond in time"
	}
	return "see the log"
}

func enumerate(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
