package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// watch continuously sends each replica one request of each kind, to find out from when on all of them work.
type watch struct {
	t       *trial
	probes  []*probe
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// probe is one kind of request to one replica.
type probe struct {
	name   string
	client *http.Client

	mu    sync.Mutex
	asked time.Time // start of the current request; zero if there is none
	bad   time.Time // end of the last request that failed or was too slow
	why   string
	good  time.Time // start of the last good request
}

const (
	probeEvery = 100 * time.Millisecond
	idleEvery  = 20 * time.Millisecond // between idle polls
	probeSlow  = 2 * time.Second       // slower requests are bad
	probeLimit = 15 * time.Second
	quietFor   = 1500 * time.Millisecond // without bad requests to count as recovered
)

// idlePoll is the kind of requests that must succeed whatever the database does.
const idlePoll = "probe poll"

func (t *trial) watchAll(ctx context.Context) *watch {
	w := &watch{t: t}
	ctx, w.cancel = context.WithCancel(ctx)
	for i := range replicas {
		base := "http://" + t.address[i]
		for kind, p := range map[string]struct {
			every time.Duration
			ask   func(ctx context.Context, client *http.Client, random *rand.Rand) (int, error)
		}{
			"poll":   {idleEvery, w.poll(base)},
			"ingest": {probeEvery, w.ingest(base)},
			"create": {2 * probeEvery, w.create(base)},
			"read":   {probeEvery, w.read(base)},
		} {
			one := &probe{name: fmt.Sprintf("%s of replica %d", kind, i), client: t.recorder.client(true)}
			one.client.Transport.(*wire).as = "probe "
			w.probes = append(w.probes, one)
			random := t.random("probe " + one.name)
			w.running.Go(func() {
				for pause.For(ctx, p.every) {
					one.note(ctx, func(ctx context.Context) (int, error) { return p.ask(ctx, one.client, random) })
				}
			})
		}
	}
	return w
}

func (w *watch) stop() {
	w.cancel()
	w.running.Wait()
	for _, p := range w.probes {
		p.client.CloseIdleConnections()
	}
}

func (p *probe) note(ctx context.Context, ask func(context.Context) (int, error)) {
	limited, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	began := time.Now()
	p.ask(began)
	status, err := ask(limited)
	over := time.Now()
	p.ask(time.Time{})
	if ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch took := over.Sub(began); {
	case err != nil:
		p.why = err.Error()
	case status >= http.StatusBadRequest:
		p.why = fmt.Sprintf("it returned %d", status)
	case took > probeSlow:
		p.why = fmt.Sprintf("it took %s", took)
	default:
		p.good = began
		return
	}
	p.bad = over
}

func (p *probe) ask(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = at
}

// ill returns why a probe does not show that all has been well for a while since a time, or "".
func (p *probe) ill(since time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.asked.IsZero() && time.Since(p.asked) > probeSlow/2:
		return fmt.Sprintf("it waits for an answer since %s", time.Since(p.asked))
	case time.Since(p.bad) < quietFor:
		return p.why
	case !p.good.After(since):
		return "nothing has worked yet"
	}
	return ""
}

// recovered waits until every probe has been well for a while, and returns how long after a time the last bad one
// ended.
func (w *watch) recovered(ctx context.Context, over time.Time) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	var ill []string
	if !eventually(ctx, probeEvery, func() bool {
		took, ill = 0, nil
		for _, p := range w.probes {
			if why := p.ill(over); why != "" {
				ill = append(ill, p.name+": "+why)
			}
			p.mu.Lock()
			took = max(took, p.bad.Sub(over))
			p.mu.Unlock()
		}
		return len(ill) == 0 && time.Since(over) >= quietFor
	}) {
		return took, errors.New("not everything works again: " + strings.Join(ill, "; "))
	}
	return took, nil
}

// pick returns a random number below its argument.
type pick func(limit int) int

// pollFor returns a probe that polls for an idle agent, with the ETag of nothing pending.
func pollFor(base string) func(context.Context, *http.Client, pick) (int, error) {
	return func(ctx context.Context, client *http.Client, one pick) (int, error) {
		i := one(idleAgents - 10) // the last ones get work
		header := http.Header{"If-None-Match": {fleet.NothingWaiting}}
		status, _, err := send(ctx, client, http.MethodGet, base+"/api/deployments/pending/"+rig.AgentID(i), rig.AgentToken(i), header, nil)
		return status, err
	}
}

func (w *watch) poll(base string) func(context.Context, *http.Client, *rand.Rand) (int, error) {
	poll := pollFor(base)
	return func(ctx context.Context, client *http.Client, random *rand.Rand) (int, error) {
		return poll(ctx, client, random.IntN)
	}
}

func (w *watch) read(base string) func(context.Context, *http.Client, *rand.Rand) (int, error) {
	return func(ctx context.Context, client *http.Client, _ *rand.Rand) (int, error) {
		status, _, err := send(ctx, client, http.MethodGet, base+"/api/deployments?limit=1", rig.AdminToken, nil, nil)
		return status, err
	}
}

func (w *watch) create(base string) func(context.Context, *http.Client, *rand.Rand) (int, error) {
	return func(ctx context.Context, client *http.Client, random *rand.Rand) (int, error) {
		all := w.t.workload.targets()
		agent := all[random.IntN(len(all))]
		status, _, err := send(ctx, client, http.MethodPost, base+"/api/deployments", rig.AdminToken, nil, map[string]any{
			"agent_ids": []string{agent}, "name": "probe", "spec": drawJob(random), "max_attempts": maxAttempts, "lease_seconds": leaseSeconds,
		})
		return status, err
	}
}

func (w *watch) ingest(base string) func(context.Context, *http.Client, *rand.Rand) (int, error) {
	return func(ctx context.Context, client *http.Client, random *rand.Rand) (int, error) {
		id := newID(random)
		w.t.recorder.addSending(id)
		status, _, err := send(ctx, client, http.MethodPost, base+"/api/executions", rig.IngestToken, nil, map[string]any{
			"execution_id": id, "created_at": time.Now().UTC(), "user_id": "probe", "agent_name": "probe", "status": "success", "execution_time_ms": 1,
		})
		if err == nil && status == http.StatusCreated {
			w.t.recorder.stored(id)
		}
		return status, err
	}
}
