package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// storeAt returns a store whose clock shows now.
func storeAt(t testing.TB, db database, now time.Time, kept postgres.ExecutionRetention) *postgres.Executions {
	t.Helper()
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 4})
	return postgres.NewExecutions(r.DB, kept, func() time.Time { return now })
}

// anyExecution returns an execution with random values in everything that figures depend on.
func anyExecution(random *rand.Rand, at time.Time) execution.Execution {
	return anExecution(func(e *execution.Execution) {
		e.CreatedAt = at.UTC().Truncate(time.Microsecond)
		e.UserID, e.AgentName = fmt.Sprintf("user-%02d", random.IntN(30)), fmt.Sprint("agent ", random.IntN(3))
		e.Model = []string{"", "m", "n", "o"}[random.IntN(4)]
		e.Status = []execution.Status{execution.Success, execution.Success, execution.Failure, execution.Timeout}[random.IntN(4)]
		e.Duration = time.Duration(random.ExpFloat64() * float64(3*time.Second)).Truncate(time.Microsecond)
		e.Request = random.IntN(3) > 0
		e.Tokens = execution.Tokens{Input: random.Int64N(5000), Output: random.Int64N(500), CacheRead: random.Int64N(100), CacheWrite: random.Int64N(100), Reasoning: random.Int64N(50)}
		e.Tokens.Used = e.Tokens.Input + e.Tokens.Output
		e.Cost = new(random.Int64N(1_000_000_000))
		anyEvidence(random, e)
		switch random.IntN(5) {
		case 0:
			e.Cost = nil
		case 1:
			e.Tokens, e.Cost = execution.Tokens{}, nil
		}
	})
}

// anyEvidence sets the fields that record how well the cost is known.
func anyEvidence(random *rand.Rand, e *execution.Execution) {
	e.Usage = []execution.Usage{execution.UsageNone, execution.UsageReported, execution.UsageUnknown, execution.UsageEstimated}[random.IntN(4)]
	e.Tokens.Used += random.Int64N(2) * 100 // more than the sum of the parts
	if random.IntN(2) == 0 {
		e.ProviderCost = new(random.Int64N(1_000_000_000))
	}
}

// evidenceColumns selects the counts of execution.Evidence from rows.
const evidenceColumns = `count(*) FILTER (WHERE usage IN ('unknown', 'estimated')),
	COALESCE(sum(cost_nano_usd) FILTER (WHERE usage = 'estimated'), 0)::bigint, COALESCE(sum(provider_cost_nano_usd), 0)::bigint,
	COALESCE(sum(provider_cost_nano_usd) FILTER (WHERE cost_nano_usd IS NULL), 0)::bigint,
	COALESCE(sum(cost_nano_usd) FILTER (WHERE provider_cost_nano_usd IS NOT NULL), 0)::bigint`

// unpricedColumn selects the sum of the tokens that are in no cost.
const unpricedColumn = `COALESCE(sum(` + unpricedTokens + `), 0)::bigint`

// unpricedTokens is the number of a row's tokens that are in no cost.
const unpricedTokens = `CASE WHEN cost_nano_usd IS NULL THEN tokens_used WHEN usage = '' THEN 0
	ELSE GREATEST(tokens_used - input_tokens - output_tokens, 0) END`

// naive runs a query over the rows as a role that sees all of them.
func naive[T any](t tester, db database, one pgx.RowToFunc[T], sql string, args ...any) []T {
	t.Helper()
	var all []T
	err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE watchbill_admin`); err != nil {
			return err
		}
		rows, _ := tx.Query(t.Context(), sql, args...) // CollectRows returns its error
		all, err = pgx.CollectRows(rows, one)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return all
}

// naiveMetrics returns the metrics of a scan of the rows.
func naiveMetrics(t tester, db database, w execution.Window) execution.Metrics {
	t.Helper()
	m := execution.Metrics{Agents: map[string]execution.Figures{}, Models: map[string]execution.Figures{}}
	naive(t, db, func(row pgx.CollectableRow) (none struct{}, err error) {
		var f execution.Figures
		var kind, name string
		err = row.Scan(&kind, &name, &f.Count, &f.Successful, &f.Failed, &f.Timeouts, &f.SuccessRate, &f.Mean, &f.P50, &f.P95, &f.P99,
			&f.Tokens.Used, &f.Tokens.Input, &f.Tokens.Output, &f.Tokens.CacheRead, &f.Tokens.CacheWrite, &f.Tokens.Reasoning, &f.Cost, &f.Unpriced,
			&f.UnknownUsage, &f.Estimated, &f.Provider, &f.ProviderUnpriced, &f.ProviderCompared)
		switch kind {
		case "all":
			m.Figures = f
		case "agent":
			m.Agents[name] = f
		case "model":
			m.Models[name] = f
		}
		return none, err
	}, `
		SELECT told, name, count(*) FILTER (WHERE counts), count(*) FILTER (WHERE counts AND status = 'success'),
			count(*) FILTER (WHERE counts AND status <> 'success'), count(*) FILTER (WHERE counts AND status = 'timeout'),
			avg((status = 'success')::int) FILTER (WHERE counts)::float8, avg(execution_time_ms) FILTER (WHERE counts),
			percentile_disc(0.50) WITHIN GROUP (ORDER BY execution_time_ms) FILTER (WHERE counts),
			percentile_disc(0.95) WITHIN GROUP (ORDER BY execution_time_ms) FILTER (WHERE counts),
			percentile_disc(0.99) WITHIN GROUP (ORDER BY execution_time_ms) FILTER (WHERE counts),
			sum(tokens_used)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cache_read_tokens)::bigint,
			sum(cache_write_tokens)::bigint, sum(reasoning_tokens)::bigint, COALESCE(sum(cost_nano_usd), 0)::bigint,
			`+unpricedColumn+`, `+evidenceColumns+`
		FROM agent_executions
		CROSS JOIN LATERAL (VALUES ('all', '', request), ('agent', `+agentInRollups+`, request), ('model', `+modelInRollups+`, model_used <> '')) AS g (told, name, counts)
		WHERE created_at >= $1 AND created_at < $2 AND (told <> 'model' OR counts)
		GROUP BY told, name`, w.From, w.To)
	return m
}

// compareMetrics checks that the figures of a window are those of its rows: percentiles within 1 %, all others exactly.
func compareMetrics(t tester, db database, s *postgres.Executions, asked execution.Window, what string) {
	t.Helper()
	facts, err := s.Facts(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	w := facts.Window
	if w.From.After(asked.From) || w.To.Before(asked.To) || asked.From.Sub(w.From) >= day || w.To.Sub(asked.To) >= day {
		t.Errorf("%s: %v to %v: answered of %v to %v", what, asked.From, asked.To, w.From, w.To)
	}
	want, got := naiveMetrics(t, db, w), facts.Metrics()
	near := cmpopts.EquateApprox(1.01*sketch.RelativeAccuracy, 0.000_001) // 0 is recorded as some nanoseconds
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Errorf("%s: %v to %v (-rows +rollups):\n%s", what, w.From, w.To, diff)
	}
	exact := func(m execution.Metrics) (all []*float64) {
		all = append(all, m.SuccessRate, m.Mean)
		for _, groups := range []map[string]execution.Figures{m.Agents, m.Models} {
			for _, name := range []string{"agent 0", "agent 1", "agent 2", "m", "n", "o"} {
				all = append(all, groups[name].SuccessRate, groups[name].Mean)
			}
		}
		return all
	}
	if diff := cmp.Diff(exact(want), exact(got), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("%s: %v to %v: success rates and means (-rows +rollups):\n%s", what, w.From, w.To, diff)
	}
}

// TestFactsEqualTheRows compares windows of all sizes and positions with a scan of the rows: before
// any fold, after some deltas are folded, and after all are folded and expired rollups are dropped.
func TestFactsEqualTheRows(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	now := time.Date(2026, 10, 28, 9, 7, 33, 0, time.UTC)
	kept := postgres.ExecutionRetention{Executions: 3000 * day, Minutes: 2 * day, Quarters: 35 * day, Hours: 400 * day, Days: 2000 * day}
	s := storeAt(t, db, now, kept)
	// At these times a narrower width begins to be kept; each has its own rows.
	edges := []time.Time{now, now.Add(-kept.Minutes), now.Add(-kept.Quarters), now.Add(-kept.Hours), now.Add(-500 * day)}
	near := func() time.Time {
		return edges[random.IntN(len(edges))].Add(time.Duration(random.Int64N(int64(30*time.Hour)) - int64(15*time.Hour)))
	}
	store := func() {
		for range 3 {
			var some []execution.Execution
			for range 200 {
				at := near()
				if at.After(now.Add(execution.MaxAhead)) {
					at = now.Add(time.Duration(random.Int64N(int64(execution.MaxAhead))))
				}
				some = append(some, anyExecution(random, at))
			}
			commit(t, s, some...)
		}
	}
	windows := []execution.Window{
		{From: now.Add(-24 * time.Hour), To: now},
		{From: now.Add(-24 * time.Hour), To: now.Add(execution.MaxAhead)},
		{From: now, To: now.Add(execution.MaxAhead)},
		{From: now.Add(-600 * day), To: now.Add(day)},
		{From: now.Add(-600 * day), To: now.Add(-kept.Hours + 2*time.Hour)}, // the hours of that morning are dropped
		{From: now, To: now},
		{From: now, To: now.Add(-time.Hour)},
		{},
	}
	for range 40 {
		from, to := near(), near()
		if random.IntN(3) == 0 {
			to = from.Add(time.Duration(random.Int64N(int64(2 * time.Hour))))
		}
		if to.Before(from) {
			from, to = to, from
		}
		windows = append(windows, execution.Window{From: from, To: to})
	}
	compare := func(what string) {
		for _, w := range windows {
			compareMetrics(t, db, s, w, what)
		}
	}
	store()
	compare("nothing folded")
	foldAll(t, s)
	store()
	compare("some folded")
	foldAll(t, s)
	if err := s.CleanUp(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	compare("all folded, and the old dropped")
	store() // some of it arrives late
	compare("some more, late")
	foldAll(t, s)
	compare("what was late folded too")
}

// TestFactsAreOneSnapshot checks that, while others fold, what is
// subtracted is read from the same snapshot as what it is subtracted from.
func TestFactsAreOneSnapshot(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	random := rand.New(rand.NewPCG(1, 0))
	now := time.Now().UTC().Truncate(day).Add(3*time.Hour + 7*time.Minute + time.Second)
	s := storeAt(t, db, now, postgres.ExecutionRetention{Executions: 9 * day, Minutes: 9 * day, Quarters: 9 * day, Hours: 9 * day, Days: 9 * day})
	last := execution.Window{From: now.Add(-24 * time.Hour), To: now} // yesterday and today, minus parts of either
	for range 8 {
		var some []execution.Execution
		for range 500 {
			some = append(some, anyExecution(random, now.Add(-time.Duration(random.Int64N(int64(30*time.Hour))))))
		}
		commit(t, s, some...)
		before, err := s.Facts(t.Context(), last)
		if err != nil {
			t.Fatal(err)
		}
		want := before.Metrics()
		folded := make(chan error, 1)
		go func() {
			_, err := s.Fold(t.Context())
			folded <- err
		}()
		for done := false; !done; {
			select {
			case err := <-folded:
				if done = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
			facts, err := s.Facts(t.Context(), last)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, facts.Metrics()); diff != "" {
				t.Fatalf("while deltas are folded (-before +then):\n%s", diff)
			}
		}
	}
	compareMetrics(t, db, s, last, "all folded")
}

// TestFactsExcludeDeletedRows checks that a cell is omitted once everything in it was subtracted.
func TestFactsExcludeDeletedRows(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, o, tr := newExecutions(t, db), &settling{db: db}, newTrace()
	o.commit(t, s, tr.call("2", "1"))
	foldAll(t, s)
	o.commit(t, s, tr.run("1", "", "tutor", "ada", "s"))
	o.settle(t, s)
	for range 2 {
		facts, err := s.Facts(t.Context(), execution.Window{From: time.Now().Add(-time.Hour), To: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range facts.Cells {
			if cell.Agent == execution.Unknown {
				t.Errorf("got a cell of unknown: %+v", cell)
			}
		}
		for _, by := range []execution.GroupBy{execution.ByAgent, execution.ByModel, execution.ByUser} {
			costs, err := s.Costs(t.Context(), execution.CostQuery{Days: 2, TimeZone: "UTC", GroupBy: by, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range costs.Groups {
				if g.Key == execution.Unknown {
					t.Errorf("by %s: got a group of unknown: %+v", by, g)
				}
			}
		}
		foldAll(t, s)
	}
}
