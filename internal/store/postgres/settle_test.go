package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// piece is a span and its execution, if any.
type piece struct {
	span      execution.Span
	execution *execution.Execution
}

// trace is the id of a trace, whose methods make its pieces.
type trace string

func newTrace() trace { return trace(strings.ReplaceAll(uuid.NewString(), "-", "")) }

func (tr trace) span(id, parent string) execution.Span {
	return execution.Span{TraceID: string(tr), SpanID: id, ParentSpanID: parent}
}

// step returns a span without an execution, as of an HTTP request: span 2, below 1.
func (tr trace) step() piece { return piece{span: tr.span("2", "1")} }

// call returns a model call without agent or user.
func (tr trace) call(id, parent string) piece {
	e := anExecution(func(e *execution.Execution) {
		e.ID, e.TraceID, e.SpanID, e.ParentSpanID = string(tr)+"-"+id, string(tr), id, parent
		e.UserID, e.AgentName, e.SessionID, e.Kind = execution.Unknown, execution.Unknown, "", execution.Inference
	})
	s := tr.span(id, parent)
	s.Execution = true
	return piece{s, &e}
}

// run returns an agent's run.
func (tr trace) run(id, parent, agent, user, session string) piece {
	p := tr.call(id, parent)
	p.execution.AgentName, p.execution.UserID, p.execution.SessionID, p.execution.Kind = agent, user, session, execution.Agent
	p.execution.Model, p.execution.Tokens, p.execution.Cost = "", execution.Tokens{}, nil
	p.span.Agent, p.span.User, p.span.Session = agent, user, session
	return p
}

func batchOf(pieces ...piece) (b execution.Batch) {
	for _, p := range pieces {
		b.Spans = append(b.Spans, p.span)
		if p.execution != nil {
			b.Executions = append(b.Executions, *p.execution)
		}
	}
	return b
}

// settling collects the executions that were settled by commits and by Settle.
type settling struct {
	db  database
	all []execution.Execution
}

func (o *settling) commit(t testing.TB, s *postgres.Executions, pieces ...piece) execution.Committed {
	t.Helper()
	done, err := s.Commit(t.Context(), batchOf(pieces...))
	if err != nil {
		t.Fatal(err)
	}
	o.all = append(o.all, done.Settled...)
	return done
}

// settle settles all due executions, and then makes all that still wait due.
func (o *settling) settle(t testing.TB, s *postgres.Executions) {
	t.Helper()
	for more := true; more; {
		var settled []execution.Execution
		var err error
		if settled, more, err = s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		o.all = append(o.all, settled...)
	}
	o.db.execAsAdmin(t, `UPDATE unsettled_executions SET check_at = now()`)
}

// eachOnce checks that want executions were settled, each once and as it is stored, and that none is waiting.
func (o *settling) eachOnce(t testing.TB, want int) {
	t.Helper()
	stored := askAsAdmin[map[string][]string](t, o.db, `SELECT json_object_agg(execution_id, all_of_them) FROM (
		SELECT execution_id, json_agg(concat_ws(' ', user_id, agent_name, session_id, request)) AS all_of_them
		FROM agent_executions GROUP BY execution_id) AS by_id`)
	seen := map[string]bool{}
	for _, e := range o.all {
		if seen[e.ID] {
			t.Errorf("%s: settled twice", e.ID)
		}
		seen[e.ID] = true
		settled := fmt.Sprintf("%s %s %s %.1s", e.UserID, e.AgentName, e.SessionID, strconv.FormatBool(e.Request))
		if got := stored[e.ID]; !slices.Equal(got, []string{settled}) {
			t.Errorf("%s: settled as %q, stored as %q", e.ID, settled, got)
		}
	}
	if len(seen) != want {
		t.Errorf("want %d settled, got %d", want, len(seen))
	}
	if n := askAsAdmin[int](t, o.db, `SELECT count(*) FROM unsettled_executions`); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// askAsAdmin is ask as a role that sees all executions.
func askAsAdmin[T any](t tester, db database, sql string, args ...any) (answer T) {
	t.Helper()
	return naive(t, db, pgx.RowTo[T], sql, args...)[0]
}

// holding runs statements in a transaction that stays open until release is called.
func (db database) holding(t tester, statements ...string) (release func()) {
	t.Helper()
	tx, err := db.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // nothing was written
	for _, sql := range statements {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			release()
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return release
}

// requests returns the number of requests in the rollups of the last day, and their agents.
func requests(t testing.TB, s *postgres.Executions) (count int64, agents []string) {
	t.Helper()
	facts, err := s.Facts(t.Context(), execution.Window{From: time.Now().Add(-24 * time.Hour), To: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	m := facts.Metrics()
	for name := range m.Agents {
		agents = append(agents, name)
	}
	slices.Sort(agents)
	return m.Count, agents
}

func foldAll(t testing.TB, s *postgres.Executions) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Fold(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLateAncestorsMoveExecutions commits an agent's run, an HTTP step below it, and a call below that, in every order.
func TestLateAncestorsMoveExecutions(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]string{ // one commit each, of the run, step, call and tool; by replica a or b; f folds, s settles
		"all at once":                     "a:rsct",
		"the children first, together":    "a:sct a:r",
		"the parent last":                 "a:c a:t a:s a:r",
		"the middle last":                 "a:ct a:r a:s",
		"the middle last, settled before": "a:ct a:r a:fs! a:s",
		"the parent first":                "a:r a:ct a:s",
		"the step first":                  "a:s a:ct a:r",
		"the step first, on another":      "b:s a:c a:t b:r",
		"one child late":                  "a:c a:r a:s a:t",
		"on replicas":                     "a:ct b:s a:r",
		"on replicas, the middle last":    "a:c b:t b:r a:s",
		"the children folded meanwhile":   "a:ct a:! b:s b:r",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			replicas := map[string]*postgres.Executions{"a": newExecutions(t, db), "b": newExecutions(t, db)}
			tr, o := newTrace(), &settling{db: db}
			tool := tr.call("4", "2")
			tool.execution.Kind, tool.execution.Request, tool.execution.Status = execution.Tool, false, execution.Failure
			pieces := map[rune]piece{'r': tr.run("1", "", "tutor", "ada", "s"), 's': tr.step(), 'c': tr.call("3", "2"), 't': tool}
			for _, step := range strings.Fields(order) {
				replica, what, _ := strings.Cut(step, ":")
				s := replicas[replica]
				var batch []piece
				for _, one := range strings.TrimSuffix(what, "!") {
					if p, ok := pieces[one]; ok {
						batch = append(batch, p)
					}
				}
				if strings.HasSuffix(what, "!") {
					foldAll(t, s)
					o.settle(t, s)
				} else {
					o.commit(t, s, batch...)
				}
				checkRollups(t, db)
			}
			for _, s := range replicas {
				o.settle(t, s)
			}
			o.settle(t, replicas["a"]) // which nothing woke
			o.eachOnce(t, 3)
			for _, e := range o.all {
				if e.AgentName != "tutor" || e.UserID != "ada" || e.SessionID != "s" || e.Request != (e.Kind == execution.Agent) {
					t.Errorf("%s: got it of %s, for %s, session %q, request %v", e.Kind, e.AgentName, e.UserID, e.SessionID, e.Request)
				}
			}
			for range 2 {
				checkRollups(t, db)
				if n, agents := requests(t, replicas["b"]); n != 1 || !slices.Equal(agents, []string{"tutor"}) {
					t.Errorf("want one request, of tutor, got %d of %v", n, agents)
				}
				foldAll(t, replicas["a"])
			}
		})
	}
}

// TestAncestorsArriveDuringSettle has replicas store pieces
// of many traces in any order and settle them, all at once.
func TestAncestorsArriveDuringSettle(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const traces, workers = 60, 4
	var batches []execution.Batch
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range traces {
		tr := newTrace()
		pieces := []piece{
			tr.run("1", "", fmt.Sprint("agent ", i%3), fmt.Sprint("user ", i%5), fmt.Sprint("session ", i)),
			tr.call("2", "1"), tr.call("3", "2"), tr.run("4", "1", "helper", "", ""), tr.call("5", "4"),
		}
		pieces[3].execution.UserID = execution.Unknown
		random.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		for len(pieces) > 0 {
			n := 1 + random.IntN(len(pieces))
			batches = append(batches, batchOf(pieces[:n]...))
			pieces = pieces[n:]
		}
	}
	random.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	results := make([]settling, workers)
	g, ctx := errgroup.WithContext(t.Context())
	for w := range workers {
		s, o := newExecutions(t, db), &results[w]
		random := rand.New(rand.NewPCG(seed, uint64(w+1)))
		g.Go(func() error {
			for i := w; i < len(batches); i += workers {
				for range 1 + random.IntN(2) { // some are repeated
					done, err := s.Commit(ctx, batches[i])
					if err != nil {
						return err
					}
					o.all = append(o.all, done.Settled...)
				}
				settled, _, err := s.Settle(ctx)
				if err != nil {
					return err
				}
				o.all = append(o.all, settled...)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	s, o := newExecutions(t, db), &settling{db: db}
	for _, r := range results {
		o.all = append(o.all, r.all...)
	}
	o.settle(t, s)
	o.settle(t, s)
	o.eachOnce(t, 5*traces)
	checkRollups(t, db)
	if n, agents := requests(t, s); n != traces || slices.Contains(agents, execution.Unknown) {
		t.Errorf("want a request for each of %d traces, none of them unknown; got %d of %v", traces, n, agents)
	}
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`); n != 5*traces {
		t.Errorf("want %d rows, got %d", 5*traces, n)
	}
}
