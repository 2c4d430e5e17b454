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

// minGap lets changes that come together share a sweep. Beyond it, sweeping takes at most a fifth of the time, so that
// sweeps made slow (by a transaction that stays open for hours, say) cannot load the database further.
const (
	minGap    = 2 * time.Millisecond
	gapFactor = 4
)

// rememberedFor is how old a watermark may be. Sources remember what was deleted for longer than that, not for ever.
const rememberedFor = time.Hour

// wholeGap is how long a whole sweep that is asked for waits after another.
const wholeGap = 5 * time.Second

// Run keeps the mailbox true until ctx is done: one goroutine sweeps, one writes last-seen, one looks up unknown tokens. What
// was seen last is written before it returns.
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
	due       agenda // agents to look at again, by time
	whole     uint32 // counts whole sweeps
	failures  int    // since the newest applied sweep
	wholeAt   time.Time

	// Of the sweep that runs, or ended last.
	number  uint64
	start   time.Time
	isWhole bool
}

func (s *sweeper) run(ctx context.Context) {
	defer s.m.endSweep(math.MaxUint64) // nobody sweeps any more
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

// gap is how long to let changes gather before the next sweep. While sweeps fail at once it grows to the sweep
// interval. What a stalled connection or a whole sweep took says little of the next one, so it is not long held against it.
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

// untilNext is how long to rest without a kick: a sweep interval, or less if a retry comes due.
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
	if m.opts.Now().Sub(s.wholeAt) >= wholeGap && m.distrusted.Swap(false) {
		m.opts.Log.Warn("the database has an agent that no sweep told of; everything is read again")
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
		s.lost(ctx, err)
		m.endSweep(s.number)
		return
	}
	s.watermark = watermark
	s.saw()
	m.endSweep(0)
}

func (s *sweeper) saw() {
	m := s.m
	if s.isWhole {
		s.removeUnmentioned()
		s.wholeAt = s.start
		m.unwritten.Store(s.whole > 1) // what was written before the first is nothing
	}
	m.lastGood.Store(s.start.UnixNano())
	m.applied.Store(s.number)
	if was := m.sight.Swap(sightClear); was == sightBlind || was == sightClosed {
		m.opts.Log.Info("mailbox sees again", zap.Int("failed_sweeps", s.failures))
	}
	s.failures = 0
}

func (s *sweeper) lost(ctx context.Context, err error) {
	m := s.m
	if errors.Is(ctx.Err(), context.Canceled) {
		return // shutting down
	}
	s.failures++
	if s.failures == 1 {
		m.opts.Log.Warn("mailbox sweep failed", zap.Error(err))
	}
	was := m.sight.Load()
	if was == sightNone || was == sightClosed {
		return
	}
	switch dark := m.opts.Now().Sub(time.Unix(0, m.lastGood.Load())); {
	case dark > m.opts.BlindAfter+m.opts.BlindGrace:
		m.sight.Store(sightClosed)
		m.opts.Log.Error("mailbox blind for too long; polls are answered 503", zap.Error(err))
	case dark > m.opts.BlindAfter && was == sightClear:
		m.sight.Store(sightBlind)
		m.opts.Log.Error("mailbox blind; polls are answered from memory", zap.Error(err))
	}
}

// Whole implements Sink.
func (s *sweeper) Whole() {
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
		s.due.add(id, s.start) // enrolled anew, perhaps, and what the old one had waiting is gone without a trace
	}
	raise(&a.record.written, s.unseen())
	s.m.agents.rekey(a, token, pace)
}

// add installs an agent that has just been mentioned.
func (s *sweeper) add(id string, token fleet.TokenHash, pace pace) *record {
	rec := s.m.agents.add(id, token, pace, s.unseen())
	rec.mark = s.whole
	return rec
}

// unseen is what an agent that is new, or has a new token, was written at: a write here may have missed it, so its view is not Fresh
// before the next sweep, which is asked for. The first sweep's are: asking the database of each would be a stampede.
func (s *sweeper) unseen() (written uint64) {
	if s.m.sight.Load() == sightNone {
		return 0
	}
	s.m.Kick()
	return s.number
}

// Deleted implements Sink.
func (s *sweeper) Deleted(id string) { s.m.agents.remove(id) }

// Waiting implements Sink. An agent that is not known yet follows in the same sweep, and has the zero token until then.
func (s *sweeper) Waiting(id string, due []fleet.Waiting, next time.Duration) {
	if next >= 0 {
		s.due.add(id, s.start.Add(next)) // not later than it is due, however long the sweep takes
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

// removeUnmentioned drops who was not in a whole sweep, and what they had waiting.
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
