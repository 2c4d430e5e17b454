package postgres_test

import (
	"context"
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
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// rowsOf returns everything stored of the executions, except what may differ between replicas.
func rowsOf(t testing.TB, db database) []string {
	t.Helper()
	return naive(t, db, pgx.RowTo[string], `SELECT concat_ws(' ', execution_id, created_at, user_id, agent_name, session_id, request_id, kind, request, status,
		error_message, execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cost_nano_usd, trace_id, span_id, parent_span_id,
		(SELECT string_agg(j ->> 'execution_id' || ' ' || (j ->> 'by'), ', ' ORDER BY j ->> 'execution_id') FROM jsonb_array_elements(joined) AS j),
		input_json, output_json) FROM agent_executions ORDER BY 1`)
}

// TestSpansOfOneCallJoin commits the pieces of each scene in any order and number of exports, with or without
// settling in between. What is stored in the end is the same, and the rollups equal the rows at any time.
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
				} else if name == "identical calls at the same time" { // the pairs depend on the order of arrival
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
				again, err := s.Commit(t.Context(), batchOf(pieces...)) // an exporter that missed the response
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

// bring commits pieces: all at once in order 0, one by one in
// order 1, one by one in reverse in order 2, otherwise at random.
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
		{"agent", "agent_name", "WHERE request", agent},
		{"user", "user_id", "", user},
		{"status", "status", "WHERE request", string(status)},
		{"reason", "joined #>> '{0,by}'", "", by},
	} {
		if got := askAsAdmin[string](t, db, fmt.Sprintf(list, one.column, one.where)); one.want != "" && got != one.want {
			t.Errorf("want the %s %s, got %s", one.what, one.want, got)
		}
	}
}

// TestSpansJoinWhileOthersSettle has replicas store pieces of many scenes in any order and settle them, all at once.
func TestSpansJoinWhileOthersSettle(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const workers = 4
	var batches []execution.Batch
	var tokens int
	rows, sceneOf := map[string]int{}, map[string]string{} // by scene; by trace
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 3 {
		for name, tt := range joinScenes {
			if strings.Contains(name, "response") || strings.Contains(name, "three") {
				continue // its id differs in each round
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

// TestErasureOfJoinedCalls checks that what is left of the spans of a
// user's calls is erased with the calls, and does not return.
func TestErasureOfJoinedCalls(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, o, here := newExecutions(t, db), &settling{db: db}, newScene()
	pieces := []piece{
		here.piece(run, "1", "", 0, 1000, named("clerk"), ofUser("gone")),
		here.piece(step, "2", "1", 1, 999), here.piece(call, "3", "2", 2, 900, response),
		here.in(newTrace()).piece(call, "4", "", 3, 899, inner, response),
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

// TestManySpansOfOneResponse checks that a response id claimed by ever more spans joins no more
// spans than one call may have, and that the cost of each does not grow with their number.
func TestManySpansOfOneResponse(t *testing.T) {
	t.Parallel()
	const spans = 600
	db := newDatabase(t)
	s, o, here := newExecutions(t, db), &settling{db: db}, newScene()
	for i := range spans {
		p := here.in(newTrace()).piece(call, "1", "", i, 1000+i, response, func(p *piece) { p.span.Scope = fmt.Sprint(i) })
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
	if limit := askAsAdmin[int](t, db, `SELECT max(jsonb_array_length(joined)) FROM agent_executions`); limit > 7 {
		t.Errorf("want at most 7 others to a call, got %d", limit)
	}
}

// TestFailedSettleIsRetried checks that calls of one response that two replicas
// store at the same moment are joined, even if the first attempts fail.
func TestFailedSettleIsRetried(t *testing.T) {
	t.Parallel()
	db, here := newDatabase(t), newScene()
	replicas, o := []*postgres.Executions{newExecutions(t, db), newExecutions(t, db)}, &settling{db: db}
	release := db.holding(t, `LOCK TABLE execution_deltas IN SHARE MODE`) // the last table to be written
	defer release()
	var g errgroup.Group
	for i, s := range replicas {
		one := here.in(newTrace()).piece(call, "1", "", 0, 100, response, uses(10, 5), func(p *piece) { p.span.Process = fmt.Sprint(i) })
		g.Go(func() error {
			_, err := s.Commit(t.Context(), batchOf(one))
			return err
		})
		db.untilWaiting(t, i+1)
	}
	release()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range replicas {
		if _, _, err := s.Settle(cancelled); err == nil {
			t.Fatal("a settle whose context is done succeeded")
		}
	}
	for range 2 {
		for _, s := range replicas {
			o.settle(t, s)
		}
	}
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`); n != 1 {
		t.Errorf("want 1 row, got %d", n)
	}
}

// TestCallsDoNotFindThemselves checks that spans of one call that are stored together are not looked
// at again because of their own commit, although a concurrent transaction might have stored another.
func TestCallsDoNotFindThemselves(t *testing.T) {
	t.Parallel()
	db, here := newDatabase(t), newScene()
	seen := &listener{}
	s, _ := newExecutionsOn(t, postgres.Config{URL: db.url, Observer: seen, Now: time.Now})
	release := db.holding(t, `SELECT pg_current_xact_id()`)
	defer release()
	for range 2 { // the second time, the calls of the first are stored
		at := here.in(newTrace())
		own := func(id string) func(*piece) { return func(p *piece) { p.span.ResponseID = id + string(at.trace) } }
		if _, err := s.Commit(t.Context(), batchOf(
			at.piece(call, "1", "", 0, 100, own("chatcmpl-"), uses(10, 5)),
			at.piece(call, "2", "1", 1, 99, own("chatcmpl-"), uses(10, 5), func(p *piece) { p.span.Scope = "client" }),
			at.piece(call, "3", "", 200, 300, own("other-"), uses(10, 5)),
		)); err != nil {
			t.Fatal(err)
		}
		seen.since()
		if _, _, err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if names := seen.names(); !slices.Contains(names, "CallsOfResponses") || slices.Contains(names, "InsertFoundAgain") {
			t.Errorf("want calls looked for, and none found, got %v", names)
		}
	}
}
