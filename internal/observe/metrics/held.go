package metrics

import (
	"sync/atomic"
	"time"
)

// PerInterval is the unit in which the intervals of held polls are counted: thousandths of an interval.
const PerInterval = 1000

// heldCounts are the number of held polls of known callers and the intervals that they were held for, since the start.
type heldCounts struct {
	polls, thousandths               atomic.Uint64
	drainedPolls, drainedThousandths uint64 // what the last drain read
	pollsRoute, intervalsRoute       *Route // the minute's keys for them
}

func newHeldCounts() *heldCounts {
	return &heldCounts{
		pollsRoute:     &Route{method: AnyMethod, pattern: HeldPollsRoute},
		intervalsRoute: &Route{method: AnyMethod, pattern: HeldIntervalsRoute},
	}
}

// HeldPoll counts a held poll and, in intervals, the time for which it was held. The poll must also be counted by Poll.
// An agent whose polls are held polls less often than its interval demands, without being less responsive. A poll that
// returned early because there was news counts as at least one interval.
func (r *Recorder) HeldPoll(held, interval time.Duration, news bool) {
	if interval <= 0 {
		return
	}
	thousandths := PerInterval * max(held, 0) / interval
	if news {
		thousandths = max(thousandths, PerInterval)
	}
	r.held.thousandths.Add(uint64(thousandths))
	r.held.polls.Add(1)
}

// drain moves the counts since the last drain to the minute.
func (h *heldCounts) drain(to *minute) {
	polls, thousandths := h.polls.Load(), h.thousandths.Load()
	if n := polls - h.drainedPolls; n > 0 {
		to.request(h.pollsRoute).byStatus[0] += int64(n)
	}
	if n := thousandths - h.drainedThousandths; n > 0 {
		to.request(h.intervalsRoute).byStatus[0] += int64(n)
	}
	h.drainedPolls, h.drainedThousandths = polls, thousandths
}
