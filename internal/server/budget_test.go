package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// While the budget of bodies is exhausted, every endpoint that reads a body responds that the server is busy.
// Afterwards it accepts bodies again.
func TestBodiesHaveABudget(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	const execution = `{"user_id": "ada", "agent_name": "planner", "status": "success"}`
	ways := map[string]request{
		"one":    {method: "POST", path: "/api/executions", token: ingestToken, body: execution},
		"lines":  {method: "POST", path: "/api/executions", token: ingestToken, body: execution + "\n", contentType: "application/x-ndjson"},
		"traces": {method: "POST", path: "/v1/traces", token: ingestToken, body: `{"resourceSpans": []}`},
		"prompt": {method: "POST", path: "/api/ai/process-stream", token: ingestToken, body: `{"type": "t", "user_id": "ada", "message": "m"}`},
	}
	a.shared.Bodies = endpoint.NewBudget(3)
	for name, r := range ways {
		got := a.send(t, r)
		if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "too much is being transferred at once") {
			t.Errorf("%s: want 503 and when to come again, got %d %s", name, got.Code, got.Body)
		}
	}
	if used := a.shared.Bodies.InUse(); used != 0 {
		t.Errorf("want all given back, got %d bytes in use", used)
	}
	a.shared.Bodies = endpoint.NewBudget(DefaultBodyMemory)
	for name, r := range ways {
		if got := a.send(t, r); got.Code >= http.StatusBadRequest {
			t.Errorf("%s: with room again: got %d %s", name, got.Code, got.Body)
		}
	}
	if used := a.shared.Bodies.InUse(); used != 0 {
		t.Errorf("want all given back, got %d bytes in use", used)
	}
}
