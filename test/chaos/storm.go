package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

const stormAgents = 5000

var reconnects = experiment{
	name: "reconnect_storm",
	what: "5,000 agents that hold their polls, all replicas killed, and all of them back at once",
	where: func(*trial) setting {
		return setting{agents: stormAgents}
	},
	strike: func(ctx context.Context, t *trial) error {
		s := &storm{t: t, answered: make([]atomic.Int64, stormAgents)}
		holding, release := context.WithCancel(ctx)
		defer func() {
			release()
			s.agents.Wait()
		}()
		for i := range stormAgents {
			s.agents.Go(func() { s.hold(holding, i) })
		}
		if err := s.awaitAll(ctx, time.Now().Add(-time.Hour)); err != nil {
			return err
		}
		for range t.repeat(3, 1) {
			for i := range replicas {
				if err := t.kill(i); err != nil {
					return err
				}
			}
			if !pause.For(ctx, t.between(500*time.Millisecond, 2*time.Second)) {
				return ctx.Err()
			}
			over := time.Now()
			var starting sync.WaitGroup
			var errs [replicas]error
			for i := range replicas {
				starting.Go(func() { errs[i] = t.start(ctx, i) })
			}
			starting.Wait()
			if err := errors.Join(errs[:]...); err != nil {
				return err
			}
			if err := s.awaitAll(ctx, over); err != nil {
				return err
			}
			took := time.Since(over)
			if err := s.deliverToSome(ctx); err != nil {
				return err
			}
			all, err := t.recovered(ctx, over)
			if err != nil {
				return err
			}
			t.logf("%s: all %d agents had a response %.2f s after the replicas were started; all worked after %.2f s", t.name, stormAgents, took.Seconds(), all.Seconds())
			s.slowest = max(s.slowest, took)
		}
		t.set("all_agents_back_seconds", s.slowest.Seconds(), "s")
		return nil
	},
}

// storm is a fleet whose agents only hold polls.
type storm struct {
	t         *trial
	agents    sync.WaitGroup
	answered  []atomic.Int64 // the time of each agent's last response, in Unix nanoseconds
	delivered atomic.Int64   // polls that returned deployments
	slowest   time.Duration
}

// hold polls continuously, the first time without waiting and then with held polls.
func (s *storm) hold(ctx context.Context, i int) {
	address := s.t.address[i%replicas]
	agent := idleAgents + i
	path := "/api/deployments/pending/" + rig.AgentID(agent)
	header := "Authorization: Bearer " + rig.AgentToken(agent) + "\r\nIf-None-Match: "
	for ctx.Err() == nil {
		err := s.session(ctx, address, i, func(tag string, wait bool) []byte {
			at := path
			if wait {
				at += "?wait=30s"
			}
			return rig.Request(http.MethodGet, at, address, header+tag+"\r\n", nil)
		})
		if err == nil || !pause.For(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// session polls over one connection until it breaks or ctx ends.
func (s *storm) session(ctx context.Context, address string, i int, request func(tag string, wait bool) []byte) error {
	conn, err := rig.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	hangUp := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the held poll fails
	defer hangUp()
	tag := fleet.NothingWaiting
	for wait := false; ; wait = true {
		response, err := conn.Do(request(tag, wait))
		switch {
		case err != nil:
			return err
		case response.Status == http.StatusOK:
			if bytes.Contains(response.Body, []byte(`"deployments":[{`)) {
				s.delivered.Add(1)
			}
			tag = string(response.ETag)
		case response.Status != http.StatusNotModified:
			return fmt.Errorf("answered %d", response.Status)
		}
		s.answered[i].Store(time.Now().UnixNano())
		if response.Closes {
			return errors.New("the server closes the connection")
		}
	}
}

// awaitAll waits until every agent got a response after a time.
func (s *storm) awaitAll(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	var left int
	if eventually(ctx, 20*time.Millisecond, func() bool {
		left = 0
		for i := range s.answered {
			if s.answered[i].Load() < since.UnixNano() || s.answered[i].Load() == 0 {
				left++
			}
		}
		return left == 0
	}) {
		return nil
	}
	return fmt.Errorf("%d of %d agents were not answered", left, len(s.answered))
}

// deliverToSome creates deployments for some of the agents, which their held polls must return soon, and cancels them.
func (s *storm) deliverToSome(ctx context.Context) error {
	const some = 200
	ids := make([]string, some)
	for i := range ids {
		ids[i] = rig.AgentID(idleAgents + i*(stormAgents/some))
	}
	delivered := s.delivered.Load()
	client := s.t.workload.client(false)
	status, response, err := s.t.workload.post(ctx, client, "/api/deployments", rig.AdminToken, nil, map[string]any{
		"agent_ids": ids, "name": neverDone, "spec": map[string]any{},
	})
	if err != nil || status != http.StatusCreated {
		return fmt.Errorf("create: %d %.300s: %w", status, response, err)
	}
	var group struct {
		ID string `json:"group_id"`
	}
	if err := json.Unmarshal(response, &group); err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if !eventually(soon, 10*time.Millisecond, func() bool { return s.delivered.Load() >= delivered+some }) {
		return fmt.Errorf("of %d agents %d learned that there is work", some, s.delivered.Load()-delivered)
	}
	status, response, err = s.t.workload.post(ctx, client, "/api/deployment-groups/"+group.ID+"/cancel", rig.AdminToken, nil, nil)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("cancel: %d %.300s: %w", status, response, err)
	}
	return nil
}
