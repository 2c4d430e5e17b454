package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

const day = 24 * time.Hour

// database is a test's database, accessed without the ledger.
type database struct {
	url  string
	pool *pgxpool.Pool
}

func newDatabase(t *testing.T) database {
	t.Helper()
	url := postgrestest.NewDatabase(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return database{url, pool}
}

// ask returns the only value of the only row, as a role that sees all executions.
func ask[T any](t *testing.T, db database, sql string, args ...any) (answer T) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE watchbill_admin`); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), sql, args...).Scan(&answer)
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

// checkRollups checks that the rollups, and the users' quarter-hours, equal the sums of the rows.
func checkRollups(t *testing.T, db database) {
	t.Helper()
	const measures = `sum(tokens_used) AS tokens, sum(COALESCE(cost_nano_usd, 0)) AS cost`
	if n := ask[int](t, db, `
		WITH stored AS (
			SELECT date_bin('1 minute', created_at, 'epoch') AS bucket, agent_name AS agent, model_used AS model, status, request,
				count(*) AS n, sum(round(execution_time_ms * 1000)) AS us, `+measures+` FROM agent_executions GROUP BY 1, 2, 3, 4, 5
		), rollups AS (
			SELECT bucket, agent, model, status, request, sum(count) AS n, sum(time_us) AS us, `+measures+`
			FROM (SELECT * FROM execution_rollups WHERE seconds = 60 UNION ALL SELECT 60, * FROM execution_deltas) AS both_of_them
			GROUP BY 1, 2, 3, 4, 5 HAVING sum(count) <> 0
		)
		SELECT count(*) FROM stored s FULL JOIN rollups r USING (bucket, agent, model, status, request)
		WHERE (s.n, s.us, s.tokens, s.cost) IS DISTINCT FROM (r.n, r.us, r.tokens, r.cost)`); n != 0 {
		t.Errorf("%d cells of the rollups are not what the rows add up to", n)
	}
	if n := ask[int](t, db, `
		WITH stored AS (
			SELECT date_bin('15 minutes', created_at, 'epoch') AS bucket, user_id, model_used AS model, sum(request::int) AS n, `+measures+`
			FROM agent_executions GROUP BY 1, 2, 3
		), rollups AS (
			SELECT bucket, user_id, model, sum(requests) AS n, `+measures+`
			FROM (SELECT * FROM user_rollups WHERE seconds = 900 UNION ALL SELECT 900, * FROM user_deltas) AS both_of_them GROUP BY 1, 2, 3
		)
		SELECT count(*) FROM stored s FULL JOIN rollups r USING (bucket, user_id, model)
		WHERE (s.n, s.tokens, s.cost) IS DISTINCT FROM (r.n, r.tokens, r.cost)`); n != 0 {
		t.Errorf("%d of the users' rollups are not what the rows add up to", n)
	}
}

// deadlocks counts deadlocks.
type deadlocks struct {
	mu sync.Mutex
	n  int
}

func (d *deadlocks) ObserveOtherQuery(_ observe.Audience, name string, took time.Duration, err error, sqlstate string) {
	d.ObserveQuery(name, took, err, sqlstate)
}

func (d *deadlocks) ObserveQuery(_ string, _ time.Duration, _ error, sqlstate string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sqlstate == "40P01" {
		d.n++
	}
}

func newStore(t *testing.T, url string, observer postgres.QueryObserver) *postgres.Executions {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 4, Observer: observer, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return postgres.NewExecutions(db, postgres.ExecutionRetention{
		Executions: 30 * day, Minutes: 2 * day, Quarters: 35 * day, Hours: 400 * day, Days: 2000 * day,
	}, time.Now)
}

// gate is a store whose commits a test can count, block and fail.
type gate struct {
	ledger.Store
	before func(execution.Batch) error // its error replaces the commit
	after  func(execution.Batch) error // its error hides a successful commit

	mu   sync.Mutex
	rows []int // of each commit
}

func (g *gate) Commit(ctx context.Context, batch execution.Batch) (execution.Committed, error) {
	g.mu.Lock()
	g.rows = append(g.rows, len(batch.Executions))
	g.mu.Unlock()
	if g.before != nil {
		if err := g.before(batch); err != nil {
			return execution.Committed{}, err
		}
	}
	done, err := g.Store.Commit(ctx, batch)
	if err == nil && g.after != nil {
		err = g.after(batch)
	}
	return done, err
}

func (g *gate) commits() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.rows)
}

// recorder is an Observer that records its calls.
type recorder struct {
	mu                                      sync.Mutex
	settled                                 map[string]int
	accepted, duplicates, rejected, refused int
	committed, failed                       int
}

func (r *recorder) Observe(settled []execution.Execution) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled == nil {
		r.settled = map[string]int{}
	}
	for _, e := range settled {
		r.settled[e.ID]++
	}
}

func (r *recorder) ObserveCommit(_ int, took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.committed++
	} else {
		r.failed++
	}
	if took < 0 {
		r.failed = -1
	}
}

func (r *recorder) ObserveErased(int) {}

func (r *recorder) ObserveRows(accepted, duplicates, rejected, refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accepted += accepted
	r.duplicates += duplicates
	r.rejected += rejected
	r.refused += refused
}

// commits returns the number of successful commits.
func (r *recorder) commits() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.committed
}

// rows checks the numbers of rows observed so far.
func (r *recorder) rows(t *testing.T, accepted, duplicates, rejected, refused int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want, got := [4]int{accepted, duplicates, rejected, refused}, [4]int{r.accepted, r.duplicates, r.rejected, r.refused}
	if want != got {
		t.Errorf("want %v accepted, duplicates, rejected and refused told of, got %v", want, got)
	}
}

// eachOnce checks that a number of executions was observed, each once.
func (r *recorder) eachOnce(t *testing.T, want int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, n := range r.settled {
		if n != 1 {
			t.Errorf("%s: told of %d times", id, n)
		}
	}
	if len(r.settled) != want {
		t.Errorf("want %d told of, got %d", want, len(r.settled))
	}
}

func newLedger(store ledger.Store, observer ledger.Observer, change ...func(*ledger.Options)) *ledger.Ledger {
	opts := ledger.Options{
		Store: store, Prices: prices.Default, Keep: 30 * day, Observer: observer, Log: zap.NewNop(), Now: time.Now,
		MaxRows: ledger.DefaultRows, MaxBytes: ledger.DefaultBytes,
	}
	for _, c := range change {
		c(&opts)
	}
	return ledger.New(opts)
}

// run runs a ledger until stop is called, or the test ends.
func run(t *testing.T, l *ledger.Ledger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the ledger ended: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func anExecution(change ...func(*execution.Execution)) execution.Execution {
	e := execution.Execution{
		ID: uuid.NewString(), CreatedAt: time.Now().UTC().Truncate(time.Microsecond), UserID: "ada", RequestID: "r", AgentName: "planner",
		Kind: execution.Agent, Status: execution.Success, Duration: 1500 * time.Millisecond, Provider: "openai", Model: "gpt-4o",
		Tokens: execution.Tokens{Input: 100, Output: 50}, Request: true,
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func some(n int, change ...func(*execution.Execution)) execution.Batch {
	var b execution.Batch
	for range n {
		b.Executions = append(b.Executions, anExecution(change...))
	}
	return b
}

// answer is the result of Append.
type answer struct {
	execution.Outcome
	err error
}

// bring appends a batch in a goroutine, and returns the channel of the answer.
func bring(t *testing.T, l *ledger.Ledger, batch execution.Batch) <-chan answer {
	t.Helper()
	results := make(chan answer, 1)
	go func() {
		outcome, err := l.Append(t.Context(), batch)
		results <- answer{outcome, err}
	}()
	return results
}

// is checks the answer's numbers of rows.
func (a answer) is(t *testing.T, who string, accepted, duplicates, rejected int) {
	t.Helper()
	if a.err != nil || a.Accepted != accepted || a.Duplicates != duplicates || len(a.Rejected) != rejected {
		t.Errorf("%s: want %d accepted, %d duplicates, %d rejected, got %+v, %v", who, accepted, duplicates, rejected, a.Outcome, a.err)
	}
}

// isUnavailable checks that nothing was acknowledged.
func (a answer) isUnavailable(t *testing.T, who string) {
	t.Helper()
	if !errors.Is(a.err, fault.ErrUnavailable) || a.Accepted+a.Duplicates+len(a.Rejected) > 0 {
		t.Errorf("%s: want it unavailable, got %+v, %v", who, a.Outcome, a.err)
	}
}

// holding sets before to a function that blocks all commits until release is called.
func (g *gate) holding() (release func()) {
	held := make(chan struct{})
	g.before = func(execution.Batch) error {
		<-held
		return nil
	}
	return sync.OnceFunc(func() { close(held) })
}

// minConcurrentRows is the number of queued rows for which another transaction is begun during one.
const minConcurrentRows = 1000

// occupy appends one batch for each committer, and returns when the store has them. The second is large enough to be stored
// during the first because of its spans, which are not counted.
func occupy(t *testing.T, l *ledger.Ledger, g *gate) (results []<-chan answer) {
	t.Helper()
	for i := range 2 {
		batch := some(1)
		for n := range i * minConcurrentRows {
			batch.Spans = append(batch.Spans, execution.Span{TraceID: "occupying", SpanID: strconv.Itoa(n)})
		}
		results = append(results, bring(t, l, batch))
		await.Until(t, "a committer is at it", func() bool { return g.commits() == i+1 })
	}
	return results
}

func ids(b execution.Batch) (all []string) {
	for _, e := range b.Executions {
		all = append(all, e.ID)
	}
	slices.Sort(all)
	return all
}

func who(i int) string { return fmt.Sprint("caller ", i) }
