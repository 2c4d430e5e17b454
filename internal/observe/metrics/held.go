package metrics

import (
	"sync/atomic"
	"time"
)

// PerInterval is how finely the intervals that polls are held for are counted.
const PerInterval = 1000

// heldCounts are the polls of known callers that were held, and for how many intervals, since the start.
type heldCounts struct {
	polls, thousandths               atomic.Uint64
	drainedPolls, drainedThousandths uint64 // what the last drain read
	pollsRoute, intervalsRoute       *Route // what the minute keeps them under
}

func newHeldCounts() *heldCounts {
	return &heldCounts{
		pollsRoute:     &Route{method: AnyMethod, pattern: HeldPollsRoute},
		intervalsRoute: &Route{method: AnyMethod, pattern: HeldIntervalsRoute},
	}
}

// HeldPoll counts that a poll, which Poll counts too, was held for so long: an agent that is told to poll at an interval, and
// has its polls held, makes fewer of them and is none the less as attentive. One that was answered early, since there was news,
// is at least a poll.
func (r *Recorder) HeldPoll(held, interval time.Duration, news bool) {
	if !counting || interval <= 0 {
		return
	}
	thousandths := PerInterval * max(held, 0) / interval
	if news {
		thousandths = max(thousandths, PerInterval)
	}
	r.held.thousandths.Add(uint64(thousandths))
	r.held.polls.Add(1)
}

// drain moves what came since the last drain to the minute.
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
