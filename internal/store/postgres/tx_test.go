package postgres_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

func TestDeadlockedTransactionIsRetried(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	one, other := r.createOne(t, "a"), r.createOne(t, "a")
	hasty := newReplica(t, postgres.Config{URL: db.with(t, "deadlock_timeout", "10")})

	var runs, held atomic.Int32
	bothHaveOne := make(chan struct{})
	g, ctx := errgroup.WithContext(t.Context())
	for _, inOrder := range [][2]uuid.UUID{{one, other}, {other, one}} {
		g.Go(func() error {
			return hasty.InTx(ctx, "take both", func(q *dbgen.Queries) error {
				runs.Add(1)
				if _, err := q.LockDeployment(ctx, inOrder[0]); err != nil {
					return err
				}
				if held.Add(1) == 2 {
					close(bothHaveOne)
				}
				<-bothHaveOne
				_, err := q.LockDeployment(ctx, inOrder[1])
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := runs.Load(); got != 3 {
		t.Errorf("want the victim run again and nobody else, got %d runs", got)
	}
}

func TestTransactionRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code     string
		failures int
		runs     int
		succeeds bool
	}{
		{"40P01", 0, 1, true},
		{"40P01", 1, 2, true},
		{"40001", postgres.MaxTries - 1, postgres.MaxTries, true},
		{"40P01", postgres.MaxTries, postgres.MaxTries, false},
		{"40001", postgres.MaxTries, postgres.MaxTries, false},
		{"23505", 1, 1, false},
		{"57014", 1, 1, false},
	} {
		t.Run(tt.code+" "+strconv.Itoa(tt.failures)+" times", func(t *testing.T) {
			t.Parallel()
			db, r := newFleet(t)
			failOnDemand(t, db)
			runs := 0
			err := r.InTx(t.Context(), "enrol", func(q *dbgen.Queries) error {
				runs++
				_, err := q.InsertAgent(t.Context(), dbgen.InsertAgentParams{
					ID: "a", Name: tt.code, Version: strconv.Itoa(tt.failures),
					Labels: []byte("{}"), TokenHash: make([]byte, 32), PollIntervalSeconds: 10,
				})
				return err
			})
			stored := ask[int](t, db, `SELECT count(*)::int FROM agents`) == 1
			if runs != tt.runs || (err == nil) != tt.succeeds || stored != tt.succeeds {
				t.Errorf("want %d runs, success %v; got %d, stored %v, %v", tt.runs, tt.succeeds, runs, stored, err)
			}
			var pgErr *pgconn.PgError
			if err != nil && (!errors.As(err, &pgErr) || pgErr.Code != tt.code) {
				t.Errorf("want the server's fault kept, got %v", err)
			}
		})
	}
}

func TestTransactionIsNotRetriedAfterCancel(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	failOnDemand(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	runs := 0
	err := r.InTx(ctx, "enrol", func(q *dbgen.Queries) error {
		runs++
		_, err := q.InsertAgent(ctx, dbgen.InsertAgentParams{
			ID: "a", Name: "40P01", Version: "9", Labels: []byte("{}"), TokenHash: make([]byte, 32), PollIntervalSeconds: 10,
		})
		cancel()
		return err
	})
	if runs != 1 || !errors.Is(err, context.Canceled) || errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("want one run and a cancellation, got %d and %v", runs, err)
	}
}

func TestFailedTransactionStoresNothing(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	ours := errors.New("encoding failed")
	key := &fleet.IdempotencyKey{Key: "k"}
	_, err := r.deployments.Create(t.Context(), order("a"), key, func(fleet.CreatedGroup) ([]byte, error) { return nil, ours })
	if !errors.Is(err, ours) || errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("want %v, got %v", ours, err)
	}
	left := ask[int](t, db, `SELECT (SELECT count(*) FROM deployments)::int + (SELECT count(*) FROM idempotency_keys)::int`)
	if left != 0 || len(r.noted()) != 0 {
		t.Errorf("want nothing stored and nobody told, got %d rows", left)
	}
	if pool := r.Pool(); pool.InUse != 0 {
		t.Errorf("want the connection back, got %d in use", pool.InUse)
	}
}
