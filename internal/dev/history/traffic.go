package history

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/sketch"
)

// traffic is a route with its typical rate and latency.
type traffic struct {
	method, route string
	perSecond     float64 // at the busiest time; negative: at all times
	status        int
	milliseconds  float64
	failing       float64 // the part of responses with a server's error
	wrong         float64 // the part with a client's error
	in, out       int64   // bytes of a request
}

const pollRoute = "/api/deployments/pending/{agent_id}"

var routes = []traffic{
	{"GET", pollRoute, -1, 304, 0.25, 0, 0, 0, 0}, // at the rate of the fleet
	{"POST", "/api/executions", 0.4, 201, 9, 0.002, 0.01, 4000, 90},
	{"POST", "/v1/traces", 0.5, 200, 11, 0.001, 0.004, 6000, 20},
	{"POST", "/api/ai/process-stream", 0.15, 200, 1400, 0.006, 0.01, 400, 3000},
	{"POST", "/api/deployments/{deployment_id}/status", 0.02, 200, 4, 0, 0.01, 150, 300},
	{"POST", "/api/deployments/{deployment_id}/logs", 0.03, 200, 5, 0, 0, 800, 40},
	{"POST", "/api/deployments", 0.004, 201, 6, 0, 0.03, 300, 700},
	{"GET", "/api/admin/metrics", 0.02, 200, 14, 0.001, 0, 0, 2500},
	{"GET", "/api/admin/executions", 0.02, 200, 18, 0.001, 0.01, 0, 14_000},
	{"GET", "/api/admin/costs", 0.008, 200, 22, 0, 0, 0, 3000},
	{"GET", "/api/health", 0.1, 200, 0.6, 0, 0, 0, 500},
}

// queries are named queries with their rate and duration.
var queries = []struct {
	name         string
	perSecond    float64
	milliseconds float64
}{
	{"Sweep", -2, 0.4},
	{"InsertNewExecutions", 0.3, 6},
	{"TakeExecutionDeltas", -0.3, 2.5},
	{"SaveExecutionRollups", -0.3, 3},
	{"SearchExecutions", 0.02, 9},
	{"LockDeployment", 0.05, 0.7},
	{"SaveDeployment", 0.05, 0.9},
}

// The widths of the rollups' buckets. Older ones are as wide as clean-up would have made them.
const (
	minuteSeconds = 60
	hourSeconds   = 3600
)

// writeTraffic stores the rollups of the requests, queries, replicas and fleet.
func (w *writer) writeTraffic(ctx context.Context, tx pgx.Tx) error {
	if w.plan.fleet {
		return nil
	}
	m := measured{plan: w.plan, agents: w.opts.Agents}
	for from := w.plan.from.Truncate(time.Hour); from.Before(w.plan.to); {
		seconds := hourSeconds
		if !from.Before(w.plan.to.Add(-w.opts.KeepFleet.RollupMinutes).Truncate(time.Hour)) {
			seconds = minuteSeconds
		}
		if err := m.bucket(from, seconds); err != nil {
			return err
		}
		from = from.Add(time.Duration(seconds) * time.Second)
	}
	for _, table := range []struct {
		name, columns string
		rows          [][]any
	}{
		{"request_rollups", "bucket, seconds, route, method, replica, by_status, latency, bytes_in, bytes_out", m.requests},
		{"query_rollups", "bucket, seconds, query, replica, count, errors, latency", m.queries},
		{"replica_rollups", "bucket, seconds, replica, covered_seconds, polls_delivered, polls_empty, polls_not_modified, polls_failed, pool_max, pool_samples, pool_in_use_sum, pool_in_use_peak, pool_acquires, pool_empty_acquires, pool_wait_seconds", m.replicas},
		{"fleet_rollups", "bucket, sampled_at, agents_online, agents_late, agents_offline, wanted_polls_per_second, expected_polls_per_second, deployments, samples, polling_sum, expected_sum", m.fleets},
	} {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{table.name}, strings.Split(table.columns, ", "), pgx.CopyFromRows(table.rows)); err != nil {
			return fmt.Errorf("%s: %w", table.name, err)
		}
	}
	return nil
}

// measured makes rollups.
type measured struct {
	plan                                plan
	agents                              int
	requests, queries, replicas, fleets [][]any
	r                                   *rand.Rand
	poll                                int64 // of the bucket
}

// replicaOf is the replica that a bucket belongs to. That of compacted ones is empty.
func replicaOf(seconds int) string {
	if seconds == hourSeconds {
		return ""
	}
	return "history"
}

func (m *measured) bucket(from time.Time, seconds int) error {
	m.r = m.plan.random("traffic", uint64(from.Unix()))
	replica, busy := replicaOf(seconds), m.plan.rhythm(from)
	count := func(perSecond float64) int64 {
		if perSecond < 0 {
			return int64(-perSecond * float64(seconds))
		}
		return int64(perSecond*busy*float64(seconds)*(0.8+0.4*m.r.Float64()) + m.r.Float64())
	}
	for _, t := range routes {
		n := count(t.perSecond)
		if t.route == pollRoute {
			n = count(-float64(m.agents) / 10)
			m.poll = n
		}
		if n == 0 {
			continue
		}
		row, err := m.request(t, from, seconds, replica, n)
		if err != nil {
			return err
		}
		m.requests = append(m.requests, row)
	}
	for _, q := range queries {
		if n := count(q.perSecond); n > 0 {
			durations := m.durations(q.milliseconds, n, 1)
			m.queries = append(m.queries, []any{from, seconds, q.name, replica, n, 0, durations.Encode()})
		}
	}
	inUse := int64(seconds) / 5
	m.replicas = append(m.replicas, []any{
		from, seconds, replica, float64(seconds), m.poll / 50, m.poll / 50, m.poll - 2*(m.poll/50), 0, 16, int64(seconds), inUse + int64(busy*float64(inUse)), 2 + m.r.IntN(6),
		3 * int64(seconds), 0, 0.0,
	})
	return m.fleet(from)
}

// request makes a rollup of n requests.
func (m *measured) request(t traffic, from time.Time, seconds int, replica string, n int64) ([]any, error) {
	slower, failing := 1.0, t.failing
	if m.plan.outage(from) {
		slower, failing = 2.5, max(20*failing, 0.15)
	}
	by := map[int]int64{}
	failed, wrong := m.part(n, failing), m.part(n, t.wrong)
	by[503], by[400] = failed, min(wrong, n-failed)
	by[t.status] = n - by[503] - by[400]
	for status, count := range by {
		if count == 0 {
			delete(by, status)
		}
	}
	encoded, err := json.Marshal(by)
	latency := m.durations(t.milliseconds, n, slower)
	return []any{from, seconds, t.route, t.method, replica, encoded, latency.Encode(), n * t.in, n * t.out}, err
}

// part returns about that part of n.
func (m *measured) part(n int64, part float64) int64 {
	return int64(float64(n)*part+m.r.Float64()*0.999) * sign(part)
}

// sign returns 1 for positive parts, or 0.
func sign(part float64) int64 {
	if part > 0 {
		return 1
	}
	return 0
}

// durations returns a sketch of n durations around a typical one, with a long tail.
func (m *measured) durations(milliseconds float64, n int64, slower float64) *sketch.Sketch {
	s := new(sketch.Sketch)
	const kinds = 12
	for i := int64(0); i < kinds && n > 0; i++ {
		some := max(n*2/5, 1) // most are near the typical one, and ever fewer are slower
		if i == kinds-1 {
			some = n
		}
		s.AddCount(milliseconds/1e3*slower*(0.7+0.35*float64(i))*(0.9+0.2*m.r.Float64()), uint64(some))
		n -= some
	}
	return s
}

// fleet makes the fleet's rollup of a minute.
func (m *measured) fleet(at time.Time) error {
	offline := 2 + m.r.IntN(2)
	late := m.r.IntN(2)
	online := m.agents + len(strays) - offline - late
	polls := float64(m.agents) / 10
	done := m.plan.progress(at)
	deployments, err := json.Marshal(map[fleet.Status]int{
		fleet.Pending: m.r.IntN(3), fleet.Running: m.r.IntN(2), fleet.Succeeded: int(700 * done), fleet.Failed: int(20 * done), fleet.TimedOut: int(6 * done), fleet.Cancelled: int(10 * done),
	})
	m.fleets = append(m.fleets, []any{at, at, online, late, offline, polls, polls, deployments, 1, float64(online + late), polls})
	return err
}
