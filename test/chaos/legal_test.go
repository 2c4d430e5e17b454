package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

// at returns the time ms milliseconds after a fixed start.
func at(ms int) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(ms) * time.Millisecond)
}

// The events of tests have request and response times in milliseconds; forever means that there was no response.
const forever = -1

func between(asked, answered int, e event) event {
	e.asked = at(asked)
	if answered != forever {
		e.answered = at(answered)
	}
	return e
}

func reports(asked, answered, attempt int, claim string, status fleet.Status, refused string) event {
	r := &fleet.Report{Attempt: attempt, Claim: claim, Status: status, Retryable: true}
	return between(asked, answered, event{report: r, refused: refused})
}

func cancels(asked, answered int, refused string) event {
	return between(asked, answered, event{cancel: true, refused: refused})
}

func sees(asked, answered int, status fleet.Status, attempt int) event {
	return between(asked, answered, event{seen: &snapshot{status: status, attempt: attempt}})
}

func ends(ms int, status fleet.Status, attempt int, claim string, past ...fleet.Attempt) event {
	return between(ms, ms+1, event{seen: &snapshot{status: status, attempt: attempt, whole: true, claim: claim, past: past}})
}

func past(claim string, status fleet.Status) fleet.Attempt {
	return fleet.Attempt{Number: 1, Claim: claim, Status: status}
}

func historyOf(events ...event) history {
	return history{id: "d", maxAttempts: 2, lease: 5 * time.Second, events: events}
}

func TestLegal(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]history{
		"never touched": historyOf(sees(0, 1, fleet.Pending, 1), ends(10, fleet.Pending, 1, "")),
		"claimed and done": historyOf(
			sees(0, 1, fleet.Pending, 1), reports(2, 3, 1, "a", fleet.Running, ""), sees(4, 5, fleet.Running, 1),
			reports(6, 7, 1, "a", fleet.Succeeded, ""), ends(8, fleet.Succeeded, 1, "a")),
		"an answer lost and the report repeated": historyOf(
			reports(0, forever, 1, "a", fleet.Running, ""), reports(50, 60, 1, "a", fleet.Running, ""),
			reports(70, forever, 1, "a", fleet.Succeeded, ""), reports(80, 90, 1, "a", fleet.Succeeded, ""), ends(100, fleet.Succeeded, 1, "a")),
		"a lost response to a request that never took effect": historyOf(
			reports(0, forever, 1, "a", fleet.Running, ""), reports(50, 60, 1, "b", fleet.Running, ""), ends(100, fleet.Running, 1, "b")),
		"two claim at once, one has it": historyOf(
			reports(0, 10, 1, "a", fleet.Running, ""), reports(1, 9, 1, "b", fleet.Running, "claimed"), ends(20, fleet.Running, 1, "a")),
		"a retry, its repetition, and the next attempt": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(2, 3, 1, "a", fleet.Failed, ""), reports(4, 5, 1, "a", fleet.Failed, ""),
			reports(6, 7, 2, "b", fleet.Running, "not_due"), reports(8, 9, 2, "b", fleet.Running, ""),
			reports(10, 11, 1, "a", fleet.Failed, ""), ends(20, fleet.Running, 2, "b", past("a", fleet.Failed))),
		"a lease that ends, and the late report refused": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), sees(5001, 5003, fleet.Pending, 2),
			reports(5004, 5005, 1, "a", fleet.Succeeded, "stale_attempt"), ends(6000, fleet.Pending, 2, "", past("a", fleet.TimedOut))),
		"the last lease ends": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(2, 3, 1, "a", fleet.Failed, ""), reports(4, 5, 2, "b", fleet.Running, ""),
			ends(5005, fleet.TimedOut, 2, "b", past("a", fleet.Failed))),
		"a renewal holds the lease": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(4000, 4001, 1, "a", fleet.Running, ""),
			reports(8000, 8001, 1, "a", fleet.Succeeded, ""), ends(9000, fleet.Succeeded, 1, "a")),
		"cancelled while it runs": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), cancels(2, 3, ""), cancels(4, 5, ""),
			reports(6, 7, 1, "a", fleet.Running, "deployment_cancelled"), ends(8, fleet.Cancelled, 1, "a")),
		"cancelled too late": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(2, 3, 1, "a", fleet.Succeeded, ""),
			cancels(4, 5, "deployment_finished"), ends(8, fleet.Succeeded, 1, "a")),
		"seen out of order by those who asked at once": historyOf(
			sees(0, 10, fleet.Running, 1), sees(1, 9, fleet.Pending, 1), reports(2, 8, 1, "a", fleet.Running, ""), ends(20, fleet.Running, 1, "a")),
	} {
		if err := legal(h); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIllegal(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]history{
		"two have one attempt": historyOf(
			reports(0, 10, 1, "a", fleet.Running, ""), reports(1, 9, 1, "b", fleet.Running, ""), ends(20, fleet.Running, 1, "a")),
		"what was taken is forgotten": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(2, 3, 1, "a", fleet.Succeeded, ""), ends(20, fleet.Running, 1, "a")),
		"a claim is forgotten": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), ends(20, fleet.Pending, 1, "")),
		"time runs back": historyOf(
			reports(0, 10, 1, "a", fleet.Running, ""), sees(1, 2, fleet.Running, 1), sees(3, 4, fleet.Pending, 1), ends(20, fleet.Running, 1, "a")),
		"seen before anybody did it": historyOf(
			sees(0, 1, fleet.Running, 1), reports(2, 3, 1, "a", fleet.Running, ""), ends(20, fleet.Running, 1, "a")),
		"expired before its lease was over": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), sees(4000, 4999, fleet.Pending, 2), ends(6000, fleet.Pending, 2, "", past("a", fleet.TimedOut))),
		"expired in spite of a renewal": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(4000, 4001, 1, "a", fleet.Running, ""),
			sees(6000, 6001, fleet.Pending, 2), ends(9100, fleet.Pending, 2, "", past("a", fleet.TimedOut))),
		"a result after the cancellation": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), cancels(2, 3, ""), reports(4, 5, 1, "a", fleet.Succeeded, ""), ends(8, fleet.Succeeded, 1, "a")),
		"a result taken of a run that had expired": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), sees(5001, 5003, fleet.Pending, 2), reports(5004, 5005, 1, "a", fleet.Succeeded, ""),
			ends(6000, fleet.Pending, 2, "", past("a", fleet.TimedOut))),
		"an attempt more than there may be": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(2, 3, 1, "a", fleet.Failed, ""), reports(4, 5, 2, "b", fleet.Running, ""),
			reports(6, 7, 2, "b", fleet.Failed, ""), sees(8, 9, fleet.Pending, 3)),
		"refused for no reason": historyOf(
			reports(0, 1, 1, "a", fleet.Running, "stale_attempt"), ends(20, fleet.Pending, 1, "")),
		"the first attempt not due": historyOf(
			reports(0, 1, 1, "a", fleet.Running, "not_due"), ends(20, fleet.Pending, 1, "")),
		"another attempt's record": historyOf(
			reports(0, 1, 1, "a", fleet.Running, ""), reports(2, 3, 1, "a", fleet.Failed, ""),
			ends(20, fleet.Pending, 2, "", past("b", fleet.Failed))),
		"a move by nobody": historyOf(sees(0, 1, fleet.Pending, 1), ends(20, fleet.Cancelled, 1, "")),
	} {
		err := legal(h)
		if err == nil {
			t.Errorf("%s: passed for legal", name)
		} else if !strings.Contains(err.Error(), "deployment d: no sequence") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSimulatedHistories generates histories of a correct server, which must pass, and then corrupts each of them.
func TestSimulatedHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		h := simulate(random)
		if err := legal(h); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for name, spoil := range spoilers {
			spoiled := h
			spoiled.events = slices.Clone(h.events)
			if spoil(random, &spoiled) && legal(spoiled) == nil {
				t.Errorf("seed %d, %s: passed for legal:\n%s", seed, name, newSearch(spoiled).show())
			}
		}
	}
}

// simulate has some runs and an administrator act on a deployment. Each response is that of the state machine at a
// moment within the request. Some responses are lost, and some of those requests never took effect.
func simulate(random *rand.Rand) history {
	h := history{id: "d", maxAttempts: 1 + random.IntN(3), lease: 5 * time.Second}
	d := fleet.Deployment{Status: fleet.Pending, Attempt: 1, MaxAttempts: h.maxAttempts, Lease: h.lease}
	superseded := map[int]*fleet.Attempt{}
	move := func(t fleet.Transition) {
		d = t.Next
		if t.Superseded != nil {
			superseded[t.Superseded.Number] = t.Superseded
		}
	}
	now := 0
	for range 3 + random.IntN(12) {
		now += 1 + random.IntN(1500)
		if t, expired := d.Expire(at(now), atOnce); expired && random.IntN(2) == 0 {
			move(t)
		}
		e := event{}
		switch random.IntN(8) {
		case 0:
			e.cancel = random.IntN(3) == 0
		case 1, 2:
			e.seen = &snapshot{status: d.Status, attempt: d.Attempt}
		default:
			claims := []string{fmt.Sprintf("a%d", d.Attempt), fmt.Sprintf("b%d", d.Attempt)}
			if d.Claim != "" && random.IntN(3) > 0 {
				claims = []string{d.Claim}
			}
			attempt := d.Attempt
			if attempt > 1 && random.IntN(5) == 0 {
				attempt--
			}
			e.report = &fleet.Report{
				Attempt: attempt, Claim: claims[random.IntN(len(claims))], Retryable: random.IntN(3) > 0,
				Status: []fleet.Status{fleet.Running, fleet.Running, fleet.Succeeded, fleet.Failed}[random.IntN(4)],
			}
		}
		if e.report == nil && !e.cancel && e.seen == nil {
			continue
		}
		e.asked, e.answered = at(now-random.IntN(300)), at(now+random.IntN(300))
		lost := e.seen == nil && random.IntN(4) == 0
		if lost {
			e.answered = time.Time{}
		}
		if e.seen == nil && (!lost || random.IntN(2) == 0) {
			t, err := position{d: d, past: superseded}.decide(e, at(now))
			if err != nil {
				e.refused = err.(*fault.Error).Code //nolint:errorlint // the state machine gives no others
			} else if t.Changed {
				move(t)
			}
		}
		h.events = append(h.events, e)
	}
	final := &snapshot{status: d.Status, attempt: d.Attempt, whole: true, claim: d.Claim}
	for n := 1; n < d.Attempt; n++ {
		final.past = append(final.past, *superseded[n])
	}
	h.events = append(h.events, event{asked: at(now + 1000), answered: at(now + 1001), seen: final})
	return h
}

// spoilers change a legal history into an illegal one. They report whether they found something to change.
var spoilers = map[string]func(*rand.Rand, *history) bool{
	"another run is granted the attempt too": func(_ *rand.Rand, h *history) bool {
		for _, e := range h.events {
			if e.known() && e.report != nil && e.report.Status == fleet.Running && e.refused == "" {
				thief := *e.report
				thief.Claim = "thief"
				h.events = append(h.events, event{asked: e.answered, answered: e.answered.Add(time.Millisecond), report: &thief})
				return true
			}
		}
		return false
	},
	"the end is another one": func(_ *rand.Rand, h *history) bool {
		last := &h.events[len(h.events)-1]
		changed := *last.seen
		if changed.status = fleet.Succeeded; last.seen.status == fleet.Succeeded {
			changed.status = fleet.Failed
		}
		changed.claim = "nobody's"
		last.seen = &changed
		return true
	},
	"an attempt is skipped": func(_ *rand.Rand, h *history) bool {
		last := &h.events[len(h.events)-1]
		changed := *last.seen
		changed.attempt++
		last.seen = &changed
		return true
	},
	"somebody sees the future": func(_ *rand.Rand, h *history) bool {
		last := h.events[len(h.events)-1]
		if last.seen.status == fleet.Pending {
			return false
		}
		early := event{asked: at(-1000), answered: at(-999), seen: &snapshot{status: last.seen.status, attempt: last.seen.attempt}}
		h.events = append(h.events, early)
		return true
	},
	"what was finished goes on": func(_ *rand.Rand, h *history) bool {
		last := h.events[len(h.events)-1]
		if !last.seen.status.Finished() {
			return false
		}
		h.events = append(h.events, event{asked: last.answered.Add(1), answered: last.answered.Add(2), seen: &snapshot{status: fleet.Running, attempt: last.seen.attempt}})
		return true
	},
	"a refusal for another reason": func(random *rand.Rand, h *history) bool {
		for _, i := range random.Perm(len(h.events)) {
			if e := &h.events[i]; e.known() && e.refused != "" && e.refused != "idempotency_mismatch" {
				e.refused = "idempotency_mismatch"
				return true
			}
		}
		return false
	},
}
