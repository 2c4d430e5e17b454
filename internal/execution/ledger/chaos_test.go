package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// TestReplicasAppendTheSameExecutions sends the same rows through several replicas, in different orders, at the same
// time: there is no deadlock, and each row counts once.
func TestReplicasAppendTheSameExecutions(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const replicas, callers, batches = 3, 4, 15
	var all []execution.Execution
	var spans []execution.Span
	for i := range 400 {
		e := anExecution(func(e *execution.Execution) {
			e.UserID, e.AgentName = fmt.Sprint("user ", i%17), fmt.Sprint("agent ", i%3)
			e.TraceID, e.SpanID = fmt.Sprintf("%032x", i/4), fmt.Sprintf("%016x", i)
		})
		all = append(all, e)
		spans = append(spans, execution.Span{TraceID: e.TraceID, SpanID: e.SpanID, Agent: e.AgentName, User: e.UserID, Execution: true})
	}
	var recorded recorder
	var deadlocked deadlocks
	var accepted, duplicates int
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(t.Context())
	for r := range replicas {
		l := newLedger(newStore(t, db.url, &deadlocked), &recorded)
		run(t, l)
		for c := range callers {
			random := rand.New(rand.NewPCG(seed, uint64(callers*r+c)))
			g.Go(func() error {
				for range batches {
					var batch execution.Batch
					for _, i := range random.Perm(len(all))[:1+random.IntN(len(all)/2)] {
						batch.Executions, batch.Spans = append(batch.Executions, all[i]), append(batch.Spans, spans[i])
					}
					outcome, err := l.Append(ctx, batch)
					if err != nil {
						return err
					}
					mu.Lock()
					accepted += outcome.Accepted
					duplicates += outcome.Duplicates
					mu.Unlock()
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	stored := ask[int](t, db, `SELECT count(*) FROM agent_executions`)
	if accepted != stored || stored > len(all) || duplicates == 0 {
		t.Errorf("want each of %d accepted once, got %d accepted, %d stored", len(all), accepted, stored)
	}
	recorded.eachOnce(t, stored)
	recorded.rows(t, accepted, duplicates, 0, 0)
	checkRollups(t, db)
	if deadlocked.n > 0 {
		t.Errorf("want no deadlock, got %d", deadlocked.n)
	}
}

// client sends each batch until it is acknowledged.
type client struct {
	ledger   *ledger.Ledger
	random   *rand.Rand
	recorded map[string]bool // acknowledged ids
	tries    int
}

func (c *client) bring(ctx context.Context, batch execution.Batch) (execution.Outcome, error) {
	for {
		c.tries++
		outcome, err := c.ledger.Append(ctx, batch)
		switch {
		case err == nil:
			for _, id := range ids(batch) {
				c.recorded[id] = true
			}
			return outcome, nil
		case !errors.Is(err, fault.ErrUnavailable):
			return outcome, err
		}
		pause(ctx, c.random, 5*time.Millisecond) // before a retry
	}
}

// pause waits for a random duration up to most.
func pause(ctx context.Context, random *rand.Rand, limit time.Duration) {
	timer := time.NewTimer(time.Duration(random.Int64N(int64(limit))))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// disturb repeatedly cuts the connection to the database, each time after a few more commits.
func disturb(ctx context.Context, random *rand.Rand, proxy *postgrestest.Proxy, recorded *recorder) (times int) {
	for seen := 0; ctx.Err() == nil; {
		if n := recorded.commits(); n < seen+2 {
			pause(ctx, random, 2*time.Millisecond)
			continue
		}
		pause(ctx, random, 15*time.Millisecond)
		proxy.Cut()
		times++
		pause(ctx, random, 10*time.Millisecond)
		proxy.Resume()
		seen = recorded.commits()
	}
	return times
}

// TestNothingAcknowledgedIsLost sends batches through two ledgers while their connections to the database are cut at random,
// including during commits.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const replicas, callers, batches = 2, 5, 25
	var recorded recorder
	var accepted, rows int
	var mu sync.Mutex
	var clients []*client
	bringing, ctx := errgroup.WithContext(t.Context())
	troubled, calm := context.WithCancel(t.Context())
	defer calm()
	var trouble sync.WaitGroup
	var cuts atomic.Int64
	shared := some(50) // sent by all clients now and then
	for r := range replicas {
		proxy := postgrestest.NewProxy(t, db.url)
		l := newLedger(newStore(t, proxy.URL, nil), &recorded)
		run(t, l)
		random := rand.New(rand.NewPCG(seed, uint64(1000+r)))
		trouble.Go(func() { cuts.Add(int64(disturb(troubled, random, proxy, &recorded))) })
		for c := range callers {
			one := &client{ledger: l, random: rand.New(rand.NewPCG(seed, uint64(callers*r+c))), recorded: map[string]bool{}}
			clients = append(clients, one)
			bringing.Go(func() error {
				for range batches {
					batch := some(one.random.IntN(30), func(e *execution.Execution) { e.UserID = fmt.Sprint("user ", one.random.IntN(5)) })
					for range one.random.IntN(5) {
						batch.Executions = append(batch.Executions, shared.Executions[one.random.IntN(50)])
					}
					outcome, err := one.bring(ctx, batch)
					if err != nil {
						return err
					}
					mu.Lock()
					accepted += outcome.Accepted
					rows += len(batch.Executions)
					mu.Unlock()
				}
				return nil
			})
		}
	}
	err := bringing.Wait()
	calm()
	trouble.Wait()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged, tries := map[string]bool{}, 0
	for _, c := range clients {
		tries += c.tries
		for id := range c.recorded {
			acknowledged[id] = true
		}
	}
	t.Logf("%d cuts, %d tries of %d batches; %d of %d rows accepted", cuts.Load(), tries, replicas*callers*batches, accepted, rows)
	if cuts.Load() == 0 || tries == replicas*callers*batches {
		t.Error("nothing went wrong")
	}
	if stored := ask[int](t, db, `SELECT count(*) FROM agent_executions`); stored != len(acknowledged) {
		t.Errorf("want the %d acknowledged stored, got %d rows", len(acknowledged), stored)
	}
	var names []string
	for id := range acknowledged {
		names = append(names, id)
	}
	if n := ask[int](t, db, `SELECT count(DISTINCT execution_id) FROM agent_executions WHERE execution_id = ANY ($1)`, names); n != len(names) {
		t.Errorf("want each of %d once, got %d", len(names), n)
	}
	recorded.eachOnce(t, accepted) // batches whose response was lost were retried as duplicates
	checkRollups(t, db)
}
