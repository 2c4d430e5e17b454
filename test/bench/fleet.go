package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/test/rig"
)

const (
	fleetConns   = 1000
	fleetRate    = 10_000 // polls a second: 100,000 agents, each every 10 s
	createRate   = 50
	heldAgents   = 64 // agents with held polls that get work
	heldPollTime = "30s"
)

// fleetUnderLoad simulates a fleet: all agents poll, and some get work and do it. It measures the polls, the time until
// work is picked up, and the server's memory.
func fleetUnderLoad(ctx context.Context, b *bench) (_ []figure, err error) {
	agents := or(b, enrolled, 10_000)
	i, err := b.install(ctx, "fleet", agents)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	polling, err := dialPollers(ctx, i.server.Address, or(b, fleetConns, 100), agents-heldAgents, nothingNew)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, polling.close()) }()

	ctx, cancel := context.WithTimeout(ctx, or(b, 40*time.Second, 8*time.Second))
	defer cancel()
	work := &deployments{server: i.server, first: agents - heldAgents, created: map[string]creating{}}
	var polls *rig.Result
	var busy sync.WaitGroup
	busy.Go(func() {
		polls = rig.OpenLoop(ctx, or[float64](b, fleetRate, 2000), len(polling.conns), func(_ context.Context, worker int, n int64) error {
			_, err := polling.poll(worker, n)
			return err
		})
	})
	for agent := range heldAgents {
		busy.Go(func() { work.failed(work.wait(ctx, agents-heldAgents+agent)) })
	}
	busy.Go(func() { work.failed(work.create(ctx, or[float64](b, createRate, 10))) })
	busy.Wait()
	if err := errors.Join(polls.First, work.err); err != nil {
		return nil, err
	}
	rss, err := i.server.RSS()
	if err != nil {
		return nil, err
	}
	b.logf("%d polls, %.0f a second, p50 %.2f ms, the generator at most %.0f ms late; %d of %d deployments picked up and done", polls.Count,
		polls.PerSecond(), polls.Quantile(0.5)*1e3, polls.Behind.Seconds()*1e3, work.done.Load(), len(work.created))
	work.chargeWaiting(time.Now())
	pickup, some := work.pickup.Quantile(0.99)
	whole, _ := work.whole.Quantile(0.99)
	if !some {
		return nil, errors.New("no deployment was created")
	}
	return []figure{
		{"poll_p99_ms", polls.Quantile(0.99) * 1e3, "ms", atMost(5)},
		{"pickup_p99_ms", pickup * 1e3, "ms", atMost(20)},
		{"pickup_whole_p99_ms", whole * 1e3, "ms", aim{}},
		{"serve_rss_mib", float64(rss) / (1 << 20), "MiB", atMost(128)},
	}, nil
}

// deployments creates deployments and waits for them.
type deployments struct {
	server *rig.Server
	first  int // of the agents that get work
	done   atomic.Int64

	mu      sync.Mutex
	created map[string]creating // by the deployment's id
	pickup  sketch.Sketch       // from the response to its creation
	whole   sketch.Sketch       // from the request, so including its creation
	err     error
}

// creating holds the times of a deployment's creation: it was committed between the request and the response.
type creating struct {
	asked, answered time.Time
	had             time.Time // when its agent received it; zero while it is pending
}

func (d *deployments) failed(err error) {
	if err != nil {
		d.mu.Lock()
		d.err = errors.Join(d.err, err)
		d.mu.Unlock()
	}
}

// create creates deployments at a rate, for one agent after the other.
func (d *deployments) create(ctx context.Context, rate float64) error {
	const workers = 8
	conns := make([]*rig.Conn, workers)
	for w := range conns {
		var err error
		if conns[w], err = rig.Dial(ctx, d.server.Address); err != nil {
			return err
		}
		defer conns[w].Close()
	}
	result := rig.OpenLoop(ctx, rate, workers, func(_ context.Context, worker int, n int64) error {
		asked := time.Now()
		id, err := create(conns[worker], d.server.Address, d.first+int(n%heldAgents), "bench-"+strconv.FormatInt(n, 10))
		answered := time.Now()
		if err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.created[id] = creating{asked, answered, d.created[id].had}
		return nil
	})
	return result.First
}

// wait has an agent send held polls and do the work that it gets.
func (d *deployments) wait(ctx context.Context, agent int) error {
	conn, err := rig.Dial(ctx, d.server.Address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // a held poll ends with the run
	defer stop()
	header := "Authorization: Bearer " + rig.AgentToken(agent) + "\r\n"
	path := "/api/deployments/pending/" + rig.AgentID(agent) + "?wait=" + heldPollTime
	tag := ""
	for ctx.Err() == nil {
		condition := ""
		if tag != "" {
			condition = "If-None-Match: " + tag + "\r\n"
		}
		response, err := conn.Do(rig.Request("GET", path, d.server.Address, header+condition, nil))
		had := time.Now()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		tag = string(response.ETag)
		if response.Status == http.StatusNotModified {
			continue
		}
		var pending struct {
			Deployments []struct {
				ID      string
				Attempt int
			}
		}
		if err := json.Unmarshal(response.Body, &pending); err != nil || response.Status != http.StatusOK {
			return fmt.Errorf("a held poll returned %d %s", response.Status, response.Body)
		}
		for _, p := range pending.Deployments {
			d.picked(p.ID, had)
			if err := finish(conn, d.server.Address, agent, p.ID, p.Attempt); err != nil && ctx.Err() == nil {
				return err
			}
			d.done.Add(1)
		}
	}
	return nil
}

// picked records when an agent received a deployment, which may be before the response to its creation.
func (d *deployments) picked(id string, had time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.created[id]
	if c.had.IsZero() { // a deployment is sent until it is claimed
		c.had = had
		d.created[id] = c
	}
}

// chargeWaiting adds up the latencies of deployments. A deployment that was not picked up counts with its wait until
// the end; without it the result would include only those that arrived.
func (d *deployments) chargeWaiting(end time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.created {
		if c.answered.IsZero() { // the run ended before the response to its creation
			continue
		}
		if c.had.IsZero() {
			c.had = end
		}
		d.pickup.Add(max(c.had.Sub(c.answered), 0).Seconds()) // no wait if it was received before that response
		d.whole.Add(c.had.Sub(c.asked).Seconds())
	}
}
