package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// runners is how many runs claim an attempt at once, raceEach the interval.
const (
	runners  = 6
	raceEach = 150 * time.Millisecond
)

// race has several runs claim one attempt at the same moment, half of them at each replica. The one that gets it
// reports success. The diary checks that no two get it.
func (c *workload) race(i int) func(context.Context, *http.Client, *rand.Rand) {
	agent := raceAgent(i)
	lanes := make([]*http.Client, runners)
	for n := range lanes {
		lanes[n] = c.client(true)
		lanes[n].Transport.(*wire).as = "probe " // it uses one replica, which may be down
	}
	return func(ctx context.Context, client *http.Client, random *rand.Rand) {
		response, ok := c.insist(ctx, client, "/api/deployments", c.t.tokens().admin, http.Header{"Idempotency-Key": {newID(random)}}, map[string]any{
			"agent_ids": []string{rig.AgentID(agent)}, "name": "race", "spec": map[string]any{}, "max_attempts": 1, "lease_seconds": leaseSeconds,
		})
		var made openapi.CreatedDeployments
		if !ok || json.Unmarshal(response, &made) != nil || len(made.Deployments) != 1 {
			return
		}
		path := "/api/deployments/" + made.Deployments[0].ID + "/status"
		claims := make([]string, runners)
		for n := range claims {
			claims[n] = newID(random)
		}
		var running sync.WaitGroup
		start := make(chan struct{})
		for n, lane := range lanes {
			running.Go(func() {
				<-start
				at := "http://" + c.t.address[n%replicas] + path
				if c.report(ctx, lane, at, agent, claims[n], "running") {
					c.report(ctx, client, c.server+path, agent, claims[n], "succeeded")
				}
			})
		}
		close(start)
		running.Wait()
	}
}

// raceAgent returns one of the idle agents that no probe uses.
func raceAgent(i int) int { return idleAgents - 2 - i }

// report repeats a report until its outcome is known, and reports whether it was accepted.
func (c *workload) report(ctx context.Context, client *http.Client, url string, agent int, claim, status string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.t.patience)
	defer cancel()
	body := map[string]any{"attempt": 1, "claim": claim, "status": status}
	for {
		got, _, err := send(ctx, client, http.MethodPost, url, rig.AgentToken(agent), nil, body)
		if err == nil && got < http.StatusInternalServerError {
			return got == http.StatusOK
		}
		if !pause.For(ctx, 200*time.Millisecond) {
			return false
		}
	}
}
