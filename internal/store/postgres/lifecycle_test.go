package postgres_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// model is the expected state of a deployment, by the rules.
type model struct {
	status  fleet.Status
	attempt int
	claim   string
	message string // the last one; may be empty
	due     bool   // pending: it may be claimed
	lapsed  bool   // running: its lease has run out
	past    map[int]ended
}

type ended struct {
	claim, message string
	status         fleet.Status
}

// report reports whether a report by the deployment's agent changes it, or why it is rejected.
func (m *model) report(r fleet.Report) (changes bool, refusal error) {
	repeats := func(e ended) bool {
		return r.Claim == e.claim && r.Status == e.status && (r.Message == nil || *r.Message == e.message && e.message != "")
	}
	switch {
	case r.Attempt != m.attempt:
		if e, ok := m.past[r.Attempt]; ok && repeats(e) {
			return false, nil
		}
		return false, fleet.ErrStaleAttempt
	case m.status == fleet.Pending && r.Status != fleet.Running:
		return false, fleet.ErrNotClaimed
	case m.status == fleet.Pending && !m.due:
		return false, fleet.ErrNotDue
	case m.status == fleet.Pending:
		m.claim = r.Claim
	case m.status == fleet.Cancelled:
		return false, fleet.ErrCancelled
	case m.status != fleet.Running && repeats(ended{m.claim, m.message, m.status}):
		return false, nil
	case m.status != fleet.Running && m.status != fleet.TimedOut && r.Claim == m.claim && r.Status != fleet.Running:
		return false, fleet.ErrAlreadyRecorded
	case m.status != fleet.Running:
		return false, fleet.ErrFinished
	case r.Claim != m.claim:
		return false, fleet.ErrClaimed
	}
	if r.Message != nil {
		m.message = *r.Message
	}
	m.status, m.lapsed = r.Status, false
	if r.Status == fleet.Failed && r.Retryable {
		m.retry(fleet.Failed)
	}
	return true, nil
}

// retry ends the attempt and schedules the next one, if any is left.
func (m *model) retry(outcome fleet.Status) {
	if m.attempt == 3 {
		m.status = outcome
		return
	}
	m.past[m.attempt] = ended{m.claim, m.message, outcome}
	*m = model{status: fleet.Pending, attempt: m.attempt + 1, past: m.past}
}

func (m *model) expire() (changes bool) {
	if m.status != fleet.Running || !m.lapsed {
		return false
	}
	m.retry(fleet.TimedOut)
	return true
}

func (m *model) cancel() (changes bool, refusal error) {
	switch m.status {
	case fleet.Pending, fleet.Running:
		m.status = fleet.Cancelled
		return true, nil
	case fleet.Cancelled:
		return false, nil
	default:
		return false, fleet.ErrFinished
	}
}

func (m *model) String() string {
	text := fmt.Sprintf("%s %d %q %q", m.status, m.attempt, m.claim, m.message)
	for _, n := range slices.Sorted(maps.Keys(m.past)) {
		text += fmt.Sprintf("; %d was %s %q %q", n, m.past[n].status, m.past[n].claim, m.past[n].message)
	}
	return text
}

// stored returns the state in the database, in the model's format.
func stored(t tester, r *replica, id uuid.UUID) string {
	d, attempts, err := r.deployments.Deployment(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	m := model{status: d.Status, attempt: d.Attempt, claim: d.Claim, message: text(d.Message), past: map[int]ended{}}
	for _, a := range attempts {
		m.past[a.Number] = ended{a.Claim, text(a.Message), a.Status}
	}
	return m.String()
}

// TestRandomMoves applies what agents, replicas, time and users may do to a deployment, in any order, and
// compares each outcome with the model's. A rejected or repeated move leaves the row unchanged, byte for byte.
func TestRandomMoves(t *testing.T) {
	t.Parallel()
	db, first := newFleet(t, "a", "b")
	replicas := [2]*replica{first, newReplica(t, postgres.Config{URL: db.url})}
	either := func(t *rapid.T) *postgres.Deployments {
		return replicas[rapid.IntRange(0, 1).Draw(t, "replica")].deployments
	}

	rapid.Check(t, func(t *rapid.T) {
		id := first.createOne(t, "a")
		m := &model{status: fleet.Pending, attempt: 1, due: true, past: map[int]ended{}}
		var accepted []fleet.Report
		was := db.row(t, id)

		check := func(what string, changes bool, refusal, err error) {
			t.Helper()
			is := db.row(t, id)
			switch {
			case !errors.Is(err, refusal):
				t.Fatalf("%s: want %v, got %v", what, refusal, err)
			case changes == (is == was):
				t.Fatalf("%s: want a change %v, (-before +after):\n%s", what, changes, cmp.Diff(was, is))
			case stored(t, first, id) != m.String():
				t.Fatalf("%s: want %s, got %s", what, m, stored(t, first, id))
			}
		}
		report := func(t *rapid.T, agent string, r fleet.Report) {
			changes, refusal := false, error(fleet.ErrNotYours)
			if agent == "a" {
				changes, refusal = m.report(r)
			}
			_, err := either(t).Report(t.Context(), agent, id, r)
			check(fmt.Sprintf("%s reports %+v", agent, r), changes, refusal, err)
			if err == nil {
				accepted = append(accepted, r)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { was = db.row(t, id) },
			"any report": func(t *rapid.T) {
				r := fleet.Report{
					Attempt:   rapid.IntRange(1, 4).Draw(t, "attempt"),
					Claim:     rapid.SampledFrom([]string{"x", "y"}).Draw(t, "claim"),
					Status:    rapid.SampledFrom([]fleet.Status{fleet.Running, fleet.Succeeded, fleet.Failed}).Draw(t, "status"),
					Retryable: rapid.Bool().Draw(t, "retryable"),
				}
				if message := rapid.SampledFrom([]string{"", "m", "n"}).Draw(t, "message"); message != "" {
					r.Message = &message
				}
				report(t, rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "agent"), r)
			},
			"claim": func(t *rapid.T) {
				report(t, "a", saying(fleet.Running, m.attempt, rapid.SampledFrom([]string{"x", "y"}).Draw(t, "claim")))
			},
			"fail": func(t *rapid.T) { report(t, "a", saying(fleet.Failed, m.attempt, m.claim, retryably)) },
			"say it again": func(t *rapid.T) {
				if len(accepted) > 0 {
					report(t, "a", rapid.SampledFrom(accepted).Draw(t, "report"))
				}
			},
			"cancel": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "do not") > 0 {
					t.Skip("it ends too much")
				}
				changes, refusal := m.cancel()
				_, err := either(t).Cancel(t.Context(), id)
				check("cancel", changes, refusal, err)
			},
			"the lease runs out": func(t *rapid.T) { m.lapsed = m.lapsed || m.status == fleet.Running; db.leaseRunsOut(t, id) },
			"the retry is due":   func(t *rapid.T) { m.due = true; db.retryComesDue(t, id) },
			"leases are swept": func(t *rapid.T) {
				changes := m.expire()
				_, err := either(t).ExpireLeases(t.Context(), 100)
				check("expiry", changes, nil, err)
			},
		})
	})
}
