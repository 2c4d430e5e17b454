package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet/agent"
	"github.com/watchbill/watchbill/internal/pause"
)

// job is the work that a deployment's spec describes.
type job struct {
	TakesMS int    `json:"takes_ms"`
	Ends    string `json:"ends"`
}

// Outcomes of jobs.
const (
	succeeds     = "succeeds"
	failsOnce    = "fails_once"     // then succeeds
	failsAlways  = "fails_always"   // in every attempt
	failsForGood = "fails_for_good" // and is reported as not retryable
)

// drawJob returns a random job: most are short and succeed, some fail, and a few take longer than a lease.
func drawJob(random *rand.Rand) job {
	j := job{TakesMS: random.IntN(150), Ends: succeeds}
	switch n := random.IntN(100); {
	case n < 10:
		j.Ends = failsOnce
	case n < 12:
		j.Ends = failsAlways
	case n < 15:
		j.Ends = failsForGood
	case n < 16:
		j.TakesMS = 1000 * (leaseSeconds + 1)
	}
	return j
}

var errSimulated = errors.New("simulated failure")

// work does a job.
func work(ctx context.Context, w agent.Work, out io.Writer) error {
	var j job
	if err := json.Unmarshal(w.Spec, &j); err != nil {
		return agent.Permanent(fmt.Errorf("read the spec: %w", err))
	}
	if _, err := fmt.Fprintf(out, "attempt %d\n", w.Attempt); err != nil {
		return err
	}
	if !pause.For(ctx, time.Duration(j.TakesMS)*time.Millisecond) {
		return ctx.Err()
	}
	switch {
	case j.Ends == failsForGood:
		return agent.Permanent(errSimulated)
	case j.Ends == failsAlways, j.Ends == failsOnce && w.Attempt == 1:
		return errSimulated
	}
	return nil
}

// holds reports whether an agent uses held polls: those with even numbers do.
func holds(id string) bool { return len(id) > 0 && (id[len(id)-1]-'0')%2 == 0 }

const heldFor = 10 * time.Second

// hire enrolls the agents and runs them until ctx ends.
func (c *workload) hire(ctx context.Context) error {
	client := c.client(false)
	for i := range c.size.agents {
		id := fmt.Sprintf("worker-%03d", i)
		token, err := c.enrol(ctx, client, id)
		if err != nil {
			return err
		}
		c.mayDeployTo(id)
		bodies := 1
		if i < c.size.duplicates {
			bodies = 2
		}
		for n := range bodies {
			a, err := c.agent(id, token, n)
			if err != nil {
				return err
			}
			c.working.Go(func() {
				if err := a.Run(ctx); err != nil {
					c.recorder.unexpected("agent %s gave up: %v", id, err)
				}
			})
		}
	}
	return nil
}

func (c *workload) enrol(ctx context.Context, client *http.Client, id string) (token string, err error) {
	status, response, err := c.post(ctx, client, "/api/agents", c.t.tokens().enrolment, nil, map[string]any{
		"id": id, "name": id, "poll_interval_seconds": 1,
	})
	if err != nil {
		return "", fmt.Errorf("enrol %s: %w", id, err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(response, &made); err != nil || made.Token == "" {
		return "", fmt.Errorf("enrol %s: %d %.300s", id, status, response)
	}
	return made.Token, nil
}

// agent returns a real agent with a separate connection and random source, and the trial's clock for it.
func (c *workload) agent(id, token string, body int) (*agent.Agent, error) {
	random := c.t.random(fmt.Sprintf("agent %s %d", id, body))
	draw := locked(random)
	config := agent.Config{
		Server: c.server, ID: id, Token: token, Concurrency: 2, Drain: 5 * time.Second,
		Runner: agent.RunnerFunc(work), HTTPClient: c.client(true), Logger: zap.NewNop(), Now: c.t.clockOf(id), Jitter: draw,
		NewClaim: func() string { return fmt.Sprintf("%s.%d.%09d", id, body, int(draw()*1e9)) },
	}
	if holds(id) {
		config.Wait = heldFor
	}
	return agent.New(config)
}
