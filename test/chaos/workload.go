package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/pause"
)

// workload simulates all clients of the service at once: agents, clients that create deployments, send executions or run
// AI agents, and administrators who read and cancel.
type workload struct {
	t        *trial
	recorder *recorder
	server   string // base URL
	size     workloadSize

	resting context.CancelFunc // stops new work
	leaving context.CancelFunc
	making  sync.WaitGroup // clients that create work
	working sync.WaitGroup // agents

	mu      sync.Mutex // protects the fields below
	clients []*http.Client
	agents  []string // ids of the working agents
}

// workloadSize is the number of clients of each kind and their rates.
type workloadSize struct {
	agents     int           // half of them hold their polls
	duplicates int           // agents that run twice, as where somebody copied a machine
	createEach time.Duration // between creates
	loggers    int           // clients that send executions
	logEach    time.Duration
	batch      int // max executions per request
	runners    int // clients that run AI agents
	askEach    time.Duration
	lookEach   time.Duration // between an administrator's reads
	racers     int           // agents with several runs that try to claim each attempt at once
}

var usual = workloadSize{
	agents: 20, duplicates: 4, createEach: 80 * time.Millisecond, loggers: 4, logEach: 40 * time.Millisecond, batch: 20,
	runners: 2, askEach: 100 * time.Millisecond, lookEach: 100 * time.Millisecond, racers: 2,
}

// The limits of every deployment of a trial. The lease is short, so that leases expire during a trial.
const (
	leaseSeconds = 5
	maxAttempts  = 3
)

// client returns a client whose requests are recorded, and whose connections are closed by leave.
func (c *workload) client(once bool) *http.Client {
	client := c.recorder.client(once)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients = append(c.clients, client)
	return client
}

// targets returns the agents that deployments may be created for.
func (c *workload) targets() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.agents)
}

func (c *workload) mayDeployTo(agent string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agents = append(c.agents, agent)
}

// gather starts all clients.
func (t *trial) gather(ctx context.Context, size workloadSize) (*workload, error) {
	c := &workload{t: t, recorder: t.recorder, server: t.url(), size: size}
	working, leave := context.WithCancel(ctx)
	making, rest := context.WithCancel(working)
	c.leaving, c.resting = leave, rest
	if err := c.hire(working); err != nil {
		c.leave()
		return nil, err
	}
	c.making.Go(func() { c.every(making, "create", size.createEach, c.client(false), c.create) })
	for i := range size.loggers {
		c.making.Go(func() { c.every(making, fmt.Sprintf("log %d", i), size.logEach, c.client(false), c.log) })
	}
	for i := range size.runners {
		c.making.Go(func() { c.every(making, fmt.Sprintf("ask %d", i), size.askEach, c.client(false), c.ask) })
	}
	for i := range size.racers {
		c.making.Go(func() { c.every(making, fmt.Sprintf("race %d", i), raceEach, c.client(false), c.race(i)) })
	}
	c.making.Go(func() { c.every(making, "look", size.lookEach, c.client(true), c.look) })
	return c, nil
}

// rest makes all clients finish what they began and begin nothing new.
func (c *workload) rest() {
	c.resting()
	c.making.Wait()
}

// leave stops all clients.
func (c *workload) leave() {
	c.rest()
	c.leaving()
	c.working.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

// every calls do at random intervals of each ± 50 %, with a separate random source.
func (c *workload) every(ctx context.Context, who string, each time.Duration, client *http.Client, do func(context.Context, *http.Client, *rand.Rand)) {
	if each <= 0 {
		return
	}
	random := c.t.random(who)
	for pause.For(ctx, each/2+time.Duration(random.Int64N(int64(each)))) {
		do(ctx, client, random)
	}
}

// create has one agent, or a few, do something.
func (c *workload) create(ctx context.Context, client *http.Client, random *rand.Rand) {
	targets := map[string]bool{}
	for range 1 + random.IntN(2) {
		all := c.targets()
		targets[all[random.IntN(len(all))]] = true
	}
	ids := make([]string, 0, len(targets))
	for id := range targets {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	job := drawJob(random)
	c.insist(ctx, client, "/api/deployments", c.t.tokens().admin, http.Header{"Idempotency-Key": {newID(random)}}, map[string]any{
		"agent_ids": ids, "name": "chaos", "spec": job, "max_attempts": maxAttempts, "lease_seconds": leaseSeconds,
	})
}

// newID returns a UUID from the trial's random source.
func newID(random *rand.Rand) string {
	var b [16]byte
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	id, err := uuid.NewRandomFromReader(bytes.NewReader(b[:]))
	if err != nil {
		panic(err) // the slice has 16 bytes
	}
	return id.String()
}

var models = []string{"gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "llama-of-ours"}

// log sends executions of some AI agents. Their times go back a little, so that rollups of all widths change.
func (c *workload) log(ctx context.Context, client *http.Client, random *rand.Rand) {
	executions := make([]map[string]any, 1+random.IntN(c.size.batch))
	ids := make([]string, len(executions))
	now := time.Now().UTC()
	for i := range executions {
		ids[i] = newID(random)
		input := random.IntN(5000)
		e := map[string]any{
			"execution_id": ids[i], "created_at": now.Add(-time.Duration(random.Int64N(int64(3 * time.Hour)))),
			"user_id": fmt.Sprintf("user-%d", random.IntN(20)), "agent_name": fmt.Sprintf("agent-%d", random.IntN(8)), "status": "success",
			"execution_time_ms": float64(random.IntN(5_000_000)) / 1000, "model_used": models[random.IntN(len(models))],
			"input_tokens": input, "output_tokens": random.IntN(2000), "cache_read_tokens": random.IntN(input + 1),
		}
		switch random.IntN(20) {
		case 0:
			e["status"], e["error_message"] = "failure", "refused"
		case 1:
			e["status"], e["error_message"] = "timeout", "no answer"
		}
		executions[i] = e
	}
	c.recorder.addSending(ids...)
	for again := false; ; again = true {
		response, ok := c.insist(ctx, client, "/api/executions", c.t.tokens().ingest, nil, map[string]any{"executions": executions})
		if !ok {
			return
		}
		var took struct{ Accepted, Duplicates int }
		if err := json.Unmarshal(response, &took); err != nil || took.Accepted+took.Duplicates != len(ids) || again && took.Accepted > 0 {
			c.recorder.unexpected("of %d executions, brought again %v: %s", len(ids), again, response)
			return
		}
		c.recorder.stored(ids...)
		if again || random.IntN(10) > 0 { // now and then they are brought once more, as by who never got the answer
			return
		}
	}
}

// ask runs an AI agent. A run with a completed or error event must be stored.
func (c *workload) ask(ctx context.Context, client *http.Client, random *rand.Rand) {
	options := map[string]any{"delay_ms": random.IntN(50)}
	if random.IntN(10) == 0 {
		options["fail"] = "simulated failure"
	}
	body := map[string]any{
		"type": "chaos", "user_id": fmt.Sprintf("user-%d", random.IntN(20)), "message": strings.Repeat("word ", 1+random.IntN(20)), "options": options,
	}
	// The diary records the result. A run that was rejected or interrupted is not repeated: it was not acknowledged as
	// stored.
	_, _, _ = c.post(context.WithoutCancel(ctx), client, "/api/ai/process-stream", c.t.tokens().ingest, nil, body)
}

// runOf returns the run's id from a stream of events, and whether it has the event of the run's end.
func runOf(stream []byte) (id string, ended bool) {
	for frame := range bytes.SplitSeq(stream, []byte("\n\n")) {
		name, data, _ := bytes.Cut(frame, []byte("\ndata: "))
		var event struct {
			ID     string `json:"execution_id"`
			Status string `json:"status"`
		}
		if json.Unmarshal(data, &event) != nil {
			continue
		}
		if event.ID != "" {
			id = event.ID
		}
		ended = ended || event.Status != "" && (string(name) == "event: completed" || string(name) == "event: error")
	}
	return id, ended && id != ""
}

// look reads as an administrator, and sometimes cancels a deployment.
func (c *workload) look(ctx context.Context, client *http.Client, random *rand.Rand) {
	ids := c.recorder.unfinished()
	if len(ids) == 0 || random.IntN(4) == 0 {
		_, _, _ = c.get(ctx, client, fmt.Sprintf("/api/deployments?limit=%d", 1+random.IntN(50))) // the diary records it
		return
	}
	id := ids[random.IntN(len(ids))]
	if random.IntN(20) == 0 {
		_, _, _ = c.post(ctx, client, "/api/deployments/"+id+"/cancel", c.t.tokens().admin, nil, nil) // the diary records it
		return
	}
	_, _, _ = c.get(ctx, client, "/api/deployments/"+id) // likewise
}

// insist repeats a request until it is accepted or ctx ends. A request in progress when ctx ends is completed.
func (c *workload) insist(ctx context.Context, client *http.Client, path, token string, header http.Header, body any) ([]byte, bool) {
	stay, give := context.WithTimeout(context.WithoutCancel(ctx), c.t.patience)
	defer give()
	for gap := 100 * time.Millisecond; ; gap = min(2*gap, time.Second) {
		status, response, err := c.post(stay, client, path, token, header, body)
		if err == nil && status == http.StatusCreated {
			return response, true
		}
		if err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
			c.recorder.unexpected("POST %s: %d %.300s", path, status, response)
			return nil, false
		}
		if !pause.For(stay, gap) {
			return nil, false
		}
	}
}

func (c *workload) get(ctx context.Context, client *http.Client, path string) (int, []byte, error) {
	return c.send(ctx, client, http.MethodGet, path, c.t.tokens().admin, nil, nil)
}

func (c *workload) post(ctx context.Context, client *http.Client, path, token string, header http.Header, body any) (int, []byte, error) {
	return c.send(ctx, client, http.MethodPost, path, token, header, body)
}

func (c *workload) send(ctx context.Context, client *http.Client, method, path, token string, header http.Header, body any) (int, []byte, error) {
	return send(ctx, client, method, c.server+path, token, header, body)
}

// send sends a request and reads its response to the end.
func send(ctx context.Context, client *http.Client, method, url, token string, header http.Header, body any) (int, []byte, error) {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(content))
	if err != nil {
		return 0, nil, err
	}
	for name, values := range header {
		r.Header[name] = slices.Clone(values)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	response, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	return resp.StatusCode, response, errors.Join(err)
}
