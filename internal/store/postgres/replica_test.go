package postgres_test

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// tester is a *testing.T or a *rapid.T.
type tester interface {
	rapid.TB
	Context() context.Context
	Cleanup(func())
}

// replica holds the stores of one process, and the agents whose changes they announced.
type replica struct {
	*postgres.DB
	agents      *postgres.Agents
	deployments *postgres.Deployments
	mailbox     *postgres.Mailbox
	rollups     *postgres.Rollups
	reports     *postgres.Reports

	mu      sync.Mutex
	changed []string
}

// retryAfter is the tests' backoff: long, so that retries become due only when a test advances time.
const retryAfter = time.Hour

func newReplica(t tester, config postgres.Config) *replica {
	t.Helper()
	db, err := postgres.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	r := &replica{DB: db, mailbox: postgres.NewMailbox(db), rollups: postgres.NewRollups(db), reports: postgres.NewReports(db)}
	r.agents = postgres.NewAgents(db, r.note)
	r.deployments = postgres.NewDeployments(db, func(int) time.Duration { return retryAfter }, newID, r.note)
	return r
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func (r *replica) note(agents ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = append(r.changed, agents...)
}

// noted returns the agents that changed since the last call, sorted.
func (r *replica) noted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := slices.Sorted(slices.Values(r.changed))
	r.changed = nil
	return changed
}

// database gives a test direct access to its own database.
type database struct {
	url  string
	pool *pgxpool.Pool
}

func newDatabase(t testing.TB) database {
	t.Helper()
	return connect(t, postgrestest.NewDatabase(t))
}

func connect(t tester, url string) database {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return database{url, pool}
}

// newFleet returns a database with a replica and the given agents.
func newFleet(t testing.TB, agents ...string) (database, *replica) {
	t.Helper()
	db := newDatabase(t)
	r := newReplica(t, postgres.Config{URL: db.url})
	for _, id := range agents {
		r.enroll(t, agent(id))
	}
	return db, r
}

func (db database) exec(t tester, sql string, args ...any) {
	t.Helper()
	if _, err := db.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// execAsAdmin is exec for tables with row-level security.
func (db database) execAsAdmin(t tester, sql string, args ...any) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE watchbill_admin`); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), sql, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask runs a query that returns a single value.
func ask[T any](t tester, db database, sql string, args ...any) T {
	t.Helper()
	rows, _ := db.pool.Query(t.Context(), sql, args...) // CollectOneRow returns its error
	answer, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

// with returns the database's URL with one more setting.
func (db database) with(t tester, name, value string) string {
	t.Helper()
	u, err := url.Parse(db.url)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// row returns everything stored of a deployment, as text.
func (db database) row(t tester, id uuid.UUID) string {
	t.Helper()
	return ask[string](t, db, `SELECT d::text || coalesce((SELECT string_agg(a::text, '' ORDER BY attempt)
		FROM deployment_attempts a WHERE a.deployment_id = d.id), '') FROM deployments d WHERE d.id = $1`, id)
}

// neverDeadlocked checks that no transaction deadlocked: whatever locks several rows locks them in one order.
func (db database) neverDeadlocked(t tester) {
	t.Helper()
	if got := ask[int64](t, db, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); got != 0 {
		t.Errorf("want no deadlock, got %d", got)
	}
}

// leaseRunsOut and retryComesDue change rows as the passing of time would.
func (db database) leaseRunsOut(t tester, id uuid.UUID) {
	t.Helper()
	db.exec(t, `UPDATE deployments SET lease_expires_at = now() WHERE id = $1 AND status = 'running'`, id)
}

func (db database) retryComesDue(t tester, id uuid.UUID) {
	t.Helper()
	db.exec(t, `UPDATE deployments SET available_at = now() WHERE id = $1 AND status = 'pending'`, id)
}

func agent(id string, change ...func(*fleet.Agent)) fleet.Agent {
	a := fleet.Agent{ID: id, Name: "agent " + id, PollInterval: 10 * time.Second}
	for _, c := range change {
		c(&a)
	}
	return a
}

func labelled(labels ...string) func(*fleet.Agent) {
	return func(a *fleet.Agent) {
		a.Labels = map[string]string{}
		for pair := range slices.Chunk(labels, 2) {
			a.Labels[pair[0]] = pair[1]
		}
	}
}

func (r *replica) enroll(t tester, a fleet.Agent) {
	t.Helper()
	if _, err := r.agents.Enroll(t.Context(), a, fleet.HashToken("token of "+a.ID), 0); err != nil {
		t.Fatal(err)
	}
}

// order returns an order for the given agents, with three attempts.
func order(agents ...string) fleet.Order {
	return fleet.Order{
		NewDeployment: fleet.NewDeployment{Name: "upgrade", Spec: []byte(`{"to":2}`), MaxAttempts: 3, Lease: time.Minute},
		AgentIDs:      agents,
	}
}

// create creates the deployments of an order.
func (r *replica) create(t tester, o fleet.Order) (group fleet.CreatedGroup) {
	t.Helper()
	_, err := r.deployments.Create(t.Context(), o, nil, func(g fleet.CreatedGroup) ([]byte, error) {
		group = g
		return []byte("created"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return group
}

// createOne creates one deployment for the agent.
func (r *replica) createOne(t tester, agent string) uuid.UUID {
	t.Helper()
	return r.create(t, order(agent)).Deployments[0].ID
}

func saying(status fleet.Status, attempt int, claim string, change ...func(*fleet.Report)) fleet.Report {
	r := fleet.Report{Status: status, Attempt: attempt, Claim: claim}
	for _, c := range change {
		c(&r)
	}
	return r
}

func retryably(r *fleet.Report) { r.Retryable = true }

func (r *replica) report(t tester, agent string, id uuid.UUID, report fleet.Report) fleet.Deployment {
	t.Helper()
	d, err := r.deployments.Report(t.Context(), agent, id, report)
	if err != nil {
		t.Fatalf("report %s of attempt %d: %v", report.Status, report.Attempt, err)
	}
	return d
}

func (r *replica) expireLeases(t tester) int {
	t.Helper()
	n, err := r.deployments.ExpireLeases(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually waits until the condition holds.
func eventually(t tester, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func ptr[T any](v T) *T { return &v }
