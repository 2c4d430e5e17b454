package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
)

var replicaKilled = experiment{
	name: "replica_killed", quick: true,
	what: "kill -9 of one replica of two, and its restart",
	strike: func(ctx context.Context, t *trial) error {
		for range t.repeat(6, 1) {
			if !pause.For(ctx, t.between(300*time.Millisecond, 1500*time.Millisecond)) {
				return ctx.Err()
			}
			i := t.random0.IntN(replicas)
			began := time.Now()
			if err := t.kill(i); err != nil {
				return err
			}
			if !pause.For(ctx, t.between(100*time.Millisecond, 3*time.Second)) {
				return ctx.Err()
			}
			over := time.Now()
			if err := t.start(ctx, i); err != nil {
				return err
			}
			took, err := t.recovered(ctx, over)
			if err != nil {
				return err
			}
			t.logf("%s: %d requests failed, which had gone to the one that was killed; all worked %.2f s after the restart",
				t.name, t.recorder.failures(began, time.Now(), workloadKinds...), took.Seconds())
		}
		return nil
	},
}

// kill kills a replica.
func (t *trial) kill(i int) error {
	t.mu.Lock()
	server := t.servers[i]
	t.servers[i] = nil
	t.mu.Unlock()
	if err := server.Kill(); err != nil {
		return fmt.Errorf("kill replica %d: %w", i, err)
	}
	return nil
}

// workloadKinds are the kinds of requests of the crowd, which use any replica. Probes use one that may be down.
var workloadKinds = []string{"poll", "report", "log", "create", "ingest", "run", "read", "cancel", "other"}

var rollingRestart = experiment{
	name: "rolling_restart", quick: true,
	what: "SIGTERM to one replica after the other, and their restarts, under load",
	strike: func(ctx context.Context, t *trial) error {
		began := time.Now()
		for range t.repeat(4, 1) {
			for i := range replicas {
				if !pause.For(ctx, t.between(300*time.Millisecond, 900*time.Millisecond)) {
					return ctx.Err()
				}
				asked := time.Now()
				if err := t.stop(i); err != nil {
					return err
				}
				took := time.Since(asked)
				if err := t.start(ctx, i); err != nil {
					return err
				}
				if err := t.awaitReplicas(ctx); err != nil {
					return err
				}
				t.logf("%s: replica %d ended %.2f s after SIGTERM", t.name, i, took.Seconds())
			}
		}
		over := time.Now()
		if _, err := t.recovered(ctx, over); err != nil {
			return err
		}
		t.must("requests_failed_on_drain", t.recorder.failures(began, time.Now(), workloadKinds...), "requests")
		t.showOutages(began, workloadKinds...)
		return nil
	},
}

// awaitReplicas waits until the balancer uses all replicas.
func (t *trial) awaitReplicas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if eventually(ctx, 20*time.Millisecond, func() bool { return t.balancer.Ready() == replicas }) {
		return nil
	}
	return errors.New("not all replicas become ready")
}

// showOutages logs the failed requests since a time, each reason once.
func (t *trial) showOutages(since time.Time, kinds ...string) {
	type reason struct{ kind, why string }
	count := map[reason]int{}
	t.recorder.look(func(d *recorder) {
		for _, o := range d.outages {
			for _, kind := range kinds {
				if o.kind == kind && o.at.After(since) {
					count[reason{kind, o.reason}]++
				}
			}
		}
	})
	shown := 0
	for r, n := range count {
		if shown++; shown > 10 {
			return
		}
		t.logf("%s: %d × %s: %s", t.name, n, r.kind, r.why)
	}
}
