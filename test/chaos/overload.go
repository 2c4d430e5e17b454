package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// The resources of a replica in these trials, small enough to detect attacks that use too much.
const (
	overloadMemory = 256 << 20
	overloadAgents = 200 // starting at overloadFirst
	overloadFirst  = idleAgents
)

// overload is a separate server under attack while known clients continue to work.
type overload struct {
	t      *trial
	before bool // the server is the baseline
	server *rig.Server
	client *http.Client
}

// onEach attacks this version and, unless the run is quick, the baseline. first is a shell command that runs before the
// server; if it is empty, the server gets a memory limit if possible.
func (t *trial) onEach(ctx context.Context, first string, attack func(ctx context.Context, o *overload) error) error {
	if err := t.overload(ctx, t.binary, false, first, attack); err != nil || t.quick {
		return err
	}
	baseline, err := rig.BuildBaseline(ctx, t.dir)
	if err != nil {
		return err
	}
	if err := t.overload(ctx, baseline, true, first, attack); err != nil {
		return fmt.Errorf("version %s: %w", rig.BaselineCommit, err)
	}
	return nil
}

func (t *trial) overload(ctx context.Context, binary string, before bool, first string, attack func(ctx context.Context, o *overload) error) (err error) {
	name := "overload"
	if before {
		name = "overload-before"
	}
	database, err := t.postgres.CreateDatabase(ctx, strings.ReplaceAll(t.name+"_"+name, "-", "_"))
	if err != nil {
		return err
	}
	switch {
	case first != "":
		binary, err = rig.Wrap(t.folder, name, first, binary)
	case !before: // the baseline would not survive
		var release func() error
		binary, release, err = rig.LimitMemory(t.folder, "watchbill-"+filepath.Base(t.dir)+"-"+t.name, overloadMemory, binary)
		if errors.Is(err, rig.ErrNoMemoryLimit) {
			t.logf("%s: %v", t.name, err)
			binary, err = t.binary, nil
		} else if err == nil {
			defer func() { err = errors.Join(err, release()) }()
		}
	}
	if err != nil {
		return err
	}
	o := &overload{t: t, before: before, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 20 * time.Second}}
	defer o.client.CloseIdleConnections()
	o.server, err = rig.Serve(ctx, rig.ServeOptions{Binary: binary, DatabaseURL: database, Dir: t.folder, Name: name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.server.Close()) }()
	if err := rig.SeedAgents(ctx, database, overloadFirst, overloadFirst+overloadAgents); err != nil {
		return err
	}
	if err := attack(ctx, o); err != nil {
		return err
	}
	select {
	case <-o.server.Done():
		o.must("replicas_ended_"+t.name, 1, "replicas")
	default:
		o.must("replicas_ended_"+t.name, 0, "replicas")
	}
	return nil
}

// set records a figure under its name, or that of the baseline.
func (o *overload) set(name string, value float64, unit string) {
	o.note(figure{name: name, value: value, unit: unit})
}

// must records a figure that must be 0, except for the baseline.
func (o *overload) must(name string, value int, unit string) {
	o.note(figure{name: name, value: float64(value), unit: unit, exact: !o.before})
}

func (o *overload) note(f figure) {
	if o.before {
		f.name += "_before"
	}
	o.t.found = append(o.t.found, f)
}

// agent returns the path and token of the n-th agent.
func (o *overload) agent(n int) (path, token string) {
	return "/api/deployments/pending/" + rig.AgentID(overloadFirst+n), rig.AgentToken(overloadFirst + n)
}

// deploy creates deployments for agents with a spec of the given size.
func (o *overload) deploy(ctx context.Context, bytes int, agents ...int) error {
	ids := make([]string, len(agents))
	for i, n := range agents {
		ids[i] = rig.AgentID(overloadFirst + n)
	}
	status, response, err := send(ctx, o.client, http.MethodPost, o.server.URL+"/api/deployments", rig.AdminToken, nil, map[string]any{
		"agent_ids": ids, "name": "large", "spec": map[string]any{"x": strings.Repeat("x", bytes)},
	})
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("create: %d %.300s", status, response)
	}
	return err
}

// known simulates clients with valid tokens during an attack: an agent that polls, on a new connection each time, and
// an administrator.
type known struct {
	o        *overload
	cancel   context.CancelFunc
	working  sync.WaitGroup
	failed   int
	slowest  time.Duration
	peak     int64
	problems []string
}

// watch starts them and the measurement of the server's memory.
func (o *overload) watch(ctx context.Context) *known {
	k := &known{o: o}
	ctx, k.cancel = context.WithCancel(ctx)
	k.working.Go(func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
		path, token := o.agent(overloadAgents - 1)
		for i := 0; pause.For(ctx, 50*time.Millisecond); i++ {
			if rss, err := o.server.RSS(); err == nil {
				k.peak = max(k.peak, rss)
			}
			at, as := path, token
			if i%4 == 3 {
				at, as = "/api/agents?limit=1", rig.AdminToken
			}
			began := time.Now()
			status, response, err := send(context.WithoutCancel(ctx), client, http.MethodGet, o.server.URL+at, as, nil, nil)
			k.slowest = max(k.slowest, time.Since(began))
			if err != nil || status != http.StatusOK {
				k.failed++
				k.problems = append(k.problems, fmt.Sprintf("%s: %d %v %.100s", at, status, err, response))
			}
		}
	})
	return k
}

// end stops them and records the results.
func (k *known) end(name string) {
	k.cancel()
	k.working.Wait()
	for _, problem := range k.problems[:min(3, len(k.problems))] {
		k.o.t.logf("%s: somebody who is known: %s", k.o.t.name, problem)
	}
	k.o.must("known_callers_failed_"+name, k.failed, "requests")
	k.o.set("known_callers_slowest_ms_"+name, float64(k.slowest.Microseconds())/1000, "ms")
}

// mib returns the server's peak resident memory in MiB.
func (k *known) mib() float64 { return float64(k.peak) / (1 << 20) }
