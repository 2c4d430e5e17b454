package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

var postgresKilled = experiment{
	name: "postgres_killed", quick: true,
	what: "kill -9 of PostgreSQL while executions come in and deployments are claimed, and its restart",
	strike: func(ctx context.Context, t *trial) error {
		began := time.Now()
		var caught int
		for range t.repeat(10, 2) {
			if !pause.For(ctx, t.between(300*time.Millisecond, 1500*time.Millisecond)) {
				return ctx.Err()
			}
			before := t.inFlight()
			if err := t.postgres.Kill(); err != nil {
				return err
			}
			if !pause.For(ctx, t.between(20*time.Millisecond, 2*time.Second)) {
				return ctx.Err()
			}
			over := time.Now()
			if err := t.postgres.Start(ctx); err != nil {
				return err
			}
			itself := time.Since(over)
			took, err := t.recovered(ctx, over)
			if err != nil {
				return err
			}
			now := t.inFlight() - before
			caught += now
			t.logf("%s: %d requests without an answer; PostgreSQL was back after %.2f s, all worked after %.2f s",
				t.name, now, itself.Seconds(), took.Seconds())
		}
		t.set("requests_caught", float64(caught), "requests")
		t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
		return nil
	},
}

func (t *trial) inFlight() (n int) {
	t.recorder.look(func(d *recorder) { n = d.inFlight })
	return n
}

var listenerTerminated = experiment{
	name: "listener_terminated", quick: true,
	what:  "the replicas' listening connections terminated again and again while deployments are created",
	where: func(*trial) setting { return setting{agents: pickupAgents} },
	strike: func(ctx context.Context, t *trial) error {
		began := time.Now()
		couriers := t.carry(ctx)
		defer couriers.cancel()
		var ended int
		for range t.repeat(50, 20) {
			// The last statement of a listening connection is its LISTEN, since notifications are too frequent for a
			// ping.
			err := t.ask(ctx, func(conn *pgx.Conn) error {
				rows, err := conn.Query(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
				if err != nil {
					return err
				}
				all, err := pgx.CollectRows(rows, pgx.RowTo[bool])
				ended += len(all)
				return err
			})
			if err != nil {
				return err
			}
			if !pause.For(ctx, t.between(50*time.Millisecond, 350*time.Millisecond)) {
				return ctx.Err()
			}
		}
		over := time.Now()
		if ended == 0 {
			return errors.New("there was no listening connection to terminate")
		}
		if _, err := t.recovered(ctx, over); err != nil {
			return err
		}
		pickups, missed, err := couriers.end(ctx)
		if err != nil {
			return err
		}
		at := func(q float64) float64 { return float64(pickups[int(q*float64(len(pickups)-1))].Microseconds()) / 1000 }
		t.logf("%s: %d connections terminated; %d deployments told to agents that wait at the other replica after %.1f ms (median), %.1f ms (p99), %.1f ms (worst)",
			t.name, ended, len(pickups), at(0.5), at(0.99), at(1))
		t.must("deliveries_late", missed, "deployments")
		t.set("pickup_p50_ms", at(0.5), "ms")
		t.set("pickup_max_ms", at(1), "ms")
		t.set("connections_terminated", float64(ended), "connections")
		t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
		return nil
	},
}

var poolHeld = experiment{
	name: "pool_held", quick: true,
	what: "every connection of the pools held by queries that wait, first for a row and then for a table that the sweeps need too",
	strike: func(ctx context.Context, t *trial) error {
		began := time.Now()
		id, err := t.deployForNobody(ctx)
		if err != nil {
			return err
		}
		for _, held := range []struct {
			by  string
			sql string
		}{
			{"a row", "SELECT id FROM deployments WHERE id = '" + id + "' FOR UPDATE"},
			{"a table", "LOCK TABLE deployments IN ACCESS EXCLUSIVE MODE"},
		} {
			over, err := t.holdPools(ctx, id, held.sql)
			if err != nil {
				return fmt.Errorf("pools held by %s: %w", held.by, err)
			}
			took, err := t.recovered(ctx, over)
			if err != nil {
				return err
			}
			t.logf("%s: by %s; all worked %.2f s after it was let go", t.name, held.by, took.Seconds())
		}
		t.set("idle_poll_p99_ms", t.idleP99, "ms")
		t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
		return nil
	},
}

// deployForNobody creates a deployment without an agent to claim it.
func (t *trial) deployForNobody(ctx context.Context) (id string, err error) {
	status, response, err := t.workload.post(ctx, t.workload.client(false), "/api/deployments", rig.AdminToken, nil, map[string]any{
		"agent_ids": []string{rig.AgentID(idleAgents - 1)}, "name": neverDone, "spec": map[string]any{},
	})
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("create: %d %.300s", status, response)
	}
	if err != nil {
		return "", err
	}
	err = t.ask(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT id::text FROM deployments WHERE name = $1", neverDone).Scan(&id)
	})
	return id, err
}

// holdPools holds a lock that cancellations need, and sends so many cancellations that all pool connections wait. It
// measures idle polls in the meantime, and returns when the lock was released.
func (t *trial) holdPools(ctx context.Context, id, lock string) (over time.Time, err error) {
	conn, err := pgx.Connect(ctx, t.direct)
	if err != nil {
		return over, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return over, err
	}
	if _, err := tx.Exec(ctx, lock); err != nil {
		return over, err
	}
	holding, release := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	for n := range 48 {
		waiting.Go(func() {
			for holding.Err() == nil {
				url := "http://" + t.address[n%replicas] + "/api/deployments/" + id + "/cancel"
				_, _, _ = send(holding, client, http.MethodPost, url, rig.AdminToken, nil, nil) // it only has to wait
			}
		})
	}
	defer func() {
		release()
		waiting.Wait()
		client.CloseIdleConnections()
	}()
	if err := t.awaitBusyPools(ctx); err != nil {
		return over, errors.Join(err, tx.Rollback(ctx))
	}
	if err := t.measureIdlePolls(ctx, time.Duration(t.repeat(15, 6))*time.Second); err != nil {
		return over, errors.Join(err, tx.Rollback(ctx))
	}
	release()
	over = time.Now()
	return over, tx.Rollback(ctx)
}

func (t *trial) awaitBusyPools(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var last error
	if eventually(ctx, 50*time.Millisecond, func() bool {
		for i := range replicas {
			m, err := t.server(i).Metrics(ctx)
			last = err
			if err != nil || m[`watchbill_db_pool_connections{state="in_use"}`] < m["watchbill_db_pool_max_connections"] {
				return false
			}
		}
		return true
	}) {
		return nil
	}
	return fmt.Errorf("the pools do not fill: %w", errors.Join(last, ctx.Err()))
}

// measureIdlePolls polls both replicas at a rate for a while.
func (t *trial) measureIdlePolls(ctx context.Context, d time.Duration) error {
	const rate, workers = 500, 16
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	defer client.CloseIdleConnections()
	polls := [replicas]func(context.Context, *http.Client, pick) (int, error){}
	for i := range polls {
		polls[i] = pollFor("http://" + t.address[i])
	}
	result := rig.OpenLoop(ctx, rate, workers, func(ctx context.Context, _ int, n int64) error {
		status, err := polls[n%replicas](ctx, client, func(limit int) int { return int(n) % limit })
		if err == nil && status != http.StatusNotModified {
			err = fmt.Errorf("answered %d", status)
		}
		return err
	})
	t.logf("%s: %d idle polls, %d failed (%v), p50 %.2f ms, p99 %.2f ms", t.name, result.Count, result.Errors, result.First,
		1000*result.Quantile(0.5), 1000*result.Quantile(0.99))
	t.idleP99 = max(t.idleP99, 1000*result.Quantile(0.99))
	if result.Errors > 0 || result.Count == 0 {
		return fmt.Errorf("of %d idle polls %d failed: %w", result.Count, result.Errors, result.First)
	}
	return nil
}
