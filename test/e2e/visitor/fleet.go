package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet/agent"
	"github.com/watchbill/watchbill/test/e2e/visit"
)

// heldFor is the duration of held polls.
const heldFor = 10 * time.Second

// fleets holds the running fleet, if any.
type fleets struct {
	mu       sync.Mutex
	recorder *recorder
	rest     context.CancelFunc // stops new deployments and executions
	dismiss  context.CancelFunc
	away     *sync.WaitGroup
}

func (f *fleets) begin(w http.ResponseWriter, r *http.Request) {
	var wanted visit.Fleet
	if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	making, rest := context.WithCancel(ctx)
	f.recorder, f.rest, f.dismiss, f.away = newRecorder(), rest, cancel, &sync.WaitGroup{}
	t := &team{Fleet: wanted, recorder: f.recorder}
	f.away.Go(func() { t.work(ctx, making) })
}

// pause stops new work; the agents continue.
func (f *fleets) pause(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if f.rest != nil {
		f.rest()
	}
	f.mu.Unlock()
	f.show(w, r)
}

func (f *fleets) show(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.recorder == nil {
		http.Error(w, "no fleet was sent out", http.StatusNotFound)
		return
	}
	f.recorder.note(func(l *visit.Log) { answer(w, l) })
}

// end waits for what runs, stops the fleet and sends what it saw.
func (f *fleets) end(w http.ResponseWriter, r *http.Request) {
	f.stop()
	f.show(w, r)
}

func (f *fleets) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dismiss != nil {
		f.dismiss()
		f.away.Wait()
	}
}

// team is a running fleet.
type team struct {
	visit.Fleet
	recorder *recorder
	client   *http.Client // of those that deploy and execute
}

func (t *team) work(ctx, making context.Context) {
	t.client = t.recorder.client()
	defer t.client.CloseIdleConnections()
	var busy sync.WaitGroup
	defer busy.Wait()
	var ids []string
	for i := range t.Agents {
		id := fmt.Sprintf("%s-%d", t.Name, i)
		token, err := t.enroll(ctx, id)
		if err == nil {
			var a *agent.Agent
			if a, err = t.agent(id, token, i%2 == 0); err == nil {
				busy.Go(func() { t.trouble(a.Run(ctx)) })
			}
		}
		if err != nil {
			t.trouble(fmt.Errorf("enrol %s: %w", id, err))
			return
		}
		ids = append(ids, id)
	}
	busy.Go(func() { t.every(making, t.DeployEveryMS, func(n int) { t.deploy(making, ids[n%len(ids)]) }) })
	busy.Go(func() { t.every(making, t.ExecuteEveryMS, func(int) { t.execute(making) }) })
}

func (t *team) trouble(err error) {
	if err != nil {
		t.recorder.note(func(l *visit.Log) { l.Trouble = err.Error() })
	}
}

func (t *team) every(ctx context.Context, ms int, do func(n int)) {
	if ms <= 0 {
		return
	}
	ticks := time.NewTicker(time.Duration(ms) * time.Millisecond)
	defer ticks.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			do(n)
		}
	}
}

func (t *team) enroll(ctx context.Context, id string) (token string, err error) {
	var agent struct {
		Token string `json:"token"`
	}
	body := map[string]any{"id": id, "name": id, "labels": map[string]string{"fleet": t.Name}, "poll_interval_seconds": 1}
	err = t.post(ctx, "/api/agents", t.EnrollmentToken, nil, body, &agent)
	return agent.Token, err
}

// agent returns a real agent that counts its runs.
func (t *team) agent(id, token string, holds bool) (*agent.Agent, error) {
	config := agent.Config{
		Server: t.Server, ID: id, Token: token, Concurrency: 2, Drain: 10 * time.Second,
		Runner: agent.RunnerFunc(func(_ context.Context, work agent.Work, out io.Writer) error {
			t.recorder.note(func(l *visit.Log) { l.Runs[work.ID]++ })
			_, err := fmt.Fprintln(out, "visited by", id)
			return err
		}),
		HTTPClient: t.recorder.client(), Logger: zap.NewNop(), Now: time.Now, Jitter: mathrand.Float64, NewClaim: rand.Text,
	}
	if holds {
		config.Wait = heldFor
	}
	return agent.New(config)
}

// deploy creates a deployment for an agent, and retries until it is acknowledged.
func (t *team) deploy(ctx context.Context, agent string) {
	var made struct {
		Deployments []struct {
			ID string `json:"id"`
		} `json:"deployments"`
	}
	key := http.Header{"Idempotency-Key": {uuid.NewString()}}
	body := map[string]any{"agent_ids": []string{agent}, "name": "visit", "spec": map[string]any{"do": "nothing"}}
	if t.insist(ctx, "/api/deployments", t.AdminToken, key, body, &made) {
		t.recorder.note(func(l *visit.Log) { l.Deployed = append(l.Deployed, made.Deployments[0].ID) })
	}
}

// execute sends an execution likewise.
func (t *team) execute(ctx context.Context) {
	id := uuid.NewString()
	body := map[string]any{
		"execution_id": id, "created_at": time.Now().UTC().Format(time.RFC3339Nano), "user_id": t.Name, "agent_name": "visitor",
		"status": "success", "execution_time_ms": 5, "provider": "openai", "model_used": "gpt-4o", "input_tokens": 100, "output_tokens": 10,
	}
	if t.insist(ctx, "/api/executions", t.IngestToken, nil, body, nil) {
		t.recorder.note(func(l *visit.Log) { l.Stored = append(l.Stored, id) })
	}
}

// insist repeats a request until it is accepted or the fleet is stopped.
func (t *team) insist(ctx context.Context, path, token string, header http.Header, body, to any) bool {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := t.post(ctx, path, token, header, body, to)
		if err == nil {
			return true
		}
		if errors.As(err, new(refusal)) {
			t.trouble(fmt.Errorf("%s: %w", path, err))
			return false
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return false
		case <-wait.C:
		}
	}
}

// refusal is returned for a response that a retry would not change.
type refusal string

func (r refusal) Error() string { return string(r) }

func (t *team) post(ctx context.Context, path, token string, header http.Header, body, to any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Server+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	for name, values := range header {
		r.Header[name] = slices.Clone(values)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := t.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	switch code := resp.StatusCode; {
	case code >= http.StatusInternalServerError || code == http.StatusTooManyRequests:
		return fmt.Errorf("%s: %s", resp.Status, answer)
	case code != http.StatusCreated:
		return refusal(fmt.Sprintf("%s: %s", resp.Status, answer))
	}
	if to == nil {
		return nil
	}
	return json.Unmarshal(answer, to)
}
