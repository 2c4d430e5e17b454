package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/postgres"
)

// scene makes pieces of traces whose times are those that it says.
type scene struct {
	began time.Time
	trace trace
}

func newScene() scene {
	return scene{time.Now().UTC().Add(-5 * time.Minute).Truncate(time.Second), newTrace()}
}

// in is the same moment in another trace.
func (s scene) in(tr trace) scene { return scene{s.began, tr} }

// piece is a span of a role, from and to so many milliseconds after the scene began.
func (s scene) piece(role execution.Role, id, parent string, from, to int, change ...func(*piece)) piece {
	p := s.trace.call(id, parent)
	p.span.Role, p.span.Status, p.span.Scope, p.span.Process = role, execution.Success, "outer", "process"
	p.span.StartedAt, p.span.EndedAt = s.at(from), s.at(to)
	e := p.execution
	e.CreatedAt, e.Duration, e.RequestID = p.span.StartedAt, p.span.EndedAt.Sub(p.span.StartedAt), string(s.trace)
	if role != execution.RoleCall {
		e.Kind, e.Model, e.Provider, e.Tokens, e.Cost = execution.Agent, "", "", execution.Tokens{}, nil
	}
	if role == execution.RoleTool {
		e.Kind, e.Request = execution.Tool, false
	}
	for _, c := range change {
		c(&p)
	}
	if e.Status = p.span.Status; e.Status != execution.Success {
		e.ErrorMessage = "of " + id
	}
	if p.span.Agent != "" {
		e.AgentName = p.span.Agent
	}
	if p.span.User != "" {
		e.UserID = p.span.User
	}
	if e.SessionID = p.span.Session; p.span.ResponseID != "" {
		e.RequestID = p.span.ResponseID
	}
	return p
}

func (s scene) at(ms int) time.Time { return s.began.Add(time.Duration(ms) * time.Millisecond) }

func inner(p *piece) { p.span.Scope = "inner" }

func named(agent string) func(*piece) { return func(p *piece) { p.span.Agent = agent } }

func byDefault(agent string) func(*piece) {
	return func(p *piece) { p.span.Agent, p.span.DefaultName = agent, true }
}

func failed(p *piece) {
	p.span.Status = execution.Failure
	p.execution.Tokens, p.execution.Cost = execution.Tokens{}, nil
}

func ofUser(user string) func(*piece) { return func(p *piece) { p.span.User = user } }

func response(id string) func(*piece) { return func(p *piece) { p.span.ResponseID = id } }

func uses(input, output int64) func(*piece) {
	return func(p *piece) {
		p.execution.Tokens = execution.Tokens{Input: input, Output: output, Used: input + output}
		p.execution.Cost = new(input + output)
	}
}

func silent(p *piece) { p.execution.Tokens, p.execution.Cost = execution.Tokens{}, nil }

func told(input, output string) func(*piece) {
	return func(p *piece) { p.execution.Input, p.execution.Output = []byte(input), []byte(output) }
}

const (
	run  = execution.RoleRun
	step = execution.RoleStep
	call = execution.RoleCall
	tool = execution.RoleTool
)

// joinScenes are situations in which several spans tell of less than they are: each with how many rows it comes to, and how many
// requests and tokens.
var joinScenes = map[string]struct {
	pieces                 func(s scene) []piece
	rows, requests, tokens int
	agent                  string           // of the requests
	user                   string           // of all rows
	status                 execution.Status // of the requests
	by                     string           // what decided
}{
	"two instrumentations with one response id in two traces": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "", 0, 900, response("r")), s.in(newTrace()).piece(call, "2", "", 1, 899, inner, response("r"))}
	}, rows: 1, requests: 1, tokens: 150, by: "response_id"},
	"an SDK within a client within an agent": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("clerk"), ofUser("ada")),
			s.piece(call, "2", "1", 1, 900, told(`"asked"`, `"answered"`)),
			s.piece(call, "3", "2", 2, 899, inner),
			{span: s.trace.span("4", "3")},
		}
	}, rows: 2, requests: 1, tokens: 150, agent: "clerk", user: "ada", by: "parent"},
	"a chain's client in traces of its own": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 5000, named("clerk")),
			s.piece(step, "2", "1", 1, 1500),
			s.piece(call, "3", "2", 2, 1400, uses(10, 1)),
			s.in(newTrace()).piece(call, "4", "", 3, 1399, inner, uses(10, 1)),
			s.piece(step, "5", "1", 2000, 4000),
			s.piece(call, "6", "5", 2001, 3900, uses(20, 2)),
			s.in(newTrace()).piece(call, "7", "", 2002, 3899, inner, uses(20, 2)),
		}
	}, rows: 3, requests: 1, tokens: 33, agent: "clerk", by: "similarity"},
	"identical calls at the same time": {pieces: func(s scene) (all []piece) {
		for i := range 5 {
			all = append(all,
				s.in(newTrace()).piece(call, fmt.Sprint("a", i), "", i, 900+i),
				s.in(newTrace()).piece(call, fmt.Sprint("b", i), "", i+1, 899+i, inner))
		}
		return all
	}, rows: 5, requests: 5, tokens: 5 * 150, by: "similarity"},
	"a call that failed, seen twice": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "", 0, 900, failed), s.in(newTrace()).piece(call, "2", "", 1, 899, inner, failed)}
	}, rows: 1, requests: 1, status: execution.Failure, by: "similarity"},
	"a stream and the report of its end": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "", 0, 20, silent), s.in(newTrace()).piece(call, "2", "", 900, 900)}
	}, rows: 1, requests: 1, tokens: 150, by: "similarity"},
	"a loop around calls": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(call, "1", "", 0, 900, uses(300, 30)),
			s.piece(call, "2", "1", 1, 300, inner, uses(100, 10)), s.piece(call, "3", "1", 400, 800, inner, uses(200, 20)),
		}
	}, rows: 3, requests: 1, tokens: 330},
	"three tell of one call": {pieces: func(s scene) []piece {
		third := func(p *piece) { p.span.Scope = "third" }
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("clerk")), s.piece(call, "2", "1", 1, 900, silent),
			s.piece(call, "3", "2", 2, 899, inner, response("r")),
			s.in(newTrace()).piece(call, "4", "", 3, 898, third, response("r")),
		}
	}, rows: 2, requests: 1, tokens: 150, agent: "clerk"},
	"a workflow around an agent that failed": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, byDefault("Agent workflow")), s.piece(step, "2", "1", 1, 999),
			s.piece(run, "3", "2", 2, 998, named("clerk"), failed, ofUser("ada")), s.piece(call, "4", "3", 3, 900, failed),
		}
	}, rows: 3, requests: 1, agent: "clerk", user: "ada", status: execution.Failure},
	"a workflow that hands over": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, byDefault("Agent workflow")),
			s.piece(run, "2", "1", 1, 400, named("triage"), failed), s.piece(call, "3", "2", 2, 300),
			s.piece(run, "4", "1", 500, 900, named("billing")), s.piece(call, "5", "4", 501, 800),
		}
	}, rows: 5, requests: 1, tokens: 300, agent: "triage", status: execution.Success},
	"an agent that survives its tool's agent": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("manager")), s.piece(call, "2", "1", 1, 100),
			s.piece(tool, "3", "1", 200, 400, failed), s.piece(run, "4", "3", 201, 399, named("helper"), failed),
		}
	}, rows: 4, requests: 1, tokens: 150, agent: "manager", status: execution.Success},
	"users who disagree": {pieces: func(s scene) []piece {
		return []piece{
			s.piece(run, "1", "", 0, 1000, named("clerk")),
			s.piece(call, "2", "1", 1, 400, ofUser("ada")), s.piece(call, "3", "1", 500, 900, ofUser("bob")),
		}
	}, rows: 3, requests: 1, tokens: 300, agent: "clerk"},
	"one response id of two users": {pieces: func(s scene) []piece {
		other := s.in(newTrace())
		return []piece{
			s.piece(run, "1", "", 0, 1000, ofUser("ada"), named("clerk")), s.piece(call, "2", "1", 1, 900, response("r")),
			other.piece(run, "3", "", 0, 1000, ofUser("bob"), named("clerk")), other.piece(call, "4", "3", 1, 900, inner, response("r")),
		}
	}, rows: 4, requests: 2, tokens: 300, agent: "clerk"},
	"a circle of calls": {pieces: func(s scene) []piece {
		return []piece{s.piece(call, "1", "2", 0, 900, uses(1, 1)), s.piece(call, "2", "1", 1, 899, uses(1, 1))}
	}, rows: 1, requests: 1, tokens: 2},
}

// rowsOf returns all that is stored of the executions, without what replicas may differ in.
func rowsOf(t testing.TB, db database) []string {
	t.Helper()
	return naive(t, db, pgx.RowTo[string], `SELECT concat_ws(' ', execution_id, created_at, user_id, agent_name, session_id, request_id, kind, request, status,
		error_message, execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cost_nano_usd, trace_id, span_id, parent_span_id,
		(SELECT string_agg(j ->> 'execution_id' || ' ' || (j ->> 'by'), ', ' ORDER BY j ->> 'execution_id') FROM jsonb_array_elements(joined) AS j),
		input_data, output_data) FROM agent_executions ORDER BY 1`)
}

// TestSpansOfOneCallJoin brings the pieces of each scene in any order and any number of exports, settled in between or not: what is
// stored at last is the same, and the rollups are what it adds up to at any time.
func TestSpansOfOneCallJoin(t *testing.T) {
	t.Parallel()
	const orders = 12
	seed := rand.Uint64()
	for name, tt := range joinScenes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			random := rand.New(rand.NewPCG(seed, 0))
			pieces := tt.pieces(newScene())
			var want []string
			for order := range orders {
				s := newExecutions(t, db)
				o := &settling{db: db}
				how := bring(t, s, o, random, order, pieces)
				o.settle(t, s)
				o.settle(t, s)
				db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '1 hour', check_at = now()`)
				o.settle(t, s)
				got := rowsOf(t, db)
				if order == 0 {
					want = got
					checkScene(t, db, tt.rows, tt.requests, tt.tokens, tt.agent, tt.user, tt.status, tt.by)
				} else if name == "identical calls at the same time" { // which of them are a pair depends on when they come
					checkScene(t, db, tt.rows, tt.requests, tt.tokens, tt.agent, tt.user, tt.status, tt.by)
					want = got
				} else if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("seed %d, %s (-all at once +so):\n%s", seed, how, diff)
				}
				checkRollups(t, db)
				heard := map[string]int{}
				for _, e := range o.all {
					if heard[e.ID]++; heard[e.ID] > 1 {
						t.Errorf("%s: %s was settled twice", how, e.SpanID)
					}
				}
				if len(heard) > tt.rows {
					t.Errorf("%s: want at most %d heard of, got %d", how, tt.rows, len(heard))
				}
				again, err := s.Commit(t.Context(), batchOf(pieces...)) // an exporter that did not hear the answer
				if err != nil || len(again.Settled) > 0 {
					t.Errorf("%s, once more: want nothing new, got %d settled, %v", how, len(again.Settled), err)
				}
				for _, p := range pieces {
					o.commit(t, s, p)
				}
				o.settle(t, s)
				if diff := cmp.Diff(want, rowsOf(t, db)); diff != "" {
					t.Fatalf("seed %d, %s, once more (-want +got):\n%s", seed, how, diff)
				}
				checkRollups(t, db)
				db.execAsAdmin(t, `DELETE FROM unsettled_executions; DELETE FROM span_ancestors; DELETE FROM joined_executions; DELETE FROM agent_executions;
					DELETE FROM execution_deltas; DELETE FROM user_deltas; DELETE FROM execution_rollups; DELETE FROM user_rollups`)
			}
		})
	}
}

// bring commits pieces: the first time all at once, then one by one in their order and the other way, and then at random.
func bring(t testing.TB, s *postgres.Executions, o *settling, random *rand.Rand, order int, pieces []piece) (how string) {
	t.Helper()
	left := slices.Clone(pieces)
	switch {
	case order == 2:
		slices.Reverse(left)
	case order > 2:
		random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	}
	for len(left) > 0 {
		n := len(left)
		switch {
		case order == 1 || order == 2:
			n = 1
		case order > 2:
			n = 1 + random.IntN(n)
		}
		var ids []string
		for _, p := range left[:n] {
			ids = append(ids, p.span.SpanID)
		}
		how += " [" + strings.Join(ids, " ") + "]"
		o.commit(t, s, left[:n]...)
		checkRollups(t, o.db)
		if left = left[n:]; random.IntN(2) == 0 {
			how += " settled"
			o.settle(t, s)
			checkRollups(t, o.db)
		}
	}
	return how
}

func checkScene(t testing.TB, db database, rows, requests, tokens int, agent, user string, status execution.Status, by string) {
	t.Helper()
	for what, one := range map[string]struct{ want, got any }{
		"rows":     {rows, askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`)},
		"requests": {requests, askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions WHERE request`)},
		"tokens":   {tokens, askAsAdmin[int](t, db, `SELECT sum(tokens_used)::int FROM agent_executions`)},
	} {
		if one.want != one.got {
			t.Errorf("want %v %s, got %v", one.want, what, one.got)
		}
	}
	const list = `SELECT COALESCE(string_agg(DISTINCT %s, ', '), '') FROM agent_executions %s`
	for _, one := range []struct{ what, column, where, want string }{
		{"agent", "agent_name", "WHERE request", agent}, {"user", "user_id", "", user}, {"status", "status", "WHERE request", string(status)},
		{"reason", "joined #>> '{0,by}'", "", by},
	} {
		if got := askAsAdmin[string](t, db, fmt.Sprintf(list, one.column, one.where)); one.want != "" && got != one.want {
			t.Errorf("want the %s %s, got %s", one.what, one.want, got)
		}
	}
}

// TestSpansJoinWhileOthersSettle has replicas store pieces of many scenes in any order, and settle them, all at once.
func TestSpansJoinWhileOthersSettle(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const workers = 4
	var batches []execution.Batch
	var tokens int
	rows, sceneOf := map[string]int{}, map[string]string{} // by scene, and by trace
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 3 {
		for name, tt := range joinScenes {
			if strings.Contains(name, "response") || strings.Contains(name, "three") {
				continue // its id is each round's
			}
			s := newScene()
			s.began = s.began.Add(time.Duration(len(batches)) * time.Millisecond)
			pieces, of := tt.pieces(s), fmt.Sprint(name, ", round ", round)
			for i := range pieces {
				pieces[i].span.Process = of
				sceneOf[pieces[i].span.TraceID] = of
			}
			rows[of], tokens = tt.rows, tokens+tt.tokens
			random.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
			for len(pieces) > 0 {
				n := 1 + random.IntN(len(pieces))
				batches = append(batches, batchOf(pieces[:n]...))
				pieces = pieces[n:]
			}
		}
	}
	var mu sync.Mutex
	o := &settling{db: db}
	hear := func(some []execution.Execution) {
		mu.Lock()
		defer mu.Unlock()
		o.all = append(o.all, some...)
	}
	g, ctx := errgroup.WithContext(t.Context())
	for w := range workers {
		s := newExecutions(t, db)
		g.Go(func() error {
			for i := w; i < len(batches); i += workers {
				done, err := s.Commit(ctx, batches[i])
				if err != nil {
					return err
				}
				hear(done.Settled)
				settled, _, err := s.Settle(ctx)
				if err != nil {
					return err
				}
				hear(settled)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	s := newExecutions(t, db)
	for range 3 {
		o.settle(t, s)
	}
	db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '1 hour', check_at = now()`)
	o.settle(t, s)
	checkRollups(t, db)
	if n := askAsAdmin[int](t, db, `SELECT sum(tokens_used)::int FROM agent_executions`); n != tokens {
		t.Errorf("want %d tokens, got %d", tokens, n)
	}
	got := map[string]int{}
	for _, trace := range naive(t, db, pgx.RowTo[string], `SELECT trace_id FROM agent_executions`) {
		got[sceneOf[trace]]++
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	heard := map[string]bool{}
	for _, e := range o.all {
		if heard[e.ID] {
			t.Errorf("%s was settled twice", e.ID)
		}
		heard[e.ID] = true
	}
}

// TestErasedJoins: what is left of the spans of a user's calls is erased with the calls, and does not come back.
func TestErasedJoins(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, o, here := newExecutions(t, db), &settling{db: db}, newScene()
	pieces := []piece{
		here.piece(run, "1", "", 0, 1000, named("clerk"), ofUser("gone")),
		here.piece(step, "2", "1", 1, 999), here.piece(call, "3", "2", 2, 900, response("r")),
		here.in(newTrace()).piece(call, "4", "", 3, 899, inner, response("r")),
	}
	for _, p := range slices.Backward(pieces) {
		o.commit(t, s, p)
	}
	o.settle(t, s)
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM joined_executions WHERE user_id = 'gone'`); n != 3 {
		t.Errorf("want the call, its other span and the step kept, got %d", n)
	}
	if erased, err := s.EraseUser(t.Context(), "gone"); err != nil || erased.Executions != 2 {
		t.Errorf("want two erased, got %+v, %v", erased, err)
	}
	for what, sql := range map[string]string{
		"joined executions": `SELECT count(*) FROM joined_executions`,
		"names of the user": `SELECT count(*) FROM span_ancestors WHERE user_id = 'gone' OR owner = 'gone'`,
		"rows":              `SELECT count(*) FROM agent_executions`,
	} {
		if n := askAsAdmin[int](t, db, sql); n != 0 {
			t.Errorf("%s: %d left", what, n)
		}
	}
	o.commit(t, s, pieces[:3]...)
	o.settle(t, s)
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`); n != 0 {
		t.Errorf("came again: want none stored, got %d", n)
	}
	checkRollups(t, db)
}

// TestManyTellOfOneResponse: a response id that ever more spans claim joins no more than may be one call, and none of it costs more
// the more there are.
func TestManyTellOfOneResponse(t *testing.T) {
	t.Parallel()
	const spans = 600
	db := newDatabase(t)
	s, o, here := newExecutions(t, db), &settling{db: db}, newScene()
	for i := range spans {
		p := here.in(newTrace()).piece(call, "1", "", i, 1000+i, response("r"), func(p *piece) { p.span.Scope = fmt.Sprint(i) })
		o.commit(t, s, p)
		if i%50 == 0 {
			o.settle(t, s)
		}
	}
	for range 3 {
		o.settle(t, s)
	}
	checkRollups(t, db)
	rows := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`)
	gone := askAsAdmin[int](t, db, `SELECT count(*) FROM joined_executions WHERE into_id <> execution_id`)
	if rows+gone != spans || rows < spans/8 {
		t.Errorf("want %d spans accounted for, at most 8 to a call; got %d rows and %d merged", spans, rows, gone)
	}
	if most := askAsAdmin[int](t, db, `SELECT max(jsonb_array_length(joined)) FROM agent_executions`); most > 7 {
		t.Errorf("want at most 7 others to a call, got %d", most)
	}
}
