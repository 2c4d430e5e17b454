package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// fault is a failure to inject and the trial of it.
type experiment struct {
	name   string
	what   string
	quick  bool                   // short enough for a quick run
	where  func(t *trial) setting // nil for the usual setting
	strike func(ctx context.Context, t *trial) error
	// alone replaces strike and the usual setting: it starts what it needs itself, without other clients.
	alone func(ctx context.Context, t *trial) error
}

// faults are all faults, in the order of the trials.
var faults = []experiment{
	postgresKilled, replicaKilled, rollingRestart, listenerTerminated, poolHeld, failedOver, hostVanished, databaseDiskFull, spoolDiskFull,
	networkStalled, stdoutStalled, clocksJump, reconnects, restored, slowReaders, heldFanout, trickledBodies, oversizedBodies, idleConnections, strangers, kubernetesFlood, behindProxies, healthReported, soak,
}

// chaos is the state shared by all trials.
type chaos struct {
	seed     uint64
	quick    bool
	programs string // the folder of PostgreSQL's programs; the newest if empty
	soakFor  time.Duration
	binary   string // watchbill
	dir      string
	postgres *rig.Postgres // nil until needed
	logf     func(format string, args ...any)
}

// repeat returns often, or rarely in a quick run.
func (c *chaos) repeat(often, rarely int) int {
	if c.quick {
		return rarely
	}
	return often
}

// try runs the trial of a fault.
func (c *chaos) try(ctx context.Context, f experiment) (found []figure, err error) {
	t := &trial{chaos: c, name: f.name, recorder: newRecorder(), patience: 90 * time.Second}
	t.random0 = t.random("schedule")
	defer func() { err = errors.Join(err, t.close()) }()
	if f.alone != nil {
		t.folder = filepath.Join(t.dir, t.name)
		if err := os.MkdirAll(t.folder, 0o755); err != nil {
			return nil, err
		}
		err = f.alone(ctx, t)
		return t.found, err
	}
	s := setting{}
	if f.where != nil {
		s = f.where(t)
	}
	if err := t.prepare(ctx, s); err != nil {
		return nil, err
	}
	size := usual
	if s.size != nil {
		size = *s.size
	}
	if t.workload, err = t.gather(ctx, size); err != nil {
		return nil, err
	}
	defer t.workload.leave()
	t.watch = t.watchAll(ctx)
	defer t.watch.stop()
	if err := t.warmUp(ctx); err != nil {
		return nil, err
	}
	if err := f.strike(ctx, t); err != nil {
		return nil, errors.Join(err, t.unexpectedResponses())
	}
	if err := t.finish(ctx); err != nil {
		return nil, errors.Join(err, t.unexpectedResponses())
	}
	return t.found, t.unexpectedResponses()
}

// warmUp waits until deployments finish and executions are stored.
func (t *trial) warmUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var finished, stored int
	if eventually(ctx, 50*time.Millisecond, func() bool {
		t.recorder.look(func(d *recorder) {
			finished, stored = 0, 0
			for _, s := range d.deployments {
				if s.finished {
					finished++
				}
			}
			for _, acked := range d.executions {
				if acked {
					stored++
				}
			}
		})
		return finished >= 10 && stored >= 100
	}) {
		return nil
	}
	return fmt.Errorf("the service does not get to work: %d deployments finished, %d executions stored", finished, stored)
}

// unexpectedResponses returns the responses that must not occur as an error.
func (t *trial) unexpectedResponses() error {
	var err error
	t.recorder.look(func(d *recorder) {
		for _, one := range d.unexplained {
			err = errors.Join(err, errors.New(one))
		}
	})
	return err
}
