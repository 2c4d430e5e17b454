package mailbox

import (
	"context"
	"errors"
	"math"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
)

// minGap lets concurrent changes share a sweep. Longer gaps keep sweeping to a fifth of the time, so that slow sweeps
// (because of a transaction that is open for hours, for example) do not load the database further.
const (
	minGap    = 2 * time.Millisecond
	gapFactor = 4
)

// rememberedFor is the maximum age of a watermark. Sources keep tombstones of deleted agents for longer than that.
const rememberedFor = time.Hour

// fullSweepGap is the minimum time between full sweeps that look-ups request.
const fullSweepGap = 5 * time.Second

// Run keeps the mailbox current until ctx is done: one goroutine sweeps, one writes last-seen, one looks up unknown
// tokens. It writes the remaining last-seen times before it returns.
func (m *Mailbox) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { m.sweeper.run(ctx); return nil })
	g.Go(func() error { m.writePresence(ctx); return nil })
	g.Go(func() error { m.lookUpTokens(ctx); return nil })
	return g.Wait()
}

// sweeper is the state of the one goroutine that writes to the registry.
type sweeper struct {
	m         *Mailbox
	watermark string
	due       agenda // agents to recheck, by time
	whole     uint32 // number of full sweeps
	failures  int    // since the newest applied sweep
	wholeAt   time.Time

	// Of the current sweep, or the last one.
	number  uint64
	start   time.Time
	isWhole bool
}

func (s *sweeper) run(ctx context.Context) {
	defer s.m.endSweep(math.MaxUint64) // fails all later calls of Sync
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.m.kick:
		}
		s.sweep(ctx)

		gap := time.NewTimer(s.gap(s.m.opts.Now().Sub(s.start)))
		select {
		case <-ctx.Done():
			gap.Stop()
			return
		case <-gap.C:
		}
		timer.Reset(s.untilNext())
	}
}

// gap returns how long to wait before the next sweep. While sweeps fail immediately it grows to the sweep interval. The
// time of a stalled or full sweep says little about the next one, so it counts only up to a limit.
func (s *sweeper) gap(took time.Duration) time.Duration {
	pace := gapFactor * min(took, s.m.opts.SweepTimeout)
	switch {
	case s.failures > 0:
		pace = min(pace, s.m.opts.SweepTimeout)
	case s.isWhole:
		pace = min(pace, s.m.opts.SweepInterval)
	}
	backoff := time.Duration(s.failures) * s.m.opts.SweepInterval / 5
	return max(minGap, pace, min(backoff, s.m.opts.SweepInterval))
}

// untilNext returns how long to wait without a kick: a sweep interval, or less if a recheck is due.
func (s *sweeper) untilNext() time.Duration {
	rest := s.m.opts.SweepInterval
	if at, ok := s.due.first(); ok {
		rest = min(rest, at.Sub(s.m.opts.Now()))
	}
	return max(rest, 0)
}

func (s *sweeper) sweep(ctx context.Context) {
	m := s.m
	if m.opts.Now().Sub(time.Unix(0, m.lastGood.Load())) > rememberedFor {
		s.watermark = ""
	}
	if m.opts.Now().Sub(s.wholeAt) >= fullSweepGap && m.needFullSweep.Swap(false) {
		m.opts.Log.Warn("the database has an agent that no sweep reported; reading everything again")
		s.watermark = ""
	}
	timeout := m.opts.SweepTimeout
	if s.watermark == "" || s.isWhole && s.failures > 0 {
		timeout *= 10 // it reads everything
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	s.number, s.start, s.isWhole = m.begun.Add(1), m.opts.Now(), false
	recheck := s.due.take(s.start)
	watermark, err := m.opts.Source.Sweep(ctx, s.watermark, recheck, s)
	if err != nil {
		for _, id := range recheck {
			s.due.add(id, s.start)
		}
		s.sweepFailed(ctx, err)
		m.endSweep(s.number)
		return
	}
	s.watermark = watermark
	s.sweepApplied()
	m.endSweep(0)
}

func (s *sweeper) sweepApplied() {
	m := s.m
	if s.isWhole {
		s.removeUnmentioned()
		s.wholeAt = s.start
		m.unwritten.Store(s.whole > 1) // nothing was written before the first
	}
	m.lastGood.Store(s.start.UnixNano())
	m.applied.Store(s.number)
	if was := m.views.Swap(viewsCurrent); was == viewsStale || was == viewsClosed {
		m.opts.Log.Info("mailbox is current again", zap.Int("failed_sweeps", s.failures))
	}
	s.failures = 0
}

func (s *sweeper) sweepFailed(ctx context.Context, err error) {
	m := s.m
	if errors.Is(ctx.Err(), context.Canceled) {
		return // shutting down
	}
	s.failures++
	if s.failures == 1 {
		m.opts.Log.Warn("mailbox sweep failed", zap.Error(err))
	}
	was := m.views.Load()
	if was == viewsUnfilled || was == viewsClosed {
		return
	}
	switch outage := m.opts.Now().Sub(time.Unix(0, m.lastGood.Load())); {
	case outage > m.opts.StaleAfter+m.opts.StaleGrace:
		m.views.Store(viewsClosed)
		m.opts.Log.Error("mailbox stale for too long; answering polls with 503", zap.Error(err))
	case outage > m.opts.StaleAfter && was == viewsCurrent:
		m.views.Store(viewsStale)
		m.opts.Log.Error("mailbox is stale; answering polls from memory", zap.Error(err))
	}
}

// Full implements Sink.
func (s *sweeper) Full() {
	s.isWhole = true
	s.whole++
}

// Agent implements Sink.
func (s *sweeper) Agent(id string, token fleet.TokenHash, own time.Duration, enrolledBy string) {
	pace := pace{own: uint16(own / time.Second), group: s.m.groups.number(enrolledBy)}
	a, known := s.m.agents.find(id)
	if !known {
		s.add(id, token, pace)
		return
	}
	a.record.mark = s.whole
	if a.record.token.Equal(token) {
		if a.pace != pace {
			s.m.agents.setPace(a, pace)
		}
		return
	}
	if a.record.token != (fleet.TokenHash{}) {
		s.due.add(id, s.start) // it may have been deleted and enrolled again, which leaves no trace of its deployments
	}
	raise(&a.record.written, s.writtenBefore())
	s.m.agents.rekey(a, token, pace)
}

// add adds an agent that the current sweep reported.
func (s *sweeper) add(id string, token fleet.TokenHash, pace pace) *record {
	rec := s.m.agents.add(id, token, pace, s.writtenBefore())
	rec.mark = s.whole
	return rec
}

// writtenBefore returns the value of record.written for an agent that is new or has a new token. A local write may have
// missed the agent, so its view is not Fresh until the next sweep, which is requested. Views of the first sweep are Fresh:
// asking the database for each agent would overload it.
func (s *sweeper) writtenBefore() (written uint64) {
	if s.m.views.Load() == viewsUnfilled {
		return 0
	}
	s.m.Kick()
	return s.number
}

// Deleted implements Sink.
func (s *sweeper) Deleted(id string) { s.m.agents.remove(id) }

// Waiting implements Sink. An agent that is not known yet follows in the same sweep; until then it has the zero token.
func (s *sweeper) Waiting(id string, due []fleet.Waiting, next time.Duration) {
	if next >= 0 {
		s.due.add(id, s.start.Add(next)) // from the start, so that a long sweep does not delay it
	}
	var tag *string
	if len(due) > 0 {
		t := fleet.PendingTag(due)
		tag = &t
	}
	if a, known := s.m.agents.find(id); known {
		a.record.tagMark = s.whole
		a.record.setTag(tag)
	} else if tag != nil {
		rec := s.add(id, fleet.TokenHash{}, pace{})
		rec.tagMark = s.whole
		rec.setTag(tag)
	}
}

// removeUnmentioned removes agents that the full sweep did not report, and pending deployments that it did not report.
func (s *sweeper) removeUnmentioned() {
	var stale []string
	s.m.agents.each(func(_ uint32, rec *record) {
		switch {
		case rec.mark != s.whole:
			stale = append(stale, rec.id)
		case rec.tagMark != s.whole:
			rec.setTag(nil)
		}
	})
	for _, id := range stale {
		s.m.agents.remove(id)
	}
}
