package postgres_test

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestEventsOfAnAgentReadItsRows checks that the events of an agent without any are found without reading those of
// others.
func TestEventsOfAnAgentReadItsRows(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	const rows = 20_000
	db.exec(t, `INSERT INTO agents (id, name, token_hash, poll_interval_seconds)
		SELECT 'a' || n, 'n', decode(md5('x' || n) || md5('y' || n), 'hex'), 60 FROM generate_series(0, 99) n`)
	db.exec(t, `INSERT INTO deployments (id, agent_id, group_id, name, spec, status, attempt, max_attempts, lease_seconds, created_at, finished_at)
		SELECT gen_random_uuid(), 'a' || n % 100, gen_random_uuid(), 'n', '{}', 'failed', 2, 3, 60, now() - n * interval '1 s', now() - n * interval '1 s'
		FROM generate_series(1, $1) n`, rows)
	db.exec(t, `INSERT INTO deployment_attempts (deployment_id, attempt, claim, status, started_at, finished_at)
		SELECT id, 1, 'c', 'failed', created_at, finished_at FROM deployments`)
	db.exec(t, `ANALYZE agents, deployments, deployment_attempts`)
	plan, err := postgres.NewEvents(newReplica(t, postgres.Config{URL: db.url, MaxConns: 2}).DB).ExplainEvents(t.Context(), fleet.EventQuery{AgentID: "none", Limit: 51})
	if err != nil {
		t.Fatal(err)
	}
	for _, read := range regexp.MustCompile(`(?:actual rows=|Rows Removed by Filter: )(\d+)`).FindAllStringSubmatch(plan, -1) {
		if n, _ := strconv.Atoi(read[1]); n > rows/100 {
			t.Errorf("%d rows are read:\n%s", n, plan)
			break
		}
	}
}
