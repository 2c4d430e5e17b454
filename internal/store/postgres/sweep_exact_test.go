package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// writer changes a fleet in its own transactions, one statement of the stores at a time.
type writer struct {
	agents [2]string // its own, so that writers never wait for each other
	tx     pgx.Tx    // nil if none is open
}

// change runs one or two statements.
func (w *writer) change(ctx context.Context, what, agent string) error {
	q := dbgen.New(w.tx)
	var token fleet.TokenHash
	id, group := newID(), newID()
	copy(token[:], id[:])
	var enrolled bool
	if err := w.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM agents WHERE id = $1)`, agent).Scan(&enrolled); err != nil {
		return err
	}
	switch {
	case !enrolled:
		_, err := q.InsertAgent(ctx, dbgen.InsertAgentParams{ID: agent, Labels: []byte("{}"), TokenHash: token[:], PollIntervalSeconds: 10})
		return err
	case what == "delete":
		_, err := q.DeleteAgent(ctx, agent)
		return errors.Join(err, q.RecordDeletedAgent(ctx, agent))
	case what == "rotate":
		_, err := q.RotateToken(ctx, dbgen.RotateTokenParams{ID: agent, TokenHash: token[:]})
		return err
	case what == "delete by hand":
		_, err := w.tx.Exec(ctx, `DELETE FROM agents WHERE id = $1`, agent)
		return err
	case what == "repair by hand":
		_, err := w.tx.Exec(ctx, `UPDATE agents SET token_hash = $2, poll_interval_seconds = 3600 - poll_interval_seconds WHERE id = $1`, agent, token[:])
		return err
	case what == "copy":
		_, err := w.tx.CopyFrom(ctx, pgx.Identifier{"deployments"},
			[]string{"id", "agent_id", "group_id", "name", "spec", "max_attempts", "lease_seconds", "changed_xid"},
			pgx.CopyFromRows([][]any{{id, agent, group, "", "{}", 3, 60, uint64(3)}}))
		return err
	case what == "clear by hand":
		_, err := w.tx.Exec(ctx, `DELETE FROM deployments WHERE agent_id = $1`, agent)
		return err
	case what == "move by hand":
		_, err := w.tx.Exec(ctx, `UPDATE deployments SET agent_id = CASE agent_id WHEN $1 THEN $2 ELSE $1 END
			WHERE agent_id = ANY ($3) AND EXISTS (SELECT FROM agents WHERE id = $1) AND EXISTS (SELECT FROM agents WHERE id = $2)`,
			w.agents[0], w.agents[1], w.agents[:])
		return err
	case what == "create":
		_, err := q.InsertDeployments(ctx, dbgen.InsertDeploymentsParams{
			GroupID: group, Spec: []byte("{}"), MaxAttempts: 3, LeaseSeconds: 60, Ids: []uuid.UUID{id}, AgentIds: []string{agent},
		})
		return err
	}
	pending, err := q.PendingDeployments(ctx, dbgen.PendingDeploymentsParams{AgentID: agent, MaxRows: 1, MaxBytes: fleet.MaxPendingBytes})
	if err != nil || len(pending) == 0 {
		return err
	}
	d, err := q.GetDeployment(ctx, pending[0].ID)
	if err != nil {
		return err
	}
	if what == "cancel" {
		_, err = q.CancelGroup(ctx, d.DeploymentState.GroupID)
		return err
	}
	until := d.DeploymentState.CreatedAt.Add(time.Hour)
	_, err = q.SaveDeployment(ctx, dbgen.SaveDeploymentParams{ // what == "claim"
		ID: d.DeploymentState.ID, WasStatus: "pending", WasAttempt: d.DeploymentState.Attempt, Status: "running", Attempt: d.DeploymentState.Attempt,
		Claim: ptr("c"), LeaseExpiresAt: &until, AvailableAt: d.DeploymentState.AvailableAt, Delivery: true,
	})
	return err
}

// TestSweepsAreExactUnderOverlappingTransactions opens, commits and rolls back transactions in any order, with sweeps
// between. After each sweep the follower knows what a sweep of everything finds, and no change is reported twice.
func TestSweepsAreExactUnderOverlappingTransactions(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	rapid.Check(t, func(t *rapid.T) {
		ctx := t.Context()
		db.exec(t, `DELETE FROM agents`)
		db.exec(t, `DELETE FROM deleted_agents`)
		writers := make([]*writer, 3)
		for i := range writers {
			writers[i] = &writer{agents: [2]string{fmt.Sprint("a", i), fmt.Sprint("b", i)}}
		}
		end := func(w *writer, how func(context.Context) error) {
			if w.tx == nil {
				return
			}
			if err := how(context.WithoutCancel(ctx)); err != nil {
				t.Fatal(err)
			}
			w.tx = nil
		}
		defer func() {
			for _, w := range writers {
				if w.tx != nil {
					end(w, w.tx.Rollback)
				}
			}
		}()
		follower := newSink()
		watermark := r.sweep(t, "", follower)
		sweep := func() {
			watermark = r.sweep(t, watermark, follower)
			if diff := differs(r.swept(t), follower); diff != "" {
				t.Fatalf("(-sweep of everything +followed):\n%s", diff)
			}
			idle := newSink()
			if watermark = r.sweep(t, watermark, idle); idle.changes != 0 {
				t.Fatalf("told again although nothing changed: %+v", idle)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"change": func(t *rapid.T) {
				w := writers[rapid.IntRange(0, len(writers)-1).Draw(t, "writer")]
				if w.tx == nil {
					tx, err := db.pool.Begin(ctx)
					if err != nil {
						t.Fatal(err)
					}
					w.tx = tx
				}
				what := rapid.SampledFrom([]string{
					"create", "claim", "cancel", "rotate", "delete", "delete by hand", "repair by hand", "copy", "clear by hand", "move by hand",
				}).Draw(t, "what")
				if err := w.change(ctx, what, w.agents[rapid.IntRange(0, 1).Draw(t, "agent")]); err != nil {
					t.Fatal(err)
				}
			},
			"commit": func(t *rapid.T) {
				if w := writers[rapid.IntRange(0, len(writers)-1).Draw(t, "writer")]; w.tx != nil {
					end(w, w.tx.Commit)
				}
			},
			"roll back": func(t *rapid.T) {
				if w := writers[rapid.IntRange(0, len(writers)-1).Draw(t, "writer")]; w.tx != nil {
					end(w, w.tx.Rollback)
				}
			},
			"sweep": func(*rapid.T) { sweep() },
		})
		for _, w := range writers {
			if w.tx != nil {
				end(w, w.tx.Commit)
			}
		}
		sweep()
	})
}

// TestSweepsFollowConcurrentWriters has both replicas' stores write at once, and holds some
// of their transactions open over several sweeps before they are committed or rolled back.
func TestSweepsFollowConcurrentWriters(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var agents []string // enough that most changes are an agent's last, so that no later one hides a lost one
	for i := range 50 {
		agents = append(agents, fmt.Sprint("agent-", i))
	}
	db, first := newFleet(t, agents...)
	replicas := [2]*replica{first, newReplica(t, postgres.Config{URL: db.url, MaxConns: 8})}

	var sweeps atomic.Int64
	done := make(chan struct{})
	follower := newSink()
	watermark := first.sweep(t, "", follower)
	ctx, cancel := context.WithCancel(t.Context())
	var following errgroup.Group
	following.Go(func() error {
		defer cancel() // otherwise writers would wait for the next sweep forever
		for {
			next, err := first.mailbox.Sweep(t.Context(), watermark, nil, follower)
			if err != nil {
				return err
			}
			watermark = next
			sweeps.Add(1)
			select {
			case <-done:
				return nil
			default:
			}
		}
	})
	writing, ctx := errgroup.WithContext(ctx)
	for i := range 6 {
		c := &chaos{r: replicas[i%2], agents: agents, random: rand.New(rand.NewPCG(seed, uint64(i))), sweeps: &sweeps}
		writing.Go(func() error {
			for range 40 {
				if err := c.step(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := writing.Wait()
	close(done)
	if err := errors.Join(err, following.Wait()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sweeps told of %d changes", sweeps.Load(), follower.changes)
	// To a sweep, deployments created between its start and its snapshot are
	// still to become due. It reports their agents, which are rechecked here.
	watermark = first.sweep(t, watermark, follower, slices.Collect(maps.Keys(follower.next))...)
	if diff := differs(replicas[1].swept(t), follower); diff != "" {
		t.Errorf("(-sweep of everything +followed):\n%s", diff)
	}
	idle := newSink()
	if first.sweep(t, watermark, idle); idle.changes != 0 {
		t.Errorf("told again although nothing changed: %+v", idle)
	}
	db.neverDeadlocked(t)
}

// chaos makes random writes through a replica's stores.
type chaos struct {
	r      *replica
	agents []string
	random *rand.Rand
	sweeps *atomic.Int64
	n      int
	groups []uuid.UUID
}

var errChangedItsMind = errors.New("changed its mind")

func (c *chaos) step(ctx context.Context) error {
	c.n++
	some := c.agents[c.random.IntN(len(c.agents))]
	token := fleet.HashToken(fmt.Sprintf("%p %d", c, c.n))
	s := c.r.deployments
	var err error
	switch c.random.IntN(10) {
	case 0:
		err = c.r.agents.DeleteAgent(ctx, some)
	case 1, 2:
		_, err = c.r.agents.Enroll(ctx, agent(some), token, 0)
	case 3:
		err = c.r.agents.RotateToken(ctx, some, token)
	case 4, 5:
		another := c.agents[c.random.IntN(len(c.agents))]
		_, err = s.Create(ctx, order(some, another), nil, func(g fleet.CreatedGroup) ([]byte, error) {
			c.groups = append(c.groups, g.ID)
			return nil, c.hold(ctx)
		})
	case 6:
		if len(c.groups) > 0 {
			_, err = s.CancelGroup(ctx, c.groups[c.random.IntN(len(c.groups))])
		}
	case 7:
		err = c.r.InTx(ctx, "rotate", func(q *dbgen.Queries) error {
			if _, err := q.RotateToken(ctx, dbgen.RotateTokenParams{ID: some, TokenHash: token[:]}); err != nil {
				return err
			}
			return c.hold(ctx)
		})
	default:
		var set fleet.PendingSet
		if set, err = s.Pending(ctx, some); err != nil || len(set.Due) == 0 {
			break
		}
		pending := set.Deployments
		d := pending[c.random.IntN(len(pending))]
		if _, err = s.Report(ctx, some, d.ID, saying(fleet.Running, d.Attempt, "c")); err == nil {
			_, err = s.Report(ctx, some, d.ID, saying(fleet.Failed, d.Attempt, "c", retryably))
		}
	}
	var refused *fault.Error
	if errors.Is(err, errChangedItsMind) || errors.As(err, &refused) && refused.Kind != fault.Unavailable {
		return nil
	}
	return err
}

// hold keeps a transaction open during up to three sweeps. It returns an error if the transaction is to be rolled back.
func (c *chaos) hold(ctx context.Context) error {
	until := c.sweeps.Load() + c.random.Int64N(4)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for c.sweeps.Load() < until {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.random.IntN(3) == 0 {
		return errChangedItsMind
	}
	return nil
}
