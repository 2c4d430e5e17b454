package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestErasureCoversLaterExecutions erases a user while executions of that user are still in transit.
func TestErasureCoversLaterExecutions(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	of := func(user string, at time.Time) execution.Execution {
		return anExecution(func(e *execution.Execution) { e.UserID, e.CreatedAt = user, at.UTC().Truncate(time.Microsecond) })
	}
	before := time.Now()
	stored, late := of("gone", before), of("gone", before)
	commit(t, s, stored)
	report := uuid.New()
	db.exec(t, `INSERT INTO reports (id, name, window_from, window_to, verdict, document) VALUES ($1, 'r', now(), now(), 'Pass',
		'{"sections": {"users": {"dearest": [{"name": "gone", "requests": 1}, {"name": "stays", "requests": 2}]}}}')`, report)
	if erased, err := s.EraseUser(t.Context(), "gone"); err != nil || erased.Executions != 1 {
		t.Fatalf("want one execution erased, got %+v, %v", erased, err)
	}
	back, other := of("gone", time.Now().Add(time.Second)), of("stays", before)
	for _, repeated := range []bool{false, true} { // if repeated, the store first looks up which are new
		done := commit(t, s, late, stored, back, other)
		if want := []bool{false, false, !repeated, !repeated}; !slices.Equal(done.New, want) {
			t.Errorf("new: want %v, got %v", want, done.New)
		}
		if want := []bool{true, true, false, false}; !slices.Equal(done.Erased, want) {
			t.Errorf("erased: want %v, got %v", want, done.Erased)
		}
		if len(done.Settled) != 2 && !repeated {
			t.Errorf("settled: want those that are stored, got %v", done.Settled)
		}
	}
	got, err := s.UserActivity(t.Context(), "gone", execution.Position{}, 10)
	if err != nil || len(got) != 1 || got[0].ID != back.ID {
		t.Errorf("want what began after the erasure alone, got %v, %v", got, err)
	}
	if named := ask[string](t, db, `SELECT document #>> '{sections,users,dearest}' FROM reports WHERE id = $1`, report); named !=
		`[{"name": "erased", "requests": 1}, {"name": "stays", "requests": 2}]` {
		t.Errorf("the report: got %s", named)
	}
	checkRollups(t, db)
}

// TestErasureCoversLaterAncestors checks an execution that
// waits for its ancestors and turns out to be of an erased user.
func TestErasureCoversLaterAncestors(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	child := anExecution(func(e *execution.Execution) {
		e.UserID, e.AgentName, e.Kind = execution.Unknown, execution.Unknown, execution.Inference
		e.TraceID, e.SpanID, e.ParentSpanID = fmt.Sprintf("%032x", 1), fmt.Sprintf("%016x", 2), fmt.Sprintf("%016x", 1)
	})
	commit(t, s, child)
	if _, err := s.EraseUser(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	parent := execution.Span{TraceID: child.TraceID, SpanID: child.ParentSpanID, Agent: "planner", User: "gone"}
	if _, err := s.Commit(t.Context(), execution.Batch{Spans: []execution.Span{parent}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"gone", execution.Unknown} {
		if got, err := s.UserActivity(t.Context(), user, execution.Position{}, 10); err != nil || len(got) != 0 {
			t.Errorf("%s: want nothing, got %v, %v", user, got, err)
		}
	}
	checkRollups(t, db)
}

// TestErasureCoversConcurrentCommits erases a user while replicas store the user's executions.
func TestErasureCoversConcurrentCommits(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	began := time.Now().Add(-time.Minute).UTC().Truncate(time.Microsecond)
	var g errgroup.Group
	for range 3 {
		s := newExecutions(t, db)
		g.Go(func() error {
			for range 60 {
				_, err := s.Commit(t.Context(), execution.Batch{Executions: []execution.Execution{
					anExecution(func(e *execution.Execution) { e.UserID, e.CreatedAt = "gone", began }),
				}})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	s := newExecutions(t, db)
	for range 3 {
		if _, err := s.EraseUser(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, err := s.UserActivity(t.Context(), "gone", execution.Position{}, 10); err != nil || len(got) != 0 {
		t.Errorf("want nothing, got %d, %v", len(got), err)
	}
	checkRollups(t, db)
}

func TestErasuresExpireWithExecutions(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	for _, user := range []string{"a", "b", execution.Unknown} {
		if _, err := s.EraseUser(t.Context(), user); err != nil {
			t.Fatal(err)
		}
	}
	if n := ask[int](t, db, `SELECT count(*) FROM erasures`); n != 2 {
		t.Errorf("want two remembered, for nobody is called unknown, got %d", n)
	}
	now := time.Now()
	for after, want := range map[time.Duration]int{0: 2, keepExecutions.Executions: 2} {
		if err := s.CleanUp(t.Context(), now.Add(after)); err != nil {
			t.Fatal(err)
		}
		if n := ask[int](t, db, `SELECT count(*) FROM erasures`); n != want {
			t.Errorf("%s later: want %d, got %d", after, want, n)
		}
	}
	if err := s.CleanUp(t.Context(), now.Add(keepExecutions.Executions+2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, db, `SELECT count(*) FROM erasures`); n != 0 {
		t.Errorf("when all executions from before are too old: want none, got %d", n)
	}
}
