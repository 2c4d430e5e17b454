package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// pickupMeter measures how soon agents receive new deployments. Its agents continuously hold polls at one replica, and
// their deployments are created at the other.
type pickupMeter struct {
	t       *trial
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	acked    map[string]time.Time // by deployment: when its creation was acknowledged
	received map[string]time.Time // and when its agent received it
	err      error
}

const pickupAgents = 24

// reportedWithin limits the delivery time without hints: the next sweep, plus a margin.
const reportedWithin = 2 * time.Second

// carry starts a courier.
func (t *trial) carry(ctx context.Context) *pickupMeter {
	c := &pickupMeter{t: t, acked: map[string]time.Time{}, received: map[string]time.Time{}}
	ctx, c.cancel = context.WithCancel(ctx)
	for i := range pickupAgents {
		c.running.Go(func() { c.fail(ctx, c.hold(ctx, i)) })
		c.running.Go(func() { c.fail(ctx, c.make(ctx, i)) })
	}
	return c
}

func (c *pickupMeter) fail(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(c.err, err)
}

// The agents are the last of the idle ones, which no probe uses.
func (c *pickupMeter) agent(i int) int { return idleAgents + i }

func (c *pickupMeter) hold(ctx context.Context, i int) error {
	client := c.t.recorder.client(true)
	defer client.CloseIdleConnections()
	url := "http://" + c.t.address[i%replicas] + "/api/deployments/pending/" + rig.AgentID(c.agent(i)) + "?wait=30s"
	tag := fleet.NothingWaiting
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+rig.AgentToken(c.agent(i)))
		r.Header.Set("If-None-Match", tag)
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		at := time.Now()
		var offers openapi.PendingDeployments
		if resp.StatusCode == http.StatusOK {
			err = json.NewDecoder(resp.Body).Decode(&offers)
			tag = resp.Header.Get("Etag")
		} else if resp.StatusCode != http.StatusNotModified {
			err = fmt.Errorf("a held poll returned %s", resp.Status)
		}
		_ = resp.Body.Close() // the wire read it
		if err != nil {
			return err
		}
		c.mu.Lock()
		for _, one := range offers.Deployments {
			if _, known := c.received[one.ID]; !known {
				c.received[one.ID] = at
			}
		}
		c.mu.Unlock()
	}
	return nil
}

// make creates as many deployments as one poll may return.
func (c *pickupMeter) make(ctx context.Context, i int) error {
	client := c.t.recorder.client(false)
	defer client.CloseIdleConnections()
	random := c.t.random(fmt.Sprintf("courier %d", i))
	url := "http://" + c.t.address[(i+1)%replicas] + "/api/deployments"
	for range fleet.MaxPending {
		status, response, err := send(ctx, client, http.MethodPost, url, rig.AdminToken, nil, map[string]any{
			"agent_ids": []string{rig.AgentID(c.agent(i))}, "name": neverDone, "spec": map[string]any{},
		})
		at := time.Now()
		if err == nil && status != http.StatusCreated {
			err = fmt.Errorf("create: %d %.300s", status, response)
		}
		var made openapi.CreatedDeployments
		if err == nil {
			err = json.Unmarshal(response, &made)
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.acked[made.Deployments[0].ID] = at
		c.mu.Unlock()
		if !pause.For(ctx, time.Duration(300+random.IntN(1200))*time.Millisecond) {
			return nil
		}
	}
	return nil
}

// end stops the courier and returns the sorted delivery times and the number of deployments that were not delivered in
// time.
func (c *pickupMeter) end(ctx context.Context) (took []time.Duration, missed int, err error) {
	patience, cancel := context.WithTimeout(ctx, reportedWithin)
	defer cancel()
	eventually(patience, 20*time.Millisecond, func() bool {
		took, missed = c.measured()
		return len(took) == c.made()
	})
	c.cancel()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && len(took) == 0 {
		c.err = errors.New("nothing was made for the agents that wait")
	}
	return took, missed, c.err
}

func (c *pickupMeter) made() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acked)
}

func (c *pickupMeter) measured() (took []time.Duration, missed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, acked := range c.acked {
		received, ok := c.received[id]
		if !ok {
			missed++
			continue
		}
		if received.Sub(acked) > reportedWithin {
			missed++
		}
		took = append(took, max(received.Sub(acked), 0)) // it may be delivered before the response to its creation is read
	}
	slices.Sort(took)
	return took, missed
}
