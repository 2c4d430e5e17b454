package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

const day = 24 * time.Hour

var keepExecutions = postgres.ExecutionRetention{
	Executions: 30 * day, Minutes: 2 * day, Quarters: 35 * day, Hours: 400 * day, Days: 2000 * day,
}

func newExecutions(t testing.TB, db database) *postgres.Executions {
	t.Helper()
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 4})
	return postgres.NewExecutions(r.DB, keepExecutions, time.Now)
}

// anExecution returns a valid execution that began a moment ago.
func anExecution(change ...func(*execution.Execution)) execution.Execution {
	e := execution.Execution{
		ID: uuid.NewString(), CreatedAt: time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond),
		UserID: "ada", RequestID: "r", AgentName: "planner", Kind: execution.Agent, Status: execution.Success,
		Duration: 1500 * time.Millisecond, Provider: "openai", Model: "gpt-4o",
		Tokens: execution.Tokens{Used: 150, Input: 100, Output: 50}, Cost: new(int64(750_000)), PriceVersion: "test", Request: true,
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func commit(t testing.TB, s *postgres.Executions, executions ...execution.Execution) execution.Committed {
	t.Helper()
	done, err := s.Commit(t.Context(), execution.Batch{Executions: executions})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestExecutionRoundTrip(t *testing.T) {
	t.Parallel()
	s := newExecutions(t, newDatabase(t))
	want := anExecution(func(e *execution.Execution) {
		e.SessionID, e.Variant, e.Status, e.ErrorMessage = "s", "b", execution.Failure, "no\nway"
		e.Duration = 1234567 * time.Microsecond
		e.Tokens = execution.Tokens{Input: 10, Output: 5, CacheRead: 3, CacheWrite: 2, Reasoning: 1, Used: 15}
		e.Input, e.Output = json.RawMessage(`{"a": [1, "é"]}`), json.RawMessage(`"text"`)
		e.TraceID, e.SpanID = "0102030405060708090a0b0c0d0e0f10", "0102030405060708"
	})
	unpriced := anExecution(func(e *execution.Execution) {
		e.Cost, e.Status, e.CreatedAt = nil, execution.Timeout, want.CreatedAt.Add(-time.Second)
	})
	commit(t, s, want, unpriced, anExecution())
	got, err := s.Errors(t.Context(), execution.Position{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]execution.Execution{want, unpriced}, got); diff != "" {
		t.Errorf("errors, the newest first (-want +got):\n%s", diff)
	}
	next, err := s.Errors(t.Context(), execution.PositionOf(want), 10)
	if err != nil || len(next) != 1 || next[0].ID != unpriced.ID {
		t.Errorf("after the first: want the second, got %v, %v", next, err)
	}
}

func TestDuplicatesChangeNothing(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	a, b, c := anExecution(), anExecution(), anExecution()
	if got := commit(t, s, a, b, a).New; !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("one twice in a batch: got %v", got)
	}
	other := a
	other.UserID = "bob"
	if got := commit(t, s, b, c, other).New; !slices.Equal(got, []bool{false, true, true}) {
		t.Errorf("one that was stored: got %v", got)
	}
	d, e := anExecution(), anExecution()
	for _, batch := range [][]execution.Execution{{d}, {d, e}, {c}} { // after batches without and with duplicates
		want := make([]bool, len(batch))
		want[len(batch)-1] = batch[len(batch)-1].ID != c.ID
		if got := commit(t, s, batch...).New; !slices.Equal(got, want) {
			t.Errorf("want %v new, got %v", want, got)
		}
	}
	checkRollups(t, db)
}

// TestRollupsEqualTheRows has replicas store, fold, settle, join, erase and reprice at random, all at once.
func TestRollupsEqualTheRows(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g, ctx := errgroup.WithContext(t.Context())
	for worker := range 4 {
		random := rand.New(rand.NewPCG(seed, uint64(worker)))
		s := newExecutions(t, db)
		g.Go(func() error {
			var past []execution.Batch
			busy := 0
			for range 40 {
				err := randomStep(ctx, s, random, &past)
				if errors.Is(err, fault.ErrUnavailable) && busy < 4 { // a lock or a statement took too long on a busy machine: nothing was done
					t.Logf("worker %d: %v", worker, err)
					busy++
					continue
				}
				if err != nil {
					return fmt.Errorf("worker %d: %w", worker, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	checkRollups(t, db)
	s := newExecutions(t, db)
	for more := true; more; {
		var err error
		if more, err = s.Fold(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := s.Unfolded(t.Context()); err != nil || left != 0 {
		t.Errorf("want nothing unfolded, got %d, %v", left, err)
	}
	checkRollups(t, db)
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions WHERE joined IS NOT NULL`); n == 0 {
		t.Error("none were joined")
	}
	random, now := rand.New(rand.NewPCG(seed, 4)), time.Now()
	for range 20 {
		to := now.Add(-time.Duration(random.Int64N(int64(20 * time.Hour))))
		compareMetrics(t, db, s, execution.Window{From: to.Add(-time.Duration(random.Int64N(int64(26 * time.Hour)))), To: to}, "after all that")
	}
}

func randomStep(ctx context.Context, s *postgres.Executions, random *rand.Rand, past *[]execution.Batch) error {
	switch random.IntN(12) {
	case 10:
		_, err := s.DropName(ctx, []string{execution.AgentName, execution.ModelName}[random.IntN(2)], fmt.Sprintf("%s-%d", []string{"agent", "model"}[random.IntN(2)], random.IntN(4)))
		return err
	case 11:
		to := time.Now().UTC()
		_, err := s.Recount(ctx, execution.Window{From: to.Add(-6 * time.Hour), To: to})
		return err
	case 0:
		_, err := s.Fold(ctx)
		return err
	case 1:
		_, _, err := s.Settle(ctx)
		return err
	case 2:
		_, err := s.EraseUser(ctx, fmt.Sprintf("user-%d", random.IntN(6)))
		return err
	case 3:
		to := time.Now().UTC()
		_, err := s.Reprice(ctx, execution.Window{From: to.Add(-6 * time.Hour), To: to}, func(e *execution.Execution) {
			e.PriceVersion, e.Cost = "again", nil
			if len(e.Model)%2 == 0 {
				e.Cost = new(e.Tokens.Used * 7)
			}
		})
		return err
	case 4:
		if len(*past) > 0 { // a retry
			_, err := s.Commit(ctx, (*past)[random.IntN(len(*past))])
			return err
		}
	}
	batch := randomBatch(random)
	*past = append(*past, batch)
	_, err := s.Commit(ctx, batch)
	return err
}

// randomBatch returns requests and traces whose spans arrive in any order, in this batch or a later one.
func randomBatch(random *rand.Rand) execution.Batch {
	var batch execution.Batch
	pick := func(prefix string, n int) string { return fmt.Sprintf("%s-%d", prefix, random.IntN(n)) }
	for range random.IntN(40) {
		e := anExecution(func(e *execution.Execution) {
			e.UserID, e.AgentName, e.Model = pick("user", 12), pick("agent", 4), pick("model", 12) // half are never erased
			e.CreatedAt = e.CreatedAt.Add(-time.Duration(random.Int64N(int64(40 * time.Hour)))).Truncate(time.Microsecond)
			e.Duration = time.Duration(random.Int64N(int64(time.Hour))).Truncate(time.Microsecond)
			e.Status = []execution.Status{execution.Success, execution.Failure, execution.Timeout}[random.IntN(3)]
			if random.IntN(3) == 0 {
				e.Cost = nil
			}
			anyEvidence(random, e)
		})
		if random.IntN(2) == 0 {
			e.UserID, e.AgentName, e.Kind = execution.Unknown, execution.Unknown, execution.Inference
			e.TraceID = fmt.Sprintf("%032x", random.IntN(60)+1)
			e.SpanID = fmt.Sprintf("%016x", random.IntN(4)+1)
			if e.SpanID != "0000000000000001" {
				e.ParentSpanID = "0000000000000001"
			}
			e.ID = e.TraceID + "-" + e.SpanID
			e.CreatedAt = time.Now().UTC().Truncate(day) // the same when repeated
			span := execution.Span{TraceID: e.TraceID, SpanID: e.SpanID, ParentSpanID: e.ParentSpanID, Execution: true}
			if e.ParentSpanID != "" && random.IntN(2) == 0 { // some are the same call as another
				span.Role, span.Status, span.Scope, span.Process = execution.RoleCall, e.Status, "scope "+e.SpanID, "process"
				span.StartedAt, span.EndedAt, span.ResponseID = e.CreatedAt, e.CreatedAt.Add(e.Duration), "response "+e.TraceID
			}
			if e.ParentSpanID == "" {
				e.AgentName, e.UserID = pick("agent", 4), pick("user", 12)
				span.Agent, span.User = e.AgentName, e.UserID
			}
			batch.Spans = append(batch.Spans, span)
		}
		batch.Executions = append(batch.Executions, e)
	}
	return batch
}

// TestPayloadsOfPreviousRelease checks that payloads in the columns of an
// older release are read, kept and exported like those of this release.
func TestPayloadsOfPreviousRelease(t *testing.T) {
	t.Parallel()
	db, here := newDatabase(t), newScene()
	s, o := newExecutions(t, db), &settling{db: db}
	client := here.piece(call, "2", "1", 1, 99, response, uses(10, 5), func(p *piece) { p.execution.Input, p.execution.Output = nil, nil })
	o.commit(t, s, client)
	db.exec(t, `SET ROLE watchbill_admin; UPDATE agent_executions SET input_data = '{"a": 1}', output_data = '"b"'; RESET ROLE`)
	check := func() {
		t.Helper()
		found, err := s.UserActivity(t.Context(), askAsAdmin[string](t, db, `SELECT user_id FROM agent_executions`), execution.Position{}, 10)
		if err != nil || len(found) != 1 || string(found[0].Input) != `{"a": 1}` || string(found[0].Output) != `"b"` {
			t.Errorf("want an execution with its payloads, got %v, %v", found, err)
		}
	}
	check()
	o.commit(t, s, here.piece(call, "1", "", 0, 100, response, uses(10, 5), func(p *piece) {
		p.span.Scope, p.execution.Input, p.execution.Output = "wrapper", nil, nil
	}))
	o.settle(t, s)
	if id := askAsAdmin[string](t, db, `SELECT span_id FROM agent_executions`); id != "1" {
		t.Errorf("want one execution, of the outer span, got that of %q", id)
	}
	check()
}
