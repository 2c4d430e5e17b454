package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// cleanUp keeps forever everything that keep does not mention.
func (r *replica) cleanUp(t tester, now time.Time, keep postgres.Retention) {
	t.Helper()
	if err := r.rollups.CleanUp(t.Context(), now, forEver(keep)); err != nil {
		t.Fatal(err)
	}
}

func forEver(keep postgres.Retention) postgres.Retention {
	for _, d := range []*time.Duration{&keep.Deployments, &keep.Reports, &keep.Rollups, &keep.RollupMinutes} {
		if *d == 0 {
			*d = 100 * 365 * 24 * time.Hour
		}
	}
	return keep
}

// writeRandomly writes minutes of two replicas over three hours from noon.
func writeRandomly(t *testing.T, r *replica) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, name := range []string{"r1", "r2"} {
		var minutes []metrics.MinuteRollup
		for i := range 180 {
			if random.IntN(3) > 0 {
				continue
			}
			minutes = append(minutes, busyMinute(noon.Add(time.Duration(i)*time.Minute), func(m *metrics.MinuteRollup) {
				m.Covered = time.Duration(random.IntN(60)+1) * time.Second
				m.Pool.Max, m.Pool.Peak, m.Pool.InUseSum = random.Int32N(9)+1, random.Int32N(9), random.Int64N(100)
				m.Requests, m.Queries = m.Requests[:random.IntN(4)], m.Queries[:random.IntN(3)]
				for j := range m.Requests {
					m.Requests[j].ByStatus = map[int]int64{200 + random.IntN(3): random.Int64N(9) + 1}
					m.Requests[j].Sketch = latencies(random.ExpFloat64()/10, random.ExpFloat64()/10).Encode()
				}
			}))
		}
		r.write(t, name, minutes...)
	}
}

// rollupRows counts the rows of a width for requests, queries and replicas.
func rollupRows(t *testing.T, db database, seconds int) int {
	t.Helper()
	return ask[int](t, db, `SELECT ((SELECT count(*) FROM request_rollups WHERE seconds = $1)
		+ (SELECT count(*) FROM query_rollups WHERE seconds = $1) + (SELECT count(*) FROM replica_rollups WHERE seconds = $1))::int`, seconds)
}

func TestCompactionKeepsTheFacts(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	writeRandomly(t, r)
	windows := []report.Window{
		{From: noon, To: noon.Add(time.Hour)},
		{From: noon, To: noon.Add(3 * time.Hour)},
		{From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)},
		{From: noon.Add(2 * time.Hour), To: noon.Add(150 * time.Minute)},
	}
	var before []report.Facts
	for _, w := range windows {
		before = append(before, r.factsOf(t, w))
	}
	for _, tt := range []struct {
		age   time.Duration // since noon
		hours int           // compacted hours
	}{{time.Hour, 0}, {2*time.Hour - 1, 0}, {2 * time.Hour, 1}, {2 * time.Hour, 1}, {3*time.Hour + 59*time.Minute, 2}} {
		r.cleanUp(t, noon.Add(tt.age), postgres.Retention{RollupMinutes: time.Hour})
		for i, w := range windows {
			if diff := diffFacts(before[i], r.factsOf(t, w)); diff != "" {
				t.Errorf("%d hours compacted, facts of %v (-before +after):\n%s", tt.hours, w, diff)
			}
		}
		if got := ask[int](t, db, `SELECT count(DISTINCT bucket)::int FROM replica_rollups WHERE seconds = 3600`); got != tt.hours {
			t.Errorf("when noon is %s ago: want %d hours compacted, got %d", tt.age, tt.hours, got)
		}
	}
	r.cleanUp(t, noon.Add(24*time.Hour), postgres.Retention{RollupMinutes: time.Hour})
	// At most three endpoints, two queries and two replicas per hour.
	if minutes, hours := rollupRows(t, db, 60), rollupRows(t, db, 3600); minutes != 0 || hours > 3*7 {
		t.Errorf("want three hours of rows, got %d, and %d of minutes", hours, minutes)
	}
}

func TestConcurrentCompaction(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	writeRandomly(t, r)
	before := r.facts(t, 3)
	var g errgroup.Group
	for range 4 {
		other := newReplica(t, postgres.Config{URL: db.url})
		g.Go(func() error {
			return other.rollups.CleanUp(t.Context(), noon.Add(24*time.Hour), forEver(postgres.Retention{RollupMinutes: time.Hour}))
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := diffFacts(before, r.facts(t, 3)); diff != "" || rollupRows(t, db, 60) != 0 {
		t.Errorf("%d minutes left; facts (-before +after):\n%s", rollupRows(t, db, 60), diff)
	}
}

// TestLateMinutes checks that minutes of a compacted hour are added to it.
func TestLateMinutes(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	r.write(t, "r1", busyMinute(noon), busyMinute(noon.Add(time.Minute)))
	for round := range 3 {
		r.cleanUp(t, noon.Add(24*time.Hour), postgres.Retention{RollupMinutes: time.Hour})
		if minutes := rollupRows(t, db, 60); minutes != 0 {
			t.Fatalf("round %d: want all compacted, got %d rows of minutes", round, minutes)
		}
		f := r.facts(t, 1)
		if n := int64(round + 2); f.Endpoints[0].ByStatus[200] != 2*n || f.Endpoints[0].Latency.Count() != uint64(3*n) ||
			f.Queries[0].Count != 2*n || f.Polls.Delivered != n || f.CoveredSeconds != float64(60*n) {
			t.Errorf("round %d: want %d minutes' facts, got %+v", round, n, f)
		}
		r.write(t, fmt.Sprint("r", 1+round%2), busyMinute(noon.Add(time.Duration(round*10)*time.Minute)))
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "gone")
	if err := r.agents.DeleteAgent(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	old, fresh := r.oneOfEach(t, "a"), r.oneOfEach(t, "a")
	justFinished := old[fleet.Succeeded] // although it was created long ago
	for status, id := range old {
		if _, err := r.deployments.AppendLog(t.Context(), "a", id, 1, 0, []byte("x")); err != nil && status != fleet.Pending && status != fleet.Cancelled {
			t.Log(status, err)
		}
		db.exec(t, `UPDATE deployments SET created_at = now() - interval '2 h' WHERE id = $1`, id)
		if id != justFinished {
			db.exec(t, `UPDATE deployments SET finished_at = finished_at - interval '2 h' WHERE id = $1`, id)
		}
	}
	for _, key := range []string{"old", "new"} {
		if _, err := r.createWithKey(t, key, "", order("a")); err != nil {
			t.Fatal(err)
		}
	}
	db.exec(t, `UPDATE idempotency_keys SET expires_at = now() WHERE key = 'old'`)
	for _, name := range []string{"old", "new"} {
		r.save(t, document(name))
	}
	db.exec(t, `UPDATE reports SET created_at = now() - interval '2 h' WHERE name = 'old'`)
	now := time.Now()
	for _, age := range []time.Duration{2 * time.Hour, time.Minute} {
		r.write(t, "r", busyMinute(now.Add(-age)))
		db.saveFleet(t, now.Add(-age), 1, 0, 0, 0, `{}`)
	}

	r.cleanUp(t, now, postgres.Retention{Deployments: time.Hour, Reports: time.Hour, Rollups: time.Hour})
	left := ask[[]uuid.UUID](t, db, `SELECT array_agg(id ORDER BY id) FROM deployments WHERE id = ANY ($1)`,
		[]uuid.UUID{old[fleet.Pending], old[fleet.Running], old[fleet.Succeeded], old[fleet.Failed], old[fleet.Cancelled]})
	if diff := cmp.Diff([]uuid.UUID{old[fleet.Pending], old[fleet.Running], justFinished}, left); diff != "" {
		t.Errorf("old deployments that are left (-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{
		`SELECT count(*)::int FROM deployments WHERE created_at > now() - interval '1 h'`: len(fresh) + 2,
		`SELECT count(DISTINCT deployment_id)::int FROM deployment_logs`:                  2, // of the running and the just finished
		`SELECT count(*)::int FROM idempotency_keys WHERE key = 'new'`:                    1,
		`SELECT count(*)::int FROM idempotency_keys`:                                      1,
		`SELECT count(*)::int FROM reports WHERE name = 'new'`:                            1,
		`SELECT count(*)::int FROM reports`:                                               1,
		`SELECT count(*)::int FROM request_rollups`:                                       5,
		`SELECT count(*)::int FROM query_rollups`:                                         2,
		`SELECT count(*)::int FROM replica_rollups`:                                       1,
		`SELECT count(*)::int FROM fleet_rollups`:                                         1,
		`SELECT count(*)::int FROM deleted_agents`:                                        1,
	} {
		if got := ask[int](t, db, query); got != want {
			t.Errorf("%s: want %d, got %d", query, want, got)
		}
	}
	db.exec(t, `UPDATE deleted_agents SET deleted_at = now() - interval '25 h'`)
	r.cleanUp(t, now, postgres.Retention{})
	if got := ask[int](t, db, `SELECT count(*)::int FROM deleted_agents`); got != 0 {
		t.Errorf("want the deleted agent forgotten after a day, got %d", got)
	}
}

// TestRetentionInSeveralTransactions deletes more expired rows than one transaction does.
func TestRetentionInSeveralTransactions(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	db.exec(t, `INSERT INTO deleted_agents SELECT n::text, now() - interval '1 year' FROM generate_series(1, $1::int) n`, 2*postgres.DeleteRows+1)
	r.cleanUp(t, time.Now(), postgres.Retention{})
	if got := ask[int](t, db, `SELECT count(*)::int FROM deleted_agents`); got != 0 {
		t.Errorf("want all gone, got %d left", got)
	}
}
