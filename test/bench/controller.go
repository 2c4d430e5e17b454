package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

const (
	crdFolder = "config/crd/bases"

	controllerWithin = 4 * time.Minute         // limits each step of a controller
	controllerQuiet  = 1500 * time.Millisecond // without a reconcile; longer than its recheck delay
)

// controllerRound holds the measurements of one controller.
type controllerRound struct {
	ready     time.Duration // from its start until every report was Ready
	writes    int           // until no reconcile was left
	idle      int           // in later reconciles, by it and the next controller
	peak      int64         // bytes, the maximum of both
	cpu       time.Duration // until all were ready
	again     time.Duration // from the next controller's start until it had reconciled every report
	reconcile int           // number of reconciles until none was left
}

// operator is a version of the controller.
type operator struct {
	*bench
	definitions string // the folder of its CustomResourceDefinitions
}

// controllerReports measures the time, writes and memory that the controller needs for existing MonitoringReports, with
// an API server that shares two cores with etcd and the controller. In turns it measures rig.BaselineCommit with the
// same reports. A quick run does not build that.
func controllerReports(ctx context.Context, b *bench) ([]figure, error) {
	reports := or(b, 1000, 100)
	now := operator{b, crdFolder}
	before, err := b.operatorBefore(ctx)
	if err != nil {
		return nil, err
	}
	var rounds []controllerRound
	var earlier, ratios []float64
	for n := range or(b, 3, 1) {
		round, err := now.round(ctx, fmt.Sprintf("controller-%d", n), reports)
		if err != nil {
			return nil, err
		}
		b.logf("%d reports: Ready after %.1f s (%.1f s of CPU, %d reconciles), %d writes, %d when all was as it should be; after a restart seen to in %.1f s; at most %d MiB",
			reports, round.ready.Seconds(), round.cpu.Seconds(), round.reconcile, round.writes, round.idle, round.again.Seconds(), round.peak>>20)
		rounds = append(rounds, round)
		if before == nil {
			continue
		}
		other, err := before.readied(ctx, fmt.Sprintf("controller-before-%d", n), reports)
		if err != nil {
			return nil, err
		}
		b.logf("%s: %d reports: Ready after %.1f s (%.1f s of CPU)", rig.BaselineCommit, reports, other.ready.Seconds(), other.cpu.Seconds())
		earlier = append(earlier, other.ready.Seconds())
		ratios = append(ratios, round.ready.Seconds()/other.ready.Seconds())
	}
	of := func(value func(controllerRound) float64) (all []float64) {
		for _, round := range rounds {
			all = append(all, value(round))
		}
		return all
	}
	figures := []figure{
		{"controller_ready_seconds", median(of(func(r controllerRound) float64 { return r.ready.Seconds() })), "s", atMost(40)},
		{"controller_writes_per_cr", slices.Max(of(func(r controllerRound) float64 { return float64(r.writes) / float64(reports) })), "writes", atMost(4)},
		{"controller_idle_writes", slices.Max(of(func(r controllerRound) float64 { return float64(r.idle) })), "writes", exactly(0)},
		{"controller_rss_mib", slices.Max(of(func(r controllerRound) float64 { return float64(r.peak) / (1 << 20) })), "MiB", atMost(95)},
	}
	if before != nil {
		figures = append(figures, figure{"controller_ready_seconds_before", median(earlier), "s", aim{}},
			figure{"controller_ready_ratio", median(ratios), "ratio", atMost(0.75)})
	}
	return figures, nil
}

// operatorBefore returns the controller of rig.BaselineCommit with its CustomResourceDefinitions, or nil in a quick
// run.
func (b *bench) operatorBefore(ctx context.Context) (*operator, error) {
	if b.quick {
		b.logf("a quick run does not build %s", rig.BaselineCommit)
		return nil, nil
	}
	before, err := b.baseline(ctx)
	if err != nil {
		return nil, err
	}
	source := filepath.Join(b.dir, "crds-before")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return nil, err
	}
	return &operator{before, filepath.Join(source, crdFolder)}, rig.UnpackBaseline(ctx, source, crdFolder)
}

// round takes all measurements of a controller.
func (o operator) round(ctx context.Context, name string, reports int) (round controllerRound, err error) {
	err = o.withCluster(ctx, name, reports, func(ctx context.Context, c *cluster, dir string) error {
		first, err := o.firstController(ctx, c, dir, &round)
		if err == nil {
			err = reconciledAgain(ctx, c, first, &round)
		}
		if err := ended(first, err); err != nil {
			return err
		}
		return o.nextController(ctx, c, dir, &round)
	})
	return round, err
}

// readied measures only the time until all reports are Ready.
func (o operator) readied(ctx context.Context, name string, reports int) (round controllerRound, err error) {
	err = o.withCluster(ctx, name, reports, func(ctx context.Context, c *cluster, dir string) error {
		first, err := o.firstController(ctx, c, dir, &round)
		return ended(first, err)
	})
	return round, err
}

// withCluster runs do with a new API server.
func (o operator) withCluster(ctx context.Context, name string, reports int, do func(ctx context.Context, c *cluster, dir string) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, controllerWithin)
	defer cancel()
	dir := filepath.Join(o.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	c, err := startCluster(ctx, dir, o.definitions, reports)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close(), os.RemoveAll(dir)) }()
	o.logf("there are %d reports", reports)
	return do(ctx, c, dir)
}

// ended stops a controller, if one was started. If err is not nil it adds the end of the log to it.
func ended(p *rig.Controller, err error) error {
	if p == nil {
		return err
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, p.Tail())
	}
	return errors.Join(err, p.Close())
}

func (o operator) startController(ctx context.Context, c *cluster, dir string) (*rig.Controller, error) {
	return rig.StartController(ctx, rig.ControllerOptions{Binary: o.binary, Kubeconfig: c.kubeconfig, Dir: dir, Args: []string{
		"--leader-election-namespace", controllerNamespace, "--report-namespaces", "*",
		"--image", "watchbill.example/watchbill:1", "--server", "http://watchbill.example:8080",
		"--metrics-selector", "job=watchbill,namespace=watchbill", "--controller-metrics-selector", "job=watchbill-controller,namespace=watchbill",
	}})
}

// firstController runs a controller before any object of the reports exists.
func (o operator) firstController(ctx context.Context, c *cluster, dir string, round *controllerRound) (p *rig.Controller, err error) {
	var began time.Time
	p, err = c.awaitReady(ctx, func() (*rig.Controller, error) {
		began = time.Now()
		return o.startController(ctx, c, dir)
	})
	if err != nil {
		return p, err
	}
	round.ready = time.Since(began)
	if round.cpu, err = p.CPU(); err != nil {
		return p, err
	}
	if round.reconcile, err = reconciles(ctx, p, c.reports); err != nil {
		return p, err
	}
	if err := c.complete(ctx); err != nil {
		return p, err
	}
	var by map[string]int
	if round.writes, by, err = c.writes(); err != nil {
		return p, err
	}
	o.logf("writes: %v", by)
	return p, nil
}

// reconciledAgain makes the same controller reconcile every report again.
func reconciledAgain(ctx context.Context, c *cluster, p *rig.Controller, round *controllerRound) error {
	if err := c.touch(ctx); err != nil {
		return err
	}
	if _, err := reconciles(ctx, p, round.reconcile+c.reports); err != nil {
		return err
	}
	return round.idled(c, p)
}

// nextController runs a controller without state when every object is as wanted.
func (o operator) nextController(ctx context.Context, c *cluster, dir string, round *controllerRound) (err error) {
	began := time.Now()
	p, err := o.startController(ctx, c, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if _, err := reconciles(ctx, p, c.reports); err != nil {
		return err
	}
	round.again = time.Since(began) - controllerQuiet
	return round.idled(c, p)
}

// idled records the writes since the reports were ready and the memory of a controller that is about to stop.
func (r *controllerRound) idled(c *cluster, p *rig.Controller) error {
	total, _, err := c.writes()
	if err != nil {
		return err
	}
	r.idle = total - r.writes
	peak, err := p.PeakRSS()
	r.peak = max(r.peak, peak)
	return err
}

// reconciles waits until a controller has reconciled at least least times and then been quiet, and returns the number.
func reconciles(ctx context.Context, p *rig.Controller, minimum int) (int, error) {
	last, since := 0, time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.Done():
			return 0, errors.New("the controller ended")
		case <-ctx.Done():
			return 0, fmt.Errorf("the controller has reconciled %d times, want %d and then quiet: %w", last, minimum, context.Cause(ctx))
		case <-tick.C:
		}
		metrics, err := p.Metrics(ctx)
		if err != nil {
			continue // not started yet
		}
		sum := 0
		for series, value := range metrics {
			if strings.HasPrefix(series, "controller_runtime_reconcile_total{") {
				sum += int(value)
			}
		}
		if sum != last {
			last, since = sum, time.Now()
		} else if last >= minimum && time.Since(since) > controllerQuiet {
			return last, nil
		}
	}
}
