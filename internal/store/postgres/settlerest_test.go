package postgres_test

import (
	"testing"
)

// TestRunWaitsForItsCalls checks that the usage reported by a run is counted for the run
// once the time for its calls has passed, and no longer if a call arrives after all.
func TestRunWaitsForItsCalls(t *testing.T) {
	t.Parallel()
	db, here := newDatabase(t), newScene()
	s, o := newExecutions(t, db), &settling{db: db}
	s.PriceBy(byTokens)
	check := func(when string, used, cost, waiting int) {
		t.Helper()
		o.settle(t, s)
		checkRollups(t, db)
		for what, one := range map[string]struct {
			want int
			sql  string
		}{
			"tokens of the run":   {used, `SELECT tokens_used::int FROM agent_executions WHERE kind = 'agent'`},
			"nano-USD of the run": {cost, `SELECT COALESCE(cost_nano_usd, 0)::int FROM agent_executions WHERE kind = 'agent'`},
			"that wait":           {waiting, `SELECT count(*) FROM unsettled_executions`},
			"settled":             {1 - waiting, `SELECT ` + map[bool]string{true: "1", false: "0"}[len(o.all) > 0]},
		} {
			if got := askAsAdmin[int](t, db, one.sql); got != one.want {
				t.Errorf("%s: want %d %s, got %d", when, one.want, what, got)
			}
		}
	}
	o.commit(t, s, here.piece(run, "1", "", 0, 5000, named("clerk"), uses(300, 30)))
	check("at once", 0, 0, 1)
	db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '6 seconds', check_at = now()`)
	check("after six seconds", 330, 330, 0)
	o.commit(t, s, here.piece(call, "2", "1", 1, 900, uses(200, 20)), here.piece(tool, "3", "1", 901, 950))
	check("when a call came", 110, 110, 0)
	o.commit(t, s, here.piece(call, "4", "1", 960, 1900, uses(100, 10)))
	check("when all came", 0, 0, 0)
}

// TestRunExcludesUsageOfCallsInOtherTraces checks that a run is settled again when the
// usage of one of its calls becomes known, although nothing in its own trace waits.
func TestRunExcludesUsageOfCallsInOtherTraces(t *testing.T) {
	t.Parallel()
	db, here := newDatabase(t), newScene()
	s, o := newExecutions(t, db), &settling{db: db}
	s.PriceBy(byTokens)
	check := func(when string, run, all int) {
		t.Helper()
		db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '6 seconds', check_at = now()`)
		o.settle(t, s)
		checkRollups(t, db)
		for what, one := range map[string]struct {
			want int
			sql  string
		}{
			"tokens of the run": {run, `SELECT tokens_used::int FROM agent_executions WHERE kind = 'agent'`},
			"tokens":            {all, `SELECT sum(tokens_used)::int FROM agent_executions`},
			"that wait":         {0, `SELECT count(*) FROM unsettled_executions`},
		} {
			if got := askAsAdmin[int](t, db, one.sql); got != one.want {
				t.Errorf("%s: want %d %s, got %d", when, one.want, what, got)
			}
		}
	}
	const response = "chatcmpl-0123456789abcdef1"
	o.commit(t, s, here.piece(run, "1", "", 0, 5000, named("clerk"), uses(300, 30)), here.piece(call, "2", "1", 1, 900, uses(200, 20)))
	check("without the second call", 0, 220)
	o.commit(t, s, here.piece(call, "3", "1", 1000, 1900, scoped("framework"), unknownUsage, answered(response)))
	check("with a call that does not say what it used", 110, 330)
	o.commit(t, s, here.in(newTrace()).piece(call, "4", "", 1003, 1897, uses(100, 10), answered(response)))
	check("when another trace told", 0, 330)
}
