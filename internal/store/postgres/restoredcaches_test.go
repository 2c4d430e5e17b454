package postgres_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestNamesAndDaysOfAnotherDatabase checks that names and partitions missing from a restored database are created
// again once a sweep has noticed the restore, and that a name deleted by hand is registered again after a while.
func TestNamesAndDaysOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		restored bool
		later    time.Duration
	}{
		"restored":           {restored: true},
		"deleted by hand":    {later: 16 * time.Second},
		"and the clock went": {later: -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 4})
			var ahead atomic.Int64
			s := postgres.NewExecutions(r.DB, keepExecutions, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
			tomorrow := time.Now().UTC().Add(day).Format("agent_executions_20060102")
			if err := s.EnsureDays(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			watermark := r.sweep(t, "", newSink())
			commit(t, s, anExecution())
			db.exec(t, `DELETE FROM rollup_names`)
			db.exec(t, `DROP TABLE `+tomorrow)
			commit(t, s, anExecution()) // known names are not looked up
			registered := func() int { return ask[int](t, db, `SELECT count(*)::int FROM rollup_names`) }
			if got := registered(); got != 0 {
				t.Fatalf("want names believed for a while, got %d registered", got)
			}
			if tt.restored {
				db.exec(t, `ALTER TABLE agents DISABLE TRIGGER USER; ALTER TABLE agents ENABLE TRIGGER USER`) // a new history
				r.sweep(t, watermark, newSink())
			}
			ahead.Store(int64(tt.later))
			commit(t, s, anExecution(func(e *execution.Execution) { e.AgentName = "planner" }))
			if got := registered(); got != 2 { // an agent and a model
				t.Errorf("want both names registered again, got %d", got)
			}
			if err := s.EnsureDays(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			made := ask[bool](t, db, `SELECT to_regclass($1) IS NOT NULL`, tomorrow)
			if made != tt.restored {
				t.Errorf("partition of tomorrow made again: want %v, got %v", tt.restored, made)
			}
		})
	}
}
