package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
)

// settleWithin limits the time to finish pending work when a trial ends: a run's lease and its retries, and a spool
// that another replica adopts.
const settleWithin = 75 * time.Second

// ask runs a query over a direct connection, without the proxies between the replicas and the database.
func (t *trial) ask(ctx context.Context, do func(conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, t.direct)
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}

// finish waits for the pending work, stops all clients, and compares what they saw with the database.
func (t *trial) finish(ctx context.Context) error {
	t.watch.stop()
	t.workload.rest()
	missed, err := t.settle(ctx)
	if err != nil {
		return err
	}
	t.workload.leave()
	if err := t.awaitSpools(ctx); err != nil {
		return err
	}
	leaked, err := t.leaked(ctx)
	if err != nil {
		return err
	}
	t.must("deliveries_missed", missed, "deployments")
	t.must("goroutines_leaked", leaked, "goroutines")
	if err := t.audit(ctx); err != nil {
		return err
	}
	t.set("recover_seconds", t.recovery.Seconds(), "s")
	return nil
}

// settle waits until all deployments are finished, and counts acknowledged ones that never are.
func (t *trial) settle(ctx context.Context) (missed int, err error) {
	patience, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	var left []string
	eventually(patience, 250*time.Millisecond, func() bool {
		err = t.ask(ctx, func(conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, "SELECT id::text FROM deployments WHERE status IN ('pending', 'running') AND name <> $1", neverDone)
			if err != nil {
				return err
			}
			left, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		return err == nil && len(left) == 0
	})
	if len(left) == 0 {
		return 0, err
	}
	t.logf("%s: not finished: %s", t.name, strings.Join(left[:min(len(left), 5)], ", "))
	t.recorder.look(func(d *recorder) {
		for _, id := range left {
			if s := d.deployments[id]; s != nil && !s.acked.IsZero() {
				missed++
			}
		}
	})
	return missed, err
}

// neverDone is the name of deployments without an agent that works on them.
const neverDone = "never done"

// awaitSpools waits until the outcomes of all AI agent runs are in the database.
func (t *trial) awaitSpools(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	var waiting float64
	var err error
	if eventually(ctx, 250*time.Millisecond, func() bool {
		waiting = 0
		for i := range replicas {
			var figures map[string]float64
			if figures, err = t.server(i).Metrics(ctx); err != nil {
				return false
			}
			waiting += figures["watchbill_spool_records"]
		}
		return waiting == 0
	}) {
		return nil
	}
	return fmt.Errorf("%.0f executions wait in the spools still: %w", waiting, errors.Join(err, ctx.Err()))
}

// audit compares what the clients saw with the database.
func (t *trial) audit(ctx context.Context) error {
	lost, err := t.lost(ctx)
	if err != nil {
		return err
	}
	t.must("acked_lost", lost.count(), "things")
	t.must("executions_duplicated", lost.twice, "executions")
	t.must("double_claims", t.recorder.doubleClaims(), "claims")
	drifted, err := t.drift(ctx)
	if err != nil {
		return err
	}
	t.must("rollup_drift", drifted, "cells")
	return t.checkHistories(ctx)
}

func (t *trial) drift(ctx context.Context) (cells int, err error) {
	var example string
	err = t.ask(ctx, func(conn *pgx.Conn) (err error) {
		cells, example, err = drift(ctx, conn)
		return err
	})
	if cells > 0 {
		t.logf("%s: %d cells of rollups drifted: %s", t.name, cells, example)
	}
	return cells, err
}

// losses counts acknowledged objects that are missing or duplicated.
type losses struct {
	deployments, executions []string
	twice                   int
}

func (l losses) count() int { return len(l.deployments) + len(l.executions) }

// lost looks up everything that the API has acknowledged so far. Other clients may continue in the meantime.
func (t *trial) lost(ctx context.Context) (l losses, err error) {
	var deployments, executions []string
	t.recorder.look(func(d *recorder) {
		for id, s := range d.deployments {
			if !s.acked.IsZero() || len(s.events) > 0 { // seen objects existed
				deployments = append(deployments, id)
			}
		}
		for id, acked := range d.executions {
			if acked {
				executions = append(executions, id)
			}
		}
	})
	err = t.ask(ctx, func(conn *pgx.Conn) error {
		there, err := counts(ctx, conn, "SELECT id::text, 1::bigint FROM deployments")
		if err != nil {
			return err
		}
		l.deployments = missing(deployments, there)
		if there, err = counts(ctx, conn, "SELECT execution_id, count(*) FROM agent_executions GROUP BY execution_id"); err != nil {
			return err
		}
		l.executions = missing(executions, there)
		for _, n := range there {
			l.twice += int(n - 1)
		}
		return nil
	})
	if l.count() > 0 {
		t.logf("%s: lost: deployments %.300v, executions %.300v", t.name, l.deployments, l.executions)
	}
	return l, err
}

func counts(ctx context.Context, conn *pgx.Conn, sql string) (map[string]int64, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	all := map[string]int64{}
	var id string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error { all[id] = n; return nil })
	return all, err
}

func missing(wanted []string, there map[string]int64) []string {
	return slices.DeleteFunc(wanted, func(id string) bool { return there[id] > 0 })
}

// checkHistories checks that every deployment's history is explainable.
func (t *trial) checkHistories(ctx context.Context) error {
	ends, err := t.ends(ctx)
	if err != nil {
		return err
	}
	var illegal, checked, events int
	t.recorder.look(func(d *recorder) {
		for id, h := range ends {
			if s := d.deployments[id]; s != nil {
				h.events = append(slices.Clone(s.events), h.events...)
			}
			checked++
			events += len(h.events)
			if err := legal(h); err != nil {
				if illegal++; illegal <= 3 {
					t.logf("%s: %v", t.name, err)
				}
			}
		}
	})
	t.must("histories_illegal", illegal, "deployments")
	t.set("histories_checked", float64(checked), "deployments")
	t.set("moves_checked", float64(events), "moves")
	return nil
}

// ends returns the current states of the deployments in the database, by id.
func (t *trial) ends(ctx context.Context) (map[string]history, error) {
	asked := time.Now()
	all := map[string]history{}
	err := t.ask(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT id::text, status, attempt, COALESCE(claim, ''), max_attempts, lease_seconds
			FROM deployments WHERE name <> $1`, neverDone)
		if err != nil {
			return err
		}
		var id, status, claim string
		var attempt, limit, lease int
		_, err = pgx.ForEachRow(rows, []any{&id, &status, &attempt, &claim, &limit, &lease}, func() error {
			end := event{asked: asked, seen: &snapshot{status: fleet.Status(status), attempt: attempt, whole: true, claim: claim}}
			all[id] = history{id: id, maxAttempts: limit, lease: time.Duration(lease) * time.Second, events: []event{end}}
			return nil
		})
		if err != nil {
			return err
		}
		rows, err = conn.Query(ctx, "SELECT deployment_id::text, attempt, claim, status FROM deployment_attempts ORDER BY 1, 2")
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, []any{&id, &attempt, &claim, &status}, func() error {
			if h, ok := all[id]; ok {
				h.events[0].seen.past = append(h.events[0].seen.past, fleet.Attempt{Number: attempt, Claim: claim, Status: fleet.Status(status)})
			}
			return nil
		})
		return err
	})
	answered := time.Now()
	for _, h := range all {
		h.events[0].answered = answered
	}
	return all, err
}
