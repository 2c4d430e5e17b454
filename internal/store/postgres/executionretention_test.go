package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestEveryPartitionIsSecured checks the partitions' security in PostgreSQL's catalog.
func TestEveryPartitionIsSecured(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	for range 2 { // the second time the partitions exist
		if err := s.CleanUp(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	const unsecured = `SELECT count(*) FROM pg_class c WHERE c.relname LIKE 'agent\_executions%' AND c.relkind IN ('r', 'p')
		AND NOT (c.relrowsecurity AND (c.relforcerowsecurity OR NOT has_table_privilege(c.oid, 'SELECT, UPDATE, DELETE, TRUNCATE')))`
	const partitions = `SELECT count(*) FROM pg_inherits WHERE inhparent = 'agent_executions'::regclass`
	if bare, all := ask[int](t, db, unsecured), ask[int](t, db, partitions); bare != 0 || all != 3 {
		t.Errorf("want three partitions, all secured; got %d, %d of them not", all, bare)
	}
}

// TestPartitionLifecycle checks that expired days are dropped, also after an interrupted drop.
func TestPartitionLifecycle(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, other := newExecutions(t, db), newExecutions(t, db)
	began := func(ago time.Duration) execution.Execution {
		return anExecution(func(e *execution.Execution) {
			e.CreatedAt = time.Now().UTC().Add(-ago).Truncate(time.Microsecond)
		})
	}
	commit(t, s, began(0), began(10*day), began(20*day))
	commit(t, other, began(20*day))
	days := func() int {
		return ask[int](t, db, `SELECT count(*) FROM pg_class WHERE relname ~ '^agent_executions_\d{8}$' AND relkind = 'r'`)
	}
	before := days()
	detached := "agent_executions_" + time.Now().UTC().Add(-10*day).Format("20060102")
	db.exec(t, `ALTER TABLE agent_executions DETACH PARTITION `+detached)
	if err := s.DropDays(t.Context(), time.Now().UTC().Add(-5*day)); err != nil {
		t.Fatal(err)
	}
	if got := days(); got != before-2 {
		t.Errorf("want two of %d dropped, got %d left", before, got)
	}
	commit(t, other, began(20*day)) // it still assumes that the partition exists
	if got := days(); got != before-1 {
		t.Errorf("want one made again, got %d", got)
	}
	if rollups := ask[int](t, db, `SELECT sum(count) FROM execution_deltas`); rollups != 5 {
		t.Errorf("rollups outlive their rows: want 5, got %d", rollups)
	}
}

func TestRollupRetention(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	commit(t, s, anExecution(func(e *execution.Execution) { e.CreatedAt = e.CreatedAt.Add(-5 * day) }), anExecution())
	if _, err := s.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.CleanUp(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	for width, want := range map[int]int{60: 1, 900: 2, 3600: 2, 86400: 2} {
		if got := ask[int](t, db, `SELECT count(*) FROM execution_rollups WHERE seconds = $1`, width); got != want {
			t.Errorf("width %d: want %d rollups left, got %d", width, want, got)
		}
	}
	facts, err := s.Facts(t.Context(), execution.Window{From: time.Now().Add(-6 * day), To: time.Now()})
	if err != nil || facts.Metrics().Count != 2 {
		t.Errorf("over both: want 2 requests, got %d, %v", facts.Metrics().Count, err)
	}
	if w := facts.Window; w.From.Minute()%15 != 0 || w.To.Second() != 0 {
		t.Errorf("want it widened to a quarter and a minute, got %v", w)
	}
}

func TestErasureDeletesEverything(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	gone := func(e *execution.Execution) { e.UserID = "gone" }
	var theirs []execution.Execution
	for range 4500 { // more than fit in one transaction
		theirs = append(theirs, anExecution(gone))
	}
	commit(t, s, theirs...)
	commit(t, s, anExecution())
	if _, err := s.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit(t, s, anExecution(gone))
	got, err := s.EraseUser(t.Context(), "gone")
	if err != nil || got.Executions != 4501 || got.Rollups == 0 {
		t.Errorf("want 4501 executions and their rollups erased, got %+v, %v", got, err)
	}
	checkRollups(t, db)
	for _, table := range []string{"user_rollups", "user_deltas", "span_ancestors", "unsettled_executions"} {
		if left := askAsAdmin[int](t, db, `SELECT count(*) FROM `+table+` WHERE user_id = 'gone'`); left != 0 {
			t.Errorf("%s: %d rows left", table, left)
		}
	}
	facts, err := s.Facts(t.Context(), execution.Window{From: time.Now().Add(-time.Hour), To: time.Now()})
	if err != nil || facts.Metrics().Count != 1 {
		t.Errorf("want the other user's one left, got %d, %v", facts.Metrics().Count, err)
	}
	if again, err := s.EraseUser(t.Context(), "gone"); err != nil || again != (execution.Erased{}) {
		t.Errorf("once more: want nothing, got %+v, %v", again, err)
	}
}

// TestManyNames stores more agents than the rollups distinguish, on two replicas at once.
func TestManyNames(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	a, b := newExecutions(t, db), newExecutions(t, db)
	for i := range 10 {
		var batch []execution.Execution
		for n := range 1000 {
			batch = append(batch, anExecution(func(e *execution.Execution) { e.AgentName = lettered("agent", 1000*i+n) }))
		}
		commit(t, a, batch[:500]...)
		commit(t, b, batch[500:]...)
	}
	facts, err := a.Facts(t.Context(), execution.Window{From: time.Now().Add(-time.Hour), To: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	m := facts.Metrics()
	if others := m.Agents[execution.Other].Count; len(m.Agents) != 501 || others != 9500 || m.Count != 10_000 {
		t.Errorf("want 500 agents and 9500 others in 10000, got %d and %d in %d", len(m.Agents)-1, others, m.Count)
	}
	checkRollups(t, db)
}

// lettered returns a name whose shape differs for each n.
func lettered(prefix string, n int) string {
	return prefix + " " + strings.NewReplacer("0", "g", "1", "h", "2", "i", "3", "j", "4", "k", "5", "l", "6", "m", "7", "n", "8", "o", "9", "p").Replace(fmt.Sprint(n))
}

// TestNamesWithIDsTakeHalf checks that a program with ids in its names leaves half of the places to later programs.
func TestNamesWithIDsTakeHalf(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	a, b := newExecutions(t, db), newExecutions(t, db)
	var batch []execution.Execution
	for n := range 700 {
		batch = append(batch, anExecution(func(e *execution.Execution) {
			e.AgentName, e.Model = fmt.Sprintf("worker-%04d", n), "run-"+uuid.NewString()
		}))
	}
	commit(t, a, batch[:400]...)
	commit(t, b, batch[400:]...)
	commit(t, b, anExecution())
	if sample, err := b.SampleNames(t.Context()); err != nil || sample.Agents != 251 || sample.Models != 251 {
		t.Errorf("want 250 and one more of each, got %+v, %v", sample, err)
	}
	namedInRollups := func(s *postgres.Executions, agent string) bool {
		t.Helper()
		e := anExecution(func(e *execution.Execution) { e.AgentName = agent })
		commit(t, s, e)
		return askAsAdmin[int16](t, db, `SELECT capped FROM agent_executions WHERE execution_id = $1`, e.ID)&int16(execution.CappedAgent) == 0
	}
	if !namedInRollups(a, "planner") || namedInRollups(a, "worker-9999") || !namedInRollups(a, "worker-0001") {
		t.Error("want the planner and the first workers told apart, and not the last")
	}
	names, _, err := a.Names(t.Context())
	if err != nil || len(names) != 502 || names[0].Kind != execution.AgentName || names[0].Name != "planner" || names[0].Since.IsZero() {
		t.Fatalf("want 502 names, the planner first, got %d, %v", len(names), err)
	}
	for _, dropped := range []bool{true, false} {
		if got, err := a.DropName(t.Context(), execution.AgentName, "worker-0001"); err != nil || got != dropped {
			t.Errorf("drop: want %v, got %v, %v", dropped, got, err)
		}
	}
	if _, err := b.SampleNames(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !namedInRollups(b, "worker-9999") || namedInRollups(a, "worker-0001") {
		t.Error("want the dropped name's place taken by the next")
	}
	now := time.Now()
	for _, name := range []string{"worker-0002", "worker-0003"} {
		if _, err := a.DropName(t.Context(), execution.AgentName, name); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := a.Recount(t.Context(), execution.Window{From: now.Add(-time.Hour), To: now}); err != nil || got.Seen != 706 || got.Changed < 2 {
		t.Errorf("want two or more counted under their own names, got %+v, %v", got, err)
	}
	checkRollups(t, db)
}

// TestNameEviction checks that names no longer in use are removed, and names in use are kept.
func TestNameEviction(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	old := func(e *execution.Execution) { e.AgentName, e.CreatedAt = "old", e.CreatedAt.Add(-29*day) }
	commit(t, s, anExecution(old), anExecution())
	if _, err := s.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.exec(t, `UPDATE rollup_names SET registered_at = now() - interval '2 hours'`)
	db.exec(t, `INSERT INTO rollup_names (kind, name) VALUES ('agent', 'fresh')`) // its first row is not committed yet
	for _, tt := range []struct {
		later time.Duration
		want  string
	}{{0, "fresh old planner"}, {3 * day, "fresh planner"}} {
		if err := s.CleanUp(t.Context(), time.Now().Add(tt.later)); err != nil {
			t.Fatal(err)
		}
		if got := ask[string](t, db, `SELECT string_agg(name, ' ' ORDER BY name) FROM rollup_names WHERE kind = 'agent'`); got != tt.want {
			t.Errorf("%s later: want %q, got %q", tt.later, tt.want, got)
		}
	}
	commit(t, s, anExecution(func(e *execution.Execution) { e.AgentName = "old" })) // is counted under its name again
	if others := ask[int](t, db, `SELECT count(*) FROM execution_deltas WHERE agent = 'other'`); others != 0 {
		t.Errorf("want it told apart again, got %d others", others)
	}
}
