package simulation

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/pause"
)

// assistants simulates AI agents in all three ways: requests to the gateway, executions logged by a service, and spans
// exported by an instrumented one.
type assistants struct {
	server string
	token  string
	client *http.Client
	now    func() time.Time
	log    *zap.Logger
}

// models are the models that the simulated services call, with typical numbers of tokens.
var models = []struct {
	agent, provider, model string
	input, output          int
	seconds                float64
}{
	{"main_orchestrator", "openai", "gpt-4o", 1800, 400, 2.5},
	{"summarizer", "openai", "gpt-4o-mini", 6000, 300, 1.2},
	{"researcher", "anthropic", "claude-sonnet-4-5", 12_000, 900, 6},
	{"classifier", "google", "gemini-2.5-flash", 900, 20, 0.4},
	{"drafter", "in-house", "llama-tuned", 1500, 700, 3}, // has no price
}

// run sends something at intervals of about every, until ctx is done.
func (a *assistants) run(ctx context.Context, every time.Duration) {
	for n := 1; pause.For(ctx, every/2+mathrand.N(every)); n++ {
		var err error
		switch n % 3 {
		case 0:
			err = a.ask(ctx)
		case 1:
			err = a.logBatch(ctx)
		default:
			err = a.export(ctx)
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("cannot simulate an execution", zap.Error(err))
		}
	}
}

func someUser() string { return fmt.Sprintf("user-%02d", 1+mathrand.N(25)) }

// ask runs an agent through the gateway, and reads its response to the end.
func (a *assistants) ask(ctx context.Context) error {
	return a.post(ctx, "/api/ai/process-stream", map[string]any{
		"type": "flashcard_generation", "user_id": someUser(), "message": "Create flashcards about Python",
		"options": map[string]any{"count": 1 + mathrand.N(5), "difficulty": "medium"},
	})
}

// logBatch logs a batch of executions as a service does.
func (a *assistants) logBatch(ctx context.Context) error {
	executions := make([]map[string]any, 1+mathrand.N(4))
	for i := range executions {
		m := models[mathrand.N(len(models))]
		took := m.seconds * (0.5 + mathrand.ExpFloat64())
		input, output := 1+mathrand.N(2*m.input), 1+mathrand.N(2*m.output)
		e := map[string]any{
			"user_id": someUser(), "agent_name": m.agent, "provider": m.provider, "model_used": m.model, "status": "success",
			"execution_id": rand.Text(), "created_at": a.now().Add(-time.Duration(took * float64(time.Second))),
			"execution_time_ms": took * 1e3, "input_tokens": input, "output_tokens": output, "cache_read_tokens": mathrand.N(input),
			"input_data": map[string]any{"question": "What is new?"}, "output_data": map[string]any{"answer": "Not much."},
		}
		switch mathrand.N(40) {
		case 0:
			e["status"], e["error_message"] = "failure", "simulated failure: the model refused"
		case 1:
			e["status"], e["error_message"] = "timeout", "simulated timeout: no response within 30 s"
		}
		executions[i] = e
	}
	return a.post(ctx, "/api/executions", map[string]any{"executions": executions})
}

// export sends the spans of one request as OpenTelemetry does: the model's call, and later the agent that called it.
func (a *assistants) export(ctx context.Context) error {
	m := models[mathrand.N(len(models))]
	trace, parent, child := randomHex(16), randomHex(8), randomHex(8)
	end := a.now()
	begin := end.Add(-time.Duration(m.seconds * float64(time.Second)))
	call := span(trace, child, parent, "chat "+m.model, begin, end, map[string]any{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": m.provider, "gen_ai.request.model": m.model,
		"gen_ai.usage.input_tokens": 1 + mathrand.N(2*m.input), "gen_ai.usage.output_tokens": 1 + mathrand.N(2*m.output),
	})
	agent := span(trace, parent, "", "invoke_agent "+m.agent, begin.Add(-50*time.Millisecond), end, map[string]any{
		"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": m.agent, "user.id": someUser(),
	})
	for _, one := range []map[string]any{call, agent} {
		request := map[string]any{"resourceSpans": []any{map[string]any{"scopeSpans": []any{map[string]any{"spans": []any{one}}}}}}
		if err := a.post(ctx, "/v1/traces", request); err != nil {
			return err
		}
	}
	return nil
}

func span(trace, id, parent, name string, begin, end time.Time, attributes map[string]any) map[string]any {
	var list []any
	for key, value := range attributes {
		kind := "stringValue"
		if _, ok := value.(int); ok {
			kind = "intValue"
		}
		list = append(list, map[string]any{"key": key, "value": map[string]any{kind: value}})
	}
	return map[string]any{
		"traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": 3, "attributes": list,
		"startTimeUnixNano": fmt.Sprint(begin.UnixNano()), "endTimeUnixNano": fmt.Sprint(end.UnixNano()),
	}
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return hex.EncodeToString(b)
}

func (a *assistants) post(ctx context.Context, path string, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.server+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	response, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s responded with %s: %.200s", path, resp.Status, response)
	}
	return nil
}
